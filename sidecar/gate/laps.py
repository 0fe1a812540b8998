"""Where the time of a verdict went, for whoever measures. Knows nothing of what is timed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Laps:
    """Seconds by name: facts (those that rules read), engine, examination (a part of engine: it is done while that thinks, as the
    other facts are put together), dry-run, record; `cluster` is the part of them in which an answer of the API server was still
    to come."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def header(self) -> str:
        """As a Server-Timing header (W3C) has it, in milliseconds."""
        return ", ".join(f"{name};dur={seconds * 1000:.3f}" for name, seconds in self.seconds.items())
