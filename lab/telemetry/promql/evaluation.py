"""Evaluating the tree at one moment over the series."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lab.telemetry.promql.functions import FUNCTIONS, Window, quantile, slope
from lab.telemetry.promql.syntax import Aggregate, Binary, Call, Expr, Negative, Number, Selector, Subquery, Text
from lab.telemetry.promql.vectors import ARITHMETIC, COMPARE, Vector, histogram, named, reduce, sets, signature, without_name
from lab.telemetry.series import Labels, SeriesStore

Value: TypeAlias = float | str | Vector


class ExecutionError(ValueError):
    """A query that parses and cannot be carried out; the text is Prometheus's."""


@dataclass
class Evaluator:
    store: SeriesStore

    def at(self, expr: Expr, moment: float) -> Value:
        """A scalar, a string, or an instant vector (in no order, but for sort and topk). Raises ExecutionError."""
        match expr:
            case Number(value=number):
                return number
            case Text(value=text):
                return text
            case Selector():
                return {s.labels: found[1] for s in self.store.select(expr.matchers) if (found := s.at(moment - expr.offset))}
            case Negative(inner=inner):
                value = self.at(inner, moment)
                if isinstance(value, dict):
                    return {without_name(k): -v for k, v in value.items()}
                return -self._scalar(value)
            case Aggregate():
                return self._aggregate(expr, moment)
            case Binary():
                return self._binary(expr, moment)
            case Call():
                return self._call(expr, moment)
            case Subquery():
                raise ExecutionError("a subquery gives a range vector")

    def range_vector(self, expr: Expr, moment: float) -> tuple[dict[Labels, list[tuple[float, float]]], Window]:
        if isinstance(expr, Selector) and expr.range is not None:
            end = moment - expr.offset
            window = end - expr.range, end
            found = {s.labels: s.between(*window) for s in self.store.select(expr.matchers)}
            return {k: v for k, v in found.items() if v}, window
        if isinstance(expr, Subquery):
            end = moment - expr.offset
            window = end - expr.range, end
            result: dict[Labels, list[tuple[float, float]]] = {}
            at = math.floor(window[0] / expr.step) * expr.step + expr.step
            while at <= end:
                for labels, value in self._vector(self.at(expr.inner, at)).items():
                    result.setdefault(labels, []).append((at, value))
                at += expr.step
            return result, window
        raise ExecutionError("expected a range vector")

    @staticmethod
    def _vector(value: Value) -> Vector:
        if isinstance(value, dict):
            return value
        raise ExecutionError("expected an instant vector")

    @staticmethod
    def _scalar(value: Value) -> float:
        if isinstance(value, float | int):
            return float(value)
        raise ExecutionError("expected a scalar")

    # functions

    def _call(self, call: Call, moment: float) -> Value:
        name, arguments = call.function, call.arguments
        function = FUNCTIONS[name]
        if function.over is not None:
            found, window = self.range_vector(arguments[0], moment)
            keep = name == "last_over_time"
            computed = {(k if keep else without_name(k)): function.over(v, window) for k, v in found.items()}
            return {k: v for k, v in computed.items() if v is not None}
        if function.map is not None:
            extra = [self._scalar(self.at(a, moment)) for a in arguments[1:]]
            return {without_name(k): function.map(v, *extra) for k, v in self._vector(self.at(arguments[0], moment)).items()}
        return self._special(name, arguments, moment)

    def _special(self, name: str, arguments: Sequence[Expr], moment: float) -> Value:
        match name:
            case "time":
                return moment
            case "pi":
                return math.pi
            case "vector":
                return {(): self._scalar(self.at(arguments[0], moment))}
            case "quantile_over_time":
                q = self._scalar(self.at(arguments[0], moment))
                found, _ = self.range_vector(arguments[1], moment)
                return {without_name(k): quantile(q, [v for _, v in s]) for k, s in found.items()}
            case "predict_linear":
                ahead = self._scalar(self.at(arguments[1], moment))
                found, _ = self.range_vector(arguments[0], moment)
                fits = {without_name(k): slope(s, moment) for k, s in found.items()}
                return {k: fit[1] + fit[0] * ahead for k, fit in fits.items() if fit is not None}
            case "absent_over_time":
                found, _ = self.range_vector(arguments[0], moment)
                return {} if found else {named(arguments[0]): 1.0}
        vector = self._vector(self.at(arguments[-1] if name == "histogram_quantile" else arguments[0], moment))
        match name:
            case "absent":
                return {} if vector else {named(arguments[0]): 1.0}
            case "scalar":
                return next(iter(vector.values())) if len(vector) == 1 else math.nan
            case "timestamp":
                return {without_name(k): moment for k in vector}
            case "sort" | "sort_desc":
                return dict(sorted(vector.items(), key=lambda kv: kv[1], reverse=name == "sort_desc"))
            case "histogram_quantile":
                return histogram(self._scalar(self.at(arguments[0], moment)), vector)
            case "label_replace":
                return self._label_replace(vector, [str(self.at(a, moment)) for a in arguments[1:]])
        raise ExecutionError(f"function {name} is not served here")

    def _label_replace(self, vector: Vector, texts: Sequence[str]) -> Vector:
        target, replacement, source, pattern = texts
        result: Vector = {}
        for labels, value in vector.items():
            known = dict(labels)
            found = re.fullmatch(pattern, known.get(source, ""))
            if found is not None:
                new = found.expand(re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", replacement))
                known = {k: v for k, v in {**known, target: new}.items() if v}
            result[tuple(sorted(known.items()))] = value
        return result

    # aggregation

    def _aggregate(self, expr: Aggregate, moment: float) -> Value:
        vector = self._vector(self.at(expr.inner, moment))
        parameter = self._scalar(self.at(expr.parameter, moment)) if expr.parameter is not None else 0.0
        groups: dict[Labels, list[tuple[Labels, float]]] = {}
        for labels, value in vector.items():
            groups.setdefault(self._group(expr, labels), []).append((labels, value))
        if expr.operator in ("topk", "bottomk"):
            chosen: Vector = {}
            for members in groups.values():
                ordered = sorted(members, key=lambda m: m[1], reverse=expr.operator == "topk")
                chosen.update(ordered[: int(parameter)])
            return chosen
        return {group: reduce(expr.operator, [v for _, v in members], parameter) for group, members in groups.items()}

    @staticmethod
    def _group(expr: Aggregate, labels: Labels) -> Labels:
        if not expr.grouped:
            return ()
        if expr.by:
            return tuple(p for p in labels if p[0] in expr.labels)
        return tuple(p for p in labels if p[0] not in expr.labels and p[0] != "__name__")

    # binary operators

    def _binary(self, expr: Binary, moment: float) -> Value:
        left, right = self.at(expr.left, moment), self.at(expr.right, moment)
        if isinstance(left, dict) and isinstance(right, dict):
            if expr.operator in ("and", "or", "unless"):
                return sets(expr, left, right)
            return self._vectors(expr, left, right)
        if isinstance(left, dict):
            other = self._scalar(right)
            return self._one_sided(expr, left, lambda v: (v, other), keep=lambda v: v)
        if isinstance(right, dict):
            other = self._scalar(left)
            return self._one_sided(expr, right, lambda v: (other, v), keep=lambda v: v)
        a, b = self._scalar(left), self._scalar(right)
        return float(COMPARE[expr.operator](a, b)) if expr.operator in COMPARE else ARITHMETIC[expr.operator](a, b)

    @staticmethod
    def _one_sided(
        expr: Binary, vector: Vector, pair: Callable[[float], tuple[float, float]], keep: Callable[[float], float]
    ) -> Vector:
        if expr.operator in COMPARE:
            compare = COMPARE[expr.operator]
            if expr.boolean:
                return {without_name(k): float(compare(*pair(v))) for k, v in vector.items()}
            return {k: keep(v) for k, v in vector.items() if compare(*pair(v))}
        return {without_name(k): ARITHMETIC[expr.operator](*pair(v)) for k, v in vector.items()}

    def _vectors(self, expr: Binary, left: Vector, right: Vector) -> Vector:
        matching = expr.matching
        many, one = (right, left) if matching.group == "right" else (left, right)
        index: dict[Labels, Labels] = {}
        for labels in one:
            key = signature(matching, labels)
            if key in index:
                side = "left" if matching.group == "right" else "right"
                shown = ", ".join(f'{k}="{v}"' for k, v in key)
                raise ExecutionError(
                    f"found duplicate series for the match group {{{shown}}} on the {side} hand-side of the operation"
                    ";many-to-many matching not allowed: matching labels must be unique on one side"
                )
            index[key] = labels
        result: Vector = {}
        for labels, value in many.items():
            partner = index.get(signature(matching, labels))
            if partner is None:
                continue
            a, b = (one[partner], value) if matching.group == "right" else (value, one[partner])
            shown_labels = self._result_labels(expr, labels, partner)
            if expr.operator in COMPARE:
                true = COMPARE[expr.operator](a, b)
                if not expr.boolean and not true:
                    continue
                computed = float(true) if expr.boolean else a
            else:
                computed = ARITHMETIC[expr.operator](a, b)
            if shown_labels in result:
                raise ExecutionError(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                )
            result[shown_labels] = computed
        return result

    @staticmethod
    def _result_labels(expr: Binary, labels: Labels, partner: Labels) -> Labels:
        matching = expr.matching
        kept = labels if expr.operator in COMPARE and not expr.boolean else without_name(labels)
        if matching.group:
            extra = dict(partner)
            return tuple(sorted({**dict(kept), **{k: extra[k] for k in matching.include if k in extra}}.items()))
        if matching.on:
            return tuple(p for p in kept if p[0] in matching.labels)
        return tuple(p for p in kept if p[0] not in matching.labels)
