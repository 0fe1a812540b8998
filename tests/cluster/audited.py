"""What a real API server's audit log says of one run, in the words of tests/e2e/ledger.py. Knows no scenario."""

import json
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "system:serviceaccount:"
# The cluster's own: controllers, the scheduler, the server itself, and the kubelets.
MACHINERY = ("kube-system/", "system:", "hollow-kubelets")
ADMIN = "kubernetes-admin"


@dataclass(frozen=True, slots=True)
class Asked:
    """One answered request; `identity` is admin, namespace/serviceaccount, or the user name."""

    at: str
    identity: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    path: str
    dry_run: bool
    status: int

    @property
    def is_write(self) -> bool:
        """A change that happened: no dry run, no review, no refusal."""
        changing = self.verb in ("create", "update", "patch", "delete", "deletecollection")
        return changing and not self.dry_run and self.status < 300 and not self.resource.endswith("reviews")


class AuditLog:
    """The part of the file that was written since this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = path.stat().st_size

    def entries(self) -> list[Asked]:
        """Without those of the cluster's machinery, in the order in which they were answered."""
        with self._path.open("rb") as file:
            file.seek(self._from)
            found = [_entry(json.loads(line)) for line in file if line.endswith(b"\n")]
        return [one for one in found if not one.identity.startswith(MACHINERY)]


def _entry(event: dict[str, object]) -> Asked:
    user, about, answer = (_part(event, name) for name in ("user", "objectRef", "responseStatus"))
    path = str(event["requestURI"])
    return Asked(
        at=str(event["stageTimestamp"]),
        identity=_identity(str(user.get("username", ""))),
        verb=str(event["verb"]),
        group=str(about.get("apiGroup", "")),
        resource=str(about.get("resource", "")),
        subresource=str(about.get("subresource", "")),
        namespace=str(about.get("namespace", "")),
        name=str(about.get("name", "")),
        path=path,
        dry_run="dryRun=All" in path,
        status=int(str(answer.get("code", 0))),
    )


def _part(event: dict[str, object], name: str) -> dict[str, object]:
    part = event.get(name)
    return part if isinstance(part, dict) else {}


def _identity(username: str) -> str:
    if username == ADMIN:
        return "admin"
    return username.removeprefix(ACCOUNT).replace(":", "/", 1) if username.startswith(ACCOUNT) else username
