"""Who may answer, and what the answers come to: pure. Knows no store and no channel.

An answer counts when its person holds one of the wanted roles, did not ask for the plan, is no bot, and answered in time,
having seen this very plan under this policy revision. A deny wins until the plan is leased. In an emergency two people with
the role `break-glass` may take the place of the wanted ones; their answers are marked, and count for nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sidecar.approvals.people import Person, known_as
from sidecar.contract import Answer

RequestState = Literal["waiting", "approved", "refused", "expired", "leased", "settled", "void", "denied"]
GLASS_ROLE = "break-glass"
GLASS_PEOPLE = 2
Who = Callable[[str], Person | None]


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
    """Why an answer is not taken. `code` is stable: stale-plan, expired, not-waiting, own-request, no-role, bot."""

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
    if person is not None and person.bot:
        return Refusal(code="bot", detail=f"{answer.person} is a bot: only people answer")
    if person is None or person.name != answer.person or not person.roles & _roles(answer, request):
        wanted = ", ".join(sorted(_roles(answer, request))) or "a role that nobody has"
        return Refusal(code="no-role", detail=f"{answer.person} holds none of the roles asked for: {wanted}")
    if answer.verdict == "approve" and is_requester(person, request):
        return Refusal(code="own-request", detail="nobody approves what they asked for themselves")
    return None


def outcome(
    request: Request, answers: Sequence[Answer], *, who: Who, now: datetime
) -> Literal["waiting", "approved", "refused", "expired"]:
    """What the answers come to now: each person once, by the roles that they hold now (`who`)."""
    if any(answer.verdict == "deny" for answer in answers):
        return "refused"
    if _people(request, answers, who, glass=False) >= request.count or is_broken(request, answers, who=who):
        return "approved"
    return "expired" if now >= request.expires_at else "waiting"


def is_broken(request: Request, answers: Sequence[Answer], *, who: Who) -> bool:
    """Whether two people of the emergency role said yes as such, and may still say it."""
    return _people(request, answers, who, glass=True) >= GLASS_PEOPLE


def counts(answer: Answer, request: Request, person: Person | None) -> bool:
    return (
        answer.verdict == "approve"
        and answer.at < request.expires_at
        and person is not None
        and not person.bot
        and bool(person.roles & _roles(answer, request))
        and not is_requester(person, request)
    )


def is_requester(person: Person, request: Request) -> bool:
    """By any of the names and accounts that are this person."""
    asked = known_as(request.requested_by)
    return bool(asked) and asked in {known_as(name) for name in (person.name, *person.also)}


def _roles(answer: Answer, request: Request) -> frozenset[str]:
    return frozenset({GLASS_ROLE}) if answer.glass and answer.verdict == "approve" else request.roles


def _people(request: Request, answers: Sequence[Answer], who: Who, *, glass: bool) -> int:
    """How many different people: two accounts that lead to one person now are one."""
    different: set[str] = set()
    for answer in answers:
        person = who(answer.person)
        if person is not None and answer.glass is glass and counts(answer, request, person):
            different.add(known_as(person.name))
    return len(different)
