"""Watches and logs that are followed: how many at once, whose they are, and how they are ended from outside."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_STREAMS = 24  # at once: each keeps a thread
MOST_OF_A_RUN = 12


@dataclass(slots=True, eq=False)
class Place:
    """Of one stream. `ended`: whoever hands it on stops at the next piece; `cut` makes that at once."""

    run: str
    ended: bool = False
    _cut: Callable[[], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def opened(self, cut: Callable[[], None]) -> None:
        with self._lock:
            self._cut = cut
        if self.ended:
            cut()

    def end(self) -> None:
        """From any thread, any number of times."""
        self.ended = True
        with self._lock:
            cut = self._cut
        if cut is not None:
            cut()


class Streams:
    def __init__(self, most: int = MOST_STREAMS, most_of_a_run: int = MOST_OF_A_RUN) -> None:
        self._most, self._most_of_a_run = most, most_of_a_run
        self._lock = threading.Lock()
        self._places: set[Place] = set()

    def take(self, run: str) -> Place | str:
        """A place, or why there is none."""
        with self._lock:
            if len(self._places) >= self._most:
                return f"{self._most} watches are open already: end one, or list instead"
            if run and sum(1 for place in self._places if place.run == run) >= self._most_of_a_run:
                return f"this run has {self._most_of_a_run} watches open already: end one, or list instead"
            place = Place(run)
            self._places.add(place)
            return place

    def leave(self, place: Place) -> None:
        with self._lock:
            self._places.discard(place)

    def end_of(self, run: str) -> int:
        """End those of a run, and those that named none: nobody escapes by saying nothing. How many there were."""
        return self._end(lambda place: place.run in ("", run))

    def end_all(self) -> int:
        return self._end(lambda _: True)

    def __len__(self) -> int:
        return len(self._places)

    def _end(self, wanted: Callable[[Place], bool]) -> int:
        with self._lock:
            chosen = [place for place in self._places if wanted(place)]
        for place in chosen:
            place.end()
        return len(chosen)
