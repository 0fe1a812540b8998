"""How a browser comes in: a local token typed into a form, or a log-in at the identity provider. Cookies, and where a form may
come from. Knows no page.

OpenID Connect Core 1.0 section 3.1 with PKCE (RFC 7636); cookies are HttpOnly and SameSite=Lax, so that a link in a message
still finds the session, and no form of another site does.
"""

import base64
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from sidecar.approvals import Directory, Person
from sidecar.errors import IdentityUnavailable
from sidecar.people_api.seal import LOG_IN_LASTS, SESSION_LASTS, Seal, Session

_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_OURS = re.compile(r"/(approvals(/[0-9a-f]{64})?|leases|journal|policy|stop|reviews)?")
TRIES, TRIES_WITHIN, MOST_ADDRESSES = 10, 60.0, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """This page as the identity provider knows it."""

    id: str
    secret: str = field(default="", repr=False)


@dataclass(slots=True)
class Guesses:
    """Failed tries to log in, by address: after ten in a minute the form takes no more for a while."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _failed: dict[str, deque[float]] = field(default_factory=dict)

    def too_many(self, address: str) -> bool:
        with self._lock:
            return len(self._lately(address)) >= TRIES

    def failed(self, address: str) -> None:
        with self._lock:
            if len(self._failed) >= MOST_ADDRESSES:
                self._failed.clear()
            self._failed.setdefault(address, deque(maxlen=TRIES)).append(time.monotonic())

    def _lately(self, address: str) -> deque[float]:
        tries = self._failed.get(address, deque())
        while tries and time.monotonic() - tries[0] > TRIES_WITHIN:
            tries.popleft()
        return tries


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """`url`: where browsers find us, "" to take it from each request; `client` None: no log-in at an identity provider."""

    directory: Directory
    seal: Seal
    url: str = ""
    client: Client | None = None
    guesses: Guesses = field(default_factory=Guesses)

    def session(self, request: Request, now: datetime) -> Session | None:
        cookie = request.cookies.get(self._cookie("session", request), "")
        return self.seal.who(cookie, self.directory, now=now) if cookie else None

    def is_ours(self, request: Request) -> bool:
        """Whether a form was sent from a page of ours: every browser says so on a POST."""
        origin = request.headers.get("origin")
        if origin is not None:
            return origin == self.origin(request)
        return request.headers.get("sec-fetch-site") == "same-origin"

    def is_meant(self, session: Session, given: str) -> bool:
        return hmac.compare_digest(session.csrf, given if given.isascii() else "")

    def origin(self, request: Request) -> str:
        """Scheme and host; without a host that is one, no form is ours."""
        if self.url:
            found = urlsplit(self.url)
            return f"{found.scheme}://{found.netloc}"
        host = request.headers.get("host", "")
        return f"{request.scope['scheme']}://{host if _HOST.fullmatch(host) else ''}"

    def let_in(self, person: Person, request: Request, now: datetime, goes_to: str) -> Response:
        response = RedirectResponse(ours(goes_to), 303)
        self._set(response, "session", self.seal.session(person, now=now), request, int(SESSION_LASTS.total_seconds()))
        return response

    def let_out(self, request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        self._set(response, "session", "", request, 0)
        return response

    def to_provider(self, request: Request, now: datetime, goes_to: str) -> Response | None:
        """Off to the identity provider; None where there is none. Raises IdentityUnavailable."""
        if self.client is None or self.directory.outside is None:
            return None
        where = self.directory.outside.verifier.provider.endpoints().authorization
        if not where.startswith(("https://", "http://")):
            raise IdentityUnavailable("the identity provider names no place to log in at")
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": self._back(request),
            "scope": "openid profile email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        response = RedirectResponse(f"{where}{'&' if '?' in where else '?'}{urlencode(query)}", 303)
        content = {"state": state, "nonce": nonce, "verifier": verifier, "goes_to": ours(goes_to)}
        sealed = self.seal.close("log-in", {**content}, until=now + LOG_IN_LASTS)
        self._set(response, "log-in", sealed, request, int(LOG_IN_LASTS.total_seconds()))
        return response

    def from_provider(self, request: Request, now: datetime) -> Response | None:
        """Back from there; None for a log-in that was not begun in this browser, or is not valid. Raises IdentityUnavailable,
        JournalUnavailable."""
        begun = self.seal.open("log-in", request.cookies.get(self._cookie("log-in", request), ""), now=now)
        said = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
        state, code = said.get("state", ""), said.get("code", "")
        if begun is None or self.client is None or self.directory.outside is None or not code:
            return None
        if not hmac.compare_digest(str(begun["state"]).encode(), state.encode()):
            return None
        form = {
            "grant_type": "authorization_code",
            "code": code[:2048],
            "redirect_uri": self._back(request),
            "code_verifier": str(begun["verifier"]),
        }
        verifier = self.directory.outside.verifier
        token = verifier.provider.exchange(form, client=self.client.id, secret=self.client.secret)
        claims = verifier.verify(token, audience=self.client.id, nonce=str(begun["nonce"]))
        person = self.directory.by_claims(claims) if claims is not None else None
        if person is None:
            return None
        response = self.let_in(person, request, now, str(begun["goes_to"]))
        self._set(response, "log-in", "", request, 0)
        return response

    def _back(self, request: Request) -> str:
        return f"{self.url.rstrip('/') or self.origin(request)}/login/callback"

    def _cookie(self, name: str, request: Request) -> str:
        return f"{'__Host-' if self._is_secure(request) else ''}lestrade-{name}"

    def _is_secure(self, request: Request) -> bool:
        return self.origin(request).startswith("https://")

    def _set(self, response: Response, name: str, value: str, request: Request, lasts: int) -> None:
        response.set_cookie(
            self._cookie(name, request),
            value,
            max_age=lasts,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._is_secure(request),
        )


def ours(path: str) -> str:
    """A place of ours to go on to; the list for anything else."""
    return path if _OURS.fullmatch(path) and path != "/" else "/approvals"
