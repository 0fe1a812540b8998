"""Sessions of these pages: a sealed cookie says who, and each request asks anew whether they are still known."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import identity
from sidecar.approvals import People, Person

PROGRAM = "lestrade-sidecar"
SESSION_LASTS = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`csrf`: what a form of this session carries; another session has another."""

    person: Person
    until: datetime
    csrf: str


class Seal(identity.Seal):
    __slots__ = ()

    def session(self, person: Person, *, now: datetime) -> str:
        return self.close("session", {"name": person.name, "mark": person.mark}, until=now + SESSION_LASTS)

    def who(self, cookie: str, people: People, *, now: datetime) -> Session | None:
        """Who this is now: somebody who is known no longer, or whose token changed, is logged in no longer."""
        content = self.open("session", cookie, now=now)
        person = people.by_name(str(content.get("name", ""))) if content is not None else None
        if content is None or person is None or person.mark != content.get("mark"):
            return None
        until = content["until"]
        ends = datetime.fromtimestamp(until if isinstance(until, float) else 0.0, now.tzinfo)
        return Session(person=person, until=ends, csrf=self.mac("csrf", cookie))
