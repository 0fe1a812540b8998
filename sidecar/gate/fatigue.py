"""How many cards people are dealt: beyond that nobody reads them, and a yes means nothing. What is too many is denied."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from sidecar.approvals import asking
from sidecar.contract import Fix, Plan, Reason, target_of
from sidecar.gate.desk import Desk

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


def too_many(plan: Plan, connection: Connection, *, now: datetime, desk: Desk) -> Reason | None:
    """Whether one more card for this plan would be one too many: waiting, in a minute, in an hour for one cause of trouble."""
    limits = desk.limits
    waiting = asking.waiting(connection)
    if waiting >= limits.waiting:
        return _reason("too-many-waiting", f"{waiting} plans wait for people already", "people have answered some of them")
    asked = asking.asked_since(connection, now - _HOUR)
    last_minute = sum(1 for card in asked if now - card.at < _MINUTE)
    if last_minute >= limits.a_minute:
        return _reason("too-many-cards", f"people were asked {last_minute} times within a minute", "a minute has passed")
    spaces = {target.namespace for step in plan.steps for target in target_of(step.action)} - {""}
    for what, number in (
        (f"incident {plan.incident}", sum(1 for card in asked if card.incident == plan.incident)),
        *((f"namespace {name}", sum(1 for card in asked if name in card.namespaces)) for name in sorted(spaces)),
    ):
        if number >= limits.an_hour:
            return _reason(
                "too-many-cards", f"people were asked {number} times within an hour about {what}", "an hour has passed"
            )
    return None


def _reason(rule: str, message: str, when: str) -> Reason:
    return Reason(rule=rule, message=message[:500], fix=Fix(op="wait", text=f"submit it again when {when}"))
