"""Loki: streams become container logs, oldest line first; a refusal is one line."""

from datetime import timedelta

import httpx
import pytest
import respx

from agent.domain.incident import Window
from agent.domain.objects import Ref
from agent.errors import ReadRefused
from agent.toolsets.loki import LokiLogs
from tests.agent.builders import NOW

WINDOW = Window(start=NOW - timedelta(minutes=5), end=NOW)
POD = Ref("Pod", "shop", "web-1")
STREAM = {"stream": {"namespace": "shop", "pod": "web-1", "container": "app"}, "values": [["2", "second"], ["1", "first"]]}


@respx.mock
async def test_streams_become_logs_in_order():
    route = respx.get("http://loki/loki/api/v1/query_range").respond(json={"data": {"result": [STREAM]}})

    logs = await LokiLogs("http://loki").of_pods([POD], WINDOW)

    assert [(one.pod, one.container, one.text) for one in logs] == [("web-1", "app", "first\nsecond")]
    asked = route.calls[0].request.url.params
    assert (asked["query"], asked["direction"]) == (
        '{namespace=~"shop",pod=~"web-1"}',
        "backward",
    )  # the last words, not the first


@respx.mock
async def test_an_odd_time_or_text_that_no_database_keeps_breaks_nothing(monkeypatch):
    odd = {**STREAM, "values": [["\u00b2", "no"], ["9" * 5000, "no"], ["1", "first"]]}
    route = respx.get("http://loki/loki/api/v1/query_range").respond(json={"data": {"result": [odd]}})
    (log,) = await LokiLogs("http://loki").of_pods([POD], WINDOW)
    assert log.text == "first"

    route.respond(content=b'{"data": {"result": [{"stream": {"pod": "\\ud800"}}]}}')
    with pytest.raises(ReadRefused, match="does not answer"):
        await LokiLogs("http://loki").of_pods([POD], WINDOW)

    monkeypatch.setattr("agent.toolsets.loki.MOST_BYTES", 10)
    with pytest.raises(ReadRefused, match="more than 10 bytes"):
        await LokiLogs("http://loki").of_pods([POD], WINDOW)


@respx.mock
@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(200, text="<html>")])
async def test_no_usable_answer_is_refused(answer):
    respx.get("http://loki/loki/api/v1/query_range").mock(return_value=answer)
    with pytest.raises(ReadRefused, match="Loki at http://loki"):
        await LokiLogs("http://loki").of_pods([POD], WINDOW)


@respx.mock
async def test_logs_are_found_under_the_labels_of_other_shippers_too():
    labels = {"k8s_namespace_name": "shop", "k8s_pod_name": "web-1", "k8s_container_name": "app"}
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["query"])
        found = [{"stream": labels, "values": [["1", "first"]]}] if "k8s_pod_name" in asked[-1] else []
        return httpx.Response(200, json={"data": {"result": found}})

    respx.get("http://loki/loki/api/v1/query_range").mock(side_effect=answer)
    loki = LokiLogs("http://loki")

    (log,) = await loki.of_pods([POD], WINDOW)
    await loki.of_pods([POD], WINDOW)

    assert (log.namespace, log.pod, log.container, log.text) == ("shop", "web-1", "app", "first")
    assert len(asked) == 3  # the second time at once in the words that were answered
    assert asked[-1] == '{k8s_namespace_name=~"shop"} | k8s_pod_name=~"web-1"'
