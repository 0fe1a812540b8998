"""A world of one Deployment with a memory limit that may be too low, behind every port of the agent.

It lives in one JSON file, so that a second process (or the same one, killed and started again) finds it as it was left. What was
really done to it is in `writes`; a step that is asked for twice is done once, as the sidecar promises.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from agent.domain.finding import Changed, Diagnosis, Finding, Quote, RankedCause
from agent.domain.incident import Incident, Window
from agent.domain.objects import Manifest, Ref, Series
from agent.errors import ClusterUnreachable, GovernanceUnavailable, MetricsUnavailable
from agent.ports import Candidate, Guidance, Observed
from agent.ports.reasoner import Reasoner
from sidecar.contract import (
    ChangeFields,
    Lease,
    ObjectRef,
    Plan,
    PlanStatus,
    Problem,
    Settlement,
    Step,
    StepResult,
    UndoResult,
    Verification,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TOO_LOW = "64Mi"
HEALS = "256Mi"
CHECKOUT = Ref("Deployment", "shop", "checkout")
TARGET = ObjectRef(apiVersion="apps/v1", kind="Deployment", namespace="shop", name="checkout", uid="u-checkout")


@dataclass(kw_only=True)
class Script:
    """How the world behaves. Attempts count from 1, as plans do."""

    remedies: tuple[str, ...] = (HEALS,)  # memory limits that the runbook proposes, in order
    human: str = ""  # the runbook's last remedy is a person
    deny: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # attempt -> reasons
    review: bool = True
    answer: Literal["approve", "deny", "expire", "never"] = "approve"
    polls_before_answer: int = 1
    changed_at_lease: tuple[int, ...] = ()
    changed_at_step: tuple[int, ...] = ()
    failed_at_step: tuple[int, ...] = ()
    down: tuple[str, ...] = ()  # methods of the sidecar that do not answer
    blind: bool = False  # what would show the effect cannot be read
    unreachable: bool = False  # the cluster does not answer at all
    lost_after_writes: int = 0  # the cluster's time cannot be told any more once so much was written
    starts_for: float = 0.0  # seconds in which what was undone starts, and shows no fault yet
    second_cause: str = ""  # a fault beside the first, which stays, and for which only a person can do this
    wants: tuple[str, ...] = ()
    question_of_checks: str = ""  # PromQL instead of a condition


class World:
    """`start` makes the file; `World(path)` opens what is there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def start(cls, path: Path, script: Script | None = None, *, memory: str = TOO_LOW) -> "World":
        world = cls(path)
        world._save(
            {
                "script": (script or Script()).__dict__,
                "memory": memory,
                "seconds": 0.0,
                "starts_until": 0.0,
                "writes": [],
                "plans": {},
                "leases": {},
                "calls": [],
            }
        )
        return world

    def load(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.path.read_text())
        return loaded

    def _save(self, state: Mapping[str, Any]) -> None:
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(state))
        beside.replace(self.path)

    @property
    def script(self) -> Script:
        kept = self.load()["script"]
        kept["deny"] = {int(attempt): reasons for attempt, reasons in kept["deny"].items()}
        return Script(**{name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()})

    @property
    def memory(self) -> str:
        return str(self.load()["memory"])

    @property
    def writes(self) -> list[str]:
        return list(self.load()["writes"])

    @property
    def calls(self) -> list[str]:
        return list(self.load()["calls"])

    @property
    def open_leases(self) -> list[str]:
        return [name for name, lease in self.load()["leases"].items() if lease["settlement"] is None]

    def settlements(self) -> list[str]:
        return [lease["settlement"]["outcome"] for lease in self.load()["leases"].values() if lease["settlement"]]

    def tick(self, seconds: float = 1.0) -> datetime:
        state = self.load()
        state["seconds"] += seconds
        self._save(state)
        return START + timedelta(seconds=state["seconds"])

    def note(self, call: str) -> None:
        state = self.load()
        state["calls"].append(call)
        self._save(state)


class WorldClock:
    """Nobody waits: a pause is over at once, and the world is later."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        return self._world.tick(0)

    async def sleep(self, seconds: float) -> None:
        self._world.tick(seconds)
        await asyncio.sleep(0.001)  # others get their turn


class WorldReader:
    """ClusterReader."""

    name = "lab"

    def __init__(self, world: World) -> None:
        self._world = world

    async def namespaces(self) -> Observed:
        return Observed(now=self._now(), objects=({"kind": "Namespace", "metadata": {"name": "shop"}},))

    async def overview(self, namespaces: Sequence[str]) -> Observed:
        self._world.note(f"overview {','.join(namespaces)}")
        return Observed(now=self._now(), objects=(self._deployment(), POD))

    async def logs(self, pods: Sequence[tuple[Ref, str, bool]], *, tail: int) -> Observed:
        return Observed(now=self._now())

    async def usage(self, namespaces: Sequence[str]) -> Observed:
        return Observed(now=self._now())

    async def get(self, api_version: str, ref: Ref) -> Manifest | None:
        return self._deployment() if ref == CHECKOUT else None

    async def now(self) -> datetime:
        lost = self._world.script.lost_after_writes
        if lost and len(self._world.writes) >= lost:
            raise ClusterUnreachable("https://127.0.0.1:1: nothing answers any more")
        return self._now()

    def _now(self) -> datetime:
        if self._world.script.unreachable:
            raise ClusterUnreachable("https://127.0.0.1:1: nothing answers")
        return self._world.tick()

    def _deployment(self) -> Manifest:
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"namespace": "shop", "name": "checkout", "uid": "u-checkout"},
            "spec": {"memory": self._world.memory},
        }


POD: Manifest = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"namespace": "shop", "name": "checkout-7d4", "uid": "u-pod"},
    "status": {"containerStatuses": [{"name": "app", "ready": False, "restartCount": 7, "containerID": "c://1"}]},
}


class WorldMetrics:
    """Metrics: memory in use at the limit until it is raised."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def range(self, promql: str, window: Window, step_seconds: int) -> tuple[Series, ...]:
        if not promql.startswith("container_memory_working_set_bytes"):
            return ()
        labels = {"__name__": "container_memory_working_set_bytes", "namespace": "shop", "pod": "checkout-7d4"}
        begin = window.start.timestamp()
        samples = tuple((begin + number * 60, 1e6 * (10 + number % 50)) for number in range(60))
        return (Series(labels=labels, samples=samples),)

    async def instant(self, promql: str, at: datetime | None = None) -> tuple[Series, ...]:
        if self._world.script.blind:
            raise MetricsUnavailable("prometheus does not answer")
        if promql.startswith("nothing"):
            return ()
        sample = Series(labels={}, samples=((0.0, 0.0 if self._world.memory == HEALS else 3.0),))
        asks_for_zero = promql.endswith("== 0")
        return (sample,) if not asks_for_zero or self._world.memory == HEALS else ()


class WorldReasoner:
    """Reasoner: knows one cause."""

    def __init__(self, world: World) -> None:
        self._world = world

    def namespaces_of(self, incident: Incident, known: tuple[str, ...]) -> tuple[str, ...]:
        return known

    def diagnose(self, incident: Incident, observed: Observed, series: tuple[Series, ...]) -> Diagnosis:
        script = self._world.script
        deployment = next(found for found in observed.objects if found["kind"] == "Deployment")
        second = (STORAGE,) if script.second_cause else ()
        if deployment["spec"]["memory"] == HEALS and second:
            return Diagnosis(outcome="fault", statement=STORAGE.finding.statement, causes=second)
        if deployment["spec"]["memory"] == HEALS:
            return Diagnosis(outcome="healthy", statement="every pod of shop is ready")
        if observed.now < START + timedelta(seconds=self._world.load()["starts_until"]):
            return Diagnosis(outcome="unknown", statement="the pods of checkout are starting")
        quote = Quote(
            source="kubernetes: Pod shop/checkout-7d4 status",
            about=Ref("Pod", "shop", "checkout-7d4"),
            text="lastState.terminated.reason: OOMKilled\nexitCode: 137",
            at=START - timedelta(minutes=3),
        )
        finding = Finding(
            cause="oom-killed",
            subject=CHECKOUT,
            statement="Deployment shop/checkout has a memory limit below what it needs",
            since=START - timedelta(minutes=5),
            affects=(Ref("Pod", "shop", "checkout-7d4"),),
            quotes=(quote,),
            params={"limit": deployment["spec"]["memory"]},
        )
        rollout = Changed(about=CHECKOUT, at=START - timedelta(minutes=6), what="revision 2", who="rollout")
        cause = RankedCause(finding=finding, because=("OOMKilled at the limit",), confidence=0.9, change=rollout)
        return Diagnosis(outcome="fault", statement=finding.statement, causes=(cause, *second), wants=script.wants)


STORAGE = RankedCause(
    finding=Finding(
        cause="storageclass-missing",
        subject=Ref("PersistentVolumeClaim", "shop", "ledger"),
        statement="PersistentVolumeClaim shop/ledger names a StorageClass that is not there",
        since=START - timedelta(minutes=4),
    ),
    because=("the objects themselves show it",),
    confidence=0.8,
)


class WorldRunbooks:
    """Runbooks: raise the limit to each of the script's values in turn, then ask a person."""

    def __init__(self, world: World) -> None:
        self._world = world

    def guidance(self, diagnosis: Diagnosis, incident: Incident, observed: Observed, series: Sequence[Series]) -> Guidance:
        return Guidance()

    def candidates(self, cause: RankedCause, observed: Observed) -> Sequence[Candidate]:
        script = self._world.script
        if cause.finding.id == STORAGE.finding.id:
            return [Candidate(id="storageclass-missing/human", human=script.second_cause, page="runbooks/storage/x.md")]
        limit = cause.finding.params["limit"]
        page = "runbooks/resources/oom-killed.md"
        found = [
            Candidate(
                id=f"oom-killed/{number}",
                steps=(
                    Step(
                        id="step-1",
                        action=ChangeFields.model_validate(
                            {"target": TARGET, "changes": [{"path": "/spec/memory", "before": limit, "after": value}]},
                            strict=False,
                        ),
                        why="the limit is below the working set",
                        expect="no more OOMKilled",
                    ),
                ),
                verification=(_check(script),),
                page=page,
            )
            for number, value in enumerate(script.remedies, start=1)
            if value != limit
        ]
        return [*found, Candidate(id="oom-killed/human", human=script.human, page=page)] if script.human else found

    def holds(self, check: Verification, found: Manifest) -> tuple[bool | None, str]:
        if self._world.script.blind:
            return None, "the Deployment could not be read"
        memory = found["spec"]["memory"]
        return memory == HEALS, f"memory: {memory}"


def _check(script: Script) -> Verification:
    if script.question_of_checks:
        return Verification(description="no more kills", promql=script.question_of_checks, within_seconds=60)
    return Verification(description="checkout is ready", subject=TARGET, condition="ready", within_seconds=60)


class WorldGovernance:
    """Governance: judges by the script, performs in the world, keeps everything by digest, lease and step."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def ready(self) -> None:
        if "ready" in self._world.script.down:
            raise GovernanceUnavailable("the sidecar does not answer (Down)")

    async def submit(self, plan: Plan) -> PlanStatus:
        self._begin("submit")
        state = self._world.load()
        if plan.digest not in state["plans"]:
            denied = plan.attempt in self._world.script.deny
            first = "denied" if denied else "waiting" if self._world.script.review else "approved"
            state["plans"][plan.digest] = {"plan": plan.document(), "state": first, "polls": 0, "lease": None}
            self._world._save(state)
        return self._status(plan.digest)

    async def status(self, digest: str, *, wait_seconds: int = 0) -> PlanStatus:
        self._begin("status")
        script, state = self._world.script, self._world.load()
        kept = state["plans"][digest]
        if kept["state"] == "waiting" and script.answer != "never":
            kept["polls"] += 1
            if kept["polls"] > script.polls_before_answer:
                kept["state"] = {"approve": "approved", "deny": "refused", "expire": "expired"}[script.answer]
            self._world._save(state)
        return self._status(digest)

    async def lease(self, digest: str) -> Lease | Problem:
        self._begin("lease")
        state = self._world.load()
        kept = state["plans"][digest]
        if kept["plan"]["attempt"] in self._world.script.changed_at_lease:
            return Problem(title="Conflict", status=409, code="target-changed", detail="the object is another now")
        if kept["state"] == "settled":
            return Problem(title="Gone", status=410, code="lease-over")
        if kept["lease"] is None:
            kept["lease"] = f"lease-{len(state['leases']) + 1}"
            kept["state"] = "leased"
            state["leases"][kept["lease"]] = {"plan": digest, "steps": {}, "undo": None, "settlement": None}
            self._world._save(state)
        return Lease(
            id=kept["lease"],
            plan=digest,
            state="live",
            identity="lestrade-leases/" + kept["lease"],
            rights=(),
            granted_at=START,
            expires_at=START + timedelta(minutes=5),
        )

    async def perform(self, lease: str, step: str) -> StepResult:
        self._begin("perform")
        state = self._world.load()
        kept = state["leases"][lease]
        if step in kept["steps"]:
            return _result(lease, step, kept["steps"][step], repeated=True)
        plan = state["plans"][kept["plan"]]["plan"]
        change = next(found for found in plan["steps"] if found["id"] == step)["action"]["changes"][0]
        attempt, script = plan["attempt"], self._world.script
        if kept["settlement"] is not None:
            outcome = {"status": "refused", "reason": "lease-over"}
        elif attempt in script.changed_at_step or change["before"] != state["memory"]:
            outcome = {"status": "refused", "reason": "target-changed"}
        elif attempt in script.failed_at_step:
            outcome = {"status": "failed", "reason": "forbidden"}
        else:
            state["writes"].append(f"{lease} {step} {change['before']}->{change['after']}")
            state["memory"] = change["after"]
            outcome = {"status": "performed", "reason": "", "before": change["before"], "after": change["after"]}
        kept["steps"][step] = outcome
        self._world._save(state)
        return _result(lease, step, outcome)

    async def undo(self, lease: str) -> UndoResult:
        self._begin("undo")
        state = self._world.load()
        kept = state["leases"][lease]
        if kept["undo"] is None:
            kept["undo"] = [step for step, outcome in kept["steps"].items() if outcome["status"] == "performed"]
            for step in kept["undo"]:
                before = kept["steps"][step]["before"]
                state["writes"].append(f"{lease} undo {step} {state['memory']}->{before}")
                state["memory"] = before
                state["starts_until"] = state["seconds"] + self._world.script.starts_for
            self._world._save(state)
        steps = tuple(_result(lease, step, {"status": "performed", "reason": ""}) for step in kept["undo"])
        return UndoResult(lease=lease, steps=steps, complete=True)

    async def settle(
        self, lease: str, outcome: Literal["helped", "did-not-help", "undone", "not-performed", "unknown"]
    ) -> Settlement:
        self._begin("settle")
        state = self._world.load()
        kept = state["leases"][lease]
        if kept["settlement"] is None:
            kept["settlement"] = {"outcome": outcome}
            state["plans"][kept["plan"]]["state"] = "settled"
            self._world._save(state)
        return Settlement(
            lease=lease,
            plan=kept["plan"],
            state="settled",
            outcome=kept["settlement"]["outcome"],
            refused_after_ms=12.0,
            refusal="403",
            settled_at=START,
        )

    def _begin(self, method: str) -> None:
        self._world.note(method)
        if method in self._world.script.down or "all" in self._world.script.down:
            raise GovernanceUnavailable("the sidecar does not answer (ConnectError)")

    def _status(self, digest: str) -> PlanStatus:
        kept = self._world.load()["plans"][digest]
        reasons = self._world.script.deny.get(kept["plan"]["attempt"], [])
        verdict = "deny" if reasons else "review" if self._world.script.review else "allow"
        decision = {
            "plan": digest,
            "verdict": verdict,
            "reasons": reasons,
            "approvals": {"count": 1, "roles": ["sre"], "expires_seconds": 60} if verdict == "review" else None,
            "lease_seconds": 0 if reasons else 120,
            "revision": "sha256:abc",
            "facts": "0" * 64,
            "decided_at": START.isoformat(),
        }
        answered = kept["state"] in ("approved", "leased", "settled") and verdict == "review"
        answers = [{"person": "ada", "verdict": "approve", "via": "cli", "at": START.isoformat()}] if answered else []
        if kept["state"] == "refused":
            answers = [{"person": "ada", "verdict": "deny", "via": "cli", "at": START.isoformat(), "reason": "not today"}]
        document = {"plan": digest, "state": kept["state"], "decision": decision, "answers": answers, "lease": kept["lease"]}
        return PlanStatus.model_validate_json(json.dumps(document))


def _result(lease: str, step: str, outcome: Mapping[str, Any], *, repeated: bool = False) -> StepResult:
    return StepResult(
        lease=lease,
        step=step,
        status=outcome["status"],
        reason=outcome["reason"],
        target=TARGET,
        before={"/spec/memory": outcome.get("before")},
        after={"/spec/memory": outcome.get("after")},
        at=START,
        repeated=repeated,
    )


_reasoner_is_one: type[Reasoner] = WorldReasoner
