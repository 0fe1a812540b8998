"""Signed cookies: who is logged in, and how far a log-in is. Nothing is kept on our side; what is signed runs out by itself.

HMAC-SHA-256 over purpose and content; a cookie of one purpose is none of another. Signed, not secret: it holds no token.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from agent.errors import InputError
from sidecar.contract import Json

SESSION_LASTS = timedelta(hours=8)  # a shift: the agent's pages show and ask, they approve nothing
LOG_IN_LASTS = timedelta(minutes=10)
SHORTEST_KEY = 32
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Seal:
    key: bytes = field(repr=False)

    @classmethod
    def from_file(cls, path: Path | None) -> "Seal":
        """Without a file a key of its own, and sessions end with the process. Raises InputError."""
        if path is None:
            return cls(secrets.token_bytes(SHORTEST_KEY))
        try:
            key = path.read_bytes().strip()
        except OSError as exc:
            raise InputError(f"LESTRADE_SESSION_KEY_FILE: {path}: {exc.strerror or exc}") from None
        if len(key) < SHORTEST_KEY:
            raise InputError(f"LESTRADE_SESSION_KEY_FILE: {path} holds less than {SHORTEST_KEY} bytes (openssl rand -hex 32)")
        return cls(key)

    def close(self, purpose: str, content: dict[str, Json], *, until: datetime) -> str:
        document = {**content, "until": until.timestamp(), "once": secrets.token_urlsafe(8)}
        body = base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
        return f"{body}.{self.mac(purpose, body)}"

    def open(self, purpose: str, text: str, *, now: datetime) -> dict[str, Json] | None:
        """None for whatever was not sealed here for this purpose, or has run out."""
        body, dot, mac = text.rpartition(".")
        if not dot or len(text) > _LONGEST or not text.isascii() or not hmac.compare_digest(mac, self.mac(purpose, body)):
            return None
        try:
            document = json.loads(base64.urlsafe_b64decode(body))
        except (ValueError, binascii.Error):
            return None
        until = document.get("until") if isinstance(document, dict) else None
        return document if isinstance(until, float) and now.timestamp() < until else None

    def mac(self, purpose: str, body: str) -> str:
        return hmac.new(self.key, f"{purpose}\n{body}".encode(), hashlib.sha256).hexdigest()
