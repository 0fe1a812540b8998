"""How a browser comes in: a local token typed into a form, or a log-in at the identity provider. Cookies, and where a form may
come from. Knows no page.

Cookies are HttpOnly and SameSite=Lax, so that a link in a message still finds the session, and no form of another site does.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from identity import LOG_IN_LASTS, Client, Guesses, LogIn, came_from, cookie_name, cookie_terms, origin_of
from sidecar.approvals import Directory, Person
from sidecar.people_api.seal import SESSION_LASTS, Seal, Session
from sidecar.secret_files import Secret

_OURS = re.compile(r"/(approvals(/[0-9a-f]{64})?|leases|journal|policy|stop|reviews)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """`url`: where browsers find us, "" to take it from each request; `client` None: no log-in at an identity provider;
    `client_secret`: what it is now, None for a public client."""

    directory: Directory
    seal: Seal
    url: str = ""
    client: Client | None = None
    client_secret: Secret | None = field(default=None, repr=False)
    guesses: Guesses = field(default_factory=Guesses)

    def session(self, request: Request, now: datetime) -> Session | None:
        cookie = request.cookies.get(self._cookie("session", request), "")
        return self.seal.who(cookie, self.directory, now=now) if cookie else None

    def is_ours(self, request: Request) -> bool:
        """Whether a form was sent from a page of ours."""
        return came_from(self.origin(request), request.headers)

    def origin(self, request: Request) -> str:
        return origin_of(self.url, str(request.scope["scheme"]), request.headers)

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
        log_in = self._log_in()
        if log_in is None:
            return None
        address, sealed = log_in.departure(back=self._back(request), goes_to=ours(goes_to), now=now)
        response = RedirectResponse(address, 303)
        self._set(response, "log-in", sealed, request, int(LOG_IN_LASTS.total_seconds()))
        return response

    def from_provider(self, request: Request, now: datetime) -> Response | None:
        """Back from there; None for a log-in that was not begun in this browser, or is not valid. Raises IdentityUnavailable,
        JournalUnavailable."""
        log_in = self._log_in()
        if log_in is None:
            return None
        said = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
        cookie = request.cookies.get(self._cookie("log-in", request), "")
        came = log_in.arrival(
            cookie=cookie, state=said.get("state", ""), code=said.get("code", ""), back=self._back(request), now=now
        )
        person = self.directory.by_claims(came.claims) if came is not None else None
        if came is None or person is None:
            return None
        response = self.let_in(person, request, now, came.goes_to)
        self._set(response, "log-in", "", request, 0)
        return response

    def _log_in(self) -> LogIn | None:
        if self.client is None or self.directory.outside is None:
            return None
        secret = self.client_secret() if self.client_secret is not None else ""
        return LogIn(seal=self.seal, client=replace(self.client, secret=secret), verifier=self.directory.outside.verifier)

    def _back(self, request: Request) -> str:
        return f"{self.url.rstrip('/') or self.origin(request)}/login/callback"

    def _cookie(self, name: str, request: Request) -> str:
        return cookie_name(f"lestrade-{name}", secure=self._is_secure(request))

    def _is_secure(self, request: Request) -> bool:
        return self.origin(request).startswith("https://")

    def _set(self, response: Response, name: str, value: str, request: Request, lasts: int) -> None:
        response.set_cookie(self._cookie(name, request), value, **cookie_terms(lasts, secure=self._is_secure(request)))


def ours(path: str) -> str:
    """A place of ours to go on to; the list for anything else."""
    return path if _OURS.fullmatch(path) and path != "/" else "/approvals"
