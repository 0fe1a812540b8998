"""Keeps what the identity provider last said of people beside everything else. Knows no token."""

from dataclasses import replace
from datetime import datetime

from sidecar.approvals import Seen
from sidecar.approvals import seen as store
from sidecar.gate.ledger import Ledger


class KeptMemberships:
    """Implements sidecar.approvals.Memberships. A change of somebody's roles is on record."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def keep(self, seen: Seen) -> Seen:
        known = self.of(seen.name)
        if known is not None and _adds_nothing(known, seen):
            return known
        if known is None and not seen.roles:
            return seen  # nobody, and never was anybody: not worth keeping
        with self._ledger.write() as transaction:
            known = store.get(transaction.connection, seen.name)
            if known is not None and _adds_nothing(known, seen):
                return known
            if known is not None and known.at == seen.at:  # two tokens of one second: what both say
                seen = replace(seen, roles=seen.roles & known.roles)
            store.put(transaction.connection, seen)
            if known is None or known.roles != seen.roles:
                transaction.record("membership-seen", actor=seen.name, body={"roles": [*sorted(seen.roles)]})
        return seen

    def of(self, name: str) -> Seen | None:
        with self._ledger.read() as connection:
            return store.get(connection, name)

    def now(self) -> datetime:
        return self._ledger.now()


def _adds_nothing(known: Seen, seen: Seen) -> bool:
    return seen.at < known.at or (seen.at == known.at and known.roles <= seen.roles)
