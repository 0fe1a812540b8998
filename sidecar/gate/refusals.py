"""Refusals at the edge, on record: the first of a kind at once, the rest of its minute as one count. A flood fills no disk.

What a use case recorded itself is not recorded again. Knows no HTTP.
"""

import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from sidecar.contract import Json
from sidecar.errors import JournalUnavailable

log = structlog.get_logger("sidecar.refusals")

WINDOW_SECONDS = 60.0
MOST_A_WINDOW = 100  # records of their own; all beyond are counted under their kind
RECORDED: ContextVar[list[int] | None] = ContextVar("records written for this request", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`side`: agent or people. `actor`: who it was as far as the transport says, "unknown" before. `plan`, `lease`: from the
    address. `path` without its query; nothing of a body or a header."""

    side: str
    status: int
    code: str
    actor: str
    method: str
    path: str
    plan: str = ""
    lease: str = ""

    @property
    def kind(self) -> tuple[str, int, str]:
        return self.side, self.status, self.code


class Recorder(Protocol):
    def one(self, kind: str, *, actor: str, plan: str = "", lease: str = "", body: Mapping[str, Json]) -> None:
        """One record, durable. Raises JournalUnavailable."""
        ...


@dataclass(slots=True)
class _Window:
    since: float
    further: int = 0


@dataclass(slots=True)
class Refusals:
    recorder: Recorder
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _windows: dict[tuple[str, int, str], _Window] = field(default_factory=dict)
    _seen: set[tuple[str, ...]] = field(default_factory=set)
    _since: float = field(default_factory=time.monotonic)

    def note(self, refusal: Refusal) -> None:
        """Never raises: a refusal stands whether or not it can be recorded; what cannot be is counted in the next."""
        self.flush()
        with self._lock:
            window = self._windows.setdefault(refusal.kind, _Window(time.monotonic()))
            # Whoever has no credentials could name a thousand plans: their refusals are of one kind each.
            about = (*map(str, refusal.kind), *((refusal.plan, refusal.lease) if refusal.status in (403, 409) else ()))
            if about in self._seen or len(self._seen) >= MOST_A_WINDOW:
                window.further += 1
                return
            self._seen.add(about)
        body: dict[str, Json] = {
            "side": refusal.side,
            "status": refusal.status,
            "code": refusal.code,
            "method": refusal.method,
            "path": refusal.path,
        }
        try:
            self.recorder.one("refused", actor=refusal.actor, plan=refusal.plan, lease=refusal.lease, body=body)
        except JournalUnavailable:
            with self._lock:
                window.further += 1

    def once(self, kind: str, *, actor: str, plan: str, lease: str, body: Mapping[str, Json]) -> None:
        """A no of a use case, to somebody who is known and may ask again and again: the same no about the same thing is on
        record once in a window, and counted beyond. Raises JournalUnavailable."""
        self.flush()
        about = (kind, plan, lease, *(str(body.get(name)) for name in ("step", "reason", "code")))
        with self._lock:
            window = self._windows.setdefault(("agent", 0, kind), _Window(time.monotonic()))
            if about in self._seen:  # a flood at the edge drowns none of these: a lease has so many steps and no more
                window.further += 1
                return
            self._seen.add(about)
        try:
            self.recorder.one(kind, actor=actor, plan=plan, lease=lease, body=body)
        except JournalUnavailable:
            with self._lock:
                self._seen.discard(about)
            raise

    def flush(self, *, now: bool = False) -> None:
        """Put on record what was counted in windows that are over (`now`: in all of them)."""
        due: list[tuple[tuple[str, int, str], int]] = []
        with self._lock:
            moment = time.monotonic()
            if moment - self._since >= WINDOW_SECONDS:
                self._since, self._seen = moment, set()
            for kind, window in [*self._windows.items()]:
                if now or moment - window.since >= WINDOW_SECONDS:
                    del self._windows[kind]
                    due += [(kind, window.further)] if window.further else []
        for (side, status, code), count in due:
            body: dict[str, Json] = {"side": side, "status": status, "code": code, "count": count, "seconds": int(WINDOW_SECONDS)}
            try:
                self.recorder.one("refused-more", actor="sidecar", body=body)
            except JournalUnavailable:
                log.warning("refusals not recorded", side=side, code=code, count=count)
                with self._lock:
                    self._windows.setdefault((side, status, code), _Window(time.monotonic())).further += count
