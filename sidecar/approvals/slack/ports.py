"""What the Slack channel needs of the sidecar, and what it is configured with. Knows no Slack library and no use case."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from sqlalchemy import Connection

from sidecar.approvals.people import Person
from sidecar.contract import Answer, ApprovalView, Json, Problem, Settlement
from sidecar.contract.lease import LeaseState
from sidecar.contract.plan import PlanState

VIA = "slack"
Verdict = Literal["approve", "deny"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One workspace, one app. `channels` maps "environment/namespace", "environment" or "" (the default) to channel ids.

    `signing_secret` is empty where requests come by Socket Mode only, `app_token` where they come by HTTP only.
    `api_url` ends with a slash.
    """

    bot_token: str = field(repr=False)
    signing_secret: str = field(repr=False, default="")
    app_token: str = field(repr=False, default="")
    team: str
    app_id: str
    channels: dict[str, str]
    page_url: str = ""
    api_url: str = "https://slack.com/api/"
    cards_a_minute: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A plan that people were asked about, as it stands. `lease`: of its lease, if there was one; `settlement`: how it ended."""

    view: ApprovalView
    state: PlanState
    reason: str
    answers: tuple[Answer, ...] = ()
    lease: LeaseState | None = None
    settlement: Settlement | None = None

    @property
    def is_over(self) -> bool:
        """Nothing about it will change any more."""
        return self.lease in (None, "settled") and self.state not in ("waiting", "approved", "leased")


class Writing(Protocol):
    """One transaction of the sidecar's database, and its time."""

    connection: Connection
    now: datetime


class Approvals(Protocol):
    """The use cases as this channel sees them. All block; all raise JournalUnavailable when the database does not answer."""

    def waiting(self) -> list[str]:
        """Digests of the plans that wait for people, the longest waiting first."""
        ...

    def asked(self, plan: str) -> Asked | None:
        """None for a plan that nobody is asked about."""
        ...

    def person_of(self, slack_user: str) -> Person | None: ...

    def accounts_of(self, person: str) -> list[str]:
        """The Slack accounts of a person, by user id."""
        ...

    def answer(self, plan: str, *, person: Person, verdict: Verdict, revision: str, reason: str) -> ApprovalView | Problem:
        """What the person said of exactly this plan under this policy revision; recorded, also when refused or repeated."""
        ...

    def refused(self, code: str, *, actor: str, plan: str = "", body: dict[str, Json] | None = None) -> None:
        """Put it on record that a request from Slack was turned away."""
        ...

    def head(self) -> int:
        """The number of the last record: when it is the same, nothing changed but the time."""
        ...

    def now(self) -> datetime: ...

    def read(self) -> AbstractContextManager[Connection]: ...

    def write(self) -> AbstractContextManager[Writing]: ...
