"""The use cases as the Slack channel sees them: what waits, how it stands, what somebody said. Knows no Slack.

Implements sidecar.approvals.slack.ports.Approvals.
"""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from sidecar.approvals import Person
from sidecar.approvals import store as approvals
from sidecar.approvals.slack.ports import VIA, Asked
from sidecar.contract import ApprovalView, Json, Problem
from sidecar.credentials import store as leases
from sidecar.gate.answer import answer
from sidecar.gate.desk import Desk
from sidecar.gate.ledger import Transaction
from sidecar.gate.standing import standing

_UNRECORDED = ("unknown-plan",)  # the gate refuses it without a record of who asked


class SlackDesk:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def waiting(self) -> list[str]:
        with self._desk.ledger.read() as connection:
            found = [entry.plan.digest for entry in approvals.listed(connection, ("waiting",))]
        return found[::-1]

    def asked(self, plan: str) -> Asked | None:
        status = standing(plan, desk=self._desk)
        if status is None or status.approval is None:
            return None
        with self._desk.ledger.read() as connection:
            held = leases.of_plan(connection, plan)
        return Asked(
            view=status.approval,
            state=status.state,
            reason=status.reason,
            answers=status.answers,
            lease=held.lease.state if held is not None else None,
            settlement=held.settlement if held is not None else None,
        )

    def person_of(self, slack_user: str) -> Person | None:
        return self._desk.people.by_slack(slack_user)

    def accounts_of(self, person: str) -> list[str]:
        known = self._desk.people.by_name(person)
        also = known.also if known is not None else frozenset()
        return [account for account in sorted(also) if (found := self.person_of(account)) is not None and found.name == person]

    def answer(
        self, plan: str, *, person: Person, verdict: Literal["approve", "deny"], revision: str, reason: str
    ) -> ApprovalView | Problem:
        status = standing(plan, desk=self._desk)
        before = [given.verdict for given in status.answers if given.person == person.name] if status is not None else []
        came = answer(plan, person=person, verdict=verdict, plan=plan, revision=revision, via=VIA, reason=reason, desk=self._desk)
        if before and not isinstance(came, Problem) and (before[-1] == verdict or before[-1] == "deny"):
            self._record("answer-repeated", person.name, plan, {"verdict": verdict, "stands": before[-1]})
        elif isinstance(came, Problem) and came.code in _UNRECORDED:
            self.refused(came.code, actor=person.name, plan=plan, body={"verdict": verdict})
        return came

    def refused(self, code: str, *, actor: str, plan: str = "", body: dict[str, Json] | None = None) -> None:
        self._record("answer-refused", actor, plan, {**(body or {}), "code": code})

    def head(self) -> int:
        return self._desk.ledger.head().seq

    def now(self) -> datetime:
        return self._desk.ledger.now()

    def read(self) -> AbstractContextManager[Connection]:
        return self._desk.ledger.read()

    def write(self) -> AbstractContextManager[Transaction]:
        return self._desk.ledger.write()

    def _record(self, kind: str, actor: str, plan: str, body: dict[str, Json]) -> None:
        with self._desk.ledger.write() as transaction:
            transaction.record(kind, actor=actor, plan=plan, body={**body, "via": VIA})
