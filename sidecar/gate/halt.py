"""A stop that could not be put on record: it holds in this process, and in the next one, until it can be. Knows no use case."""

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from sidecar.approvals import Person

log = structlog.get_logger("sidecar.leases")
NAME = "stop-to-be-recorded.json"
_UNREAD = "somebody: the note of the stop cannot be read"


@dataclass(slots=True)
class Halt:
    """`note`: the file that a restart finds it by; None keeps it in memory only. `by`: who stopped everything, None when
    nobody did, or when it is on record. Safe to be used from several threads."""

    note: Path | None = None
    by: Person | None = None
    reason: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)  # whoever asks for anything tries to record it

    @classmethod
    def found(cls, note: Path) -> "Halt":
        """As an earlier process left it. A note that cannot be read is a stop all the same."""
        try:
            document = json.loads(note.read_text("utf-8"))
            by, reason = str(document["by"]), str(document["reason"])
        except FileNotFoundError:
            return cls(note=note)
        except (OSError, ValueError, TypeError, KeyError):
            by, reason = _UNREAD, ""
        log.error("a stop that was never recorded holds on", by=by)
        return cls(note=note, by=Person(name=by, roles=frozenset()), reason=reason)

    def hold(self, person: Person, reason: str) -> str:
        """From now on nothing is lent or performed. Why a restart would forget it, "" when it would not."""
        with self._lock:
            self.by, self.reason = person, reason
            if self.note is None:
                return "a restart would forget it"
            try:
                _kept(self.note, json.dumps({"by": person.name, "reason": reason}))
            except OSError as exc:
                return f"a restart would forget it ({self.note}: {exc.strerror})"
            return ""

    def on_record(self) -> None:
        """The record says it now; the note has done its work."""
        with self._lock:
            self.by, self.reason = None, ""
            if self.note is None:
                return
            try:
                self.note.unlink(missing_ok=True)
            except OSError as exc:  # the next process stops once more: two people lift that
                log.error("the note of a stop cannot be removed", file=str(self.note), reason=exc.strerror)


def _kept(note: Path, text: str) -> None:
    """On disk when this returns, and never half of it. Raises OSError."""
    partial = note.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(note)
    folder = os.open(note.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
