"""What was done lately, counted from the sidecar's own record. Pure; times are of the sidecar's own clock.

An entry of the record (see sidecar.execution.store.performed_since): at, incident, kind, target; and where the step had
them, `pods` that a drain evicted ("namespace/name"), `replicas` [before, after], and `fields`, the JSON Pointers that it
set. A drain touched its node and every one of its pods.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sidecar.contract import Json, ObjectRef, Plan, target_of
from sidecar.facts.projection import key_of
from sidecar.ports import History

HOUR, DAY = 3600.0, 86_400.0
_MOST_RECENT = 200


class UnreadableHistory(ValueError):
    """An entry of the record cannot be counted, so that no count is sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    age: float
    incident: str
    kind: str
    target: ObjectRef
    pods: tuple[str, ...]
    replicas: tuple[int | None, int | None] | None
    fields: tuple[str, ...]

    def touched(self) -> Iterator[tuple[str, str]]:
        """(key, namespace) of everything that the step wrote to."""
        yield key_of(self.target), self.target.namespace
        for pod in self.pods:
            yield f"Pod/{pod}", pod.partition("/")[0]


def counts(plan: Plan, history: History, *, now: datetime) -> dict[str, Json]:
    """Performed steps within the last hour and day. An entry from the future counts as of now.

    targets       {key: {hour, day, replicas, fields}} for everything that the plan touches: how often it was touched, by
                  how many replicas it was moved within the day (up and down both count), how many fields of it were set
    namespaces    {name: {hour, day}} for the plan's, and for every other that was touched within the day
    incident, cluster {hour, day}
    pods          {"<namespace>": [names of pods that were taken away within the last hour]}
    recent        the steps of the last hour: kind, target (key), target_kind, namespace, replicas (the new number, or
                  null), lowered (whether that was fewer than before), fields

    Raises UnreadableHistory.
    """
    done = [_read(entry, now) for entry in history.performed]
    refs = {key_of(ref): ref for step in plan.steps for ref in target_of(step.action)}
    by_key: dict[str, list[float]] = {}
    about: dict[str, list[_Done]] = {}
    by_namespace: dict[str, list[float]] = {name: [] for name in sorted({ref.namespace for ref in refs.values()} - {""})}
    taken: dict[str, list[Json]] = {}
    for one in done:
        about.setdefault(key_of(one.target), []).append(one)
        for key, namespace in one.touched():
            by_key.setdefault(key, []).append(one.age)
            if namespace:
                by_namespace.setdefault(namespace, []).append(one.age)
            if one.age <= HOUR and key.startswith("Pod/") and one.kind in ("delete_pod", "evict_pod", "drain_node"):
                taken.setdefault(namespace, []).append(key.rpartition("/")[2])
    lately = [_recent(one) for one in done if one.age <= HOUR]
    return {
        "targets": {
            key: {**_within(by_key[key]), **_moved(about.get(key, ()))} if key in by_key else {**_UNTOUCHED}
            for key in sorted(refs)
        },
        "namespaces": {name: _within(ages) for name, ages in by_namespace.items()},
        "incident": _within([one.age for one in done if one.incident == plan.incident]),
        "cluster": _within([one.age for one in done]),
        "pods": {**taken},
        "recent": [*lately[-_MOST_RECENT:]],
    }


def leased(history: History) -> list[Json]:
    """The keys of what other plans' leases may change. Raises UnreadableHistory."""
    return [*sorted({key_of(_ref(document)) for document in history.leased})]


def namespaces_of(history: History) -> set[str]:
    """Every namespace that was touched; what cannot be read is left to `counts` to refuse."""
    found: set[str] = set()
    for entry in history.performed:
        target = entry.get("target")
        namespace = target.get("namespace") if isinstance(target, dict) else ""
        found.add(namespace if isinstance(namespace, str) else "")
        found.update(pod.partition("/")[0] for pod in _texts(entry.get("pods")))
    return found - {""}


_UNTOUCHED: dict[str, Json] = {"hour": 0, "day": 0, "replicas": 0, "fields": 0}


def _within(ages: Sequence[float]) -> dict[str, Json]:
    known = [age for age in ages if age <= DAY]
    return {"hour": len([age for age in known if age <= HOUR]), "day": len(known)}


def _moved(about: Sequence[_Done]) -> dict[str, Json]:
    """`about`: the steps about one target."""
    mine = [one for one in about if one.age <= DAY]
    moves = [abs((after or 0) - (before or 0)) for before, after in (one.replicas for one in mine if one.replicas is not None)]
    return {"replicas": sum(moves), "fields": sum([len(one.fields) for one in mine])}


def _recent(one: _Done) -> dict[str, Json]:
    return {
        "kind": one.kind,
        "target": key_of(one.target),
        "target_kind": one.target.kind,
        "namespace": one.target.namespace,
        "replicas": one.replicas[1] if one.replicas is not None else None,
        "lowered": one.replicas is not None and (one.replicas[1] or 0) < (one.replicas[0] or 0),
        "fields": [*one.fields],
    }


def _read(entry: dict[str, Json], now: datetime) -> _Done:
    at, target, incident, kind = entry.get("at"), entry.get("target"), entry.get("incident"), entry.get("kind")
    if not isinstance(at, str) or not isinstance(target, dict) or not isinstance(incident, str):
        raise UnreadableHistory("an entry without time, target or incident")
    try:
        age = (now - datetime.fromisoformat(at)).total_seconds()
    except (ValueError, TypeError) as exc:
        raise UnreadableHistory("an entry without a time that can be read") from exc
    return _Done(
        age=age,
        incident=incident,
        kind=kind if isinstance(kind, str) else "",
        target=_ref(target),
        pods=_texts(entry.get("pods")),
        replicas=_replicas(entry.get("replicas")),
        fields=_texts(entry.get("fields")),
    )


def _replicas(value: Json) -> tuple[int | None, int | None] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or any(isinstance(one, bool | str | float | list | dict) for one in value):
        raise UnreadableHistory("an entry without numbers of replicas that can be read")
    before, after = value
    return before if isinstance(before, int) else None, after if isinstance(after, int) else None


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _ref(document: dict[str, Json]) -> ObjectRef:
    try:
        return ObjectRef.model_validate(document)
    except ValueError as exc:
        raise UnreadableHistory("an entry about no object") from exc
