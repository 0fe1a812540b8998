"""What /metrics shows of the service. Runs are heard as they go on (agent.ports.tracing); the queue is asked for at each scrape.

Labels are of closed sets: stages, tools, verdicts, classes of errors, models of the settings. No name of the cluster is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agent.ports.store import Waiting
from agent.ports.tracing import Noted

SEVERITIES = {0: "critical", 1: "warning"}  # by priority; what comes after them is "other"
QUICK = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LONG = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)


@dataclass
class Meters:
    """What /metrics shows."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        to = self.registry
        self.webhooks = Counter("lestrade_webhooks", "Notifications taken", ["answer"], registry=to)
        self.alerts = Counter("lestrade_alerts", "Alerts, by what was done with them", ["done"], registry=to)
        self.runs = Counter("lestrade_runs_finished", "Runs finished, by outcome", ["outcome"], registry=to)
        self.deliveries = Counter(
            "lestrade_deliveries", "Tries to deliver a report, by how they ended", ["place", "end"], registry=self.registry
        )
        self.working = Gauge("lestrade_runs_working", "Runs being worked on now", registry=to)
        self.given_up = Counter(
            "lestrade_runs_given_up", "Runs ended because processes died of them again and again", registry=to
        )
        self.deaths = Counter("lestrade_worker_deaths", "Deaths of the process that works on runs", registry=to)
        self.seconds = Histogram("lestrade_run_seconds", "Time from start to end of a run", registry=to, buckets=LONG)
        self.waiting = Gauge("lestrade_runs_waiting", "Runs that nobody works on yet", ["severity"], registry=to)
        self.oldest = Gauge(
            "lestrade_runs_waiting_oldest_seconds", "How long the oldest of them waits", ["severity"], registry=to
        )
        self.store = Gauge("lestrade_store_up", "1 while runs can be kept", registry=to)
        self.stages = Histogram("lestrade_stage_seconds", "Time in a stage", ["stage"], registry=to, buckets=LONG)
        self.failures = Counter("lestrade_stage_failures", "Stages that ended in an error", ["stage", "error"], registry=to)
        self.tools = Histogram("lestrade_tool_seconds", "Time of a look", ["tool"], registry=to, buckets=QUICK)
        self.tool_errors = Counter("lestrade_tool_errors", "Looks that failed", ["source", "error"], registry=to)
        self.tool_gaps = Counter("lestrade_tool_gaps", "Things a look could not see", ["source"], registry=to)
        self.model_calls = Counter("lestrade_model_calls", "Questions to the model", ["model", "result"], registry=to)
        self.model_tokens = Counter("lestrade_model_tokens", "Tokens of the model", ["model", "direction"], registry=to)
        self.model_seconds = Histogram("lestrade_model_seconds", "Time of an answer", ["model"], registry=to, buckets=LONG)
        self.decisions = Counter("lestrade_decisions", "Verdicts on plans, as the agent got them", ["verdict"], registry=to)
        self.steps = Counter("lestrade_steps", "Steps asked for, by what became of them", ["status"], registry=to)
        self.governance = Counter("lestrade_governance_failures", "Calls that the sidecar failed", ["call"], registry=to)
        for verdict in ("allow", "review", "deny"):
            self.decisions.labels(verdict)
        for call in ("decision", "lease", "step", "undo", "settle"):
            self.governance.labels(call)
        for source in ("cluster", "logs", "metrics"):
            self.tool_gaps.labels(source)

    def at_work(self, runs: int) -> None:
        self.working.set(runs)

    def worked(self, outcome: str, seconds: float) -> None:
        self.seconds.observe(seconds)
        self.runs.labels(outcome).inc()

    def heard(self, noted: Noted) -> None:
        """A listener of agent.ports.tracing."""
        match noted.kind:
            case "stage":
                self.stages.labels(noted.name).observe(noted.seconds)
                if noted.failed and noted.failed != "CancelledError":
                    self.failures.labels(noted.name, noted.failed).inc()
            case "run" if noted.attributes.get("given_up"):
                self.given_up.inc()
            case "tool":
                self._looked(noted)
            case "model":
                self._asked(noted)
            case "decision" | "lease" | "step" | "undo" | "settle":
                self._governed(noted)

    def queue(self, waiting: Sequence[Waiting]) -> None:
        """The queue now; severities without anything in it are 0, so that an alert ends."""
        depth, age = dict.fromkeys((*SEVERITIES.values(), "other"), 0), dict.fromkeys((*SEVERITIES.values(), "other"), 0.0)
        for one in waiting:
            severity = SEVERITIES.get(one.priority, "other")
            depth[severity] += one.runs
            age[severity] = max(age[severity], one.oldest_seconds)
        for severity, runs in depth.items():
            self.waiting.labels(severity).set(runs)
            self.oldest.labels(severity).set(age[severity])

    def _looked(self, noted: Noted) -> None:
        source = str(noted.attributes.get("source", "other"))
        self.tools.labels(noted.name).observe(noted.seconds)
        if noted.failed and noted.failed != "CancelledError":
            self.tool_errors.labels(source, noted.failed).inc()
        self.tool_gaps.labels(source).inc(int(noted.attributes.get("gaps", 0)))

    def _asked(self, noted: Noted) -> None:
        self.model_calls.labels(noted.name, noted.failed or "answered").inc()
        self.model_seconds.labels(noted.name).observe(noted.seconds)
        for direction, key in (("prompt", "prompt_tokens"), ("completion", "completion_tokens")):
            self.model_tokens.labels(noted.name, direction).inc(int(noted.attributes.get(key, 0)))

    def _governed(self, noted: Noted) -> None:
        if noted.failed == "GovernanceUnavailable":
            self.governance.labels(noted.kind).inc()
        elif noted.kind == "decision" and not noted.failed:
            self.decisions.labels(str(noted.attributes.get("verdict", "deny"))).inc()
        elif noted.kind == "step":
            self.steps.labels(str(noted.attributes.get("status", "failed"))).inc()
