"""What one log tells of trouble as a whole: where it began, what floods it, whom it hits, when, and whether it goes on.

A flood hides its cause: the line that says why stands before it, or once in the midst of it. Pure text work.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median, pstdev

from agent.signals.contrast import Only, only_for
from agent.signals.logs import Line, is_error, is_retry, time_of
from agent.signals.searching import LogIndex
from agent.signals.templates import Mined, Template, mine

STILL = timedelta(minutes=5)  # trouble that was last told of longer ago is over
_GAP = timedelta(minutes=2)  # silence after which trouble that comes back is told apart
_MOST_TIMES = 3000  # failing lines whose time is read; of more an even sample
_MOST_COMPARED = 800  # failing lines that are compared with others
_FLOOD = 10  # lines of one template from which it is a flood
_SERVER_ERROR = re.compile(
    r"(?:status(?:_?code)?|code|response_code)\"?[=: ]+\"?5\d\d\b|HTTP/\d(?:\.\d)?\"? 5\d\d\b|\" 5\d\d \d", re.I
)
_NUMBER_DECIDES = re.compile(
    r"(?:status(?:_?code)?|code|level|lvl|severity)\"?[=: ]+\"?<n>|HTTP/<n>\"? <n>|\" <n> <n>|^[EFIW]<n> <n>", re.I
)
_WARNING = re.compile(r"\bWARN(?:ING)?\b|\[warn(?:ing)?\]|(?:level|lvl|severity)\"?[=:] ?\"?(?i:warn|40\b)|^W\d{4} \d\d:")
_FATAL = re.compile(r"\b(?:FATAL|PANIC|CRITICAL|SEVERE|EMERG)\b|\"?level\"?[=:] ?\"?(?i:fatal|panic|crit)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A stretch of failing lines without a long silence. `begin` and `end` are None in logs without times."""

    begin: datetime | None
    end: datetime | None
    first: int  # indexes of lines
    last: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`origin` is the first line of the latest trouble, `needles` are lines of it that stand once or twice and say something
    else than the flood; `before` is what the program did for the only time right before it; `share` is the part of all lines
    that fail while it lasts."""

    lines: int
    failing: int
    episodes: tuple[Episode, ...]
    origin: Line
    last: Line
    flood: Template | None
    needles: tuple[Line, ...]
    before: Line | None
    only: tuple[Only, ...]
    share: float
    from_the_start: bool  # the log has no quiet stretch before the trouble
    every: timedelta | None = None  # the trouble comes back at an even distance

    def goes_on(self, now: datetime) -> bool:
        """Whether the last failing line is recent. A line without a time counts as recent."""
        return self.last.at is None or now - self.last.at <= STILL

    @property
    def count(self) -> int:
        return self.episodes[-1].count

    @property
    def since(self) -> datetime | None:
        return self.episodes[-1].begin


def account_of(log: str | LogIndex) -> Account | None:
    """None when no line of the log speaks of an error."""
    index = LogIndex(log) if isinstance(log, str) else log
    whole = index.lines
    failing = _failing(index)
    if not failing:
        return None
    episodes = tuple(_episodes(whole, failing))
    latest = episodes[-1]
    inside = [number for number in failing if latest.first <= number <= latest.last]
    begins = _with_a_time(whole, inside)
    mined = mine([whole[number] for number in failing])
    flood = _flood(mined, len(failing) - len(inside))
    origin = _origin(failing, inside, begins, mined)
    well = sorted(set(_even(range(len(whole)), 2 * _MOST_COMPARED)) - set(failing))
    return Account(
        lines=len(whole),
        failing=len(failing),
        episodes=episodes,
        origin=_line(whole[origin]),
        last=_line(whole[failing[-1]]),
        flood=flood,
        needles=tuple(
            _line(whole[number]) for number in _needles(whole, failing, inside, mined) if number != origin and number in begins
        ),
        before=_just_before(index, origin),
        only=only_for([whole[number] for number in _even(inside, _MOST_COMPARED)], [whole[number] for number in well]),
        share=len(inside) / max(1, latest.last - latest.first + 1),
        from_the_start=latest.first <= max(3, len(whole) // 50),
        every=_evenly(episodes),
    )


def _failing(index: LogIndex) -> list[int]:
    """The numbers of the lines that fail: an error that is more than one try of several, or an answer of the 5xx class. Both
    are a matter of the shape, unless the number itself says it."""
    found: list[int] = []
    for shape, numbers in zip(index.shapes, index.by_shape, strict=True):
        if _NUMBER_DECIDES.search(shape[:1000]):
            found += [number for number in numbers if is_failing(index.lines[number])]
        elif is_failing(index.lines[numbers[0]]):
            found += numbers
    return sorted(found)


def is_failing(line: str) -> bool:
    """An error that is more than one try of several and more than a warning, or an answer of the 5xx class."""
    if is_error(line):
        return not is_retry(line) and _WARNING.search(line[:200]) is None
    return _SERVER_ERROR.search(line[:1000]) is not None


def _line(text: str) -> Line:
    return Line(text, time_of(text))


def _even(numbers: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly spread, the first and the last among them."""
    if len(numbers) <= most:
        return list(numbers)
    step = (len(numbers) - 1) / (most - 1)
    return [numbers[round(index * step)] for index in range(most)]


def _episodes(whole: Sequence[str], failing: Sequence[int]) -> list[Episode]:
    sample = _even(failing, _MOST_TIMES)
    timed = [(number, when) for number in sample if (when := time_of(whole[number])) is not None]
    if len(timed) < 2 or len(timed) < len(sample) // 2:
        only = timed[0][1] if timed else None
        return [Episode(begin=only, end=only, first=failing[0], last=failing[-1], count=len(failing))]
    gaps = [late - early for (_, early), (_, late) in pairwise(timed)]
    silence = max(_GAP, timedelta(seconds=10 * median(gap.total_seconds() for gap in gaps)))
    cuts = [0, *(index + 1 for index, gap in enumerate(gaps) if gap > silence), len(timed)]
    found = []
    for start, end in pairwise(cuts):
        first = failing[0] if start == 0 else timed[start][0]
        last = failing[-1] if end == len(timed) else timed[end - 1][0]
        count = sum(1 for number in failing if first <= number <= last) if len(cuts) < 50 else end - start
        found.append(Episode(begin=timed[start][1], end=timed[end - 1][1], first=first, last=last, count=count))
    return found


def _evenly(episodes: Sequence[Episode]) -> timedelta | None:
    """The distance of trouble that comes back like clockwork; None for fewer than four times or uneven ones."""
    begins = [one.begin for one in episodes if one.begin is not None]
    gaps = [(late - early).total_seconds() for early, late in pairwise(begins)]
    if len(gaps) < 3 or pstdev(gaps) > 0.15 * (sum(gaps) / len(gaps)):
        return None
    return timedelta(seconds=round(median(gaps)))


def _flood(mined: Mined, earlier: int) -> Template | None:
    """The most frequent of the templates of the latest trouble."""
    known = set(mined.of[earlier:])
    best = max((mined.templates[number] for number in known), key=lambda one: (one.count, -one.first), default=None)
    return best if best is not None and best.count >= _FLOOD else None


def _with_a_time(whole: Sequence[str], failing: Sequence[int]) -> set[int]:
    """Of a log whose lines bear times those lines that do: one without continues another (a stack trace), and begins nothing."""
    sample = [number for number in _even(range(len(whole)), 200) if whole[number].strip()]
    timed = sum(time_of(whole[number]) is not None for number in sample)
    if timed < 0.7 * len(sample):
        return set(failing)
    return {number for number in failing if time_of(whole[number]) is not None} or set(failing)


def _origin(failing: Sequence[int], inside: Sequence[int], begins: set[int], mined: Mined) -> int:
    """The first line of the latest trouble that was not told of before it; the very first when all were."""
    earlier = len(failing) - len(inside)
    known = set(mined.of[:earlier])
    told = [(number, kind) for number, kind in zip(inside, mined.of[earlier:], strict=True) if number in begins]
    return next((number for number, kind in told if kind not in known), told[0][0] if told else inside[0])


def _needles(whole: Sequence[str], failing: Sequence[int], inside: Sequence[int], mined: Mined) -> list[int]:
    """Lines of the latest trouble whose template stands at most twice in a log with many others, gravest first, at most 3."""
    earlier = len(failing) - len(inside)
    rare = [number for number, kind in zip(inside, mined.of[earlier:], strict=True) if mined.templates[kind].count <= 2]
    if len(rare) > max(3, len(inside) // 10):
        return []  # where every line is another, none stands out
    return sorted(rare, key=lambda number: (_FATAL.search(whole[number][:200]) is None, number))[:3]


def _just_before(index: LogIndex, origin: int) -> Line | None:
    """The last line shortly before the trouble that the program wrote for the only time: a reload, a switch, a new peer."""
    if len(index.lines) < 200 or origin < 20:
        return None
    for number in range(origin - 1, max(0, origin - 30) - 1, -1):
        line = index.lines[number]
        if len(index.by_shape[index.of[number]]) == 1 and line.strip() and not is_error(line):
            return _line(line)
    return None
