"""Who may answer, and what the answers come to: pure. Knows no store and no channel.

An answer counts when its person holds one of the wanted roles, did not ask for the plan, and answered in time, having
seen this very plan under this policy revision. A deny wins until the plan is leased.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sidecar.approvals.people import Person
from sidecar.contract import Answer

RequestState = Literal["waiting", "approved", "refused", "expired", "leased", "settled", "void", "denied"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for. `cluster` and `revision` are those under which the plan was judged."""

    plan: str
    revision: str
    cluster: str
    requested_by: str
    count: int
    roles: frozenset[str]
    expires_at: datetime
    state: RequestState


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an answer is not taken. `code` is stable: stale-plan, expired, not-waiting, own-request, no-role."""

    code: str
    detail: str


def admit(answer: Answer, request: Request, *, plan: str, revision: str, person: Person | None, now: datetime) -> Refusal | None:
    """Whether this answer may be taken at all. `plan` and `revision` are what the person was shown."""
    if plan != request.plan or revision != request.revision:
        return Refusal(code="stale-plan", detail="what was shown is not what is waiting now: look again")
    if request.state == "expired" or (request.state == "waiting" and now >= request.expires_at):
        return Refusal(code="expired", detail=f"the request expired at {request.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    if request.state not in ("waiting", "approved"):
        return Refusal(code="not-waiting", detail=f"the plan is {request.state}")
    if person is None or person.name != answer.person or not person.roles & request.roles:
        wanted = ", ".join(sorted(request.roles)) or "a role that nobody has"
        return Refusal(code="no-role", detail=f"{answer.person} holds none of the roles asked for: {wanted}")
    if answer.verdict == "approve" and is_requester(person.name, request):
        return Refusal(code="own-request", detail="nobody approves what they asked for themselves")
    return None


def outcome(
    request: Request, answers: Sequence[Answer], *, who: Callable[[str], Person | None], now: datetime
) -> Literal["waiting", "approved", "refused", "expired"]:
    """What the answers come to now: each person once, by the roles that they hold now (`who`)."""
    if any(answer.verdict == "deny" for answer in answers):
        return "refused"
    approvers = {_known_as(answer.person) for answer in answers if counts(answer, request, who(answer.person))}
    if len(approvers) >= request.count:
        return "approved"
    return "expired" if now >= request.expires_at else "waiting"


def counts(answer: Answer, request: Request, person: Person | None) -> bool:
    return (
        answer.verdict == "approve"
        and answer.at < request.expires_at
        and person is not None
        and bool(person.roles & request.roles)
        and not is_requester(person.name, request)
    )


def is_requester(name: str, request: Request) -> bool:
    """Spelling differences do not make another person of somebody."""
    return bool(request.requested_by) and _known_as(name) == _known_as(request.requested_by)


def _known_as(name: str) -> str:
    return name.strip().casefold()
