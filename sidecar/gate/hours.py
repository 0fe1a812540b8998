"""The time that deadlines go by: it never goes back, never stands still, and says when it cannot be trusted.

The wall clock may be set, forward or back. A clock that nobody sets tells how much time passed; the record tells how late it
was already. The latest of the three is taken, so that no deadline is ever lengthened; and where the wall clock is off by more
than BOUND nothing new is approved, lent or carried out until it is right again, or the sidecar is started anew.
"""

import threading
from datetime import UTC, datetime, timedelta

from sidecar.ports import Clock

BOUND = timedelta(seconds=60)


class Hours:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began = (clock.now(), clock.elapsed())
        self._latest = self._began

    def now(self) -> datetime:
        with self._lock:
            latest, at = self._latest
            elapsed = self._clock.elapsed()
            now = max(self._clock.now(), latest + timedelta(seconds=max(0.0, elapsed - at)))
            self._latest = (now, elapsed)
            return now

    def not_before(self, at: datetime) -> None:
        """It was as late as this already: the record says so."""
        self.now()
        with self._lock:
            now, elapsed = self._latest
            self._latest = (max(now, at.astimezone(UTC)), elapsed)

    def wrong(self) -> str:
        """Why the time cannot be trusted, "" while it can."""
        now, wall = self.now(), self._clock.now()
        began, at = self._began
        expected = began + timedelta(seconds=self._clock.elapsed() - at)
        if now - wall > BOUND:
            return f"the clock says {wall:%H:%M:%S}, and it was {now:%Y-%m-%d %H:%M:%S} UTC already: it was set back"
        if wall - expected > BOUND:
            return f"the clock says {wall:%Y-%m-%d %H:%M:%S}, and {expected:%H:%M:%S} UTC would be due: it was set forward"
        return ""
