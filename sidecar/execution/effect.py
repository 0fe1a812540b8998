"""What a step reads and writes, field by field: pure. It is computed when the plan is judged, shown to the approvers, and
computed again before the write: the two must be equal. Knows no request and no wire."""

from dataclasses import dataclass, field
from typing import assert_never

from sidecar import contract
from sidecar.contract import FieldChange, Json
from sidecar.execution.live import Live
from sidecar.execution.pointer import fingerprint, is_index, joined, parts, passed_by, same, value_at, written

RESTARTED_AT = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt"
WHEN_PERFORMED = "(the time at which it is performed)"
TEMPLATE = "/spec/template"
REPLICAS = "/spec/replicas"
UNSCHEDULABLE = "/spec/unschedulable"
UID = "/metadata/uid"
SILENCE = "/silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """`before` and `after` by JSON Pointer; None is "not there". `sealed`: fields that must stay as they are, or (in
    `goal`) become, of which only the SHA-256 is kept, because they may hold what nobody should keep. `reckoned`: the object
    that it was reckoned of, and what becomes of that one, where both are at hand; no part of what it says."""

    before: dict[str, Json] = field(default_factory=dict)
    after: dict[str, Json] = field(default_factory=dict)
    sealed: dict[str, str] = field(default_factory=dict)
    goal: dict[str, str] = field(default_factory=dict)
    reckoned: tuple[Json, Json] | None = field(default=None, repr=False, compare=False)

    def document(self) -> dict[str, Json]:
        return {"before": self.before, "after": self.after, "sealed": {**self.sealed}, "goal": {**self.goal}}

    @classmethod
    def of(cls, document: Json) -> "Effect":
        """What `document` wrote."""
        return cls(
            before=_object(document, "before"),
            after=_object(document, "after"),
            sealed={pointer: str(digest) for pointer, digest in _object(document, "sealed").items()},
            goal={pointer: str(digest) for pointer, digest in _object(document, "goal").items()},
        )


def _object(document: Json, name: str) -> dict[str, Json]:
    found = value_at(document, (name,))
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Why the action does not fit the live object. `code`: not-found, target-changed, revision-missing, exists,
    field-not-allowed, nothing-to-do, too-long-to-show, unsupported."""

    code: str
    detail: str


def effect_of(action: contract.Action, live: Live) -> Effect | Unfit:
    match action:
        case contract.CreateObject(manifest=manifest):
            if live.target is not None:
                return Unfit(code="exists", detail=f"{action.target} exists already")
            return Effect(before={"": None}, after={"": manifest})
        case contract.SilenceAlert():
            return _unfit_target(action, live) or _silenced(action, live)
        case _:
            return _unfit_target(action, live) or _on_target(action, live)


def _unfit_target(action: contract.Action, live: Live) -> Unfit | None:
    if live.target is None:
        return Unfit(code="not-found", detail=f"{action.target} does not exist")
    if value_at(live.target, ("metadata", "uid")) != action.target.uid:
        return Unfit(code="target-changed", detail=f"{action.target} was deleted and made again since")
    if value_at(live.target, ("metadata", "deletionTimestamp")) is not None:
        return Unfit(code="target-changed", detail=f"{action.target} is being deleted")
    return None


def _on_target(action: contract.Action, live: Live) -> Effect | Unfit:
    target = live.target
    match action:
        case contract.RestartWorkload():
            before = {RESTARTED_AT: value_at(target, parts(RESTARTED_AT))}
            return Effect(before=before, after={RESTARTED_AT: WHEN_PERFORMED}, sealed={TEMPLATE: _print(target, TEMPLATE)})
        case contract.RollbackWorkload(to_revision=revision):
            if live.template is None:
                return Unfit(code="revision-missing", detail=f"{action.target} keeps no revision {revision}")
            effect = Effect(sealed={TEMPLATE: _print(target, TEMPLATE)}, goal={TEMPLATE: fingerprint(live.template)})
            return effect if effect.sealed != effect.goal else _nothing(action)
        case contract.ScaleWorkload(replicas=replicas):
            current = value_at(target, parts(REPLICAS))
            return Effect(before={REPLICAS: current}, after={REPLICAS: replicas}) if current != replicas else _nothing(action)
        case contract.ChangeFields(changes=changes):
            return changed_fields(target, changes)
        case contract.DeletePod() | contract.EvictPod():
            return Effect(before={UID: action.target.uid}, after={UID: None})
        case contract.CordonNode() | contract.UncordonNode():
            wanted = True if isinstance(action, contract.CordonNode) else None
            current = value_at(target, parts(UNSCHEDULABLE)) or None
            return (
                Effect(before={UNSCHEDULABLE: current}, after={UNSCHEDULABLE: wanted}) if current != wanted else _nothing(action)
            )
        case contract.DrainNode():
            return _drained(action, live)
        case contract.RerunJob(new_name=name):
            if live.made is not None:
                return Unfit(code="exists", detail=f"Job {action.target.namespace}/{name} exists already")
            return Effect(before={"": None}, after={"/metadata/name": name}, sealed={"/spec": _print(target, "/spec")})
        case contract.CreateObject() | contract.SilenceAlert():
            return Unfit(code="unsupported", detail="is not about an object that is there")
        case _:
            assert_never(action)


def _drained(action: contract.DrainNode, live: Live) -> Effect | Unfit:
    for pod in action.pods:
        found = live.pods.get(f"{pod.namespace}/{pod.name}")
        if value_at(found, ("metadata", "uid")) != pod.uid:
            return Unfit(code="target-changed", detail=f"{pod} is gone, or another one")
        if value_at(found, ("spec", "nodeName")) != action.target.name:
            return Unfit(code="target-changed", detail=f"{pod} does not run on {action.target}")
    names: list[Json] = [f"{pod.namespace}/{pod.name}" for pod in action.pods]
    current = value_at(live.target, parts(UNSCHEDULABLE)) or None
    return Effect(before={UNSCHEDULABLE: current, "/pods": names}, after={UNSCHEDULABLE: True, "/pods": []})


def _silenced(action: contract.SilenceAlert, live: Live) -> Effect | Unfit:
    """Which alerts fire changes by the minute, and is no part of it: it is what people see, and what the policy judges."""
    if live.no_alerts:
        return Unfit(code="unsupported", detail=live.no_alerts)
    if not live.firing:
        return Unfit(code="nothing-to-do", detail="no alert that fires now has these labels")
    if all(alert.silenced for alert in live.firing):
        return Unfit(code="nothing-to-do", detail="every alert that has these labels is silenced already")
    matchers: list[Json] = [f"{one.name}={one.value}" for one in action.matchers]
    return Effect(before={SILENCE: None}, after={SILENCE: {"labels": matchers, "minutes": action.minutes}})


def _nothing(action: contract.Action) -> Unfit:
    return Unfit(code="nothing-to-do", detail=f"{action.target} is as the step wants it already")


def _print(document: Json, pointer: str) -> str:
    return fingerprint(value_at(document, parts(pointer)))


def changed_fields(live: Json, changes: tuple[FieldChange, ...]) -> Effect | Unfit:
    """The changes one after the other on a copy, then what became of the smallest parts that can be turned round.

    A field whose parent is missing is the parent's appearance; an element that joins or leaves a list is the list's
    change: so the inverse leaves nothing behind, and puts nothing in a place that moved.
    """
    working, roots = live, []
    for change in changes:
        segments, change = _placed(working, change)
        if not _allowed(segments):
            return Unfit(code="field-not-allowed", detail=f"no step may change {change.path}")
        way = passed_by(working, segments)
        if not same(way[-1], change.before):
            return Unfit(code="target-changed", detail=f"{change.path} is not as the plan says it is")
        roots.append(_root(way, segments, change))
        if len(changes) == 1 and roots[0] == segments:  # one field, turned round by itself
            return _one_field(live, way, segments, change)
        try:
            if len(way) > 1 and way[-2] is None and is_index(segments[-1]) and segments[0] == "spec":  # an element of no list
                raise KeyError(segments[-1])
            working = written(working, segments, change.after)
        except KeyError:
            return _no_place(change)
    before, after = _turned(live, working, roots)
    if same(before, after):
        return Unfit(code="nothing-to-do", detail="the changes come to nothing")
    return Effect(before=before, after=after, reckoned=(live, working))


def _one_field(live: Json, way: list[Json], segments: tuple[str, ...], change: FieldChange) -> Effect | Unfit:
    """`way`: what each of the segments leads to, everything but the last of which is there. What becomes of the whole is
    reckoned when somebody asks for it."""
    parent = way[-2] if len(way) > 1 else live
    if not isinstance(parent, dict) and not (isinstance(parent, list) and is_index(segments[-1])):
        return _no_place(change)
    if same(way[-1], change.after):
        return Unfit(code="nothing-to-do", detail="the changes come to nothing")
    return Effect(before={change.path: way[-1]}, after={change.path: change.after})


def _no_place(change: FieldChange) -> Unfit:
    return Unfit(code="target-changed", detail=f"there is no place for {change.path}")


def _turned(live: Json, working: Json, roots: list[tuple[str, ...]]) -> tuple[dict[str, Json], dict[str, Json]]:
    """What was and what becomes of each of the places, but for those that are below another."""
    kept = [root for root in dict.fromkeys(roots) if not any(root != other and root[: len(other)] == other for other in roots)]
    pointers = {joined(root): root for root in kept}
    before = {pointer: value_at(live, root) for pointer, root in pointers.items()}
    after = {pointer: value_at(working, root) for pointer, root in pointers.items()}
    return before, after


def _placed(working: Json, change: FieldChange) -> tuple[tuple[str, ...], FieldChange]:
    """Where a change goes: "-" is the place after the last element, and the first element of a missing list is the list."""
    segments = parts(change.path)
    if segments[-1] not in ("-", "0"):
        return segments, change
    parent = value_at(working, segments[:-1])
    if segments[-1] == "-" and isinstance(parent, list):
        return (*segments[:-1], str(len(parent))), change
    first = segments[-1] == "-" or (segments[-1] == "0" and segments[0] == "spec")
    if parent is None and first and change.before is None and len(segments) > 1:
        return segments[:-1], FieldChange(path=joined(segments[:-1]), before=None, after=[change.after])
    return segments, change


def _allowed(segments: tuple[str, ...]) -> bool:
    """What a step may change at all: never identity, ownership, status, or the object as a whole."""
    match segments:
        case ("spec", _, *_) | ("data", *_) | ("binaryData", *_):
            return True
        case ("metadata", "labels" | "annotations", _):
            return True
        case _:
            return False


def _root(way: list[Json], segments: tuple[str, ...], change: FieldChange) -> tuple[str, ...]:
    """`way`: what each of the segments leads to."""
    *above, _ = way
    if None in above:
        return segments[: above.index(None) + 1]
    joins_or_leaves = change.before is None or change.after is None
    return segments[:-1] if joins_or_leaves and above and isinstance(above[-1], list) else segments


def projected(action: contract.Action, live: Live, effect: Effect) -> Live:
    """The live object as it will be after the step, for the preview and for the steps that follow."""
    match action:
        case contract.CreateObject(manifest=manifest):
            return live.with_target(manifest)
        case contract.DeletePod() | contract.EvictPod():
            return live.with_target(None)
        case contract.RollbackWorkload():
            return live.with_target(written(live.target, parts(TEMPLATE), live.template))
        case contract.RerunJob() | contract.SilenceAlert():
            return live
        case _:
            if effect.reckoned is not None and effect.reckoned[0] is live.target:
                return live.with_target(effect.reckoned[1])
            target = live.target
            for pointer, value in effect.after.items():
                if pointer != "/pods":
                    target = written(target, parts(pointer), value)
            return live.with_target(target)
