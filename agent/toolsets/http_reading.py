"""Reading requests to one configured server: bounded in time and size, never off its host. Every failure is a ReadRefused."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Literal, cast
from urllib.parse import quote

import httpx
import orjson

from agent.errors import InputError, ReadRefused
from agent.signals.masking import mask, safe
from sidecar.contract import Json

SECONDS = 15.0
MOST_BYTES = 4_000_000

Params = Mapping[str, str | Sequence[str]]


class HttpSource:
    """`name` is how errors call it. `token_file`: a bearer token; read once, never shown."""

    def __init__(self, name: str, url: str, *, token_file: Path | None = None, client: httpx.AsyncClient | None = None) -> None:
        self._name = name
        self._url = url.rstrip("/")
        self._headers = {"Accept-Encoding": "identity"}  # what is packed is counted too late: a few bytes unpack to gigabytes
        if token_file is not None:
            self._headers["Authorization"] = f"Bearer {_token(name, token_file)}"
        none_kept = CookieJar(DefaultCookiePolicy(allowed_domains=()))
        self._http = client or httpx.AsyncClient(timeout=SECONDS, trust_env=False, follow_redirects=False, cookies=none_kept)

    async def json(self, path: str, params: Params | None = None) -> Json:
        """`path` below the configured URL, its segments already quoted (see `segment`)."""
        raw = await self.text(path, params)
        try:
            return cast(Json, orjson.loads(raw))
        except orjson.JSONDecodeError:
            raise ReadRefused(f"{self._where} answers with something that is no JSON") from None

    async def text(
        self, path: str, params: Params | None = None, *, method: Literal["GET", "HEAD"] = "GET", most_bytes: int = MOST_BYTES
    ) -> str:
        status, body = await self.answer(path, params, method=method, most_bytes=most_bytes)
        if not 200 <= status < 300:
            raise ReadRefused(f"{self._where} answers HTTP {status}")
        return body

    async def answer(
        self, path: str, params: Params | None = None, *, method: Literal["GET", "HEAD"] = "GET", most_bytes: int = MOST_BYTES
    ) -> tuple[int, str]:
        """The status, whichever it is, and the text; of a status that is no success at most `most_bytes` of it."""
        body, url, asked = bytearray(), f"{self._url}{path}", dict(params or {})
        try:
            async with self._http.stream(method, url, params=asked, headers=self._headers) as answer:
                packed = answer.headers.get("Content-Encoding", "identity")
                if packed not in ("", "identity"):
                    raise ReadRefused(
                        f"{self._where} packs what it answers ({safe(packed, limit=40)}), though it was asked not to"
                    )
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > most_bytes:
                        if not answer.is_success:
                            break
                        raise ReadRefused(f"{self._where} answers with more than {most_bytes} bytes: ask for less")
                return answer.status_code, body[:most_bytes].decode(errors="replace").removeprefix("\ufeff")
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ReadRefused(f"{self._where} does not answer ({type(exc).__name__})") from None

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def _where(self) -> str:
        return f"{self._name} at {mask(self._url)}"


def segment(raw: str) -> str:
    """One segment of a path, whatever stands in it."""
    return quote(raw, safe="")


def any_of(names: Iterable[str]) -> str:
    """A regular expression for one of these names, without a backslash: every query language escapes those its own way."""
    return "|".join(re.sub(r"[^\w-]", lambda found: f"[{found[0]}]" if found[0] == "." else ".", name) for name in names)


def _token(name: str, path: Path) -> str:
    """Raises InputError, which names the file and never its content."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{name} token file {path}: {getattr(exc, 'strerror', None) or 'not plain text'}") from None
    if not token or not token.isprintable() or " " in token:
        raise InputError(f"{name} token file {path}: holds no token")
    return token
