"""Choose what to draw: metrics of the affected pods that moved, with what was done marked on them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from agent.domain.finding import Diagnosis
from agent.domain.objects import Series
from agent.domain.outcome import Round
from agent.domain.report import Chart

MOST_CHARTS, MOST_SERIES = 2, 8
TITLES = {
    "container_memory_working_set_bytes": ("Memory in use", "bytes"),
    "kube_pod_container_status_restarts_total": ("Container restarts", "restarts"),
    "container_cpu_usage_seconds_total": ("CPU time used", "CPU seconds"),
    "http_requests_total": ("Requests", "requests"),
    "kubelet_volume_stats_available_bytes": ("Space left on the volume", "bytes"),
}


def plot(diagnosis: Diagnosis, rounds: Sequence[Round], series: Sequence[Series]) -> tuple[Chart, ...]:
    names = {ref.name for cause in diagnosis.causes for ref in (cause.finding.subject, *cause.finding.affects)}
    names |= {ref.name for ref in diagnosis.victims}
    concerned = [found for found in series if found.name in TITLES and _is_of(found, names)]
    charts = []
    for metric, (title, unit) in TITLES.items():
        drawn = sorted((found for found in concerned if found.name == metric), key=_movement, reverse=True)[:MOST_SERIES]
        if drawn and _movement(drawn[0]) > 0:
            charts.append(Chart(title=title, unit=unit, series=(*drawn, *_limits(metric, drawn, series)), marks=_marks(rounds)))
    return tuple(charts[:MOST_CHARTS])


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
    limits = [
        found
        for found in series
        if found.name == "kube_pod_container_resource_limits"
        and found.labels.get("resource") == "memory"
        and (found.labels.get("pod"), found.labels.get("container")) in keys
    ]
    return tuple(limits[:1])


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
