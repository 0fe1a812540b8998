"""What an object says of itself now, in short lines for people: state and conditions, never contents. Pure.

Names of reasons and messages come from controllers, and through them from anywhere: they are escaped and cut.
"""

from collections.abc import Iterator

from sidecar.contract import Json, ObjectRef
from sidecar.execution.pointer import value_at
from sidecar.visible import escaped

MOST_LINES = 12
LONGEST = 200
_GOOD_WHEN_FALSE = ("Pressure", "NetworkUnavailable", "ReplicaFailure", "Stalled", "Failed")


def observed(subject: ObjectRef, live: Json) -> tuple[str, ...]:
    """`live`: the object as the API server has it, None when it is not there."""
    if live is None:
        return (f"{subject} does not exist",)
    lines = [_line(line) for line in _said(subject, live)][:MOST_LINES]
    if value_at(live, ("metadata", "uid")) != subject.uid:
        lines.insert(0, f"{subject} is another object than the plan means: it was deleted and made again")
    return tuple(lines)


def _said(subject: ObjectRef, live: Json) -> Iterator[str]:
    if value_at(live, ("metadata", "deletionTimestamp")):
        yield f"{subject} is being deleted"
    yield from _replicas(subject, live)
    match subject.kind:
        case "Pod":
            yield f"{subject} is {value_at(live, ('status', 'phase')) or 'in no phase'}"
            yield from _containers(live)
        case "Node" if value_at(live, ("spec", "unschedulable")):
            yield f"{subject} takes no new pods"
        case "Job" | "CronJob":
            counts = {name: value_at(live, ("status", name)) or 0 for name in ("active", "succeeded", "failed")}
            yield f"{subject}: " + ", ".join(
                f"{count if isinstance(count, int) else '?'} {name}" for name, count in counts.items()
            )
        case _:
            pass
    conditions = [_condition(condition) for condition in _list(live, "status", "conditions")]
    yield from filter(None, conditions)
    if not conditions and subject.kind not in ("Pod", "Job", "CronJob"):
        yield f"{subject} exists"


def _replicas(subject: ObjectRef, live: Json) -> Iterator[str]:
    wanted = value_at(live, ("spec", "replicas"))
    ready = value_at(live, ("status", "readyReplicas")) or 0
    if subject.kind == "DaemonSet":
        wanted, ready = value_at(live, ("status", "desiredNumberScheduled")), value_at(live, ("status", "numberReady")) or 0
    if isinstance(wanted, int):
        yield f"{subject}: {ready} of {wanted} replicas ready"
        seen, generation = value_at(live, ("status", "observedGeneration")), value_at(live, ("metadata", "generation"))
        if seen is not None and seen != generation:
            yield f"{subject}: its controller has not seen the latest change"


def _containers(live: Json) -> Iterator[str]:
    for status in _list(live, "status", "containerStatuses"):
        name, restarts = value_at(status, ("name",)), value_at(status, ("restartCount",))
        waiting = value_at(status, ("state", "waiting", "reason"))
        ended = value_at(status, ("lastState", "terminated", "reason")) or value_at(status, ("state", "terminated", "reason"))
        state = f"waiting ({waiting})" if waiting else "ready" if value_at(status, ("ready",)) is True else "not ready"
        last = f", last ended with {ended}" if ended else ""
        yield f"container {name}: {state}, {restarts if isinstance(restarts, int) else 0} restarts{last}"


def _condition(condition: Json) -> str:
    """A condition that is not as it should be; "" for a good one."""
    kind, status = value_at(condition, ("type",)), value_at(condition, ("status",))
    good = "False" if str(kind).endswith(_GOOD_WHEN_FALSE) else "True"
    if not isinstance(kind, str) or status == good:
        return ""
    reason, message = value_at(condition, ("reason",)) or "", value_at(condition, ("message",)) or ""
    return f"{kind} is {status}" + (f" ({reason}: {message})" if reason or message else "")


def _list(live: Json, *path: str) -> list[Json]:
    found = value_at(live, path)
    return found if isinstance(found, list) else []


def _line(text: str) -> str:
    flat = escaped(" ".join(text.split()))
    return flat if len(flat) <= LONGEST else flat[: LONGEST - 1] + "…"
