"""Fakes of the sidecar's ports but for the cluster, and a desk built on them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sidecar.approvals import Person
from sidecar.audit import AnchorFile, Journal
from sidecar.contract import ApprovalsWanted, Decision, Plan, Reason
from sidecar.credentials import Issuer
from sidecar.gate.database import engine_for, turns_of
from sidecar.gate.desk import Desk, Turns
from sidecar.gate.halt import NAME as HALT
from sidecar.gate.halt import Halt
from sidecar.gate.ledger import Ledger
from sidecar.ports import Cluster, Facts, History, nothing
from tests.fakes.sidecar_alertmanager import FakeAlertmanager
from tests.fakes.sidecar_cluster import FakeCluster

KEY = b"k" * 32


@dataclass
class FakeClock:
    """Stands still until it is moved. `set` moves what the wall clock says, and no time passes."""

    at: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    passed: float = 0.0

    def now(self) -> datetime:
        return self.at

    def elapsed(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.advance(seconds=seconds)

    def advance(self, **delta: float) -> None:
        self.at += timedelta(**delta)
        self.passed += timedelta(**delta).total_seconds()

    def set(self, **delta: float) -> None:
        self.at += timedelta(**delta)


@dataclass
class FakePeople:
    known: dict[str, Person] = field(default_factory=dict)
    slack: dict[str, str] = field(default_factory=dict)  # user id to name

    def add(self, name: str, *roles: str) -> Person:
        self.known[name] = Person(name=name, roles=frozenset(roles))
        return self.known[name]

    def by_token(self, token: str) -> Person | None:
        return self.known.get(token)

    def by_name(self, name: str) -> Person | None:
        return self.known.get(name)

    def by_slack(self, user: str) -> Person | None:
        return self.known.get(self.slack.get(user, ""))

    def by_slack_user(self, slack_user: str) -> Person | None:
        return self.known.get(slack_user.removeprefix("U").lower())


@dataclass
class FakeFacts:
    asked: list[History] = field(default_factory=list)
    last: list[frozenset[str]] = field(default_factory=list)  # of each time

    def gather(
        self, plan: Plan, history: History, *, through: Cluster | None = None, last: frozenset[str] = frozenset()
    ) -> Facts:
        self.asked.append(history)
        self.last.append(last)
        return Facts(document={"cluster": {"name": plan.cluster}}, missing=(), gathered_at=datetime.now(UTC))


@dataclass
class FakeJudge:
    """Says `verdict`, until it is told otherwise."""

    verdict: str = "review"
    revision: str = "rev-1"
    count: int = 1
    roles: tuple[str, ...] = ("approver",)
    expires_seconds: int = 600
    lease_seconds: int = 300
    reasons: tuple[Reason, ...] = ()
    unread: frozenset[str] = frozenset()
    thinking: bool = False

    def decide(self, plan: Plan, facts: Facts, *, meanwhile: Callable[[], None] = nothing) -> Decision:
        self.thinking = True
        meanwhile()
        self.thinking = False
        review = self.verdict == "review"
        return Decision.model_validate(
            {
                "plan": plan.digest,
                "verdict": self.verdict,
                "reasons": self.reasons,
                "approvals": ApprovalsWanted(count=self.count, roles=self.roles, expires_seconds=self.expires_seconds)
                if review
                else None,
                "lease_seconds": 0 if self.verdict == "deny" else self.lease_seconds,
                "revision": self.revision,
                "facts": facts.digest,
                "decided_at": facts.gathered_at,
            }
        )


@dataclass
class World:
    """Everything that a test of the gate wants to hold."""

    cluster: FakeCluster
    judge: FakeJudge
    people: FakePeople
    facts: FakeFacts
    clock: FakeClock
    folder: Path
    url: str
    desk: Desk
    alerts: FakeAlertmanager = field(default_factory=FakeAlertmanager)

    def restart(self, make_ledger: Callable[..., Ledger] = Ledger) -> None:
        """A new process on the same database: nothing in memory is left."""
        self.desk.ledger.close()
        self.desk = make_desk(self, make_ledger)


def make_world(folder: Path, url: str = "", **judge: Any) -> World:
    """`url`: of an empty database; a SQLite file in the folder when there is none."""
    world = World(
        cluster=FakeCluster(),
        judge=FakeJudge(**judge),
        people=FakePeople(),
        facts=FakeFacts(),
        clock=FakeClock(),
        folder=folder,
        url=url or f"sqlite:///{folder}/sidecar.db",
        desk=None,  # type: ignore[arg-type]
    )
    world.people.add("ada", "approver")
    world.desk = make_desk(world)
    return world


def make_desk(world: World, make_ledger: Callable[..., Ledger] = Ledger) -> Desk:
    ledger = make_ledger(
        engine_for(world.url),
        journal=Journal(KEY),
        anchor=AnchorFile(world.folder / "journal.anchor"),
        clock=world.clock,
    )
    ledger.open()
    turns = turns_of(world.url)
    if turns is not None:
        ledger.on_close.callback(turns.close)
    return Desk(
        ledger=ledger,
        cluster=world.cluster,
        judge=world.judge,
        facts=world.facts,
        people=world.people,
        issuer=Issuer(world.cluster, namespace="lestrade-leases", clock=world.clock),
        clock=world.clock,
        silencer=world.alerts,
        halt=Halt.found(world.folder / HALT),
        turns=Turns(elsewhere=turns),
    )


def deployment(name: str = "web", namespace: str = "shop", replicas: int = 3, **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "shop/web:1", **container}]},
            },
        },
    }


def ref(kind: str, name: str, namespace: str = "shop", api_version: str = "apps/v1", uid: str = "") -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "namespace": namespace, "name": name, "uid": uid or f"uid-{name}"}


def plan(*actions: dict[str, Any], attempt: int = 1, incident: str = "inc-1", **more: Any) -> Plan:
    """A plan of these actions, everything else filled in."""
    target = ref("Deployment", "web")
    document = {
        "incident": incident,
        "attempt": attempt,
        "cluster": "lab",
        "cause": {"slug": "oom-killed", "subject": target},
        "hypothesis": "it is too small",
        "steps": [
            {"id": f"step-{number}", "action": action, "why": "so", "expect": "better"}
            for number, action in enumerate(actions, start=1)
        ],
        **more,
    }
    import json

    return Plan.from_bytes(json.dumps(document).encode())


def scale(replicas: int, name: str = "web") -> dict[str, Any]:
    return {"kind": "scale_workload", "target": ref("Deployment", name), "replicas": replicas}


def change(path: str, before: Any, after: Any, target: dict[str, Any] | None = None) -> dict[str, Any]:
    changes = [{"path": path, "before": before, "after": after}]
    return {"kind": "change_fields", "target": target or ref("Deployment", "web"), "changes": changes}
