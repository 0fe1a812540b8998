"""How a browser comes in: a local token typed into a form, or a log-in at the identity provider.

OpenID Connect Core 1.0 section 3.1 with PKCE (RFC 7636). Cookies are HttpOnly and SameSite=Lax, so that a link in a message
still finds the session and no form of another site does.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from agent.app.console.forms import form_of, meant
from agent.app.console.layout import page
from agent.app.identity import Identity, Visit
from agent.app.people import Person
from agent.app.seal import LOG_IN_LASTS, SESSION_LASTS
from agent.errors import IdentityUnavailable

TRIES, TRIES_WITHIN, MOST_ADDRESSES = 10, 60.0, 10_000
_OURS = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~?=&%+-]{0,500}")


@dataclass(slots=True)
class Guesses:
    """Failed tries to log in, by address: after ten in a minute the form takes no more for a while."""

    _failed: dict[str, deque[float]] = field(default_factory=dict)

    def too_many(self, address: str) -> bool:
        tries = self._failed.get(address, deque())
        while tries and time.monotonic() - tries[0] > TRIES_WITHIN:
            tries.popleft()
        return len(tries) >= TRIES

    def failed(self, address: str) -> None:
        if len(self._failed) >= MOST_ADDRESSES:
            self._failed.clear()
        self._failed.setdefault(address, deque(maxlen=TRIES)).append(time.monotonic())


def ours(path: str) -> str:
    """A place of ours to go on to; the list for anything else."""
    return path if _OURS.fullmatch(path) and not path.startswith("/log") else "/runs"


def add_doorway(app: FastAPI) -> None:
    guesses = Guesses()

    @app.get("/login", include_in_schema=False)
    async def log_in_form(request: Request) -> Response:
        if _identity(request).is_open:
            return RedirectResponse("/runs", 303)
        return _door(request, 200, "")

    @app.post("/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        identity = _identity(request)
        if not identity.is_ours(request):
            return _door(request, 403, "The form did not come from this page. Try again from here.")
        address = request.client.host if request.client else ""
        if guesses.too_many(address):
            return _door(request, 429, "Too many tries. Wait a minute.")
        token = (await form_of(request)).get("token", "").strip()
        person = identity.people.by_token(token) if token and identity.people is not None else None
        if person is None:
            guesses.failed(address)
            return _door(request, 401, "This token is nobody's.")
        return _let_in(request, person, "file", request.query_params.get("goes_to", ""))

    @app.get("/login/provider", include_in_schema=False)
    async def to_provider(request: Request) -> Response:
        try:
            return await _begun(request) or _door(request, 404, "No identity provider is configured.")
        except IdentityUnavailable:
            return _door(request, 503, "The identity provider does not answer. Try again.")

    @app.get("/login/callback", include_in_schema=False)
    async def from_provider(request: Request) -> Response:
        try:
            return await _come_back(request) or _door(request, 401, "The log-in did not succeed. Try again.")
        except IdentityUnavailable:
            return _door(request, 503, "The identity provider does not answer. Try again.")

    @app.post("/logout", include_in_schema=False)
    async def log_out(request: Request, session: Visit) -> Response:
        await meant(request, session)
        response = RedirectResponse("/login", 303)
        _set(request, response, "session", "", 0)
        return response


def _identity(request: Request) -> Identity:
    identity: Identity = request.app.state.identity
    return identity


def _door(request: Request, status: int, text: str) -> Response:
    identity = _identity(request)
    goes_to = ours(request.query_params.get("goes_to", ""))
    return page(
        request,
        "login.html",
        status=status,
        text=text,
        goes_to=urlencode({"goes_to": goes_to}),
        provider=identity.client is not None,
        tokens=identity.people is not None,
    )


def _let_in(request: Request, person: Person, by: str, goes_to: str) -> Response:
    response = RedirectResponse(ours(goes_to), 303)
    _set(request, response, "session", _identity(request).sealed(person, by), int(SESSION_LASTS.total_seconds()))
    return response


async def _begun(request: Request) -> Response | None:
    """Off to the identity provider; None where there is none. Raises IdentityUnavailable."""
    identity = _identity(request)
    if identity.client is None or identity.verifier is None:
        return None
    where = (await identity.verifier.provider.endpoints()).authorization
    if not where.startswith(("https://", "http://")):
        raise IdentityUnavailable("the identity provider names no place to log in at")
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": identity.client.id,
        "redirect_uri": _back(request),
        "scope": "openid profile email",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    response = RedirectResponse(f"{where}{'&' if '?' in where else '?'}{urlencode(query)}", 303)
    goes_to = ours(request.query_params.get("goes_to", ""))
    content = {"state": state, "nonce": nonce, "verifier": verifier, "goes_to": goes_to}
    sealed = identity.seal.close("log-in", {**content}, until=identity.now() + LOG_IN_LASTS)
    _set(request, response, "log-in", sealed, int(LOG_IN_LASTS.total_seconds()))
    return response


async def _come_back(request: Request) -> Response | None:
    """None for a log-in that was not begun in this browser, or is not valid. Raises IdentityUnavailable."""
    identity = _identity(request)
    begun = identity.seal.open("log-in", request.cookies.get(identity.cookie("log-in", request), ""), now=identity.now())
    code, state = request.query_params.get("code", ""), request.query_params.get("state", "")
    if begun is None or identity.client is None or identity.verifier is None or not code:
        return None
    if not hmac.compare_digest(str(begun["state"]).encode(), state.encode()):
        return None
    form = {
        "grant_type": "authorization_code",
        "code": code[:2048],
        "redirect_uri": _back(request),
        "code_verifier": str(begun["verifier"]),
    }
    verifier = identity.verifier
    token = await verifier.provider.exchange(form, client=identity.client.id, secret=identity.client.secret)
    person = await verifier.verify(token, audience=identity.client.id, nonce=str(begun["nonce"]))
    if person is None:
        return None
    response = _let_in(request, person, verifier.provider.issuer, str(begun["goes_to"]))
    _set(request, response, "log-in", "", 0)
    return response


def _back(request: Request) -> str:
    return f"{_identity(request).origin(request)}/login/callback"


def _set(request: Request, response: Response, name: str, value: str, lasts: int) -> None:
    identity = _identity(request)
    response.set_cookie(
        identity.cookie(name, request),
        value,
        max_age=lasts,
        path="/",
        httponly=True,
        samesite="lax",
        secure=identity.is_secure(request),
    )
