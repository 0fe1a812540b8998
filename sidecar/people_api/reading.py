"""Figures of the read gateway, for /metrics: of all runs together, since a run's name would be a label without end."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.gate.desk import Desk


class ReadMetrics(Collector):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[Metric]:
        totals = self._desk.runs.totals
        yield CounterMetricFamily("lestrade_sidecar_read_requests", "reads that were let through", value=totals.requests)
        yield CounterMetricFamily("lestrade_sidecar_read_bytes", "bytes handed to readers", value=totals.read_bytes)
        refused = CounterMetricFamily("lestrade_sidecar_read_refused", "reads that were not let through", labels=["code"])
        for code, number in sorted(totals.refused.items()):
            refused.add_metric([code], number)
        yield refused
        yield GaugeMetricFamily(
            "lestrade_sidecar_read_streams", "watches and followed logs that are open", value=len(self._desk.streams)
        )
        yield GaugeMetricFamily(
            "lestrade_sidecar_read_runs", "runs that have read within the hour or so", value=len(self._desk.runs)
        )
