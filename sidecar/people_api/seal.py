"""Signed cookies: who is logged in, and how far a log-in is. Nothing is kept on our side; what is signed runs out soon.

HMAC-SHA-256 over purpose and content; a cookie of one purpose is none of another. Signed, not secret: it holds no token.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sidecar.approvals import People, Person
from sidecar.contract import Json

SESSION_LASTS = timedelta(minutes=30)
LOG_IN_LASTS = timedelta(minutes=10)
_LONGEST = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`csrf`: what a form of this session carries; another session has another."""

    person: Person
    until: datetime
    csrf: str


@dataclass(frozen=True, slots=True)
class Seal:
    key: bytes

    def close(self, purpose: str, content: dict[str, Json], *, until: datetime) -> str:
        document = {**content, "until": until.timestamp(), "once": secrets.token_urlsafe(8)}
        body = base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
        return f"{body}.{self._mac(purpose, body)}"

    def open(self, purpose: str, text: str, *, now: datetime) -> dict[str, Json] | None:
        """None for whatever was not sealed here for this purpose, or has run out."""
        body, dot, mac = text.rpartition(".")
        if not dot or len(text) > _LONGEST or not text.isascii() or not hmac.compare_digest(mac, self._mac(purpose, body)):
            return None
        try:
            document = json.loads(base64.urlsafe_b64decode(body))
        except (ValueError, binascii.Error):
            return None
        until = document.get("until") if isinstance(document, dict) else None
        return document if isinstance(until, float) and now.timestamp() < until else None

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
        return Session(person=person, until=ends, csrf=self._mac("csrf", cookie))

    def _mac(self, purpose: str, body: str) -> str:
        return hmac.new(self.key, f"{purpose}\n{body}".encode(), hashlib.sha256).hexdigest()
