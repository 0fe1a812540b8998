"""What /metrics shows of the service. Knows nothing of where the numbers come from."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


@dataclass
class Meters:
    """What /metrics shows."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.webhooks = Counter("lestrade_webhooks", "Notifications taken", ["answer"], registry=self.registry)
        self.alerts = Counter("lestrade_alerts", "Alerts, by what was done with them", ["done"], registry=self.registry)
        self.runs = Counter("lestrade_runs_finished", "Runs finished, by outcome", ["outcome"], registry=self.registry)
        self.working = Gauge("lestrade_runs_working", "Runs being worked on now", registry=self.registry)
        self.seconds = Histogram(
            "lestrade_run_seconds",
            "Time from start to end of a run",
            registry=self.registry,
            buckets=(1, 5, 15, 60, 300, 900, 3600),
        )
