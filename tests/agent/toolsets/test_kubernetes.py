"""Reading a cluster over HTTP: few requests, pages, refusals as gaps, secrets removed, one clear line for what cannot be used."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from agent.domain.incident import Window
from agent.domain.objects import Ref
from agent.errors import ClusterUnreachable, InputError, ReadRefused
from agent.ports.cluster import READING_FOR, Observed
from agent.ports.toolset import View
from agent.toolsets.kinds import CLUSTER_KINDS, NAMESPACED_KINDS
from agent.toolsets.kubernetes import connect, connect_gateway
from agent.toolsets.objects import ObjectEyes
from tests.agent.builders import NOW, container, node, obj
from tests.fakes.agent_cluster import FakeApi, serving

PODS = "/api/v1/namespaces/shop/pods"


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def kubeconfig(path, url, context="here"):
    entry = {"name": "here", "cluster": {"server": url}}
    user = {"name": "me", "user": {"token": "kube-token"}}
    contexts = [{"name": context, "context": {"cluster": "here", "user": "me"}}]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [entry],
        "users": [user],
        "contexts": contexts,
        "current-context": context,
    }
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
def cluster(api, tmp_path):
    with serving(api) as url:
        found = connect(kubeconfig=kubeconfig(tmp_path / "config", url))
        yield found
        found.close()


async def test_one_request_a_kind_however_many_objects(cluster, api):
    api.lists[PODS] = [obj("Pod", f"web-{n}") for n in range(300)]

    seen = await cluster.overview(["shop"])

    assert len([one for one in seen.objects if one["kind"] == "Pod"]) == 300
    assert len([path for path, _ in api.asked if path == PODS]) == 1
    assert len(api.asked) <= len(NAMESPACED_KINDS) + len(CLUSTER_KINDS) + 2  # and the events of nodes, and which APIs there are
    assert seen.now == datetime(2026, 5, 4, 12, 0, tzinfo=UTC)  # the API server's clock, not ours


async def test_long_lists_come_in_pages_of_500(cluster, api):
    api.lists[PODS] = [obj("Pod", f"web-{n}") for n in range(1200)]

    seen = await cluster.overview(["shop"])

    assert len([one for one in seen.objects if one["kind"] == "Pod"]) == 1200
    assert [query["limit"] for path, query in api.asked if path == PODS] == ["500"] * 3


async def test_a_list_whose_token_grew_too_old_is_started_again(cluster, api):
    api.lists[PODS] = [obj("Pod", f"web-{n}") for n in range(700)]
    api.expire_tokens = 1

    seen = await cluster.overview(["shop"])

    names = [one["metadata"]["name"] for one in seen.objects if one["kind"] == "Pod"]
    assert len(names) == len(set(names)) == 700


async def test_many_namespaces_are_read_in_one_list_and_filtered(cluster, api):
    api.lists["/api/v1/pods"] = [obj("Pod", "a", namespace="ns-1"), obj("Pod", "b", namespace="elsewhere")]

    seen = await cluster.overview([f"ns-{n}" for n in range(20)])

    assert [one["metadata"]["name"] for one in seen.objects if one["kind"] == "Pod"] == ["a"]
    assert not [path for path, _ in api.asked if path.startswith("/api/v1/namespaces/")]


async def test_what_may_not_be_listed_everywhere_is_listed_in_each_namespace(cluster, api):
    api.refuse["/api/v1/pods"] = (403, "pods is forbidden")
    for n in range(9):
        api.lists[f"/api/v1/namespaces/ns-{n}/pods"] = [obj("Pod", f"p{n}", namespace=f"ns-{n}")]

    seen = await cluster.overview([f"ns-{n}" for n in range(9)])

    assert len([one for one in seen.objects if one["kind"] == "Pod"]) == 9
    assert not [gap for gap in seen.gaps if gap.what.startswith("Pod")]


async def test_a_refused_kind_is_a_gap_and_the_rest_is_there(cluster, api):
    api.refuse["/api/v1/namespaces/shop/events"] = (403, 'events is forbidden: User "me" cannot list')
    api.lists[PODS] = [obj("Pod", "web-1")]

    seen = await cluster.overview(["shop"])

    assert [(gap.what, gap.why[:9]) for gap in seen.gaps] == [("Event objects in shop", "no rights")]
    assert [one for one in seen.objects if one["kind"] == "Pod"]


async def test_an_api_that_many_clusters_lack_is_no_gap(cluster):
    assert (await cluster.overview(["shop"])).gaps == ()


async def test_secret_values_and_applied_copies_of_them_are_dropped(cluster, api):
    applied = {"kubectl.kubernetes.io/last-applied-configuration": '{"data": {"password": "aHVudGVyMg=="}}'}
    api.lists["/api/v1/namespaces/shop/secrets"] = [
        obj("Secret", "login", metadata={"annotations": applied}, data={"password": "aHVudGVyMg=="})
    ]

    seen = await cluster.overview(["shop"])

    secret = next(one for one in seen.objects if one["kind"] == "Secret")
    assert secret["data"] == {"password": "REDACTED"}
    assert "aHVudGVyMg" not in str(seen)


async def test_events_of_nodes_are_read_from_the_default_namespace(cluster, api):
    api.lists["/api/v1/nodes"] = [node("n1")]
    about = {"kind": "Node", "name": "n1"}
    api.lists["/api/v1/namespaces/default/events"] = [obj("Event", "e", namespace="default", involvedObject=about)]

    seen = await cluster.overview(["shop"])

    assert [one["involvedObject"]["name"] for one in seen.objects if one["kind"] == "Event"] == ["n1"]


async def test_logs_and_what_stands_in_their_place(cluster, api):
    api.logs = {("a", "app", False): "hello\n", ("a", "app", True): "unable to retrieve container logs for containerd://1"}
    api.refuse["/api/v1/namespaces/shop/pods/c/log"] = (400, 'container "app" in pod "c" is waiting to start: ContainerCreating')
    pods = [
        (Ref("Pod", "shop", name), "app", previous) for name, previous in (("a", False), ("a", True), ("b", False), ("c", False))
    ]

    seen = await cluster.logs(pods, tail=10)

    assert [(one.pod, one.text) for one in seen.logs] == [("a", "hello\n"), ("c", "")]
    assert [gap.what.split()[3] for gap in seen.gaps] == ["shop/a", "shop/b"]


async def test_one_object_now_or_none(cluster, api):
    api.objects["/apis/apps/v1/namespaces/shop/deployments/web"] = obj("Deployment", "web", api="apps/v1")
    api.refuse["/apis/apps/v1/namespaces/shop/deployments/secret"] = (403, "forbidden")

    assert (await cluster.get("apps/v1", Ref("Deployment", "shop", "web")))["metadata"]["name"] == "web"
    assert await cluster.get("apps/v1", Ref("Deployment", "shop", "gone")) is None
    with pytest.raises(ReadRefused, match="no rights"):
        await cluster.get("apps/v1", Ref("Deployment", "shop", "secret"))


async def test_what_nobody_waits_for_for_long_is_asked_once(cluster, api):
    api.refuse["/apis/metrics.k8s.io/v1beta1/nodes"] = (503, "the metrics server is away")

    seen = await cluster.usage(["shop"])

    assert len(api.asked) == 2  # nodes, and pods of one namespace
    assert "the metrics server is away" in seen.gaps[0].why


async def test_a_server_that_is_just_starting_is_asked_again(cluster, api):
    api.fail_first = 1

    assert await cluster.now() == datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


async def test_nothing_answers(tmp_path):
    cluster = connect(kubeconfig=kubeconfig(tmp_path / "config", "http://127.0.0.1:9"))
    with pytest.raises(ClusterUnreachable) as told:
        await cluster.now()
    cluster.close()

    assert str(told.value).startswith("no answer from cluster here")
    assert "\n" not in str(told.value)
    assert "kube-token" not in str(told.value)


def test_a_kubeconfig_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such kubeconfig"):
        connect(kubeconfig=tmp_path / "missing")


def test_a_kubeconfig_that_does_not_parse(tmp_path):
    path = tmp_path / "config"
    path.write_text("clusters: [")
    with pytest.raises(InputError, match="cannot be used as a kubeconfig") as told:
        connect(kubeconfig=path)
    assert "\n" not in str(told.value)


def test_a_context_that_is_not_in_it(tmp_path):
    with pytest.raises(InputError, match="no context 'prod' in it \\(it has: here\\)"):
        connect(kubeconfig=kubeconfig(tmp_path / "config", "http://127.0.0.1:9"), context="prod")


@pytest.mark.parametrize("over", ["socket", "tcp"])
async def test_reading_through_the_gateway(api, tmp_path, over):
    api.lists[PODS] = [obj("Pod", "web-1")]
    token = tmp_path / "token"
    token.write_text("agent-token\n")
    path = tmp_path / "gate.sock" if over == "socket" else None
    with serving(api, socket_path=path, prefix="/v1/read/prod") as url:
        cluster = connect_gateway(url, cluster="prod", token_file=token)
        READING_FOR.set("inc-1")
        seen = await cluster.overview(["shop"])
        cluster.close()

    assert [one["metadata"]["name"] for one in seen.objects if one["kind"] == "Pod"] == ["web-1"]
    assert api.tokens == {"Bearer agent-token"}
    assert api.runs == {"inc-1"}
    assert cluster.name == "prod"


async def test_a_gateway_that_is_not_there(tmp_path):
    token = tmp_path / "token"
    token.write_text("agent-token")
    cluster = connect_gateway(f"unix://{tmp_path}/none.sock", cluster="prod", token_file=token)
    with pytest.raises(ClusterUnreachable, match="through the sidecar"):
        await cluster.now()
    cluster.close()


def test_a_gateway_url_or_token_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="token cannot be read"):
        connect_gateway("http://127.0.0.1:1", cluster="prod", token_file=tmp_path / "none")
    (tmp_path / "token").write_text("x")
    with pytest.raises(InputError, match="no sidecar URL"):
        connect_gateway("gopher://x", cluster="prod", token_file=tmp_path / "token")


USED = "/apis/metrics.k8s.io/v1beta1"


async def test_what_pods_and_nodes_use_is_read_beside_what_they_may(cluster, api):
    usage = {"cpu": "250m", "memory": "100Mi"}
    stamp = {"timestamp": "2026-05-04T12:00:00Z", "window": "30s"}
    api.lists[f"{USED}/namespaces/shop/pods"] = [
        obj("PodMetrics", "web-1", containers=[{"name": "app", "usage": usage}, {"name": "side", "usage": {}}], **stamp)
    ]
    api.lists[f"{USED}/nodes"] = [obj("NodeMetrics", "node-1", namespace="", usage={"cpu": "1", "memory": "1Gi"}, **stamp)]
    pod = obj("Pod", "web-1", spec={"containers": [container()]})
    machine = node("node-1")
    machine["status"]["allocatable"] = {"cpu": "4", "memory": "2Gi"}

    pods = await _asked(cluster, "{}", pod, machine)
    nodes = await _asked(cluster, '{"nodes": true}', pod, machine)

    assert pods.text.splitlines() == [
        "Pod shop/web-1 container app: cpu 250m (no limit), memory 100Mi (78% of its limit 128Mi) at 2026-05-04T12:00:00Z",
        "Pod shop/web-1 container side: cpu 0m (no limit), memory 0Mi (no limit) at 2026-05-04T12:00:00Z",
    ]
    assert nodes.text.startswith("Node node-1: cpu 1000m (25% of its allocatable 4), memory 1024Mi (50% of its allocatable 2Gi)")


async def test_a_cluster_without_a_metrics_api_says_so(cluster, api):
    for path in (f"{USED}/namespaces/shop/pods", f"{USED}/nodes"):
        api.refuse[path] = (404, "the server could not find the requested resource")

    seen = await _asked(cluster, "{}")

    assert not seen.text
    assert "metrics API gives none (not found" in seen.missing


async def _asked(cluster, arguments, *objects):
    window = Window(start=NOW - timedelta(hours=1), end=NOW)
    view = View(observed=Observed(now=NOW, objects=objects), series=(), window=window, namespaces=("shop",))
    (top,) = [one for one in ObjectEyes(cluster).tools(view) if one.name == "top"]
    return await top.run(arguments)
