"""Series as numbers over time: counters as rates, sums and ratios of many series, and the shift that lasts until now. numpy
only; pure. Times are unix seconds, aware UTC where a datetime is given out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

import numpy as np
import numpy.typing as npt

from agent.domain.objects import Series

Floats = npt.NDArray[np.float64]
MINIMUM = 8  # samples below which nothing is said
_LATEST = 4e9  # unix seconds (the year 2096): a time behind it is none
_BASE = 4  # samples that have to lie before an onset: without them nobody knows what was usual


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Values at times, in time order, both of one length."""

    times: Floats
    values: Floats

    @property
    def size(self) -> int:
        return int(self.values.size)

    def late(self, count: int = 3) -> float:
        """The median of the last samples; 0 when there are none."""
        return float(np.median(self.values[-count:])) if self.size else 0.0

    def after(self, moment: float) -> "Curve":
        kept = self.times >= moment
        return Curve(self.times[kept], self.values[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What was usual before the onset and what has been since, as medians; it lasts until the last sample."""

    onset: datetime
    before: float
    after: float
    score: float  # the difference in units of the earlier spread

    @property
    def times(self) -> float:
        return self.after / self.before if self.before > 0 else float("inf")


EMPTY = Curve(np.empty(0), np.empty(0))


def gauge(one: Series) -> Curve:
    """The samples as they are, in time order; of several of one moment the first. What is no number or no time is left out."""
    pairs = np.fromiter(chain.from_iterable(one.samples), np.float64, 2 * len(one.samples)).reshape(-1, 2)
    known = np.isfinite(pairs[:, 1]) & (pairs[:, 0] > 0) & (pairs[:, 0] < _LATEST)
    times, values = pairs[known, 0], pairs[known, 1]
    if times.size and not (times[1:] > times[:-1]).all():
        times, first = np.unique(times, return_index=True)
        values = values[first]
    return Curve(times, values)


def rate(one: Series) -> Curve:
    """Per second between two samples; a counter that falls began anew at zero."""
    found = gauge(one)
    if found.size < 2:
        return EMPTY
    steps, spans = np.diff(found.values), np.diff(found.times)
    steps = np.where(steps < 0, found.values[1:], steps)
    return Curve(found.times[1:], steps / np.where(spans > 0, spans, 1.0))


def total(curves: Sequence[Curve]) -> Curve:
    """The sum at every time at which one of them has a value; who has none then adds nothing."""
    curves = [one for one in curves if one.size]
    if len(curves) < 2:
        return curves[0] if curves else EMPTY
    times, places = np.unique(np.concatenate([one.times for one in curves]), return_inverse=True)
    values = np.zeros(times.size)
    np.add.at(values, places, np.concatenate([one.values for one in curves]))
    return Curve(times, values)


def ratio(part: Curve, whole: Curve) -> Curve:
    """part / whole where both have a value and the whole is not 0."""
    if not part.size or not whole.size:
        return EMPTY
    times, left, right = np.intersect1d(part.times, whole.times, assume_unique=True, return_indices=True)
    below = whole.values[right]
    known = below > 0
    return Curve(times[known], part.values[left][known] / below[known])


def shift(curve: Curve, *, up: bool = True) -> Shift | None:
    """The rise (or fall) that lasts until now, with its onset; None when there is none, or nothing before it to compare with."""
    values = curve.values if up else -curve.values
    size = curve.size
    if size < MINIMUM:
        return None
    early, late = float(np.median(values[: max(_BASE, size // 4)])), float(np.median(values[-max(3, size // 12) :]))
    if late <= early:
        return None
    onset = _run_start(values > (early + late) / 2)
    spread = 1.4826 * float(np.median(np.abs(values[: max(_BASE, onset)] - early)))
    floor = max(abs(early) * 0.02, (late - early) * 0.01, 1e-9)
    while onset > 0 and values[onset - 1] > early + 3 * max(spread, floor):  # a ramp begins before its middle
        onset -= 1
    if onset < _BASE or onset >= size:
        return None
    before, after = float(np.median(curve.values[:onset])), float(np.median(curve.values[onset:]))
    score = abs(after - before) / max(spread, floor)
    return Shift(onset=datetime.fromtimestamp(curve.times[onset], UTC), before=before, after=after, score=round(score, 2))


def _run_start(high: npt.NDArray[np.bool_]) -> int:
    """Where the run of high values begins that reaches to the end; two low ones in a row end it."""
    low = np.flatnonzero(~high)
    start, size = 0, high.size
    for index in low[::-1]:
        if index == 0 or not high[index - 1] or index == size - 1:
            start = int(index) + 1
            break
    return start


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A straight rise: per second, how well a line fits (R squared), and in how many seconds `ceiling` is reached."""

    slope: float
    fit: float
    seconds: float


def growth(curve: Curve, ceiling: float) -> Growth | None:
    """Least squares over all samples; None for fewer than the minimum or where it does not rise."""
    if curve.size < MINIMUM or curve.times[-1] <= curve.times[0]:
        return None
    times = curve.times - curve.times[0]
    slope, start = np.polyfit(times, curve.values, 1)
    whole = float(np.sum((curve.values - curve.values.mean()) ** 2))
    if slope <= 0 or whole <= 0:
        return None
    left = float(np.sum((curve.values - (start + slope * times)) ** 2))
    return Growth(slope=float(slope), fit=1 - left / whole, seconds=max(0.0, (ceiling - curve.late()) / float(slope)))
