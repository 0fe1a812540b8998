"""Alertmanager's API v2 over HTTP: alerts are read, silences made and ended. Knows no plan, no lease and no cluster.

A request is sent once: a silence that was perhaps made is looked for, not made again. Of what Alertmanager says nothing but
labels, ids, states and times is taken, and none of it goes into a log.
"""

import re
import ssl
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from sidecar.contract import Json, Matcher
from sidecar.errors import AlertmanagerRefused, AlertmanagerUnavailable, SettingsError
from sidecar.execution.pointer import value_at
from sidecar.ports import FiringAlert, NewSilence, Silence
from sidecar.secret_files import Secret

CREATOR = "lestrade-sidecar"
CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 10.0
MOST_BYTES = 33_554_432
Query = Sequence[tuple[str, str]]
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@ -]{1,256}")  # values that Alertmanager's own filter reads as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How Alertmanager is told who asks: each request asks anew what the secrets are. Its repr hides them."""

    token: Secret | None = field(default=None, repr=False)
    user: str = ""
    password: Secret | None = field(default=None, repr=False)

    def sign(self, request: httpx.Request) -> httpx.Request:
        if self.token is not None:
            request.headers["Authorization"] = f"Bearer {self.token()}"
        elif self.user and self.password is not None:
            pair = b64encode(f"{self.user}:{self.password()}".encode()).decode()
            request.headers["Authorization"] = f"Basic {pair}"
        return request


class Alertmanager:
    """Implements sidecar.ports.Silencer."""

    absent = ""

    def __init__(
        self, url: str, *, login: Login | None = None, authority: Path | None = None, seconds: float = ANSWER_SECONDS
    ) -> None:
        """`authority`: certificates (PEM) that its own has to go back to, in place of the system's. `seconds`: how long an
        answer may take, and may come to its end after it began. Nothing is sent yet.

        Raises SettingsError.
        """
        address = _address(url)
        login = login or Login()
        headers = {"User-Agent": CREATOR, "Accept": "application/json"}
        self._place = f"Alertmanager at {address.scheme}://{address.netloc.decode()}"
        self._seconds = seconds
        self._http = httpx.Client(
            base_url=address,
            auth=login.sign,
            headers=headers,
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
            verify=_trusting(authority),
            follow_redirects=False,  # credentials go to the address that was named, and nowhere else
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def firing(self, matchers: tuple[Matcher, ...]) -> tuple[FiringAlert, ...]:
        filters = [("filter", f'{one.name}="{one.value}"') for one in matchers if _PLAIN.fullmatch(one.value)]
        kinds = [("active", "true"), ("silenced", "true"), ("inhibited", "true"), ("unprocessed", "true")]
        found = self._read("/api/v2/alerts", [*kinds, *filters])
        if not isinstance(found, list):
            raise self._odd("its alerts are no list")
        alerts = [self._alert(one) for one in found]
        # Which alerts a silence covers is told here, by equality, whatever a filter may have made of the words.
        return tuple(one for one in alerts if all(one.labels.get(wanted.name) == wanted.value for wanted in matchers))

    def made(self, marker: str, identifier: str = "") -> Silence | None:
        if identifier:
            found = self._read(f"/api/v2/silence/{quote(identifier, safe='')}", [], missing=True)
            return None if found is None else self._silence(found)
        listed = self._read("/api/v2/silences", [])
        if not isinstance(listed, list):
            raise self._odd("its silences are no list")
        mine = [self._silence(one) for one in listed if _is_marked(one, marker)]
        return next((one for one in mine if one.stands), mine[0] if mine else None)

    def make(self, wanted: NewSilence) -> str:
        body: Json = {
            "matchers": [{"name": one.name, "value": one.value, "isRegex": False, "isEqual": True} for one in wanted.matchers],
            "startsAt": wanted.starts_at.isoformat(),
            "endsAt": wanted.ends_at.isoformat(),
            "createdBy": CREATOR,
            "comment": wanted.comment,
        }
        status, answer = self._send("POST", "/api/v2/silences", body=body)
        identifier = value_at(answer, ("silenceID",))
        if status == 200 and isinstance(identifier, str) and identifier:
            return identifier
        if 400 <= status < 500 and status not in (408, 429):
            raise AlertmanagerRefused(f"{self._place} does not take the silence: {status}{_login(status)}")
        raise self._odd(f"it answered {status} to a new silence")

    def expire(self, identifier: str) -> None:
        status, _ = self._send("DELETE", f"/api/v2/silence/{quote(identifier, safe='')}")
        if status in (200, 404):
            return
        still = self.made("", identifier)  # one that is over already is an error of Alertmanager's own: 500
        if still is not None and still.stands:
            raise self._odd(f"it answered {status} to the end of a silence{_login(status)}")

    def _read(self, path: str, query: Query, *, missing: bool = False) -> Json:
        status, answer = self._send("GET", path, query=query)
        if missing and status == 404:
            return None
        if status != 200:
            raise self._odd(f"it answered {status}{_login(status)}")
        return answer

    def _send(self, method: str, path: str, *, query: Query = (), body: Json = None) -> tuple[int, Json]:
        parameters = httpx.QueryParams(tuple(query))
        content = None if body is None else orjson.dumps(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            with self._http.stream(method, path.lstrip("/"), params=parameters, content=content, headers=headers) as answer:
                return answer.status_code, _json(self._whole(answer))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
            raise AlertmanagerUnavailable(f"{self._place} does not answer ({type(exc).__name__})") from None

    def _whole(self, answer: httpx.Response) -> bytes:
        pieces, size, until = [], 0, time.monotonic() + self._seconds
        for piece in answer.iter_bytes():
            size += len(piece)
            if time.monotonic() > until:  # who sends a byte now and then would keep a lease, and a stop, waiting for ever
                raise self._odd(f"its answer takes longer than {self._seconds:g} s")
            if size > MOST_BYTES:
                raise self._odd(f"its answer is longer than {MOST_BYTES} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def _alert(self, one: Json) -> FiringAlert:
        labels, by = value_at(one, ("labels",)), value_at(one, ("status", "silencedBy"))
        if not isinstance(labels, dict) or not isinstance(by, list | None):
            raise self._odd("one of its alerts has no labels")
        return FiringAlert(labels={name: str(value) for name, value in labels.items()}, silenced=bool(by))

    def _silence(self, one: Json) -> Silence:
        identifier, ends = value_at(one, ("id",)), value_at(one, ("endsAt",))
        match value_at(one, ("status", "state")):
            case ("pending" | "active" | "expired") as state if isinstance(identifier, str) and isinstance(ends, str):
                return Silence(id=identifier, state=state, ends_at=ends)
            case _:
                raise self._odd("one of its silences has no id, state or end")

    def _odd(self, what: str) -> AlertmanagerUnavailable:
        return AlertmanagerUnavailable(f"{self._place}: {what}")


def _is_marked(one: Json, marker: str) -> bool:
    comment = value_at(one, ("comment",))
    return value_at(one, ("createdBy",)) == CREATOR and isinstance(comment, str) and bool(marker) and comment.endswith(marker)


def _login(status: int) -> str:
    return ": see the settings LESTRADE_SIDECAR_ALERTMANAGER_*" if status in (401, 403) else ""


def _json(content: bytes) -> Json:
    """None for what is none: Alertmanager's own errors come as texts, and so do a proxy's pages."""
    try:
        found: Json = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return found


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url.rstrip("/") + "/")
    except (httpx.InvalidURL, UnicodeError):
        address = httpx.URL("")
    if address.scheme not in ("http", "https") or not address.host or address.userinfo or address.query or address.fragment:
        raise SettingsError(
            "setting LESTRADE_SIDECAR_ALERTMANAGER_URL: is no address such as https://alertmanager.monitoring:9093, without "
            "user, password or parameters (those have settings of their own)"
        )
    return address


def _trusting(authority: Path | None) -> Any:
    try:
        return ssl.create_default_context(cafile=str(authority) if authority is not None else None)
    except (OSError, ssl.SSLError):
        raise SettingsError(f"setting LESTRADE_SIDECAR_ALERTMANAGER_CA_FILE: {authority} holds no certificate (PEM)") from None
