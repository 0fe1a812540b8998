"""Choose what to draw of the affected pods: first what behaves unlike itself before, counters as rates, with what was done
marked on it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from agent.domain.finding import Diagnosis
from agent.domain.objects import Series
from agent.domain.outcome import Round
from agent.domain.report import Chart
from agent.signals.metrics import anomalies

MOST_CHARTS, MOST_SERIES = 2, 8
RESTARTS = "kube_pod_container_status_restarts_total"
RATES = ("container_cpu_usage_seconds_total", "http_requests_total")
TITLES = {
    "container_memory_working_set_bytes": ("Memory in use", "bytes"),
    "kube_pod_container_status_restarts_total": ("Container restarts", "restarts"),
    "container_cpu_usage_seconds_total": ("CPU in use", "cores"),
    "http_requests_total": ("Requests", "per second"),
    "kubelet_volume_stats_available_bytes": ("Space left on the volume", "bytes"),
}


def plot(diagnosis: Diagnosis, rounds: Sequence[Round], series: Sequence[Series]) -> tuple[Chart, ...]:
    names = {ref.name for cause in diagnosis.causes for ref in (cause.finding.subject, *cause.finding.affects)}
    names |= {ref.name for ref in diagnosis.victims}
    concerned = [found for found in series if found.name in TITLES and _is_of(found, names)]
    unusual = {_key(found.labels): found.score for found in anomalies(concerned, top=len(concerned))}
    telling: list[tuple[float, Chart]] = []
    others: list[Chart] = []
    for metric, (title, unit) in TITLES.items():
        drawn = sorted(
            (found for found in concerned if found.name == metric),
            key=lambda found: (unusual.get(_key(found.labels), 0.0), _movement(found)),
            reverse=True,
        )[:MOST_SERIES]
        limits = _limits(metric, drawn, series)
        if not drawn or not any(_movement(found) > 0 or _is_near(found, limits) for found in drawn):
            continue
        shown = tuple(_rate(found) if metric in RATES else found for found in drawn)
        chart = Chart(title=title, unit=unit, series=(*shown, *_one_of_each_height(limits)), marks=_marks(rounds))
        score = max(unusual.get(_key(found.labels), 0.0) for found in drawn)
        if score or metric == RESTARTS or any(_is_near(found, limits) for found in drawn):
            telling.append((score, chart))
        else:
            others.append(chart)
    ranked = [chart for _, chart in sorted(telling, key=lambda pair: -pair[0])]
    return tuple(ranked[:MOST_CHARTS] or others[:1])


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _rate(series: Series) -> Series:
    """Per second, between two samples; a counter that falls began anew at zero."""
    samples = tuple(
        (end, (late - early if late >= early else late) / (end - begin))
        for (begin, early), (end, late) in pairwise(series.samples)
        if end > begin
    )
    return replace(series, samples=samples)


def _is_near(series: Series, limits: Sequence[Series]) -> bool:
    """Whether it came within a tenth of its container's limit."""
    own = [found for found in limits if all(found.labels.get(key) == series.labels.get(key) for key in ("pod", "container"))]
    ceiling = min((value for found in own for _, value in found.samples if value > 0), default=0.0)
    return bool(ceiling) and max((value for _, value in series.samples), default=0.0) >= 0.9 * ceiling


def _is_of(series: Series, names: set[str]) -> bool:
    """Pods carry the name of what owns them in front of their own."""
    pod = series.labels.get("pod", "")
    others = {series.labels.get(label, "") for label in ("persistentvolumeclaim", "service", "container")}
    return any(name and (pod == name or pod.startswith(f"{name}-")) for name in names) or bool(others & names)


def _movement(series: Series) -> float:
    values = [value for _, value in series.samples if value == value]  # NaN is not itself
    return max(values) - min(values) if values else 0.0


def _limits(metric: str, drawn: Sequence[Series], series: Sequence[Series]) -> tuple[Series, ...]:
    if metric != "container_memory_working_set_bytes":
        return ()
    keys = {(found.labels.get("pod"), found.labels.get("container")) for found in drawn}
    return tuple(
        found
        for found in series
        if found.name == "kube_pod_container_resource_limits"
        and found.labels.get("resource") == "memory"
        and (found.labels.get("pod"), found.labels.get("container")) in keys
    )


def _one_of_each_height(limits: Sequence[Series]) -> tuple[Series, ...]:
    """Replicas share their limit; a limit that was changed is drawn before and after."""
    heights = {found.samples[-1][1]: found for found in reversed(limits) if found.samples}
    return tuple(heights.values())


def _marks(rounds: Sequence[Round]) -> tuple[tuple[datetime, str], ...]:
    """By the cluster's clock: the looks of the verification stand for when things were done."""
    marks = []
    for round_ in rounds:
        if round_.observations:
            first = round_.observations[0].at.astimezone(UTC)
            marks.append((first, f"plan {round_.attempt} performed"))
            if round_.end == "did-not-help":
                marks.append((round_.observations[-1].at.astimezone(UTC), "undone"))
    return tuple(marks)
