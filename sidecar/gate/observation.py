"""What the sidecar itself sees when a lease ends, and where the agent's word does not fit it. Writes nothing."""

from dataclasses import dataclass, replace

from sidecar.approvals import store as approvals
from sidecar.contract import Json, Plan, Step
from sidecar.credentials import store as leases
from sidecar.errors import ClusterUnavailable
from sidecar.execution import Effect, Live, escaped, look, observed, read
from sidecar.execution import store as steps
from sidecar.execution.effect import UID
from sidecar.execution.pointer import value_at
from sidecar.execution.recover import holds, is_closed_by
from sidecar.gate.desk import Desk
from sidecar.gate.publish import maker_of
from sidecar.gate.silenced import stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """`steps`: what became of each step, as the cluster shows it now: as-left, changed-since, gone, undone, half-done (a drain
    that closed its node and did not come to its end), not-performed, not-known. `subject`: the object of the cause.
    `contradictions`: where what was said does not fit."""

    steps: dict[str, str]
    subject: tuple[str, ...]
    contradictions: tuple[str, ...]

    def document(self) -> dict[str, Json]:
        return {"steps": {**self.steps}, "subject": [*self.subject], "contradictions": [*self.contradictions]}


def observe(held: leases.Entry, said: str, *, desk: Desk) -> Observation | None:
    """`said`: the outcome as the agent told it. None where nothing was tried. Raises JournalUnavailable."""
    with desk.ledger.read() as connection:
        entry = approvals.get(connection, held.lease.plan)
        done = steps.of_lease(connection, held.lease.id, "do")
        back = steps.of_lease(connection, held.lease.id, "undo")
    if entry is None or not done:
        return None
    states: dict[str, str] = {}
    unheard = False  # of Alertmanager: asked once, not for each of twenty silences
    for step in entry.plan.steps:
        states[step.id] = _state(step, done.get(step.id), back.get(step.id), desk=desk, unheard=unheard)
        unheard = unheard or (step.action.kind == "silence_alert" and states[step.id] == "not-known")
    subject, ailing = _subject(entry.plan, desk=desk)
    if all(step.action.kind == "silence_alert" for step in entry.plan.steps):
        ailing = ""  # whoever is silent about it says nothing of how it is
    return Observation(steps=states, subject=subject, contradictions=tuple(_contradictions(said, states, ailing)))


def _state(step: Step, done: steps.Entry | None, undone: steps.Entry | None, *, desk: Desk, unheard: bool) -> str:
    if undone is not None and undone.result is not None and undone.result.status == "performed":
        return "undone"
    if done is None or not done.may_have_changed_something:
        return "not-performed"
    if done.result is None:
        return "not-known"
    after = done.result.after
    try:
        if done.result.status != "performed":
            closed = is_closed_by(maker_of(done.lease, step), read(step.action.target, desk.cluster))
            return "half-done" if closed else "not-performed"
        if step.action.kind == "silence_alert":
            if unheard:
                return "not-known"
            return "as-left" if stands(done.lease, step.id, after, desk=desk) else "gone"
        live = look(step.action, desk.cluster)
    except ClusterUnavailable:
        return "not-known"
    return _as_left(step, live, replace(Effect.of(done.effect), after=after))


def _as_left(step: Step, live: Live, effect: Effect) -> str:
    action = step.action
    if action.kind in ("delete_pod", "evict_pod"):
        return "as-left" if value_at(live.target, ("metadata", "uid")) != action.target.uid else "changed-since"
    found = live.made if action.kind == "rerun_job" else live.target
    if found is None:
        return "gone"
    if action.kind in ("create_object", "rerun_job"):
        return "as-left" if value_at(found, ("metadata", "uid")) == effect.after.get(UID) else "changed-since"
    values = {pointer: value for pointer, value in effect.after.items() if pointer not in effect.goal and pointer != "/pods"}
    same = value_at(found, ("metadata", "uid")) == action.target.uid and holds(found, values, effect.goal)
    return "as-left" if same else "changed-since"


def _subject(plan: Plan, *, desk: Desk) -> tuple[tuple[str, ...], str]:
    """What is seen of the object of the cause, and what is not well about it ("" where nothing is, or nobody can tell)."""
    subject = plan.cause.subject
    if subject.kind == "Secret":
        return (), ""
    try:
        live = read(subject, desk.cluster)
    except ClusterUnavailable as exc:
        return (escaped(f"not known: {exc}")[:500],), ""
    return observed(subject, live), _ailing(subject.kind, live)


def _ailing(kind: str, live: Json) -> str:
    wanted, ready = value_at(live, ("spec", "replicas")), value_at(live, ("status", "readyReplicas")) or 0
    if kind == "DaemonSet":
        wanted, ready = value_at(live, ("status", "desiredNumberScheduled")), value_at(live, ("status", "numberReady")) or 0
    if kind in ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet") and isinstance(wanted, int) and isinstance(ready, int):
        return f"{ready} of {wanted} replicas are ready" if ready < wanted else ""
    phase = value_at(live, ("status", "phase"))
    if kind == "Pod" and isinstance(phase, str):
        return f"the pod is {phase}" if phase not in ("Running", "Succeeded") else ""
    return ""


def _contradictions(said: str, states: dict[str, str], ailing: str) -> list[str]:
    found = []
    if said == "helped":
        found += [f"{step} is {state}" for step, state in states.items() if state not in ("as-left", "not-known")]
        found += [ailing] if ailing else []
    if said == "undone":
        found += [f"{step} is {state}" for step, state in states.items() if state in ("as-left", "changed-since", "half-done")]
    if said == "not-performed":
        done = {step: state for step, state in states.items() if state not in ("not-performed", "not-known")}
        found += [f"{step} {'is half-done' if state == 'half-done' else 'was performed'}" for step, state in done.items()]
    return [f'it is said to be "{said}", but {what}' for what in found]
