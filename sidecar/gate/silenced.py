"""Silences of leases in Alertmanager: which still stand, and their end. Knows no way to make one.

The end of a lease is the end of what it silenced, unless it is said to have helped: then it ends by itself, in time.
"""

from datetime import datetime, timedelta

import structlog

from sidecar.contract import Json
from sidecar.credentials import store as leases
from sidecar.errors import ClusterUnavailable
from sidecar.execution import store as steps
from sidecar.execution.effect import SILENCE
from sidecar.execution.pointer import value_at
from sidecar.gate.desk import Desk

_AT_MOST = 5  # of one step: Alertmanagers that had lost sight of each other may show one late
_ON_ITS_WAY = timedelta(seconds=30)  # how long a request whose answer was lost may still arrive
_NOT_TAKEN = ("invalid", "unsupported")
log = structlog.get_logger("sidecar.leases")


def marker_of(lease: str, step: str) -> str:
    """How a silence is known again, at the end of its comment."""
    return f"(lestrade {lease} {step})"


def stands(lease: str, step: str, after: dict[str, Json], *, desk: Desk) -> bool:
    """Whether the silence of a performed step is there. Raises ClusterUnavailable."""
    found = desk.silencer.made(marker_of(lease, step), identifier_of(after))
    return found is not None and found.stands


def end_silences(held: leases.Entry, outcome: str, *, desk: Desk, actor: str) -> tuple[str, ...]:
    """The end of a lease ends what it silenced, unless it is said to have helped. What may still stand, in words; safe to
    repeat. Raises JournalUnavailable."""
    if outcome == "helped":
        return ()
    with desk.ledger.read() as connection:
        done = steps.of_lease(connection, held.lease.id, "do")
    left: list[str] = []
    silent = desk.silencer.absent
    for step, entry in done.items():
        after = entry.result.after if _is_performed(entry) and entry.result is not None else mapping(entry.effect.get("after"))
        if SILENCE not in after or desk.ledger.now() >= _over_at(entry, after) or not _may_stand(entry, desk=desk):
            continue
        try:
            if silent:  # asked once: who keeps one waiting keeps each of twenty waiting
                raise ClusterUnavailable(silent)
            ended = end_all(marker_of(held.lease.id, step), identifier_of(after), desk=desk)
        except ClusterUnavailable as exc:
            silent = str(exc)
            log.warning("a silence is not ended yet", lease=held.lease.id, step=step, reason=silent)
            left.append(f"the silence of {step}")
            continue
        if not ended and not _is_performed(entry) and desk.ledger.now() < entry.began_at + _ON_ITS_WAY:
            left.append(f"the silence of {step}, which may be on its way")
        if ended:
            with desk.ledger.write() as transaction:
                body: dict[str, Json] = {"step": step, "silences": [*ended], "reason": f"ended with the lease ({outcome})"}
                transaction.record("silence-ended", actor=actor, plan=held.lease.plan, lease=held.lease.id, body=body)
    return tuple(left)


def end_all(marker: str, identifier: str, *, desk: Desk) -> list[str]:
    """The ids of those that stood."""
    ended: list[str] = []
    for known in (identifier, *[""] * _AT_MOST):
        found = desk.silencer.made(marker, known)
        if found is None or not found.stands:
            if known:
                continue
            break
        desk.silencer.expire(found.id)
        ended.append(found.id)
    return ended


def _is_performed(entry: steps.Entry) -> bool:
    return entry.result is not None and entry.result.status == "performed"


def _may_stand(entry: steps.Entry, *, desk: Desk) -> bool:
    """All but what was never sent, and what Alertmanager did not take: a request whose answer was lost may have arrived after
    it was looked for, or where it was not seen yet."""
    if entry.result is None or _is_performed(entry):
        return True
    return entry.result.reason not in _NOT_TAKEN and _was_sent(entry, desk=desk)


def _was_sent(entry: steps.Entry, *, desk: Desk) -> bool:
    """Perhaps, at least. The record alone says it of a step that is over: what never fitted was not said to have begun."""
    began = [record["body"] for record in desk.ledger.documents(about=entry.lease) if record["kind"] == "step-began"]
    return any(value_at(body, ("step",)) == entry.step and value_at(body, ("direction",)) == "do" for body in began)


def _over_at(entry: steps.Entry, after: dict[str, Json]) -> datetime:
    """When it is over by itself; a minute later, since clocks differ."""
    minutes = value_at(after.get(SILENCE), ("minutes",))
    begun = entry.result.at if entry.result is not None else entry.began_at
    return begun + timedelta(minutes=(minutes if isinstance(minutes, int) else 1440) + 1)


def identifier_of(after: dict[str, Json]) -> str:
    found = value_at(after.get(SILENCE), ("id",))
    return found if isinstance(found, str) else ""


def mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
