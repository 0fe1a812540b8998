"""Plan and facts become the rules' input; what the rules say becomes a Decision, or is malformed. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
from pydantic import ValidationError

from sidecar.contract import ApprovalsWanted, Decision, Json, Plan, Reason, canonical
from sidecar.policy.unread import told
from sidecar.ports import Facts

_HOUR = 3600.0
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KEYS = {"verdict", "reasons", "approvals", "lease_seconds"}
_MAY = {"environment", "lease_ends"}  # what the rules took the plan's targets for, and why time is short; shown to people


class MalformedVerdict(ValueError):
    """What the engine gave is not a verdict; the text says how it is odd."""


def to_input(
    plan: dict[str, Json], facts: dict[str, Json], zones: Sequence[str], unread: frozenset[str] = frozenset()
) -> dict[str, Json]:
    """`unread`: facts that are left out. `clock` holds, for each zone that a window names, the wall-clock time there, reckoned
    from facts.now_epoch; `set_in`: seconds until the clock is set there, where that is within the hour."""
    return {"plan": plan, "facts": told(facts, unread), "clock": _clock(facts.get("now_epoch"), zones)}


def to_decision(value: Json, *, plan: Plan, facts: Facts, revision: str, at: datetime) -> Decision:
    """Raises MalformedVerdict for anything but a whole, consistent verdict: `"true"`, a list, a review without people."""
    if not isinstance(value, dict) or set(value) - _MAY != _KEYS:
        raise MalformedVerdict(f"the verdict is not an object of {', '.join(sorted(_KEYS))}")
    verdict, raw_reasons, raw_approvals, lease_seconds = (
        value[key] for key in ("verdict", "reasons", "approvals", "lease_seconds")
    )
    if not isinstance(raw_reasons, list):
        raise MalformedVerdict("the reasons are not a list")
    try:
        reasons = tuple(Reason.model_validate_json(orjson.dumps(reason)) for reason in raw_reasons)
        wanted = None if raw_approvals is None else ApprovalsWanted.model_validate_json(orjson.dumps(raw_approvals))
        decision = Decision.model_validate(
            {
                "plan": plan.digest,
                "verdict": verdict,
                "reasons": in_order(reasons),
                "approvals": wanted,
                "lease_seconds": lease_seconds,
                "lease_ends": value.get("lease_ends", ""),
                "environment": value.get("environment", ""),
                "revision": revision,
                "facts": facts.digest,
                "decided_at": at,
            }
        )
    except orjson.JSONEncodeError:
        raise MalformedVerdict("the verdict holds what JSON of 64 bits has not") from None
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False)[0]
        raise MalformedVerdict(f"the verdict's {'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}") from None
    _check_consistent(decision)
    return decision


def denial(reasons: Sequence[Reason], *, plan: Plan, facts: Facts, revision: str, at: datetime) -> Decision:
    return Decision(
        plan=plan.digest, verdict="deny", reasons=in_order(reasons), revision=revision, facts=facts.digest, decided_at=at
    )


def in_order(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """The plan as a whole first, then step by step; engines hand sets over in whatever order, and some of them twice."""
    unique = {canonical(reason.document()): reason for reason in reasons}
    return tuple(reason for _, reason in sorted(unique.items(), key=lambda item: (_place(item[1].step), item[1].rule, item[0])))


def _place(step: str) -> tuple[int, str]:
    number = step.removeprefix("step-")
    return (int(number), step) if number.isdecimal() else (0, step)


def _check_consistent(decision: Decision) -> None:
    match decision.verdict:
        case "deny" if not decision.reasons:
            raise MalformedVerdict("a denial without a reason")
        case "deny" if decision.approvals is not None or decision.lease_seconds != 0:
            raise MalformedVerdict("a denial that grants something")
        case "review" if decision.approvals is None or not decision.approvals.roles or not decision.reasons:
            raise MalformedVerdict("a review that does not say who is asked, or why")
        case "allow" if decision.approvals is not None or decision.reasons:
            raise MalformedVerdict("an allowance with reservations")
        case "allow" | "review" if decision.lease_seconds < 1:
            raise MalformedVerdict("rights for no time")
        case _:
            return


def _clock(now_epoch: Json, zones: Sequence[str]) -> dict[str, Json]:
    if isinstance(now_epoch, bool) or not isinstance(now_epoch, int | float):
        return {}
    clock: dict[str, Json] = {}
    try:
        now = datetime.fromtimestamp(now_epoch, UTC)
        for zone in zones:
            local = now.astimezone(ZoneInfo(zone))
            clock[zone] = {"weekday": _WEEKDAYS[local.weekday()], "minute": local.hour * 60 + local.minute, **_set_in(local)}
    except (OverflowError, OSError, ValueError):
        return {}
    return clock


def _set_in(local: datetime) -> dict[str, Json]:
    """Summer time begins or ends on a whole minute; no lease lasts longer than an hour."""
    into = local.second + local.microsecond / 1_000_000
    ahead = (minute * 60 - into for minute in range(1, 62))
    if _offset(local, _HOUR) == local.utcoffset():
        return {}
    return next(({"set_in": int(seconds)} for seconds in ahead if _offset(local, seconds) != local.utcoffset()), {})


def _offset(local: datetime, seconds: float) -> timedelta | None:
    return (local.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(local.tzinfo).utcoffset()
