"""Figures of the gate for /metrics: what a restart would forget from the database, at each scrape; the rest of this process."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.approvals import asking, reviews, switch
from sidecar.credentials import store as leases
from sidecar.errors import SidecarError
from sidecar.execution import store as steps
from sidecar.gate.desk import Desk

PREFIX = "lestrade_sidecar"


class Counts(Collector):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def describe(self) -> Iterator[Metric]:
        return iter(())  # else registering would read the database

    def collect(self) -> Iterator[Metric]:
        try:
            kept = list(self._kept())
        except SidecarError:
            kept = []
        yield GaugeMetricFamily(f"{PREFIX}_database_up", "1 while the database answers", value=float(bool(kept)))
        yield from kept
        yield from self._of_this_process()

    def _kept(self) -> Iterator[Metric]:
        now = self._desk.clock.now()
        with self._desk.ledger.read() as connection:
            counts = {
                "plans": asking.counted(connection),
                "leases": leases.counted(connection),
                "steps": steps.counted(connection),
            }
            kinds = steps.counted_by_kind(connection)
            since = asking.waiting_since(connection)
            overdue = leases.overdue(connection, now)
            stopped = switch.stopped_by(connection) is not None
            unreviewed = reviews.counted(connection)
        for name, states in counts.items():
            family = GaugeMetricFamily(f"{PREFIX}_{name}", f"{name} by state", labels=["state"])
            for state, number in sorted(states.items()):
                family.add_metric([state], number)
            yield family
        by_kind = GaugeMetricFamily(f"{PREFIX}_steps_by_kind", "steps by action and end", labels=["kind", "direction", "result"])
        for labels, number in sorted(kinds.items()):
            by_kind.add_metric(labels, number)
        yield by_kind
        yield _gauge("approvals_waiting", "plans that people have yet to answer", counts["plans"].get("waiting", 0))
        oldest = max(0.0, now.timestamp() - since) if since is not None else 0.0
        yield _gauge("approvals_waiting_oldest_seconds", "how long the oldest of them waits", oldest)
        yield _gauge("leases_overdue", "leases over their time whose rights are not proven gone", overdue)
        yield _gauge("stopped", "1 while everything is stopped", stopped)
        yield _gauge("glass_reviews_open", "emergencies nobody looked at yet", unreviewed)

    def _of_this_process(self) -> Iterator[Metric]:
        ledger, tallies = self._desk.ledger, self._desk.tallies
        decisions, failures = tallies.snapshot()
        yield _counter("decisions", "verdicts on plans", "verdict", {"allow": 0, "review": 0, "deny": 0, **decisions})
        known = {"policy-unavailable": 0, "policy-malformed": 0, **failures}
        yield _counter("policy_failures", "plans denied because the engine gave no verdict", "reason", known)
        yield CounterMetricFamily(f"{PREFIX}_database_failures", "times it took or gave nothing", value=ledger.failures)
        yield _gauge("clock_unsure", "1 while the clock is not trusted: nothing is lent", bool(ledger.hours.wrong()))
        yield HistogramMetricFamily(
            f"{PREFIX}_revocation_seconds",
            "from the end of a lease until its token was refused",
            buckets=tallies.buckets(),
            sum_value=tallies.revocation_seconds,
        )


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", meaning, value=float(value))


def _counter(name: str, meaning: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", meaning, labels=[label])
    for key, number in sorted(values.items()):
        family.add_metric([key], number)
    return family
