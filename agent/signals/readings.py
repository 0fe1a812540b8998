"""Single numbers out of series: the last value, how much a counter grew lately, a quantile of a histogram. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from agent.domain.objects import Series

LATELY = 600.0  # seconds before the last sample that "lately" means


def named(series: Iterable[Series], name: str, labels: Mapping[str, str] | None = None) -> list[Series]:
    """Series of that metric that carry the labels, in a stable order."""
    wanted = (labels or {}).items()
    found = [one for one in series if one.name == name and all(one.labels.get(key) == value for key, value in wanted)]
    return sorted(found, key=lambda one: sorted(one.labels.items()))


def last(one: Series) -> float | None:
    """The newest value that is a number."""
    return next((value for _, value in reversed(one.samples) if math.isfinite(value)), None)


def growth(one: Series, *, seconds: float = LATELY, ending: float = 0.0) -> float:
    """By how much a counter grew in its last `seconds`, or in as many that ended `ending` seconds before its last sample; a
    counter that fell began anew (Prometheus: increase)."""
    if not one.samples:
        return 0.0
    end = one.samples[-1][0] - ending
    values = [value for when, value in one.samples if end - seconds <= when <= end and math.isfinite(value)]
    return sum(late - early if late >= early else late for early, late in pairwise(values))


def quantile(buckets: Sequence[Series], q: float, *, seconds: float = LATELY) -> float | None:
    """The q-quantile of what a histogram counted lately, from its `_bucket` series (label `le`, in the metric's unit); None when
    it counted nothing. Linear within a bucket, as Prometheus does."""
    counts: dict[float, float] = {}
    for one in buckets:
        bound = float("inf") if one.labels.get("le") in ("+Inf", "Inf") else _number(one.labels.get("le", ""))
        if bound is not None:
            counts[bound] = counts.get(bound, 0.0) + growth(one, seconds=seconds)
    total = counts.get(float("inf"), max(counts.values(), default=0.0))
    if total <= 0:
        return None
    below, before = 0.0, 0.0
    for bound in sorted(counts):
        if counts[bound] >= q * total:
            if math.isinf(bound):
                return below
            share = (q * total - before) / max(counts[bound] - before, 1e-9)
            return below + (bound - below) * share
        below, before = bound, counts[bound]
    return below


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
