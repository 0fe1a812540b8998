"""The Prometheus and Loki APIs over HTTP, as their clients use them, over a cluster with a fault."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from agent.toolsets.kubernetes import connect
from agent.topology.quantities import quantity
from lab import scenarios
from lab.laboratory import Laboratory


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with Laboratory.start(scenarios.load("memory-limit"), speed=0.0) as lab:
        lab.play()
        yield lab


def prometheus(lab: Laboratory, path: str, **form: Any) -> httpx.Response:
    return httpx.get(f"{lab.prometheus_url}/api/v1/{path}", params=form)


def result(response: httpx.Response) -> list[Any]:
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["status"] == "success"
    found: list[Any] = body["data"]["result"]
    return found


def test_restarts_and_kills_of_the_faulty_pods_are_series(lab: Laboratory) -> None:
    restarts = result(prometheus(lab, "query", query='kube_pod_container_status_restarts_total{container="price-index"}'))
    assert [int(s["value"][1]) >= 4 for s in restarts] == [True, True]
    kills = result(prometheus(lab, "query", query='sum(container_oom_events_total{container="price-index"})'))
    assert int(kills[0]["value"][1]) >= 8
    limit = result(
        prometheus(lab, "query", query='kube_pod_container_resource_limits{container="price-index",resource="memory"}')
    )
    assert limit[0]["value"][1] == str(64 * 2**20)


def test_traffic_follows_health(lab: Laboratory) -> None:
    query = 'sum by (service) (rate(http_requests_total{namespace="shop",code="200"}[2m])) > 0'
    assert {s["metric"]["service"] for s in result(prometheus(lab, "query", query=query))} >= {"catalog", "storefront", "cart"}
    assert "price-index" not in {s["metric"]["service"] for s in result(prometheus(lab, "query", query=query))}


def test_a_range_query_gives_a_point_a_step(lab: Laboratory) -> None:
    end = lab.clock.now().timestamp()
    form = {"query": 'kube_deployment_status_replicas_available{deployment="cart"}', "start": end - 240, "end": end, "step": "60"}
    series = result(prometheus(lab, "query_range", **form))
    assert [v for _, v in series[0]["values"]] == ["2"] * 5


def test_a_form_may_be_posted(lab: Laboratory) -> None:
    response = httpx.post(f"{lab.prometheus_url}/api/v1/query", data={"query": "up == 1"})
    assert len(result(response)) >= 4


def test_firing_alerts_are_seen_three_ways(lab: Laboratory) -> None:
    series = result(prometheus(lab, "query", query='ALERTS{alertname="KubePodCrashLooping",alertstate="firing"}'))
    assert len(series) == 2
    alerts = prometheus(lab, "alerts").json()["data"]["alerts"]
    assert {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"} >= {"KubePodCrashLooping"}
    rules = prometheus(lab, "rules").json()["data"]["groups"][0]["rules"]
    assert next(r["state"] for r in rules if r["name"] == "KubePodCrashLooping") == "firing"


def test_names_labels_and_metadata_are_listed(lab: Laboratory) -> None:
    assert "kube_pod_info" in prometheus(lab, "label/__name__/values").json()["data"]
    assert "namespace" in prometheus(lab, "labels").json()["data"]
    found = prometheus(lab, "series", **{"match[]": 'kube_node_info{node="worker-1"}'}).json()["data"]
    assert [s["node"] for s in found] == ["worker-1"]
    assert prometheus(lab, "metadata", metric="http_requests_total").json()["data"]["http_requests_total"][0]["type"] == "counter"
    assert prometheus(lab, "status/buildinfo").json()["data"]["version"]


@pytest.mark.parametrize(
    ("path", "form", "status", "kind", "words"),
    [
        ("query", {"query": "sum("}, 400, "bad_data", 'invalid parameter "query": 1:5: parse error'),
        ("query", {"query": "up", "time": "noon"}, 400, "bad_data", 'cannot parse "noon" to a valid timestamp'),
        (
            "query_range",
            {"query": "up", "start": 9, "end": 1, "step": 1},
            400,
            "bad_data",
            "end timestamp must not be before start",
        ),
        ("query_range", {"query": "up", "start": 1, "end": 9, "step": 0}, 400, "bad_data", "zero or negative query resolution"),
        ("query_range", {"query": "up", "start": 0, "end": 99999, "step": 1}, 400, "bad_data", "exceeded maximum resolution"),
        ("query_range", {"query": "up[1m]", "start": 1, "end": 9, "step": 1}, 400, "bad_data", "invalid expression type"),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("query", {"query": "kube_pod_info / on(node) kube_pod_info"}, 422, "execution", "many-to-many"),
    ],
)
def test_what_is_wrong_is_said_as_prometheus_says_it(
    lab: Laboratory, path: str, form: dict[str, Any], status: int, kind: str, words: str
) -> None:
    response = prometheus(lab, path, **form)
    assert (response.status_code, response.json()["errorType"]) == (status, kind)
    assert words in response.json()["error"]


def test_what_is_not_served_is_not_found(lab: Laboratory) -> None:
    assert prometheus(lab, "nonsense").status_code == 404


def loki(lab: Laboratory, path: str, **form: Any) -> httpx.Response:
    return httpx.get(f"{lab.loki_url}/loki/api/v1/{path}", params=form)


def test_logs_are_found_by_labels_and_filters(lab: Laboratory) -> None:
    streams = result(loki(lab, "query_range", query='{namespace="shop", container=~"price-.*"} |= "loading" !~ "nothing"'))
    assert {s["stream"]["app"] for s in streams} == {"price-index"}
    assert all("loading 1800000 prices" in line for s in streams for _, line in s["values"])
    assert len({s["stream"]["pod"] for s in streams}) == 2


def test_the_newest_lines_come_first_unless_asked_otherwise(lab: Laboratory) -> None:
    for direction, newest_first in (("backward", True), ("forward", False)):
        streams = result(loki(lab, "query_range", query='{app="cart"}', direction=direction, limit=20))
        stamps = [int(at) for at, _ in streams[0]["values"]]
        assert stamps == sorted(stamps, reverse=newest_first)
        assert sum(len(s["values"]) for s in streams) == 20


def test_labels_of_logs_are_listed(lab: Laboratory) -> None:
    assert "container" in loki(lab, "labels").json()["data"]
    assert "shop" in loki(lab, "label/namespace/values").json()["data"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "syntax error: unexpected $end"),
        ('rate({app="x"}[5m])', "syntax error: unexpected IDENTIFIER"),
        ('{app="x"} | json', "syntax error: unexpected |"),
        ('{app=~".*"}', "queries require at least one regexp or equality matcher"),
        ('{app="x"} |~ "("', "error parsing regexp"),
    ],
)
def test_what_the_log_query_cannot_do_is_said_as_loki_says_it(lab: Laboratory, query: str, words: str) -> None:
    response = loki(lab, "query_range", query=query)
    assert response.status_code == 400
    assert words in response.text


def test_a_log_query_at_one_moment_is_refused(lab: Laboratory) -> None:
    assert loki(lab, "query", query='{app="cart"}').status_code == 400


def test_the_pods_own_log_is_the_same_text(lab: Laboratory) -> None:
    pod = next(p for p in lab.request("GET", "/api/v1/namespaces/shop/pods")["items"] if p["metadata"]["name"].startswith("cart"))
    name = pod["metadata"]["name"]
    _, text = lab.server.call("GET", f"/api/v1/namespaces/shop/pods/{name}/log?tailLines=5")
    streams = result(loki(lab, "query_range", query=f'{{pod="{name}"}}', limit=5))
    assert sorted(text.split("\n")[:-1]) == sorted(line for _, line in streams[0]["values"])


async def test_the_metrics_api_says_of_running_containers_and_nodes_what_the_series_say(lab: Laboratory) -> None:
    reader = connect(kubeconfig=lab.kubeconfig())
    try:
        seen = await reader.usage(("shop",))
        everywhere = await reader.usage(())
    finally:
        reader.close()

    used = result(prometheus(lab, "query", query='container_memory_working_set_bytes{namespace="shop",container="cart"}'))
    pods = {one["metadata"]["name"]: one for one in seen.objects if one["kind"] == "PodMetrics"}
    assert {one["metric"]["pod"] for one in used} == {name for name in pods if name.startswith("cart-")}
    for one in used:
        (box,) = pods[one["metric"]["pod"]]["containers"]
        assert quantity(box["usage"]["memory"]) == pytest.approx(float(one["value"][1]), rel=0.2)
        assert (quantity(box["usage"]["cpu"]) or 0) > 0
    nodes = [one for one in seen.objects if one["kind"] == "NodeMetrics"]
    assert {one["metadata"]["name"] for one in nodes} == {one["metadata"]["name"] for one in lab.world.cluster.of("Node")}
    assert {one["metadata"]["namespace"] for one in pods.values()} == {"shop"}
    assert len(everywhere.objects) >= len(seen.objects)
    assert seen.gaps == ()
