"""What became of a policy bundle, on record before it counts. Implements sidecar.policy.watch.Recorder."""

from dataclasses import dataclass
from datetime import datetime

from sidecar.contract import Decision, Plan
from sidecar.errors import BundleRefused
from sidecar.execution import Looks
from sidecar.gate.desk import Desk
from sidecar.gate.known import history_of
from sidecar.gate.ledger import Ledger
from sidecar.policy import store
from sidecar.policy.current import Admitted
from sidecar.ports import Facts


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    ledger: Ledger

    def loaded(self, admitted: Admitted) -> datetime:
        with self.ledger.write() as transaction:
            known = store.highest(transaction.connection)
            if admitted.signed_by and known is not None and (admitted.version is None or admitted.version < known):
                said = "no version" if admitted.version is None else f"version {admitted.version}"
                raise BundleRefused(f"the bundle has {said}, but version {known} was loaded before: an older one is not taken")
            if admitted.version is not None:
                store.remember(transaction.connection, admitted.version)
            transaction.record(
                "policy-loaded",
                actor="sidecar",
                body={
                    "revision": admitted.revision,
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


def considered(plan: Plan, *, desk: Desk) -> tuple[Facts, Decision]:
    """What would be known about the plan and said to it now. Nothing is kept, and nobody is asked."""
    facts = desk.facts.gather(plan, history_of(plan.digest, desk=desk), through=Looks(desk.cluster, desk.silencer))
    return facts, desk.judge.decide(plan, facts)
