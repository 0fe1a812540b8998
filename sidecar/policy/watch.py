"""Looks whether the bundle has changed, admits the new one in the background, and only then puts it in the old one's place.

What is refused changes nothing: the last good one stays. Files that are still being written are left alone until two looks
in a row find them the same; whoever asks at once (SIGHUP) says that they are whole. Knows no database: what happens is
told to a `Recorder` first, and when that cannot be written, nothing happens.
"""

import threading
import time
from datetime import datetime
from typing import Protocol

import structlog

from sidecar.errors import BundleRefused, JournalUnavailable
from sidecar.policy.admission import LetThrough
from sidecar.policy.current import NONE, Admitted, CurrentPolicy
from sidecar.policy.source import PolicySource

log = structlog.get_logger("sidecar.policy")
PAUSE_SECONDS = 1.0
AGAIN_SECONDS = 5.0  # until a bundle that could not be given to the OPA server is tried again


class Recorder(Protocol):
    """The record of what became of a bundle. Both raise JournalUnavailable; they give the time that was recorded."""

    def loaded(self, admitted: Admitted) -> datetime:
        """Raises BundleRefused as well: for a bundle that is older than one that was loaded before."""
        ...

    def refused(self, why: str) -> datetime: ...


class PolicyWatch:
    def __init__(self, source: PolicySource, current: CurrentPolicy, recorder: Recorder) -> None:
        self._source = source
        self._current = current
        self._recorder = recorder
        self._seen = ""  # by the last look
        self._settled = ""  # what was admitted, or refused for good
        self._on_record = ("", "")  # the last refusal, and of what
        self._again_at = 0.0
        self._wake = threading.Event()

    def start(self) -> None:
        """The first bundle, before anything is judged. One that is refused leaves none: every verdict is a denial until
        a better one lies there. Raises JournalUnavailable."""
        self._seen = self._source.fingerprint()
        self._take(self._seen)

    def wake(self) -> None:
        """Look at once, and do not wait for a second look. Safe in a signal handler."""
        self._wake.set()

    def run(self, ended: threading.Event) -> None:
        """Until `ended`, which is looked at once a pause."""
        while not ended.is_set():
            asked = self._wake.wait(PAUSE_SECONDS)
            self._wake.clear()
            if ended.is_set():
                return
            try:
                self.look(at_once=asked)
            except JournalUnavailable as exc:
                log.error("the policy is not replaced: it could not be recorded", reason=str(exc))
            except Exception as exc:  # noqa: BLE001  a thread that dies would leave an old policy for ever, and say nothing
                log.error("the look at the policy failed, it goes on", error=type(exc).__name__)

    def look(self, *, at_once: bool = False) -> None:
        """Raises JournalUnavailable: then the next look tries again."""
        found = self._source.fingerprint()
        if found == self._settled and not at_once:
            return
        if found != self._seen and not at_once:
            self._seen = found
            return
        self._seen = found
        if at_once or time.monotonic() >= self._again_at:
            self._take(found)

    def _take(self, found: str) -> None:
        try:
            # With no good one to fall back on there is nothing to wait for: until the engine can answer, it says no.
            admitted = self._source.admitted(wait=self._current.revision != NONE)
            if self._source.fingerprint() != found and self._current.revision != NONE:
                return  # it changed while it was looked at: the next look decides
            if admitted.revision == self._current.revision:
                self._settle(found)
                self._current.unchanged()
                return
            if admitted.unreached and self._current.revision != NONE:
                self._again_at = time.monotonic() + AGAIN_SECONDS
                self._refuse(f"{admitted.unreached}; it is tried again", found)
                return
            at = self._recorder.loaded(admitted)
        except BundleRefused as exc:
            self._refuse(str(exc), found)
            if isinstance(exc, LetThrough):
                log.error("this input got through", input=exc.document)
            self._settle(found)
            return
        self._current.put(admitted, at=at)
        self._settle(found)
        log.info("policy loaded", revision=admitted.revision, engine=admitted.engine, unreached=admitted.unreached)

    def _refuse(self, why: str, found: str) -> None:
        if (found, why) != self._on_record:
            self._current.refused(why, at=self._recorder.refused(why))
            self._on_record = (found, why)
            log.error("policy refused", reason=why, current=self._current.revision)

    def _settle(self, found: str) -> None:
        self._settled = found
        self._again_at = 0.0
