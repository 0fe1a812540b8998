"""What of a plan is kept: in the record never a value that looks secret, in the store only for as long as it is needed.

The record holds the plan as the agent wrote it, but for such values: each is its fingerprint. The plan that is carried out
stands whole in the store until its end, and is then overwritten by what the record holds. Knows no cluster.
"""

from datetime import datetime

from sqlalchemy import Connection

from sidecar.approvals import clearing
from sidecar.credentials import store as leases
from sidecar.execution import store as steps
from sidecar.gate.afterwards import UNDO_TIME, UNDO_WITHIN
from sidecar.gate.concealment import concealed, left_of, preview_left, result_left
from sidecar.gate.ledger import Ledger

FOR_GOOD = ("helped", "undone", "not-performed")  # ends after which nothing is taken back


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
            clearing.clear(
                transaction.connection,
                over.digest,
                left_of(over.document),
                effects=concealed(over.effects),
                previews=[preview_left(preview) for preview in over.previews],
            )
            for lease in held:
                steps.rewrite(transaction.connection, lease, effect=concealed, result=result_left)
    return len(found)


def _over(connection: Connection, now: datetime) -> list[tuple[clearing.Over, list[str]]]:
    """Plans of which nothing can be needed any more, with their leases: what may still be taken back is kept whole."""
    found = []
    for over in clearing.uncleared(connection):
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
