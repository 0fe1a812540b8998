"""What leases may do yet, as policy counts it. Many leases taken out before the first step of any would together do what no
budget allows: a step counts from when the rights for it are lent. Knows no rule."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from sidecar.approvals import store as approvals
from sidecar.contract import Json
from sidecar.credentials import store as leases
from sidecar.execution import store as steps

_MOST = 10_000


def lent(connection: Connection, now: datetime, *, but_for: str) -> Iterator[dict[str, Json]]:
    """Steps of other plans' leases that were not tried yet and still may be, as `performed_since` gives those that were.
    `but_for`: the digest of the plan that is judged."""
    for held in leases.listed(connection, ("minting", "live"), limit=_MOST):
        if held.undoes or held.lease.plan == but_for or held.lease.expires_at <= now:
            continue
        entry = approvals.get(connection, held.lease.plan)
        if entry is None or entry.state != "leased":
            continue
        begun = steps.of_lease(connection, held.lease.id, "do")
        for step in entry.plan.steps:
            if step.id not in begun:
                target, effect = step.action.target.document(), entry.effects.get(step.id)
                yield steps.as_counted(held.lease.granted_at, held.incident, step.action.kind, target, effect)
