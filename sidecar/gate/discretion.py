"""What of a plan is kept: in the record never a value that looks secret, in the store only for as long as it is needed.

The record holds the plan as the agent wrote it, but for such values: each is its fingerprint. The plan that is carried out
stands whole in the store until its end, and is then overwritten by what the record holds. Knows no cluster.
"""

import json
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import Connection

from sidecar.approvals import store as approvals
from sidecar.contract import Json, Plan
from sidecar.credentials import store as leases
from sidecar.execution import masked
from sidecar.execution import store as steps
from sidecar.gate.afterwards import UNDO_TIME, UNDO_WITHIN
from sidecar.gate.ledger import Ledger
from sidecar.reading.shapes import Mask

_MASK = Mask()
FOR_GOOD = ("helped", "undone", "not-performed")  # ends after which nothing is taken back
_NAMES = ("digest", "sha256", "uid")


def recorded(plan: Plan) -> Json:
    """The plan's document for the record."""
    return discreet(plan.document())


def discreet(document: Json) -> Json:
    """A plan's document without values that look secret; what looks like a credential in a text is masked too."""
    if isinstance(document, dict) and isinstance(document.get("steps"), list):
        document = {**document, "steps": [_step(step) for step in _list(document["steps"])]}
    return _texts(document)


def clear_over(ledger: Ledger) -> int:
    """Overwrite what is no longer needed of plans that are over, and of their steps; how many there were.

    Raises JournalUnavailable.
    """
    with ledger.read() as connection:
        if not _over(connection, ledger.now()):
            return 0
    with ledger.write() as transaction:
        found = _over(transaction.connection, transaction.now)
        for over, held in found:
            approvals.clear(transaction.connection, over.digest, _left(over.document), masked(over.effects))
            for lease in held:
                steps.rewrite(transaction.connection, lease, masked)
    return len(found)


def _over(connection: Connection, now: datetime) -> list[tuple[approvals.Over, list[str]]]:
    """Plans of which nothing can be needed any more, with their leases: what may still be taken back is kept whole."""
    found = []
    for over in approvals.uncleared(connection):
        held = leases.get(connection, over.lease) if over.lease is not None else None
        late = leases.of_plan(connection, over.digest, undoes=held.lease.id) if held is not None else None
        both = [lease for lease in (held, late) if lease is not None]
        if not any(_needed(lease, now) for lease in both):
            found.append((over, [lease.lease.id for lease in both]))
    return found


def _needed(held: leases.Entry, now: datetime) -> bool:
    if held.lease.state != "settled":
        return True
    return held.outcome not in FOR_GOOD and now < held.lease.expires_at + UNDO_WITHIN + UNDO_TIME


def _left(document: Json) -> Json:
    """Still a plan to whoever reads it: where a mark made a text too long for one, the text goes."""
    left = discreet(document)
    try:
        Plan.model_validate_json(json.dumps(left))
    except ValidationError:
        steps_left = _list(left.get("steps")) if isinstance(left, dict) else []
        short: list[Json] = [{**step, "why": "", "expect": ""} for step in steps_left if isinstance(step, dict)]
        return {**left, "hypothesis": "", "steps": short} if isinstance(left, dict) else left
    return left


def _step(step: Json) -> Json:
    action = step.get("action") if isinstance(step, dict) else None
    if not isinstance(step, dict) or not isinstance(action, dict):
        return step
    target = action.get("target")
    secret = isinstance(target, dict) and target.get("kind") == "Secret"
    shown = {name: masked(value) if name == "manifest" else value for name, value in action.items()}
    if isinstance(action.get("changes"), list):
        shown["changes"] = [_change(change, secret=secret) for change in _list(action["changes"])]
    return {**step, "action": shown}


def _change(change: Json, *, secret: bool) -> Json:
    if not isinstance(change, dict):
        return change
    path = str(change.get("path"))
    hidden: dict[str, Json] = {}
    for name in ("before", "after"):
        value = change.get(name)
        within = masked({"kind": "Secret", "data": value}) if secret else masked({path: value})
        hidden[name] = within.get("data" if secret else path) if isinstance(within, dict) else None
    return {**change, **hidden}


def _texts(node: Json) -> Json:
    match node:
        case str():
            return _MASK.text(node)
        case list():
            return [_texts(item) for item in node]
        case dict():
            return {name: value if name in _NAMES else _texts(value) for name, value in node.items()}
        case _:
            return node


def _list(node: Json) -> list[Json]:
    return node if isinstance(node, list) else []
