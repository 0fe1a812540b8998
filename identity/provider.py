"""An identity provider over HTTP: its discovery document, its public keys, and the exchange of a log-in code.

OpenID Connect Discovery 1.0; RFC 7517 (JWKS); RFC 6749 and 7636 (code with PKCE). Knows no token's content. https only, but
for loopback; no redirects; bounded answers. Keys come from the address that the issuer's own document names, never from a
token. What cannot be had is IdentityUnavailable, and then nobody is known.
"""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from identity.errors import IdentityUnavailable

KEYS_LAST = 600.0  # seconds until keys are fetched again
UNKNOWN_KEY_PAUSE = 30.0  # a key id that nobody knows makes us look again, but not more often than this
FAILURE_PAUSE = 5.0
WAIT_FOR_SILENT = 0.2
MOST_BYTES = 512 * 1024
TIMEOUT = httpx.Timeout(4.0, connect=3.0)
MOST_SECONDS = 8.0  # of one answer, however slowly it drips


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    keys: str
    authorization: str
    token: str
    posts_secret: bool  # the provider takes a client's secret in the form only


class Provider:
    """`elapsed`: seconds on a clock that nobody sets. Waits for answers: to be asked in a thread; many may ask at once."""

    def __init__(self, issuer: str, *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._state = _State()
        self._http = httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False, verify=ssl.create_default_context())

    def key(self, kid: str) -> dict[str, Any] | None:
        """The public key (a JWK) of this id; with "" the only one there is. Raises IdentityUnavailable."""
        with self._turn():
            now, state = self._elapsed(), self._state
            if now - state.keys_at >= KEYS_LAST:
                state.keys = {}
                self._careful(lambda: self._fetch(now))
            found = _pick(state.keys, kid)
            if found is None and now - state.tried_at >= UNKNOWN_KEY_PAUSE:
                self._careful(lambda: self._fetch(now))
                found = _pick(state.keys, kid)
            return found

    def endpoints(self) -> Endpoints:
        """Raises IdentityUnavailable."""
        with self._turn():
            if self._state.endpoints is None:
                self._careful(self._look)
            if self._state.endpoints is None:
                raise IdentityUnavailable(f"{self.issuer} says nothing of itself")
            return self._state.endpoints

    def exchange(self, form: Mapping[str, str], *, client: str, secret: str) -> str:
        """The ID token for a log-in code, not verified yet. Raises IdentityUnavailable."""
        where = self.endpoints()
        body = {**form, "client_id": client}
        if secret and where.posts_secret:
            body["client_secret"] = secret
        basic = httpx.BasicAuth(client, secret) if secret and not where.posts_secret else None
        document = self._ask("POST", where.token, data=body, auth=basic)
        token = document.get("id_token")
        if not isinstance(token, str):
            raise IdentityUnavailable(f"{self.issuer} gave no ID token for the log-in")
        return token

    def close(self) -> None:
        self._http.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One asks, the others wait: but while the provider is silent not for long, or callers without any right would hold
        every thread."""
        if not self._lock.acquire(timeout=-1 if self._state.failed_at is None else WAIT_FOR_SILENT):
            raise IdentityUnavailable(f"{self.issuer} is being asked, and does not answer")
        try:
            yield
        finally:
            self._lock.release()

    def _careful(self, ask: Callable[[], None]) -> None:
        """Nobody asks again a moment after an answer did not come."""
        state = self._state
        if state.failed_at is not None and self._elapsed() - state.failed_at < FAILURE_PAUSE:
            raise IdentityUnavailable(f"{self.issuer} could not be asked a moment ago")
        try:
            ask()
        except IdentityUnavailable:
            state.failed_at = self._elapsed()
            raise
        state.failed_at = None

    def _look(self) -> None:
        self._state.endpoints = self._discover()

    def _fetch(self, now: float) -> None:
        state = self._state
        state.tried_at = now
        where = state.endpoints = state.endpoints or self._discover()
        try:
            document = self._ask("GET", where.keys)
        except IdentityUnavailable:
            state.endpoints = None  # it may have moved
            raise
        keys = document.get("keys")
        fit = [key for key in keys if _verifies(key)] if isinstance(keys, list) else []
        state.keys = {str(key.get("kid", f"#{number}")): key for number, key in enumerate(fit[:100])}
        state.keys_at = now

    def _discover(self) -> Endpoints:
        document = self._ask("GET", self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != self.issuer:
            raise IdentityUnavailable(f"the discovery document of {self.issuer} names another issuer")
        found = {name: str(document.get(name, "")) for name in ("jwks_uri", "authorization_endpoint", "token_endpoint")}
        if not is_safe(found["jwks_uri"]):
            raise IdentityUnavailable(f"the discovery document of {self.issuer} names no keys under https")
        methods = document.get("token_endpoint_auth_methods_supported")
        return Endpoints(
            keys=found["jwks_uri"],
            authorization=found["authorization_endpoint"],
            token=found["token_endpoint"],
            posts_secret=isinstance(methods, list) and "client_secret_basic" not in methods and "client_secret_post" in methods,
        )

    def _ask(
        self, method: str, url: str, *, data: Mapping[str, str] | None = None, auth: httpx.BasicAuth | None = None
    ) -> dict[str, Any]:
        if not is_safe(url):
            raise IdentityUnavailable(f"{self.issuer}: only https is asked, and http on loopback")
        body = bytearray()
        until = time.monotonic() + MOST_SECONDS
        try:
            with self._http.stream(method, url, data=dict(data) if data else None, auth=auth) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise IdentityUnavailable(f"{self.issuer} answers with more than {MOST_BYTES} bytes")
                    if time.monotonic() > until:
                        raise IdentityUnavailable(f"{self.issuer} takes longer than {MOST_SECONDS:.0f} s to answer")
                status = response.status_code
            document = json.loads(body)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as exc:
            raise IdentityUnavailable(f"no usable answer of {self.issuer} ({type(exc).__name__})") from None
        if status != 200 or not isinstance(document, dict):
            raise IdentityUnavailable(f"{self.issuer} answers {status}")
        return document


@dataclass(slots=True)
class _State:
    endpoints: Endpoints | None = None
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys_at: float = float("-inf")
    tried_at: float = float("-inf")
    failed_at: float | None = None  # when an answer did not come, if the last one did not


def is_safe(url: str) -> bool:
    """https, or http to this machine."""
    try:
        found = urlsplit(url)
        host = found.hostname or ""
    except ValueError:
        return False
    local = host in ("localhost", "127.0.0.1", "::1")
    return bool(host) and not found.username and (found.scheme == "https" or (found.scheme == "http" and local))


def _verifies(key: Any) -> bool:
    """A public, asymmetric key that is not for encryption only."""
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig" and "d" not in key


def _pick(keys: dict[str, dict[str, Any]], kid: str) -> dict[str, Any] | None:
    if kid:
        return keys.get(kid)
    return next(iter(keys.values())) if len(keys) == 1 else None
