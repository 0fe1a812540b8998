"""The governed side of one run, wherever the cluster is: the sidecar as a process of its own, the agent's graph here, and people
who answer through the people's API. Knows no laboratory; whoever subclasses says which cluster it is.
"""

import asyncio
import contextlib
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import httpx
import orjson
import yaml

from agent.bootstrap import Workshop, workshop
from agent.domain.report import Report
from agent.errors import ClusterUnreachable, GovernanceUnavailable, InputError, LestradeError
from agent.governance.client import NO_AUTHORITY
from agent.ports import RunRow
from agent.rendering.safety import one_line
from agent.settings import Settings
from agent.stages.receive import receive
from sidecar.contract import ApprovalRequest, ApprovalView

SIDECAR_IDENTITY, READER_IDENTITY = "lestrade/lestrade-sidecar", "lestrade/lestrade-reader"
LEASE_NAMESPACE, LEASE_LABEL = "lestrade-leases", "lestrade.dev/lease"
START_SECONDS = 90.0
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """Somebody in the people file. The token is on loan to whoever plays this person."""

    name: str
    token: str


class Governed(ABC):
    """`cluster` is the name under which sidecar and agent know the cluster. Everything that is written lies in `folder`."""

    # How the sidecar's programs become processes of their own.
    spawn: ClassVar[Callable[..., subprocess.Popen[bytes]]] = subprocess.Popen

    def __init__(
        self,
        cluster: str,
        *,
        folder: Path | None = None,
        reports: Path | None = None,
        people: tuple[str, ...] = ("you", "a colleague"),
    ) -> None:
        self.cluster = cluster
        self.folder = folder or Path(tempfile.mkdtemp(prefix="lestrade-demo-"))
        self.reports = reports or self.folder / "reports"
        self.people = tuple(Approver(name=name, token=secrets.token_urlsafe(24)) for name in people)
        self.socket = self.folder / "agent.sock"
        self.token_file = self.folder / "agent.token"
        self.people_url = ""
        self.sidecar: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def settings(self) -> Settings:
        """The agent's."""

    @contextlib.asynccontextmanager
    async def shop(self) -> AsyncIterator[Workshop]:
        async with workshop(self.settings()) as opened:
            yield opened

    # The sidecar. -------------------------------------------------------------------------------------------------------

    def write_files(self, *, kubeconfig: str, policy: Mapping[str, object]) -> None:
        """What the sidecar is started with: `kubeconfig` of its own identity, `policy` laid over the bundle's data, people."""
        self.folder.mkdir(parents=True, exist_ok=True)
        secret_file(self.token_file, secrets.token_urlsafe(32))
        entries = [
            f"[[person]]\nname = {orjson.dumps(approver.name).decode()}\n"
            f'token_sha256 = "{hashlib.sha256(approver.token.encode()).hexdigest()}"\n'
            'roles = ["sre", "platform", "developer", "operator"]\n'
            for approver in self.people
        ]
        (self.folder / "people.toml").write_text("\n".join(entries), encoding="utf-8")
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(dict(policy), sort_keys=False), encoding="utf-8")
        secret_file(self.folder / "sidecar.kubeconfig", kubeconfig)

    def start_sidecar(self) -> None:
        """Raises GovernanceUnavailable with the sidecar's own last words when it does not come up."""
        port = _free_port()
        self.people_url = f"http://127.0.0.1:{port}"
        log = (self.folder / "sidecar.log").open("ab")
        with log:
            self.sidecar = self.spawn(
                [sys.executable, "-m", "sidecar.cli", "serve"],
                env={**self.sidecar_environment(), "LESTRADE_SIDECAR_PEOPLE_LISTEN": f"127.0.0.1:{port}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # an interrupt at the terminal is for us; we end the sidecar in order
            )
        self._await_sidecar()

    def stop_sidecar(self, *, kill: bool = False) -> None:
        """In order, or as kill -9 does."""
        process, self.sidecar = self.sidecar, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def sidecar_environment(self) -> dict[str, str]:
        """The whole environment of a sidecar program: nothing of the agent's settings reaches it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LESTRADE_")}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "LESTRADE_SIDECAR_STATE": str(self.folder / "sidecar"),
            "LESTRADE_SIDECAR_SOCKET": str(self.socket),
            "LESTRADE_SIDECAR_TOKEN_FILE": str(self.token_file),
            "LESTRADE_SIDECAR_PEOPLE_FILE": str(self.folder / "people.toml"),
            "LESTRADE_SIDECAR_KUBECONFIG": str(self.folder / "sidecar.kubeconfig"),
            "LESTRADE_SIDECAR_CLUSTER": self.cluster,
            "LESTRADE_SIDECAR_POLICY_OVERLAY": str(self.folder / "policy.yaml"),
        }

    def audit_verifies(self) -> bool:
        """What `lestrade-sidecar audit verify` says."""
        process = self.spawn(
            [sys.executable, "-m", "sidecar.cli", "audit", "verify"],
            env=self.sidecar_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )
        try:
            return process.wait(60) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def _await_sidecar(self) -> None:
        """Ready means: its socket answers, the cluster answers it, and its record can be written."""
        transport = httpx.HTTPTransport(uds=str(self.socket), verify=NO_AUTHORITY)
        deadline, unready = time.monotonic() + START_SECONDS, ""
        with httpx.Client(transport=transport, base_url="http://sidecar", timeout=5) as http:
            while time.monotonic() < deadline:
                if self.sidecar is not None and self.sidecar.poll() is not None:
                    break
                with contextlib.suppress(httpx.HTTPError):
                    answer = http.get("/readyz")
                    if answer.status_code == 200:
                        return
                    unready = f"it is not ready: {one_line(answer.text)[:300]}"
                time.sleep(0.05)
        raise GovernanceUnavailable(f"the sidecar does not come up: {unready or _last_line(self.folder / 'sidecar.log')}")

    # The people. --------------------------------------------------------------------------------------------------------

    async def waiting(self) -> list[ApprovalView]:
        """What the people's side shows to the first person."""
        async with self._people_client(self.people[0]) as http:
            try:
                answer = await http.get("/approvals")
                answer.raise_for_status()
                listed = answer.json()["approvals"]
                return [ApprovalView.from_bytes(orjson.dumps(entry)) for entry in listed if entry["state"] == "waiting"]
            except (httpx.HTTPError, ValueError, KeyError) as exc:
                raise GovernanceUnavailable(f"the people's side does not answer ({type(exc).__name__})") from exc

    async def answer(self, view: ApprovalView, approver: Approver, verdict: str, reason: str = "") -> str:
        """The state of the request afterwards; raises GovernanceUnavailable when the answer was not taken."""
        body = ApprovalRequest(
            plan=view.plan, verdict="approve" if verdict == "approve" else "deny", reason=reason, revision=view.revision
        )
        async with self._people_client(approver) as http:
            try:
                answer = await http.post(
                    f"/approvals/{view.plan}", content=body.canonical(), headers={"Content-Type": "application/json"}
                )
            except httpx.HTTPError as exc:
                raise GovernanceUnavailable(f"the people's side does not answer ({type(exc).__name__})") from exc
        if answer.status_code >= 400:
            raise GovernanceUnavailable(f"the answer was not taken: {answer.json().get('detail', answer.status_code)}")
        return str(answer.json()["state"])

    def _people_client(self, approver: Approver) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {approver.token}"}
        url = self.people_url
        return httpx.AsyncClient(base_url=url, headers=headers, timeout=30, verify=NO_AUTHORITY, trust_env=False)


async def open_run(shop: Workshop, payloads: Sequence[Mapping[str, object]], *, question: str) -> RunRow:
    """From alerts as Alertmanager sends them, one payload a group; without any from the question. The first group opens it."""
    if not payloads:
        return (await shop.take(question=question))[0]
    notifications = [receive(orjson.dumps(payload)) for payload in payloads]
    alerts = [alert for notification in notifications for alert in notification.alerts]
    return (await shop.take(alerts=alerts, group_key=notifications[0].group_key))[0]


def told(report: Report) -> dict[str, object]:
    """What the report says, for machines."""
    causes = report.diagnosis.causes if report.diagnosis else ()
    subject = causes[0].finding.subject if causes else None
    return {
        "outcome": report.outcome,
        "headline": report.headline,
        "cause": causes[0].finding.cause if causes else "",
        "resource": {"kind": subject.kind, "namespace": subject.namespace, "name": subject.name} if subject else None,
        "causes": [cause.finding.id for cause in causes],
        "rounds": [
            {
                "attempt": round_.attempt,
                "remedy": round_.remedy,
                "actions": [step.action.kind for step in round_.plan.steps],
                "verdict": round_.decision.verdict if round_.decision else None,
                "rules": [reason.rule for reason in round_.decision.reasons] if round_.decision else [],
                "end": round_.end,
            }
            for round_ in report.rounds
        ],
    }


async def watch(governed: Governed, shop: Workshop, row: RunRow) -> Report:
    """Work on the run to its end. Raises LestradeError when it left no report."""
    await shop.work(row)
    report = await shop.report(row.id)
    if report is None:
        finished = await shop.store.row(row.id)
        raise LestradeError(finished.headline if finished else "the run left no report")
    return report


async def approve_everything(governed: Governed, *, verdict: str = "approve", reason: str = "") -> None:
    """Until cancelled: answer each waiting request, by as many people as it wants."""
    while True:
        with contextlib.suppress(GovernanceUnavailable, ClusterUnreachable):
            for view in await governed.waiting():
                for approver in governed.people[: view.count]:
                    if await governed.answer(view, approver, verdict, reason) != "waiting":
                        break
        await asyncio.sleep(0.1)


def deploy_folder() -> Path:
    """The manifests: the wheel's data, or the checkout's folder. Raises InputError when neither is there."""
    package = Path(str(files("agent")))
    for folder in (package / "_data" / "deploy", package.parent / "deploy"):
        if folder.is_dir():
            return folder
    raise InputError("the folder deploy/ is not there: the installation is not complete")


def manifests(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8") as file:
        yield from (document for document in yaml.load_all(file, Loader=_LOADER) if document)


def secret_file(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1][:300] if lines else "it said nothing"
