"""Logs of both programs: a JSON object a line, the run in every line of a run, secrets in none."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

import sidecar.telemetry.logs
from agent.ports.tracing import listening, span, trace_id_of
from agent.telemetry.logs import heard, log_as_json, masked
from sidecar.telemetry import configure_log

# By shape, and by the name that goes with them; the values say what they are, so that a leak can be seen.
SHAPES = (
    "Bearer planted-{}-abcdef",
    "password=planted-{}-x",
    "postgresql://user:planted-{}-x@db/lestrade",
    "--token planted-{}-abcdef",
    '{{"api_key": "planted-{}-abcdef"}}',
    "xoxb-1234567890-planted{}abcdefgh",
    "ghp_planted{}abcdefghijklmnop0123",
)
NAMED = ("password", "api_key", "client_secret", "bot_token")
secrets = st.tuples(st.sampled_from(SHAPES), st.text("abcdefghijklmnop0123456789", min_size=8, max_size=20))


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the agent logs, and everything as it was afterwards."""
    root, before, levels = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    for name in ("uvicorn", "uvicorn.error", "agent", "agent.graph"):  # whatever tests before this one made of them
        logger = logging.getLogger(name)
        logger.disabled, logger.propagate, logger.handlers[:] = False, True, []
        logger.setLevel(logging.NOTSET)
    log_as_json("info")
    written = io.StringIO()
    root.handlers[0].setStream(written)  # type: ignore[attr-defined]
    yield written
    root.handlers[:] = before
    root.setLevel(levels)
    structlog.reset_defaults()


def said(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_each_line_of_a_run_names_it_and_its_trace_whoever_writes(lines):
    with span("run", "run-1"):
        logging.getLogger("agent.graph").warning("a stage broke")
        logging.getLogger("uvicorn.error").error("a server says something")
        structlog.get_logger("agent").info("ours")
    logging.getLogger("agent.graph").warning("of no run")

    told = said(lines)
    assert [line.get("run") for line in told] == ["run-1", "run-1", "run-1", None]
    assert {line.get("trace_id") for line in told[:3]} == {trace_id_of("run-1")}
    assert all({"event", "level", "logger", "timestamp"} <= set(line) for line in told)


def test_stages_and_runs_that_end_are_lines_and_so_is_what_fails(lines):
    with listening(heard), span("run", "run-1", incident="inc-1"):
        with span("stage", "gather", run="run-1"), span("tool", "cluster.overview", source="cluster"):
            pass
        with span("tool", "metrics.range", source="metrics") as look:
            look.failed = "MetricsUnavailable"

    told = [(line["event"], line["level"], line.get("name"), line.get("error"), line["run"]) for line in said(lines)]
    assert told == [
        ("stage ended", "info", "gather", None, "run-1"),
        ("tool ended", "warning", "metrics.range", "MetricsUnavailable", "run-1"),
        ("run ended", "info", None, None, "run-1"),
    ]


def test_a_traceback_has_no_values_of_variables(lines):
    def fails() -> None:
        planted = "planted-in-a-local"
        raise ValueError(f"{len(planted)} is wrong, password=planted-in-a-text")

    try:
        fails()
    except ValueError:
        logging.getLogger("agent").exception("broke")

    assert "planted" not in lines.getvalue()
    assert "ValueError" in lines.getvalue()


@given(secrets, st.sampled_from(NAMED))
def test_no_planted_secret_is_left_in_a_line(planted, name):
    shape, value = planted
    text, bare = shape.format(value), f"planted-{value}"
    event = {"event": f"could not: {text}", "detail": {"deep": [text, {"header": text}], name: bare}, name: bare, "text": text}

    of_agent = json.dumps(masked(None, "info", dict(event)))
    of_sidecar = json.dumps(sidecar.telemetry.logs.masked(None, "info", dict(event)))

    assert value not in of_agent
    assert value not in of_sidecar


def test_the_sidecar_logs_a_library_s_kind_of_error_and_not_its_words(capsys):
    before = logging.getLogger().handlers[:]
    try:
        configure_log("info")
        with structlog.contextvars.bound_contextvars(incident="inc-1"):
            structlog.get_logger("sidecar").info("built", password="hunter2hunter2", text="Bearer abcdefghijk7")
            try:
                raise ConnectionError("the words of a stranger")
            except ConnectionError:
                logging.getLogger("urllib3").exception("words of a library")
    finally:
        logging.getLogger().handlers[:] = before
        structlog.reset_defaults()

    ours, theirs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ours["incident"] == theirs["incident"] == "inc-1"
    assert "hunter2" not in ours["password"]
    assert "abcdefghijk" not in ours["text"]
    assert (theirs["event"], theirs["error"], theirs["logger"]) == ("library", "ConnectionError", "urllib3")
