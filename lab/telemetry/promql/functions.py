"""Functions of the subset: what they take, and over which samples of one series they compute."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Samples: TypeAlias = Sequence[tuple[float, float]]
Window: TypeAlias = tuple[float, float]  # start (not included), end


@dataclass(frozen=True)
class Function:
    """`over` computes from the samples of a range vector; other functions are the evaluator's. "?" is optional."""

    arguments: tuple[str, ...]
    over: Callable[[Samples, Window], float | None] | None = None
    map: Callable[..., float] | None = None


def extrapolated(samples: Samples, window: Window, *, counter: bool, per_second: bool) -> float | None:
    """rate, increase and delta as Prometheus extrapolates them to the edges of the window (promql/functions.go)."""
    if len(samples) < 2:
        return None
    first, last = samples[0], samples[-1]
    result = last[1] - first[1]
    if counter:
        previous = first[1]
        for _, value in samples[1:]:
            if value < previous:
                result += previous
            previous = value
    to_start, to_end = first[0] - window[0], window[1] - last[0]
    sampled = last[0] - first[0]
    average = sampled / (len(samples) - 1)
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if counter and result > 0 and first[1] >= 0:
        to_start = min(to_start, sampled * (first[1] / result))
    if to_end >= threshold:
        to_end = average / 2
    result *= (sampled + to_start + to_end) / sampled
    return result / (window[1] - window[0]) if per_second else result


def instant(samples: Samples, window: Window, *, counter: bool, per_second: bool) -> float | None:
    if len(samples) < 2:
        return None
    (t0, v0), (t1, v1) = samples[-2], samples[-1]
    change = v1 if counter and v1 < v0 else v1 - v0
    return change / (t1 - t0) if per_second else change


def slope(samples: Samples, at: float) -> tuple[float, float] | None:
    """Least squares: (slope per second, value at `at`)."""
    if len(samples) < 2:
        return None
    xs = [t - at for t, _ in samples]
    ys = [v for _, v in samples]
    n = len(xs)
    mean_x, mean_y = sum(xs) / n, sum(ys) / n
    spread = sum((x - mean_x) ** 2 for x in xs)
    if spread == 0:
        return None
    factor = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    return factor, mean_y - factor * mean_x


def deviation(samples: Samples) -> float | None:
    if not samples:
        return None
    mean = sum(v for _, v in samples) / len(samples)
    return math.sqrt(sum((v - mean) ** 2 for _, v in samples) / len(samples))


def quantile(q: float, values: Sequence[float]) -> float:
    if not values:
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    ordered = sorted(values)
    rank = q * (len(ordered) - 1)
    low, high = math.floor(rank), math.ceil(rank)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def _changes(samples: Samples, window: Window) -> float | None:
    return float(sum(a[1] != b[1] for a, b in pairwise(samples))) if samples else None


def _resets(samples: Samples, window: Window) -> float | None:
    return float(sum(b[1] < a[1] for a, b in pairwise(samples))) if samples else None


def _deriv(samples: Samples, window: Window) -> float | None:
    found = slope(samples, samples[0][0]) if samples else None
    return found[0] if found else None


RANGE, VECTOR, SCALAR = ("range vector",), ("instant vector",), ("scalar",)
FUNCTIONS: dict[str, Function] = {
    "rate": Function(RANGE, lambda s, w: extrapolated(s, w, counter=True, per_second=True)),
    "increase": Function(RANGE, lambda s, w: extrapolated(s, w, counter=True, per_second=False)),
    "delta": Function(RANGE, lambda s, w: extrapolated(s, w, counter=False, per_second=False)),
    "irate": Function(RANGE, lambda s, w: instant(s, w, counter=True, per_second=True)),
    "idelta": Function(RANGE, lambda s, w: instant(s, w, counter=False, per_second=False)),
    "deriv": Function(RANGE, _deriv),
    "changes": Function(RANGE, _changes),
    "resets": Function(RANGE, _resets),
    "avg_over_time": Function(RANGE, lambda s, w: sum(v for _, v in s) / len(s) if s else None),
    "sum_over_time": Function(RANGE, lambda s, w: sum(v for _, v in s) if s else None),
    "min_over_time": Function(RANGE, lambda s, w: min((v for _, v in s), default=None)),
    "max_over_time": Function(RANGE, lambda s, w: max((v for _, v in s), default=None)),
    "count_over_time": Function(RANGE, lambda s, w: float(len(s)) if s else None),
    "last_over_time": Function(RANGE, lambda s, w: s[-1][1] if s else None),
    "present_over_time": Function(RANGE, lambda s, w: 1.0 if s else None),
    "stddev_over_time": Function(RANGE, lambda s, w: deviation(s)),
    "quantile_over_time": Function((*SCALAR, *RANGE)),
    "predict_linear": Function((*RANGE, *SCALAR)),
    "absent_over_time": Function(RANGE),
    "abs": Function(VECTOR, map=abs),
    "ceil": Function(VECTOR, map=lambda v: float(math.ceil(v)) if math.isfinite(v) else v),
    "floor": Function(VECTOR, map=lambda v: float(math.floor(v)) if math.isfinite(v) else v),
    "sqrt": Function(VECTOR, map=lambda v: math.sqrt(v) if v >= 0 else math.nan),
    "ln": Function(VECTOR, map=lambda v: math.log(v) if v > 0 else math.nan),
    "exp": Function(VECTOR, map=math.exp),
    "round": Function((*VECTOR, "scalar?"), map=lambda v, to=1.0: math.floor(v / to + 0.5) * to),
    "clamp": Function((*VECTOR, *SCALAR, *SCALAR), map=lambda v, low, high: max(low, min(high, v))),
    "clamp_min": Function((*VECTOR, *SCALAR), map=lambda v, low: max(low, v)),
    "clamp_max": Function((*VECTOR, *SCALAR), map=lambda v, high: min(high, v)),
    "absent": Function(VECTOR),
    "scalar": Function(VECTOR),
    "vector": Function(SCALAR),
    "time": Function(()),
    "pi": Function(()),
    "timestamp": Function(VECTOR),
    "sort": Function(VECTOR),
    "sort_desc": Function(VECTOR),
    "histogram_quantile": Function((*SCALAR, *VECTOR)),
    "label_replace": Function((*VECTOR, "string", "string", "string", "string")),
}
