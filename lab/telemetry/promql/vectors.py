"""What happens between instant vectors, and within one: operators, matching, reducing, buckets. Pure."""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from lab.telemetry.promql.functions import quantile
from lab.telemetry.promql.syntax import Binary, Expr, Matching, Selector
from lab.telemetry.series import Labels

Vector: TypeAlias = dict[Labels, float]
ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else (math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)),
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
    "^": lambda a, b: a**b,
}
COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def without_name(labels: Labels) -> Labels:
    return tuple(p for p in labels if p[0] != "__name__")


def signature(matching: Matching, labels: Labels) -> Labels:
    if matching.on:
        return tuple(p for p in labels if p[0] in matching.labels)
    return tuple(p for p in labels if p[0] not in matching.labels and p[0] != "__name__")


def sets(expr: Binary, left: Vector, right: Vector) -> Vector:
    there = {signature(expr.matching, k) for k in right}
    if expr.operator == "and":
        return {k: v for k, v in left.items() if signature(expr.matching, k) in there}
    if expr.operator == "unless":
        return {k: v for k, v in left.items() if signature(expr.matching, k) not in there}
    here = {signature(expr.matching, k) for k in left}
    return {**left, **{k: v for k, v in right.items() if signature(expr.matching, k) not in here}}


def reduce(operator: str, values: list[float], parameter: float) -> float:
    match operator:
        case "sum":
            return sum(values)
        case "avg":
            return sum(values) / len(values)
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "count":
            return float(len(values))
        case "group":
            return 1.0
        case "quantile":
            return quantile(parameter, values)
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))


def named(expr: Expr) -> Labels:
    """absent(): the labels that equality matchers give."""
    if not isinstance(expr, Selector):
        return ()
    return tuple(sorted((m.name, m.value) for m in expr.matchers if m.operator == "=" and m.name != "__name__" and m.value))


def histogram(q: float, vector: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in vector.items():
        known = dict(labels)
        if "le" not in known:
            continue
        group = tuple(p for p in labels if p[0] not in ("le", "__name__"))
        groups.setdefault(group, []).append((float(known["le"].replace("+Inf", "inf")), value))
    return {group: _bucket_quantile(q, sorted(buckets)) for group, buckets in groups.items()}


def _bucket_quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    if len(buckets) < 2 or not math.isinf(buckets[-1][0]) or buckets[-1][1] == 0:
        return math.nan
    rank = q * buckets[-1][1]
    index = next((i for i, (_, count) in enumerate(buckets) if count >= rank), len(buckets) - 1)
    if index == len(buckets) - 1:
        return buckets[-2][0]
    start, below = buckets[index - 1] if index else (0.0, 0.0)
    end, count = buckets[index]
    return start + (end - start) * ((rank - below) / (count - below) if count > below else 0.0)
