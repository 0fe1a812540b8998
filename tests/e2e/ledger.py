"""Who wrote what, by the API server's own request log. Takes nothing from what agent or sidecar say of themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

# As the laboratory names ServiceAccounts: namespace/name.
SIDECAR = "lestrade/lestrade-sidecar"
LEASES = "lestrade-leases/"
WRITING_VERBS = {"create", "update", "patch", "delete", "deletecollection"}
# What minting and revoking write; reviews create nothing.
MINTING = {
    ("", "serviceaccounts", ""),
    ("", "serviceaccounts", "token"),
    ("rbac.authorization.k8s.io", "roles", ""),
    ("rbac.authorization.k8s.io", "rolebindings", ""),
    ("rbac.authorization.k8s.io", "clusterroles", ""),
    ("rbac.authorization.k8s.io", "clusterrolebindings", ""),
}
OWNERS = {"admin"}  # the scenario itself: whoever broke it, and whoever meddles
REVIEWS = {"authorization.k8s.io", "authentication.k8s.io"}


class Entry(Protocol):
    """One request as the log has it; `identity` is who the server took the token for."""

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


@dataclass(frozen=True, slots=True, order=True)
class Write:
    verb: str
    resource: str
    namespace: str
    name: str


def is_write(entry: Entry) -> bool:
    """An attempt to write, refused or not; reviews and dry runs change nothing (`dry_run` is not set where the token was
    refused before anything was read)."""
    dry = entry.dry_run or "dryRun=All" in entry.path
    return entry.verb in WRITING_VERBS and not dry and entry.group not in REVIEWS


def strangers(log: Iterable[Entry]) -> list[str]:
    """Attempts to write by anyone but a lease, the sidecar when it mints, and the cluster's own people and controllers.

    A token that ran out is nobody's: an attempt that was turned away and then made by a lease is that lease's.
    """
    found = []
    entries = list(log)
    for number, entry in enumerate(entries):
        if not is_write(entry) or entry.identity.startswith(LEASES) or entry.identity in OWNERS or is_minting(entry):
            continue
        if entry.status == 401 and any(_again(entry, later) for later in entries[number + 1 :]):
            continue
        found.append(
            f"{entry.identity} {entry.verb} {entry.resource}/{entry.subresource} {entry.namespace}/{entry.name} {entry.status}"
        )
    return found


def _again(entry: Entry, later: Entry) -> bool:
    return later.identity.startswith(LEASES) and (later.verb, later.path) == (entry.verb, entry.path)


def is_minting(entry: Entry) -> bool:
    return entry.identity == SIDECAR and (entry.group, entry.resource, entry.subresource) in MINTING


def by_leases(log: Iterable[Entry]) -> list[Write]:
    """What leases really changed, in order."""
    return [
        Write(entry.verb, f"{entry.resource}/{entry.subresource}".rstrip("/"), entry.namespace, entry.name)
        for entry in log
        if is_write(entry) and entry.identity.startswith(LEASES) and entry.status < 300
    ]


def is_refused_after(log: Sequence[Entry]) -> bool:
    """The last request of every lease identity was refused: its credential is dead, as the server saw it."""
    last: dict[str, int] = {entry.identity: entry.status for entry in log if entry.identity.startswith(LEASES)}
    return all(status in (401, 403) for status in last.values())
