"""What containers have written: lines that follow from when a program ran and what it says. Lines are made when they are
read, the same each time, so that an hour of logs costs nothing until someone looks."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lab.world.faults import Program

FIELD = re.compile(r"\{([a-z_]+)\}")
STARTUP_GAP = timedelta(milliseconds=150)


@dataclass(slots=True)
class Segment:
    """One program's time in one container. `fields` fill the templates."""

    program: Program
    start: datetime
    fields: dict[str, str]
    end: datetime | None = None

    def lines(self, until: datetime) -> Iterator[tuple[datetime, str]]:
        end = min(self.end or until, until)
        at = self.start
        for template in self.program.logs:
            if at > end:
                return
            yield at, self._fill(template, at)
            at += STARTUP_GAP
        every = timedelta(seconds=max(self.program.every, 0.5))
        at = max(at, self.start + STARTUP_GAP * 2)
        while self.program.repeat and at <= end:
            turn = at
            for template in self.program.repeat:
                if turn <= end:
                    yield turn, self._fill(template, turn)
                turn += STARTUP_GAP
            at += every

    def _fill(self, template: str, at: datetime) -> str:
        seed = zlib.crc32(f"{self.fields.get('pod')}{at.isoformat()}".encode())
        own = {
            "now": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
            "n": str(1000 + seed % 90000),
            "ms": str(1 + seed % 40),
            "id": f"{seed:08x}",
        }
        return FIELD.sub(lambda m: own.get(m[1]) or self.fields.get(m[1], m[0]), template)


@dataclass(slots=True)
class RunLog:
    """One run of a container, from start to exit."""

    segments: list[Segment] = field(default_factory=list)

    def turn(self, program: Program, at: datetime, fields: dict[str, str]) -> None:
        """From `at` on another program speaks; once-only lines are said again."""
        self.close(at)
        self.segments.append(Segment(program, at, fields))

    def close(self, at: datetime) -> None:
        if self.segments and self.segments[-1].end is None:
            self.segments[-1].end = at

    def lines(self, until: datetime) -> Iterator[tuple[datetime, str]]:
        for segment in self.segments:
            yield from segment.lines(until)

    @property
    def start(self) -> datetime:
        return self.segments[0].start

    @property
    def end(self) -> datetime | None:
        return self.segments[-1].end


@dataclass(frozen=True, slots=True)
class Stream:
    """Identity of a container's log, with the labels Loki shows."""

    namespace: str
    pod: str
    container: str
    uid: str
    node: str
    app: str


@dataclass
class LogBook:
    """All runs of all containers, also of pods that are gone, for `keep`."""

    keep: timedelta = timedelta(hours=2)
    _runs: dict[Stream, list[RunLog]] = field(default_factory=dict)

    def open(self, stream: Stream) -> RunLog:
        run = RunLog()
        self._runs.setdefault(stream, []).append(run)
        return run

    def streams(self) -> list[Stream]:
        return list(self._runs)

    def of(self, stream: Stream) -> list[RunLog]:
        return [r for r in self._runs.get(stream, []) if r.segments]

    def between(self, stream: Stream, start: datetime, end: datetime) -> Iterator[tuple[datetime, str]]:
        for run in self.of(stream):
            if run.start > end or (run.end is not None and run.end < start):
                continue
            for at, line in run.lines(end):
                if at >= start:
                    yield at, line

    def prune(self, now: datetime) -> None:
        for stream, runs in list(self._runs.items()):
            # the last two runs stay: they are what `logs` and `logs --previous` show
            kept = [r for r in runs[:-2] if r.end is None or r.end >= now - self.keep] + runs[-2:]
            self._runs[stream] = kept
