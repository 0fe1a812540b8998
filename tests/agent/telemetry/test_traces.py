"""One trace a run, from the alert to the API server, and nothing of it where nobody wants it or nobody is there to take it."""

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agent.errors import InputError
from agent.ports import tracing
from agent.ports.tracing import Noted, carried, listening, span, trace_id_of
from agent.settings import Settings
from agent.telemetry import traces
from agent.telemetry.spans import Quiet, over_http
from lab.scenarios import load
from tests.e2e.playing import play_scenario
from tests.fakes.collector import collecting


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A whole incident, the sidecar as a process of its own, both telling the same collector."""
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)  # both programs read OpenTelemetry's own variable
        outcome = asyncio.run(play_scenario(load("missing-variable"), tmp_path_factory.mktemp("traced")))
        yield outcome, collector


def test_stages_looks_verdict_and_steps_are_one_trace_that_reaches_into_the_sidecar(played):
    outcome, collector = played
    run = outcome.report.run
    [root] = collector.named("run")

    assert root.parent == ""
    assert {one.trace for one in collector.spans} == {trace_id_of(run)}
    assert root.attributes["lestrade.run.id"] == run
    stages = {one.name for one in collector.spans if one.parent == root.id}
    assert {"stage gather", "stage diagnose", "stage propose", "stage authorize", "stage execute", "stage verify"} <= stages
    assert collector.above(collector.named("tool cluster.overview")[0]) == ["stage gather", "run"]
    [decision] = collector.named("decision")
    assert decision.attributes["lestrade.verdict"] == "review"
    [submitted] = [one for one in collector.named("POST /v1/plans") if one.service == "lestrade-sidecar"]
    assert collector.above(submitted) == ["decision", "stage authorize", "run"]
    [step] = [one for one in collector.spans if one.name.startswith("POST /v1/leases/{lease_id}/steps")]
    assert collector.above(step) == ["step", "stage execute", "run"]
    [written] = [one for one in collector.named("PATCH") if collector.above(one)[0] == step.name]
    assert written.attributes["lestrade.with_lease"] is True
    assert written.attributes["http.response.status_code"] == 200


def test_spans_hold_ids_and_no_text_of_the_cluster(played):
    _, collector = played
    values = [value for one in collector.spans for value in one.attributes.values() if isinstance(value, str)]

    assert values
    assert not [value for value in values if " " in value or "SETTLEMENT_URL" in value or "Bearer" in value]
    assert not [one for one in collector.spans if "url.query" in one.attributes]
    assert not [one for one in collector.spans if "/v1/read/" in one.name]


def test_without_a_collector_nothing_is_imported_and_nothing_is_handed_on():
    before = set(sys.modules)
    with traces(Settings(), environ={}), span("run", "run-1"), span("stage", "gather"):
        assert dict(carried()) == {}

    assert not {name for name in set(sys.modules) - before if name.startswith("opentelemetry.sdk")}


def test_a_missing_extra_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "agent.telemetry.spans", None)

    with pytest.raises(InputError, match=r"lestrade\[telemetry\]"), traces(Settings(otlp_endpoint="http://127.0.0.1:1"), {}):
        pass


class Away(SpanExporter):
    """A collector that takes nothing, says so in its own way each time, and at last works again."""

    def __init__(self) -> None:
        self.answers = [SpanExportResult.FAILURE, ConnectionError(), SpanExportResult.FAILURE, SpanExportResult.SUCCESS]

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def shutdown(self) -> None: ...


def test_a_collector_that_is_away_fails_nothing_and_is_said_once(caplog):
    quiet = Quiet(Away())
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            quiet.export([])

    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "traces cannot be sent",
        "traces are sent again",
    ]
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.timeout(20)
def test_an_end_does_not_wait_for_a_collector_that_hangs():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes connections, and never answers
        spans = over_http(f"http://127.0.0.1:{silent.getsockname()[1]}", service="lestrade-agent", version="0")
        with tracing.use(spans):
            for number in range(3000):
                with span("run", f"run-{number}"):
                    pass
        spans.close()  # the exporter alone would go on for half a minute

        silent.setblocking(False)
        silent.accept()[0].close()  # it was asked, and had not answered


def test_a_run_that_another_process_goes_on_with_stays_in_its_trace():
    with collecting() as collector:
        for _ in range(2):
            spans = over_http(collector.url, service="lestrade-agent", version="0")
            with tracing.use(spans), span("run", "run-7"):
                pass
            spans.close()

    assert [one.trace for one in collector.spans] == [trace_id_of("run-7")] * 2


def broken() -> None:
    with span("tool", "metrics.range", source="metrics") as noted:
        noted.note(series=3)
        _ = 1 / 0


def test_listeners_are_told_of_every_end_and_of_failures():
    heard: list[Noted] = []
    with listening(heard.append):
        with pytest.raises(ZeroDivisionError):
            broken()
        with span("stage", "gather"):
            pass
    with span("stage", "not heard any more"):
        pass

    assert [(one.kind, one.name, one.failed) for one in heard] == [
        ("tool", "metrics.range", "ZeroDivisionError"),
        ("stage", "gather", ""),
    ]
    assert heard[0].attributes == {"source": "metrics", "series": 3}
