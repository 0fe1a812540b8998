"""Metrics: which series behave unlike themselves before, and since when. numpy only; "nothing anomalous" is an answer.

Robust: the baseline is the median and the median absolute deviation of the earlier part, so that one spike in it does not
hide what follows. A rank is a hint, never a verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from agent.domain.objects import Series
from agent.signals.curves import MINIMUM, Curve, Floats, gauge, rate, shift

_COUNTER_ENDS = ("_total", "_count", "_sum", "_bucket")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """`score` is the robust z of the late part against the early one (about 3 and more is unusual); `onset` is when the
    best split lies; before and after are medians, of the rate per second for counters."""

    labels: Mapping[str, str]
    score: float
    onset: datetime
    before: float
    after: float

    @property
    def rises(self) -> bool:
        return self.after > self.before


def anomalies(series: Sequence[Series], *, top: int = 20, threshold: float = 6.0) -> list[Anomaly]:
    """The most unusual series, best first; [] when nothing is. Coarse splits for all of them, the onset for the best."""
    signals = [(one, *_signal(one)) for one in series]
    by_size: dict[int, list[int]] = {}
    for index, (_, values, _) in enumerate(signals):
        if values.size >= MINIMUM:
            by_size.setdefault(values.size, []).append(index)
    scored: list[tuple[float, int]] = []
    for size, indexes in by_size.items():
        rows = np.vstack([signals[index][1] for index in indexes])
        scores = np.max([_split_scores(rows, split) for split in _coarse(size)], axis=0)
        scored += [(float(score), index) for score, index in zip(scores, indexes, strict=True) if score >= threshold]
    scored.sort(key=lambda one: (-one[0], sorted(signals[one[1]][0].labels.items())))
    return [_anomaly(*signals[index]) for _, index in scored[:top]]


def _anomaly(one: Series, values: Floats, times: Floats) -> Anomaly:
    size = values.size
    splits = list(range(max(size // 6, 3), size - 2, max(1, size // 60)))
    scores = [float(_split_scores(values.reshape(1, -1), split)[0]) for split in splits]
    best = int(np.argmax(scores))
    split = splits[best]
    before, after = float(np.median(values[:split])), float(np.median(values[split:]))
    lasting = shift(Curve(times, values), up=after > before)  # where it lasts, its begin is known more exactly
    if lasting is not None:
        return Anomaly(
            labels=one.labels, score=round(scores[best], 2), onset=lasting.onset, before=lasting.before, after=lasting.after
        )
    onset = datetime.fromtimestamp(times[split], UTC)
    return Anomaly(labels=one.labels, score=round(scores[best], 2), onset=onset, before=before, after=after)


def _signal(one: Series) -> tuple[Floats, Floats]:
    """Values and times; counters as rates, with resets counted from zero."""
    curve = rate(one) if one.name.endswith(_COUNTER_ENDS) and len(one.samples) > 1 else gauge(one)
    return curve.values, curve.times


def _coarse(size: int) -> list[int]:
    return sorted({max(3, int(size * share)) for share in (0.3, 0.5, 0.7, 0.85)})


def _split_scores(rows: Floats, split: int) -> Floats:
    """For each row: how far the later median lies from the earlier one, in units of the earlier part's spread."""
    early, late = rows[:, :split], rows[:, split:]
    middle = np.median(early, axis=1)
    spread = 1.4826 * np.median(np.abs(early - middle[:, None]), axis=1)
    floor = np.maximum(np.abs(middle) * 0.02, 1e-9)  # a constant series has no spread of its own
    scores: Floats = np.abs(np.median(late, axis=1) - middle) / np.maximum(spread, floor)
    return scores


def last_value(series: Sequence[Series], name: str, **labels: str) -> float | None:
    """The newest sample of the first series of that name that bears the labels; None when there is none."""
    for one in series:
        if one.name == name and all(one.labels.get(key) == value for key, value in labels.items()) and one.samples:
            return one.samples[-1][1]
    return None
