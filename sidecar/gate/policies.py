"""What became of a policy bundle, on record before it counts. Implements sidecar.policy.watch.Recorder."""

from dataclasses import dataclass
from datetime import datetime

from sidecar.gate.ledger import Ledger
from sidecar.policy.current import Admitted


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    ledger: Ledger

    def loaded(self, admitted: Admitted) -> datetime:
        with self.ledger.write() as transaction:
            transaction.record(
                "policy-loaded",
                actor="sidecar",
                body={
                    "revision": admitted.revision,
                    "base": admitted.base,
                    "engine": admitted.engine,
                    "version": admitted.version,
                    "signed_by": admitted.signed_by,
                },
            )
            return transaction.now

    def refused(self, why: str) -> datetime:
        with self.ledger.write() as transaction:
            transaction.record("policy-refused", actor="sidecar", body={"reason": why[:2000]})
            return transaction.now
