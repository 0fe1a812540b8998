"""A file of people as it is on disk: read again when it changes, written in one step. Knows no entry's fields.

Tokens are never in it, only their hashes: each is 32 random bytes, so that one round of SHA-256 tells nobody anything.
"""

import hashlib
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Roll(Generic[Entry]):
    """`parse`: from the file's text to its entries; raises ValueError."""

    def __init__(self, path: Path, parse: Callable[[str], tuple[Entry, ...]]) -> None:
        self.path = path
        self._parse = parse
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._entries: tuple[Entry, ...] = ()

    def entries(self) -> tuple[Entry, ...]:
        """As of now; nobody where the file is missing or cannot be read any more."""
        with self._lock:
            try:
                stat = self.path.stat()
                seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                if seen != self._seen:
                    self._entries, self._seen = self.load(), seen
            except (OSError, ValueError):
                self._entries, self._seen = (), None
            return self._entries

    def load(self) -> tuple[Entry, ...]:
        """Straight from the file. Raises OSError, ValueError."""
        return self._parse(self.path.read_text("utf-8"))

    def text(self) -> str:
        """The file as it is, ready for another entry; "" where there is none. Raises OSError."""
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return ""
        return text if text.endswith("\n\n") or not text else text.rstrip("\n") + "\n\n"

    def write(self, text: str) -> None:
        """The whole file anew, for its owner only: a reader sees the old or the new one. Raises OSError."""
        partial = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.touch(mode=0o600)
            partial.write_text(text, "utf-8")
            partial.replace(self.path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


def hash_of(token: str) -> str:
    """As a people file holds it: 64 hex digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def quoted(text: str) -> str:
    """A TOML string of printable characters."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
