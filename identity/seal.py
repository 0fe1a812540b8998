"""Signed cookies: who is logged in, and how far a log-in is. Nothing is kept on our side; what is signed runs out by itself.

HMAC-SHA-256 over program, purpose and content; a cookie of one purpose is none of another, and one of the agent's pages is
none of the sidecar's, should both be given the same key. Signed, not secret: it holds no token.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

SHORTEST_KEY = 32  # bytes
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Seal:
    """`program`: whose cookies these are."""

    key: bytes = field(repr=False)
    program: str

    def close(self, purpose: str, content: Mapping[str, str], *, until: datetime) -> str:
        document = {**content, "until": until.timestamp(), "once": secrets.token_urlsafe(8)}
        body = base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
        return f"{body}.{self.mac(purpose, body)}"

    def open(self, purpose: str, text: str, *, now: datetime) -> dict[str, object] | None:
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
        return hmac.new(self.key, f"{self.program}\n{purpose}\n{body}".encode(), hashlib.sha256).hexdigest()
