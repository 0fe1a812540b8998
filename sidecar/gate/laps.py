"""Where the time of a verdict went, for whoever measures. Knows nothing of what is timed."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Laps:
    """Seconds by name: facts (those that rules read), engine, examination (a part of engine: it is done while that thinks, as the
    other facts are put together), dry-run, record; `cluster` is the part of them in which an answer of the API server was still
    to come."""

    seconds: dict[str, float] = field(default_factory=dict)

    def of(self, name: str) -> "_Lap":
        return _Lap(self.seconds, name)

    def header(self) -> str:
        """As a Server-Timing header (W3C) has it, in milliseconds."""
        return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in self.seconds.items())


class _Lap:
    """As a context: its seconds are added to those of its name."""

    __slots__ = ("_began", "_name", "_seconds")

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds, self._name = seconds, name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._name] = self._seconds.get(self._name, 0.0) + time.perf_counter() - self._began
