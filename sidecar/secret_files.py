"""Secrets and certificates in files: checked before anything listens, and read again when they are replaced.

Kubernetes replaces a mounted Secret while the process runs. Knows nothing of what they are for.
"""

import os
import secrets
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from sidecar.errors import SettingsError

log = structlog.get_logger("sidecar.secrets")
Secret = Callable[[], str]  # what it is now


class SecretFile:
    """The secret that a file holds now. One that is gone or no secret changes nothing: the last good one stays. Half of one
    looks like one, where somebody writes into the file in place of replacing it: it is taken until the rest is there."""

    def __init__(self, path: Path, *, what: str, least: int = 16, plain: bool = False) -> None:
        """`plain`: it goes into a header as it is. Raises SettingsError as `secret_from`: to begin with there has to be one."""
        self._path, self._what, self._least, self._plain = path, what, least, plain
        self._lock = threading.Lock()
        self._state = self._looked()
        self._text = self._read()

    def __call__(self) -> str:
        """Never raises."""
        state = self._looked()
        if state == self._state:
            return self._text
        with self._lock:
            if state != self._state:
                try:
                    self._text = self._read()
                    log.info("a secret was replaced", what=self._what, file=str(self._path))
                except SettingsError as exc:
                    log.warning("the last good secret stays", reason=str(exc))
                self._state = state
            return self._text

    def __repr__(self) -> str:
        return f"SecretFile({str(self._path)!r})"

    def _read(self) -> str:
        text = secret_from(self._path, self._path, what=self._what, least=self._least)
        if self._plain and not text.isascii():
            raise SettingsError(f"{self._what}: {self._path} is not one line of plain characters")
        return text

    def _looked(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()  # through the links by which Kubernetes replaces it
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Before anything listens: a listener without its certificate would end the process. Raises SettingsError."""
    if certificate is not None and key is not None:
        certificate_from(certificate, key)


def certificate_from(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server shows who it is by. Raises SettingsError."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for file in (certificate, key):
        if not os.access(file, os.R_OK) or not file.is_file():
            raise SettingsError(f"TLS file {file} cannot be read")
    try:
        # A key that wants a pass phrase is refused: there is nobody to ask.
        found.load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as exc:
        reason = getattr(exc, "reason", None) or "not usable"
        raise SettingsError(
            f"TLS files {certificate} and {key} are no certificate (PEM) with its key, unencrypted: {reason}"
        ) from None
    return found


def secret_from(path: Path | None, default: Path, *, what: str, least: int = 16) -> str:
    """The one line of a secret's file. The default file is made when it is missing; one that was named must be there.

    Raises SettingsError, which names the file and never its content.
    """
    chosen = path or default
    try:
        if path is None and not chosen.exists():
            chosen.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(chosen, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
        text = chosen.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "is not text"
        raise SettingsError(f"{what}: {chosen}: {reason}; make it with: openssl rand -hex 32 > {chosen}") from None
    if len(text) < least or not text.isprintable() or " " in text:
        raise SettingsError(f"{what}: {chosen} must hold one line of at least {least} printable characters")
    return text
