"""How a browser comes in: a local token typed into a form, or a log-in at the identity provider.

Cookies are HttpOnly and SameSite=Lax, so that a link in a message
still finds the session and no form of another site does.
"""

import re
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from agent.app.console.forms import form_of, meant
from agent.app.console.layout import page
from agent.app.identity import Identity, Visit
from agent.app.people import Person
from agent.app.seal import SESSION_LASTS
from identity import LOG_IN_LASTS, Guesses, IdentityUnavailable, cookie_terms

_OURS = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~?=&%+-]{0,500}")


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
        provider=identity.outside is not None,
        tokens=identity.people is not None,
    )


def _let_in(request: Request, person: Person, by: str, goes_to: str) -> Response:
    response = RedirectResponse(ours(goes_to), 303)
    _set(request, response, "session", _identity(request).sealed(person, by), int(SESSION_LASTS.total_seconds()))
    return response


async def _begun(request: Request) -> Response | None:
    """Off to the identity provider; None where there is none. Raises IdentityUnavailable."""
    identity = _identity(request)
    if identity.outside is None:
        return None
    goes_to = ours(request.query_params.get("goes_to", ""))
    address, sealed = await identity.outside.departure(identity.seal, back=_back(request), goes_to=goes_to, now=identity.now())
    response = RedirectResponse(address, 303)
    _set(request, response, "log-in", sealed, int(LOG_IN_LASTS.total_seconds()))
    return response


async def _come_back(request: Request) -> Response | None:
    """None for a log-in that was not begun in this browser, or is not valid. Raises IdentityUnavailable."""
    identity = _identity(request)
    if identity.outside is None:
        return None
    came = await identity.outside.arrival(
        identity.seal,
        cookie=request.cookies.get(identity.cookie("log-in", request), ""),
        state=request.query_params.get("state", ""),
        code=request.query_params.get("code", ""),
        back=_back(request),
        now=identity.now(),
    )
    if came is None:
        return None
    person, goes_to = came
    response = _let_in(request, person, identity.outside.issuer, goes_to)
    _set(request, response, "log-in", "", 0)
    return response


def _back(request: Request) -> str:
    return f"{_identity(request).origin(request)}/login/callback"


def _set(request: Request, response: Response, name: str, value: str, lasts: int) -> None:
    identity = _identity(request)
    terms = cookie_terms(lasts, secure=identity.is_secure(request))
    response.set_cookie(identity.cookie(name, request), value, **terms)
