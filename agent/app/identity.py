"""Who is asking: a bearer token, a session of these pages, or whoever sits at this machine where nothing else is configured.

`Who` is the dependency of everything that shows or asks something; the webhook has a way in of its own. What has to log in is
told so by NotKnown: the refusals make a way to the log-in page of it for a browser, and a 401 for everybody else.

Nothing configured: only this machine is answered, and only under a name of this machine or `public_url`, because a name of
somebody else's that leads here (DNS rebinding) would make every page of the web a visitor. A request that changes something
comes from a page of ours, or from no browser.
"""

import ipaddress
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException

from agent.app.outside import Outside
from agent.app.people import PeopleFile, Person
from agent.app.seal import SESSION_LASTS, seal_of
from agent.errors import InputError
from agent.settings import Settings
from identity import (
    Client,
    IdentityUnavailable,
    Provider,
    Seal,
    Verifier,
    came_from,
    cookie_name,
    is_safe,
    is_token,
    origin_of,
)

__all__ = ["Identity", "NotKnown", "Person", "Session", "Visit", "Who", "add_identity", "known"]

logger = logging.getLogger(__name__)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_WHERE = (
    "nobody has to log in here, so only this machine is answered: set LESTRADE_PEOPLE_FILE (lestrade people add NAME) or "
    "LESTRADE_OIDC_ISSUER to let others in"
)


class NotKnown(HTTPException):
    """401: somebody has to say who they are."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail, headers={"WWW-Authenticate": "Bearer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Whoever asks, and what a form of theirs carries. `by_cookie`: there is something to log out of."""

    person: Person
    csrf: str
    by_cookie: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """`people` and `outside` None: nobody has to log in. `public_url`: where browsers find us, "" to take it from each
    request."""

    seal: Seal
    people: PeopleFile | None = None
    outside: Outside | None = None
    public_url: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @classmethod
    def of(cls, settings: Settings) -> "Identity":
        """Raises InputError for settings that cannot be used."""
        people = PeopleFile(settings.people_file) if settings.people_file else None
        if people is not None:
            people.names()
        seal, public_url = seal_of(settings.session_key_file), _public(settings.public_url)
        if not settings.oidc_issuer:
            return cls(seal=seal, people=people, public_url=public_url)
        if not is_safe(settings.oidc_issuer):
            raise InputError("LESTRADE_OIDC_ISSUER: expected https://..., or http:// on this machine")
        if not settings.oidc_client_id:
            raise InputError(
                "LESTRADE_OIDC_CLIENT_ID: the identity provider knows these pages under a client id, which is not set"
            )
        verifier = Verifier(
            provider=Provider(settings.oidc_issuer),
            audience=settings.oidc_audience or settings.oidc_client_id,
            groups_claim=settings.oidc_groups_claim,
        )
        outside = Outside(
            verifier=verifier,
            client=Client(id=settings.oidc_client_id, secret=_secret(settings.oidc_client_secret_file)),
            groups=frozenset(filter(None, (name.strip() for name in settings.oidc_groups.split(",")))),
        )
        return cls(seal=seal, people=people, outside=outside, public_url=public_url)

    @property
    def is_open(self) -> bool:
        return self.people is None and self.outside is None

    async def session(self, request: Request) -> Session:
        """Raises NotKnown, or HTTPException 403 for what comes from where it must not, 503 when nobody can be checked."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self.is_open:
            self._must_be_here(request)
            self._must_be_ours(request, strict=False)
            return Session(person=Person(name=""), csrf=self.seal.mac("csrf", "open"))
        if scheme.lower() == "bearer" and token.strip():
            person = await self.by_token(token.strip())
            if person is None:
                raise NotKnown("this token is nobody's, or has run out")
            return Session(person=person, csrf="")
        found = self.by_cookie(request)
        if found is None:
            raise NotKnown("log in, or send a bearer token")
        self._must_be_ours(request, strict=True)
        return found

    async def by_token(self, token: str) -> Person | None:
        """Raises HTTPException 503 when the identity provider does not answer."""
        known = self.people.by_token(token) if self.people is not None else None
        if known is not None or self.outside is None or not is_token(token):
            return known
        try:
            return await self.outside.by_token(token)
        except IdentityUnavailable as exc:
            raise HTTPException(503, f"{exc}: ask again in a moment") from None

    def by_cookie(self, request: Request) -> Session | None:
        """Somebody who is taken out of the people file, or has another token, is logged in no longer."""
        cookie = request.cookies.get(self.cookie("session", request), "")
        content = self.seal.open("session", cookie, now=self.now()) if cookie else None
        if content is None:
            return None
        said = {key: str(content.get(key, "")) for key in ("name", "called", "mark", "by")}
        person = Person(name=said["name"], called=said["called"], mark=said["mark"])
        if said["by"] == "file":
            found = self.people.by_name(person.name) if self.people is not None else None
            if found is None or found.mark != person.mark:
                return None
        elif self.outside is None or said["by"] != self.outside.issuer:
            return None
        return Session(person=person, csrf=self.seal.mac("csrf", cookie), by_cookie=True)

    def sealed(self, person: Person, by: str) -> str:
        """What the session's cookie holds. `by`: "file", or the issuer that vouches for them."""
        content = {"name": person.name, "called": person.called, "mark": person.mark, "by": by}
        return self.seal.close("session", content, until=self.now() + SESSION_LASTS)

    def is_ours(self, request: Request) -> bool:
        """Whether a form was sent from a page of ours."""
        return came_from(self.origin(request), request.headers)

    def origin(self, request: Request) -> str:
        return origin_of(self.public_url, str(request.scope["scheme"]), request.headers)

    def is_secure(self, request: Request) -> bool:
        return self.origin(request).startswith("https://")

    def cookie(self, name: str, request: Request) -> str:
        """Its name. Not the sidecar's: a browser gives cookies of a host to every port of it."""
        return cookie_name(f"lestrade-agent-{name}", secure=self.is_secure(request))

    def close(self) -> None:
        if self.outside is not None:
            self.outside.close()

    def _must_be_here(self, request: Request) -> None:
        """Both ends of the connection are this machine, and it is called so."""
        server, client = request.scope.get("server") or ("", 0), request.client
        if not _is_loopback(str(server[0])) or client is None or not _is_loopback(client.host):
            raise HTTPException(403, _WHERE)
        host = request.headers.get("host", "").lower()
        name = host.rpartition(":")[0] if re.search(r":[0-9]+$", host) else host
        if not _is_loopback(name.strip("[]")) and (not host or host != urlsplit(self.public_url).netloc):
            raise HTTPException(
                403, f"{_WHERE}; the name that was asked for is none of this machine's (LESTRADE_PUBLIC_URL adds one)"
            )

    def _must_be_ours(self, request: Request, *, strict: bool) -> None:
        """`strict`: a browser's cookie came along, so a browser has to say that the page is ours."""
        if request.method in _SAFE:
            return
        told = "origin" in request.headers or "sec-fetch-site" in request.headers
        if (strict or told) and not self.is_ours(request):
            raise HTTPException(403, "the request came from a page of another site: nothing was done")


async def _asking(request: Request) -> Session:
    identity: Identity = request.app.state.identity
    session = await identity.session(request)
    request.state.session = session
    return session


async def _person(session: Annotated[Session, Depends(_asking)]) -> Person:
    return session.person


Who = Annotated[Person, Depends(_person)]
Visit = Annotated[Session, Depends(_asking)]
known = Depends(_asking)  # for routes to which it is all the same who it is


def add_identity(app: FastAPI, settings: Settings) -> Identity:
    """To be called when the service starts. Raises InputError."""
    identity = Identity.of(settings)
    if settings.approvals_url and not settings.approvals_url.startswith(("https://", "http://")):
        raise InputError("LESTRADE_APPROVALS_URL: expected https://host, where the sidecar's pages are")
    ours, theirs = urlsplit(identity.public_url).hostname, urlsplit(settings.approvals_url).hostname
    if ours and ours == theirs and not _is_loopback(ours):
        logger.warning(
            "the agent's pages and the sidecar's have the host %s in common: browsers hand the approvers' sessions to the agent; "
            "give them two names",
            ours,
        )
    app.state.identity = identity
    return identity


def _secret(path: Path | None) -> str:
    try:
        return path.read_text("ascii").strip() if path is not None else ""
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(
            f"LESTRADE_OIDC_CLIENT_SECRET_FILE: {path}: {getattr(exc, 'strerror', None) or 'not plain text'}"
        ) from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _public(url: str) -> str:
    """Without the slash at its end. Raises InputError."""
    if not url:
        return ""
    found = urlsplit(url)
    if found.scheme not in ("http", "https") or not found.netloc or found.path.strip("/") or found.query or "@" in found.netloc:
        raise InputError("LESTRADE_PUBLIC_URL: expected https://host or https://host:port, without a path")
    return f"{found.scheme}://{found.netloc}"
