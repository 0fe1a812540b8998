"""Reports by HTTPS POST of JSON, signed as Standard Webhooks has it, so that receivers can use a library for it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: `webhook-id` stays the same over all
tries (the receiver's key against doubles), `webhook-signature` is HMAC-SHA-256 over id, time and body. No redirect is followed:
what we send is for the host that was named. What is told of a failure names the host only: addresses may hold a secret.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import orjson

from agent.delivery.paper import Paper, Undeliverable
from agent.errors import InputError
from sidecar.contract import Json

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
MOST_SECONDS = 60.0  # however slowly it drips
_LATER = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Hook:
    """`http` must follow no redirects."""

    url: str = field(repr=False)
    secret_file: Path | None
    http: httpx.AsyncClient = field(repr=False)

    async def deliver(self, paper: Paper) -> None:
        """Raises Undeliverable."""
        body = await asyncio.to_thread(_bytes, paper)
        headers = {"Content-Type": "application/json", "User-Agent": "lestrade"}
        try:
            headers |= signature(secret_in(self.secret_file), paper.name, int(time.time()), body)
        except InputError as exc:
            raise Undeliverable(str(exc)) from None
        host = urlsplit(self.url).hostname or "the host"
        try:
            async with (
                asyncio.timeout(MOST_SECONDS),
                self.http.stream("POST", self.url, content=body, headers=headers) as response,
            ):
                status, wait = response.status_code, response.headers.get("retry-after", "")
        except (httpx.HTTPError, TimeoutError) as exc:
            raise Undeliverable(f"{host}: {type(exc).__name__}") from None
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise Undeliverable(f"{host} answered {status}: redirects are not followed, name the final address", final=True)
        seconds = float(wait) if wait.isascii() and wait.isdigit() and len(wait) < 6 else 0.0
        raise Undeliverable(f"{host} answered {status}", final=status < 500 and status not in _LATER, again_in=seconds)


def _bytes(paper: Paper) -> bytes:
    return orjson.dumps(document(paper))


def document(paper: Paper) -> dict[str, Json]:
    return {
        "delivery": 1,
        "id": paper.name,
        "type": f"lestrade.{paper.kind}",
        "title": paper.title,
        "at": paper.at.isoformat(),
        "url": paper.url,
        "facts": dict(paper.facts),
        paper.kind: orjson.loads(paper.form("json")),
    }


def signature(secret: bytes, name: str, at: int, body: bytes) -> dict[str, str]:
    """Without a secret the headers have no signature."""
    headers = {"webhook-id": name, "webhook-timestamp": str(at)}
    if secret:
        mac = hmac.new(secret, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
    return headers


def secret_in(path: Path | None) -> bytes:
    """`whsec_` and base64, or any line of at least 16 characters as it is; read anew each time. Raises InputError."""
    if path is None:
        return b""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else "cannot be read"
        raise InputError(f"webhook secret {path}: {reason}") from None
    if text.startswith("whsec_"):
        try:
            secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            raise InputError(f"webhook secret {path}: no base64 after whsec_") from None
    else:
        secret = text.encode()
    if len(secret) < 16:
        raise InputError(f"webhook secret {path}: at least 16 bytes are needed (openssl rand -hex 32)")
    return secret
