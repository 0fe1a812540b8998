"""A browser's log-in at an identity provider: off with a question, back with a code. Knows no HTTP framework and no page.

OpenID Connect Core 1.0 section 3.1, with PKCE (RFC 7636). What binds the answer to the browser that asked (state, nonce and
verifier) lies sealed in a cookie of that browser until it is back.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from identity.errors import IdentityUnavailable
from identity.seal import Seal
from identity.tokens import Claims, Verifier

LOG_IN_LASTS = timedelta(minutes=10)
_LONGEST_CODE = 2048
_PURPOSE = "log-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """These pages as the identity provider knows them."""

    id: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Whom the provider vouches for, and where they were going."""

    claims: Claims
    goes_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIn:
    seal: Seal
    client: Client
    verifier: Verifier

    def departure(self, *, back: str, goes_to: str, now: datetime) -> tuple[str, str]:
        """Where to send the browser, and what to leave in a cookie with it. `back`: our own address that it returns to.
        Raises IdentityUnavailable."""
        where = self.verifier.provider.endpoints().authorization
        if not where.startswith(("https://", "http://")):
            raise IdentityUnavailable("the identity provider names no place to log in at")
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": back,
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        content = {"state": state, "nonce": nonce, "verifier": verifier, "goes_to": goes_to}
        address = f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"
        return address, self.seal.close(_PURPOSE, content, until=now + LOG_IN_LASTS)

    def arrival(self, *, cookie: str, state: str, code: str, back: str, now: datetime) -> Arrival | None:
        """None for a log-in that was not begun in this browser, or is not valid. Raises IdentityUnavailable."""
        begun = self.seal.open(_PURPOSE, cookie, now=now)
        if begun is None or not code or not hmac.compare_digest(str(begun["state"]).encode(), state.encode()):
            return None
        form = {
            "grant_type": "authorization_code",
            "code": code[:_LONGEST_CODE],
            "redirect_uri": back,
            "code_verifier": str(begun["verifier"]),
        }
        token = self.verifier.provider.exchange(form, client=self.client.id, secret=self.client.secret)
        claims = self.verifier.verify(token, audience=self.client.id, nonce=str(begun["nonce"]))
        return Arrival(claims=claims, goes_to=str(begun["goes_to"])) if claims is not None else None
