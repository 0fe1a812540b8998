"""One traced request: whether it failed or took long, and at which of its spans. Pure; knows no cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.domain.testimony import Journey, Span

SLOW = timedelta(seconds=1)  # a request that took longer is one to look into
MOST_OF_IT = 0.5  # of its parent's time: then the time went there
DEEPEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Where a request went wrong. `path`: from the span that came in to the one that failed, or that took the time, itself
    included. `own`: what the last one took without those that it called."""

    journey: Journey
    path: tuple[Span, ...]
    failed: bool
    own: timedelta

    @property
    def first(self) -> Span:
        return self.path[0]

    @property
    def last(self) -> Span:
        return self.path[-1]

    @property
    def words(self) -> str:
        """One line: when, what, how it ended, and the way through the services."""
        first, last = self.first, self.last
        ended = "failed" if self.failed else "took that long"
        way = " -> ".join(dict.fromkeys(span.service for span in self.path))
        to = f" to {last.peer}{f':{last.port}' if last.port else ''}" if last.is_call and last.peer else ""
        said = f": {last.said}" if last.said else ""
        return (
            f"{first.begin:%H:%M:%S}Z {first.name} of {first.service} {ended} ({spoken(first.took)}), {way}; in"
            f" {last.service}: {last.name}{to} {'failed' if last.failed else 'took'} ({spoken(self.own)} of its own){said}"
        )


def turn_of(journey: Journey) -> Turn | None:
    """None for a request that ended well and in time: that something inside failed and was tried again is nobody's loss."""
    children: dict[str, list[Span]] = {}
    known = {span.id for span in journey.spans}
    for span in sorted(journey.spans, key=_in_order):
        children.setdefault(span.parent if span.parent in known else "", []).append(span)
    roots = children.get("", [])
    if not roots:
        return None
    first = max(roots, key=lambda span: span.took)
    if not first.failed and first.took < SLOW:
        return None
    path = [first]
    while len(path) < DEEPEST:
        below = [span for span in children.get(path[-1].id, ()) if span not in path]
        bad = [span for span in below if span.failed]
        long = [span for span in below if path[-1].took >= SLOW and span.took >= MOST_OF_IT * path[-1].took]
        if path[-1].failed and bad:
            path.append(bad[-1])  # what it met last is what it ended with
        elif long:
            path.append(max(long, key=lambda span: span.took))
        else:
            break
    own = _own(path[-1], children.get(path[-1].id, ()))
    return Turn(journey=journey, path=tuple(path), failed=first.failed, own=own)


def _own(span: Span, below: Sequence[Span]) -> timedelta:
    """Its time less the time in which at least one of those that it called was at work."""
    end, covered, until = span.begin + span.took, timedelta(), span.begin
    for one in below:
        begin, over = max(one.begin, until), min(one.begin + one.took, end)
        if over > begin:
            covered += over - begin
            until = over
    return max(timedelta(), span.took - covered)


def _in_order(span: Span) -> tuple[datetime, str]:
    return (span.begin, span.id)


def spoken(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
