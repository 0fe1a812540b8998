"""Metrics over HTTP: what Prometheus answers comes out as series; what it refuses, or silence, is MetricsUnavailable."""

import json
import threading
from datetime import UTC, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from agent.domain.incident import Window
from agent.errors import MetricsUnavailable
from agent.toolsets.prometheus import PrometheusMetrics
from tests.agent.builders import NOW

WINDOW = Window(start=NOW - timedelta(minutes=5), end=NOW)


class Prometheus:
    """Answers every query with `result`, or refuses with `error`; keeps what it was asked."""

    def __init__(self):
        self.result, self.error, self.asked = [], "", []


@pytest.fixture
def prometheus():
    told = Prometheus()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            told.asked.append({key: values[-1] for key, values in parse_qs(urlsplit(self.path).query).items()})
            body = (
                {"status": "success", "data": {"result": told.result}}
                if not told.error
                else {"status": "error", "error": told.error}
            )
            self.send_response(400 if told.error else 200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield told
    server.shutdown()
    server.server_close()


async def test_a_range_comes_as_series_in_time_order_without_nan(prometheus):
    prometheus.result = [{"metric": {"__name__": "up"}, "values": [[1.0, "1"], [2.0, "NaN"], [3.0, "0.5"]]}]

    found = await PrometheusMetrics(prometheus.url).range("up", WINDOW, 30)

    assert found[0].name == "up"
    assert found[0].samples == ((1.0, 1.0), (3.0, 0.5))
    asked = prometheus.asked[0]
    assert float(asked["start"]) == WINDOW.start.timestamp()
    assert asked["step"] == "30"


async def test_an_instant_is_asked_for_at_the_clusters_time(prometheus):
    prometheus.result = [{"metric": {"pod": "a"}, "value": [5.0, "7"]}]

    found = await PrometheusMetrics(prometheus.url).instant("up == 1", NOW.astimezone(UTC))

    assert [one.samples for one in found] == [((5.0, 7.0),)]
    assert float(prometheus.asked[0]["time"]) == NOW.timestamp()


async def test_an_empty_answer_is_no_series(prometheus):
    assert await PrometheusMetrics(prometheus.url).instant("up == 5") == ()


async def test_a_query_that_is_refused_says_so(prometheus):
    prometheus.error = "parse error: unexpected end"
    with pytest.raises(MetricsUnavailable, match="refuses the query"):
        await PrometheusMetrics(prometheus.url).instant("up ==")


async def test_nobody_answers():
    with pytest.raises(MetricsUnavailable, match="does not answer"):
        await PrometheusMetrics("http://127.0.0.1:9").instant("up")


async def test_a_password_in_the_url_is_not_told_with_the_gap():
    with pytest.raises(MetricsUnavailable) as gap:
        await PrometheusMetrics("http://reader:hunter2@127.0.0.1:9").instant("up")

    assert "127.0.0.1:9" in str(gap.value)
    assert "hunter2" not in str(gap.value)


@pytest.mark.parametrize(
    "result",
    [
        [NOW.timestamp(), "a text"],
        [{"metric": ["odd"], "value": [1, "2"], "values": [[1, "2"]]}],
        [{"metric": {}, "value": [1], "values": [[1]]}],
        [{"metric": {}, "value": 7, "values": 7}],
    ],
)
async def test_what_is_no_number_is_said_and_breaks_nothing(prometheus, result):
    prometheus.result = result
    metrics = PrometheusMetrics(prometheus.url)

    with pytest.raises(MetricsUnavailable, match="no vector or matrix of numbers"):
        await metrics.instant("up")
    if isinstance(result[0], dict):
        with pytest.raises(MetricsUnavailable, match="no vector or matrix of numbers"):
            await metrics.range("up", WINDOW, 30)
