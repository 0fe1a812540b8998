"""What was done lately, counted from the sidecar's own record. Pure; times are of the sidecar's own clock."""

from collections.abc import Iterable
from datetime import datetime

from sidecar.contract import Json, ObjectRef, Plan, target_of
from sidecar.facts.projection import key_of
from sidecar.ports import History

HOUR, DAY = 3600.0, 86_400.0


class UnreadableHistory(ValueError):
    """An entry of the record cannot be counted, so that no count is sure."""


def counts(plan: Plan, history: History, *, now: datetime) -> dict[str, Json]:
    """{"targets": {key: {"hour", "day"}}, "namespaces": {...}, "incident": {"hour", "day"}}: performed steps within the
    last hour and day, for everything that the plan touches. An entry from the future counts as of now.

    Raises UnreadableHistory.
    """
    refs = [ref for step in plan.steps for ref in target_of(step.action)]
    ages: dict[tuple[str, str], list[float]] = {}
    for entry in history.performed:
        age, target, incident = _read(entry, now)
        for place in (("target", f"{target.kind}/{target.namespace}/{target.name}"), ("namespace", target.namespace)):
            ages.setdefault(place, []).append(age)
        ages.setdefault(("incident", incident), []).append(age)
    return {
        "targets": {key: _within(ages.get(("target", key), ())) for key in sorted({key_of(ref) for ref in refs})},
        "namespaces": {
            name: _within(ages.get(("namespace", name), ())) for name in sorted({ref.namespace for ref in refs} - {""})
        },
        "incident": _within(ages.get(("incident", plan.incident), ())),
    }


def leased(history: History) -> list[Json]:
    """The keys of what other plans' leases may change. Raises UnreadableHistory."""
    return [*sorted({key_of(_ref(document)) for document in history.leased})]


def _within(ages: Iterable[float]) -> dict[str, Json]:
    known = list(ages)
    return {"hour": sum(age <= HOUR for age in known), "day": sum(age <= DAY for age in known)}


def _read(entry: dict[str, Json], now: datetime) -> tuple[float, ObjectRef, str]:
    at, target, incident = entry.get("at"), entry.get("target"), entry.get("incident")
    if not isinstance(at, str) or not isinstance(target, dict) or not isinstance(incident, str):
        raise UnreadableHistory("an entry without time, target or incident")
    try:
        age = (now - datetime.fromisoformat(at)).total_seconds()
    except (ValueError, TypeError) as exc:
        raise UnreadableHistory("an entry without a time that can be read") from exc
    return age, _ref(target), incident


def _ref(document: dict[str, Json]) -> ObjectRef:
    try:
        return ObjectRef.model_validate(document)
    except ValueError as exc:
        raise UnreadableHistory("an entry about no object") from exc
