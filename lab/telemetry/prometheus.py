"""The Prometheus HTTP API v1 over the laboratory's series; what it does not serve is refused as a real one refuses."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lab.telemetry.alerting import Rules
from lab.telemetry.promql import Evaluator, ExecutionError, ParseError, parse
from lab.telemetry.promql.parsing import seconds
from lab.telemetry.promql.syntax import Expr, Selector, Subquery, kind_of
from lab.telemetry.series import Labels, SeriesStore
from lab.telemetry.serving import Form, Response, first

MAX_POINTS = 11000  # web/api/v1: per timeseries
HELP = {
    "http_requests_total": ("counter", "HTTP requests by code."),
    "up": ("gauge", ""),
    "ALERTS": ("gauge", ""),
}


class BadData(ValueError):
    """400 bad_data; the text is Prometheus's."""


@dataclass
class Prometheus:
    """`now` is lab time in epoch seconds, for queries without a time."""

    store: SeriesStore
    rules: Rules
    now: Callable[[], float]
    version: str = "3.5.0"

    def answer(self, path: str, form: Form) -> Response:
        if path in ("/-/healthy", "/-/ready"):
            return Response(200, f"Prometheus Server is {'Healthy' if path.endswith('healthy') else 'Ready'}.\n")
        if path == "/":
            return Response(200, "Prometheus Time Series Collection and Processing Server\n")  # where a real one shows its page
        if not path.startswith("/api/v1/"):
            return Response(404, "404 page not found\n")
        try:
            return self._api(path.removeprefix("/api/v1/"), form)
        except (BadData, ParseError) as exc:
            prefix = 'invalid parameter "query": ' if isinstance(exc, ParseError) else ""
            return failure(400, "bad_data", f"{prefix}{exc}")
        except ExecutionError as exc:
            return failure(422, "execution", str(exc))

    def _api(self, path: str, form: Form) -> Response:
        match path.split("/"):
            case ["query"]:
                return success(self._query(form))
            case ["query_range"]:
                return success(self._query_range(form))
            case ["series"]:
                return success([dict(s) for s in sorted(self._matched(form, required=True))])
            case ["labels"]:
                return success(sorted({k for s in self._matched(form) for k, _ in s}))
            case ["label", name, "values"]:
                return success(sorted({v for s in self._matched(form) for k, v in s if k == name}))
            case ["metadata"]:
                return success(self._metadata(form))
            case ["rules"]:
                return success(self._rules())
            case ["alerts"]:
                return success({"alerts": self._alerts()})
            case ["status", "buildinfo"]:
                build = {
                    "version": self.version,
                    "revision": "lab",
                    "branch": "HEAD",
                    "buildUser": "",
                    "buildDate": "",
                    "goVersion": "go1.24",
                }
                return success(build)
            case ["targets"]:
                return success({"activeTargets": [], "droppedTargets": []})
        return Response(404, "404 page not found\n")

    def _expr(self, form: Form) -> Expr:
        return parse(first(form, "query"))

    def _query(self, form: Form) -> Any:
        at = self._time(form, "time", self.now())
        expr = self._expr(form)
        evaluator = Evaluator(self.store)
        if kind_of(expr) == "range vector" and isinstance(expr, Selector | Subquery):
            found, _ = evaluator.range_vector(expr, at)
            return {
                "resultType": "matrix",
                "result": [{"metric": dict(k), "values": [pair(*s) for s in v]} for k, v in sorted(found.items())],
            }
        value = evaluator.at(expr, at)
        if isinstance(value, dict):
            items = list(value.items()) if "sort" in first(form, "query") else sorted(value.items())
            return {"resultType": "vector", "result": [{"metric": dict(k), "value": pair(at, v)} for k, v in items]}
        if isinstance(value, str):
            return {"resultType": "string", "result": [at, value]}
        return {"resultType": "scalar", "result": pair(at, value)}

    def _query_range(self, form: Form) -> Any:
        start, end = self._time(form, "start"), self._time(form, "end")
        if end < start:
            raise BadData('invalid parameter "end": end timestamp must not be before start time')
        step = self._step(form)
        if (end - start) / step > MAX_POINTS:
            raise BadData(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
            )
        expr = self._expr(form)
        if kind_of(expr) not in ("scalar", "instant vector"):
            wrong = f'invalid expression type "{kind_of(expr)}" for range query, must be Scalar or instant Vector'
            raise BadData(f'invalid parameter "query": {wrong}')
        evaluator = Evaluator(self.store)
        series: dict[Labels, list[list[Any]]] = {}
        for index in range(int((end - start) / step + 1e-9) + 1):
            at = start + index * step
            value = evaluator.at(expr, at)
            points = value.items() if isinstance(value, dict) else [((), float(value))]
            for labels, number in points:
                series.setdefault(labels, []).append(pair(at, number))
        return {"resultType": "matrix", "result": [{"metric": dict(k), "values": v} for k, v in sorted(series.items())]}

    def _time(self, form: Form, name: str, default: float | None = None) -> float:
        text = first(form, name)
        if not text:
            if default is None:
                raise BadData(f'invalid parameter "{name}": cannot parse "" to a valid timestamp')
            return default
        try:
            return float(text)
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        except ValueError as exc:
            raise BadData(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp') from exc

    def _step(self, form: Form) -> float:
        text = first(form, "step")
        try:
            step = float(text)
        except ValueError:
            step = seconds(text)
            if not step:
                raise BadData(f'invalid parameter "step": cannot parse "{text}" to a valid duration') from None
        if step <= 0:
            raise BadData(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer'
            )
        return step

    def _matched(self, form: Form, *, required: bool = False) -> set[Labels]:
        texts = form.get("match[]") or []
        if not texts:
            if required:
                raise BadData("no match[] parameter provided")
            return {s.labels for s in self.store.select(())}
        start, end = self._time(form, "start", 0.0), self._time(form, "end", math.inf)
        found: set[Labels] = set()
        for text in texts:
            try:
                expr = parse(text)
            except ParseError as exc:
                raise BadData(f'invalid parameter "match[]": {exc}') from exc
            if not isinstance(expr, Selector) or expr.range is not None:
                raise BadData('invalid parameter "match[]": 1:1: parse error: only a vector selector is taken')
            found |= {
                s.labels for s in self.store.select(expr.matchers) if s.times and s.times[-1] >= start and s.times[0] <= end
            }
        return found

    def _metadata(self, form: Form) -> Any:
        wanted = first(form, "metric")
        names = [n for n in self.store.names() if wanted in ("", n)]
        described = {n: HELP.get(n, ("counter" if n.endswith("_total") else "gauge", "")) for n in names}
        return {n: [{"type": kind, "help": text, "unit": ""}] for n, (kind, text) in described.items()}

    def _alerts(self) -> list[Any]:
        now = self.now()
        found = []
        for rule in self.rules.rules:
            for (name, series), since in sorted(self.rules.active.items()):
                if name == rule.name:
                    firing = now - since.timestamp() >= rule.wait.total_seconds()
                    found.append(
                        {
                            "labels": dict(self.rules.labels_of(rule, series)),
                            "annotations": {"summary": rule.summary},
                            "state": "firing" if firing else "pending",
                            "activeAt": since.isoformat().replace("+00:00", "Z"),
                            "value": "1e+00",
                        }
                    )
        return found

    def _rules(self) -> Any:
        alerts = self._alerts()
        rules = []
        for rule in self.rules.rules:
            mine = [a for a in alerts if a["labels"]["alertname"] == rule.name]
            states = {a["state"] for a in mine}
            rules.append(
                {
                    "name": rule.name,
                    "query": rule.expr,
                    "duration": rule.wait.total_seconds(),
                    "labels": {"severity": rule.severity},
                    "annotations": {"summary": rule.summary},
                    "alerts": mine,
                    "state": "firing" if "firing" in states else "pending" if states else "inactive",
                    "health": "ok",
                    "type": "alerting",
                }
            )
        return {"groups": [{"name": "kubernetes-apps", "file": "lab", "interval": 30, "rules": rules}]}


def pair(at: float, value: float) -> list[Any]:
    return [round(at, 3), number_text(value)]


def number_text(value: float) -> str:
    """As Go's strconv prints it in the API."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(value)


def success(data: Any) -> Response:
    return Response(200, {"status": "success", "data": data})


def failure(status: int, kind: str, text: str) -> Response:
    return Response(status, {"status": "error", "errorType": kind, "error": text})
