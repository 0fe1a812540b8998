"""After a crash or a lost answer: did the sidecar's own write arrive? Pure; the answer may be that nobody can tell."""

from typing import Literal

from sidecar import contract
from sidecar.contract import Json
from sidecar.execution.effect import UNSCHEDULABLE, Effect
from sidecar.execution.live import Live
from sidecar.execution.pointer import fingerprint, parts, same, value_at

Arrival = Literal["arrived", "not-arrived", "unknown"]


def arrived(action: contract.Action, live: Live, effect: Effect, *, manager: str) -> Arrival:
    """`effect` is the concrete one that was noted before the write; `manager` the write's own field manager."""
    match action:
        case contract.DeletePod() | contract.EvictPod():
            gone = value_at(live.target, ("metadata", "uid")) != action.target.uid
            return "arrived" if gone or value_at(live.target, ("metadata", "deletionTimestamp")) else "not-arrived"
        case contract.CreateObject():
            return _made(live.target, manager)
        case contract.RerunJob():
            return _made(live.made, manager)
        case contract.DrainNode(pods=pods):
            cordoned = value_at(live.target, parts(UNSCHEDULABLE)) is True
            left = any(value_at(live.pods.get(f"{pod.namespace}/{pod.name}"), ("metadata", "uid")) == pod.uid for pod in pods)
            return "arrived" if cordoned and not left else "not-arrived"  # what is left of it is safe to send again
        case _:
            return _patched(action, live.target, effect, manager)


def _patched(action: contract.Action, target: Json, effect: Effect, manager: str) -> Arrival:
    if value_at(target, ("metadata", "uid")) != action.target.uid:
        return "unknown"
    if written_by(target, manager) or holds(target, effect.after, effect.goal):
        return "arrived"
    return "not-arrived" if holds(target, effect.before, effect.sealed) else "unknown"


def _made(made: Json, manager: str) -> Arrival:
    if made is None:
        return "not-arrived"
    return "arrived" if written_by(made, manager) else "unknown"


def holds(target: Json, values: dict[str, Json], sealed: dict[str, str]) -> bool:
    """Whether the object has all these values now."""
    return all(same(value_at(target, parts(pointer)), value) for pointer, value in values.items()) and all(
        fingerprint(value_at(target, parts(pointer))) == digest for pointer, digest in sealed.items()
    )


def written_by(target: Json, manager: str) -> bool:
    fields = value_at(target, ("metadata", "managedFields"))
    return isinstance(fields, list) and any(value_at(entry, ("manager",)) == manager for entry in fields)


def is_closed_by(manager: str, node: Json) -> bool:
    """Whether the node takes no pods because this write says so: the field manager of one that is taken back is gone."""
    return value_at(node, parts(UNSCHEDULABLE)) is True and written_by(node, manager)
