"""What the agent's /metrics says of runs that go on."""

import pytest
from prometheus_client import CollectorRegistry

from agent.app.meters import Meters
from agent.ports.store import Waiting
from agent.ports.tracing import listening, span


def value(meters: Meters, name: str, **labels: str) -> float | None:
    registry: CollectorRegistry = meters.registry
    return registry.get_sample_value(f"lestrade_{name}", labels)


def test_the_queue_is_by_severity_and_what_is_empty_is_zero():
    meters = Meters()
    meters.queue([Waiting(priority=0, runs=3, oldest_seconds=40), Waiting(priority=5, runs=1, oldest_seconds=7)])
    meters.queue([Waiting(priority=1, runs=2, oldest_seconds=9)])

    depth = {severity: value(meters, "runs_waiting", severity=severity) for severity in ("critical", "warning", "other")}
    assert depth == {"critical": 0, "warning": 2, "other": 0}
    assert value(meters, "runs_waiting_oldest_seconds", severity="critical") == 0


def test_what_a_run_does_is_counted_as_it_ends():
    meters = Meters()
    with listening(meters.heard):
        with span("run", "run-1"), span("stage", "gather"), span("tool", "cluster.overview", source="cluster") as look:
            look.note(gaps=2)
        with span("decision", plan="x") as decision:
            decision.note(verdict="deny")
        with span("model", "m", model="m") as model:
            model.note(prompt_tokens=10, completion_tokens=4)
        with span("step", step="step-1") as step:
            step.note(status="performed")

    assert value(meters, "stage_seconds_count", stage="gather") == 1
    assert value(meters, "tool_gaps_total", source="cluster") == 2
    assert value(meters, "decisions_total", verdict="deny") == 1
    assert value(meters, "model_tokens_total", model="m", direction="prompt") == 10
    assert value(meters, "model_calls_total", model="m", result="answered") == 1
    assert value(meters, "steps_total", status="performed") == 1


@pytest.mark.parametrize(("error", "counted"), [("MetricsUnavailable", 1), ("CancelledError", None)])
def test_a_look_that_fails_is_counted_and_one_that_was_called_off_is_not(error, counted):
    meters = Meters()
    with listening(meters.heard), span("tool", "metrics.range", source="metrics") as look:
        look.failed = error

    assert value(meters, "tool_errors_total", source="metrics", error=error) == counted


def test_a_run_that_is_given_up_is_counted():
    meters = Meters()
    with listening(meters.heard):
        with span("run", "run-1"):
            pass
        with span("run", "run-2") as deadly:
            deadly.note(given_up=True)

    assert value(meters, "runs_given_up_total") == 1


def test_a_sidecar_that_does_not_answer_is_no_verdict():
    meters = Meters()
    with listening(meters.heard), span("decision", plan="x") as decision:
        decision.failed = "GovernanceUnavailable"

    assert value(meters, "governance_failures_total", call="decision") == 1
    assert [value(meters, "decisions_total", verdict=verdict) for verdict in ("allow", "review", "deny")] == [0, 0, 0]
