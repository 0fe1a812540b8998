"""Who may send alerts: Alertmanager with its bearer token or its user and password. Compared in constant time; never logged."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException

from agent.errors import InputError
from agent.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Callers:
    """`token` and `basic` ("user:password") are what is wanted; both empty: whoever can connect may send."""

    token: bytes = b""
    basic: bytes = b""

    @classmethod
    def of(cls, settings: Settings) -> "Callers":
        """Raises InputError, which names the file and never its content."""
        token = _secret(settings.webhook_token_file, "webhook token file")
        if bool(settings.webhook_user) != bool(settings.webhook_password_file):
            raise InputError("LESTRADE_WEBHOOK_USER and LESTRADE_WEBHOOK_PASSWORD_FILE: one without the other lets nobody in")
        password = _secret(settings.webhook_password_file, "webhook password file")
        basic = settings.webhook_user.encode() + b":" + password if settings.webhook_user else b""
        return cls(token=token, basic=basic)

    def admit(self, authorization: str) -> None:
        """Raises 401 with what would do."""
        if not self.token and not self.basic:
            return
        scheme, _, sent = authorization.partition(" ")
        matches = False
        if self.token and scheme.lower() == "bearer":
            matches = hmac.compare_digest(sent.strip().encode(), self.token)
        elif self.basic and scheme.lower() == "basic":
            matches = hmac.compare_digest(_decoded(sent), self.basic)
        if not matches:
            wanted = [*(['Bearer realm="lestrade"'] if self.token else []), *(['Basic realm="lestrade"'] if self.basic else [])]
            raise HTTPException(401, "alerts are taken from Alertmanager only", {"WWW-Authenticate": ", ".join(wanted)})


def _decoded(sent: str) -> bytes:
    try:
        return base64.b64decode(sent.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _secret(path: Path | None, what: str) -> bytes:
    if path is None:
        return b""
    try:
        text = path.read_bytes().strip()
    except OSError as exc:
        raise InputError(f"{what} {path}: {exc.strerror or 'cannot be read'}") from None
    if not text:
        raise InputError(f"{what} {path}: is empty")
    return text
