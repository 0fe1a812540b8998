"""A whole cluster at once: grouped by cause, few requests, logs only of what fails unexplained, gaps told."""

import json

import pytest
import yaml

from agent.ports import Gap
from agent.reasoning.offline import OfflineReasoner
from agent.stages.gather import Limits
from agent.stages.survey import SUSPECTS, survey
from agent.toolsets.dump import read_dump
from agent.toolsets.kubernetes import connect
from agent.toolsets.snapshot import Snapshot, SnapshotCluster
from tests.agent.builders import NOW, app, container, deployment, ended, event, lines, log, node, obj, pod, replica_set, waiting
from tests.fakes.agent_cluster import FakeApi, serving


class Counted(SnapshotCluster):
    """Remembers which logs were asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot)
        self.asked: list[str] = []

    async def logs(self, pods, *, tail):
        self.asked += [f"{ref.name}/{container}" for ref, container, _ in pods]
        return await super().logs(pods, tail=tail)


def cluster(*objects, logs=(), gaps=()):
    base = [node(), obj("Namespace", "shop", namespace=""), obj("ServiceAccount", "default")]
    held = [*base, *objects]
    return Counted(Snapshot(name="test", now=NOW, objects=tuple(held), logs=tuple(logs), gaps=tuple(gaps)))


async def look(reader, *namespaces):
    return await survey(
        namespaces or ("shop",), reader=reader, metrics=None, looker=OfflineReasoner(), limits=Limits(), everywhere=not namespaces
    )


def broken(name="web", text=""):
    owner = deployment(name, replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[ended(1)])
    return [owner, set_, one], [log(one, text, previous=True)] if text else []


async def test_a_healthy_cluster_is_left_in_peace():
    found = await look(cluster(*app("web"), *app("cart")))

    assert (found.outcome, found.troubles, found.gaps) == ("healthy", (), ())
    assert (found.workloads, found.unready) == (2, 0)


async def test_findings_are_grouped_by_cause_with_what_they_account_for():
    missing = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "nowhere", "key": "a"}}}]
    objects = []
    for name in ("web", "cart"):
        owner = deployment(name, replicas=1, ready=0, containers=[container(env=missing)])
        set_ = replica_set(owner, ready=0)
        objects += [owner, set_, pod(set_, ready=False, phase="Pending", statuses=[waiting("CreateContainerConfigError")])]

    found = await look(cluster(*objects))

    assert found.outcome == "fault"
    assert [one.cause for one in found.troubles] == ["configmap-missing"]
    assert found.troubles[0].effect == "down"
    assert (found.workloads, found.unready) == (2, 2)


async def test_the_worst_comes_first():
    gone, logs = broken("web", lines("FATAL environment variable PAYMENT_URL is not set"))
    missing = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "nowhere", "key": "a"}}}]
    owner = deployment("cart", ready=1, containers=[container(env=missing)])
    set_ = replica_set(owner, ready=1)
    stuck = pod(set_, number=1, ready=False, phase="Pending", statuses=[waiting("CreateContainerConfigError")])

    found = await look(cluster(*gone, owner, set_, pod(set_), stuck, logs=logs))

    assert [(one.cause, one.effect) for one in found.troubles] == [("missing-env-var", "down"), ("configmap-missing", "degraded")]


async def test_a_log_is_read_of_what_fails_without_a_cause_and_of_nothing_else():
    objects, logs = broken("web", lines("FATAL environment variable PAYMENT_URL is not set"))
    reader = cluster(*objects, *app("cart"), logs=logs)

    found = await look(reader)

    assert [one.cause for one in found.troubles] == ["missing-env-var"]
    assert reader.asked == [f"{objects[2]['metadata']['name']}/app"]


def calling(number):
    return app(f"caller-{number}", replicas=1, containers=[container(env=[{"name": "URL", "value": "http://cart:80"}])])


async def test_workloads_that_call_others_are_listened_to_where_there_is_room_for_all():
    few, many = [calling(number) for number in range(3)], [calling(number) for number in range(SUSPECTS + 1)]
    logs = [log(one[2], lines("ready")) for one in few]
    small = cluster(*app("cart"), *(part for one in few for part in one), logs=logs)
    large = cluster(*app("cart"), *(part for one in many for part in one))

    heard, unheard = await look(small), await look(large)

    assert (len(small.asked), heard.unheard, heard.outcome) == (3, 0, "healthy")
    assert (large.asked, unheard.unheard, unheard.outcome) == ([], SUSPECTS + 1, "healthy")


async def test_logs_of_healthy_callers_that_are_not_there_are_no_gap_in_the_way():
    found = await look(cluster(*app("cart"), *calling(1)))

    assert (found.gaps, found.unheard) == ((), 1)


async def test_symptoms_whose_cause_is_not_seen_are_told_as_that():
    objects, _ = broken()

    found = await look(cluster(*objects))

    assert found.outcome == "unknown"
    assert [one.cause for one in found.troubles] == [""]


async def test_what_may_not_be_read_is_a_gap_and_never_health():
    gap = Gap(what="Pod objects", why="no rights: pods is forbidden")

    found = await look(cluster(gaps=[gap]))

    assert found.outcome == "unknown"
    assert found.blind == ("Pod",)
    assert found.gaps == (("Pod objects", "no rights: pods is forbidden"),)


async def test_only_the_namespaces_asked_for_are_told_of():
    objects, _ = broken()
    for one in objects:
        one["metadata"]["namespace"] = "other"

    found = await look(cluster(*app("web"), *objects), "shop")

    assert found.outcome == "healthy"


async def test_what_a_namespace_calls_in_another_one_is_looked_at_and_told_if_it_is_what_is_wrong():
    callers = app("web", containers=[container(env=[{"name": "STORE_URL", "value": "http://store.data:80"}])])
    below = [*app("store", replicas=1), obj("Namespace", "data", namespace="")]
    for one in below[:-1]:
        one["metadata"]["namespace"] = "data"
    well = await look(cluster(*callers, *below), "shop")
    below[2]["status"]["containerStatuses"] = [ended(137, "OOMKilled")]
    below[2]["status"]["conditions"] = []
    said = log(callers[2], lines(*["ERROR GET http://store.data:80/: connection refused"] * 8))

    ill = await look(cluster(*callers, *below, logs=[said]), "shop")

    assert well.outcome == "healthy"
    assert [(one.cause, str(one.roots[0].finding.subject)) for one in ill.troubles] == [("oom-killed", "Deployment data/store")]


async def test_the_order_of_objects_does_not_matter():
    objects, logs = broken("web", lines("FATAL environment variable PAYMENT_URL is not set"))
    everything = [*objects, *app("cart")]

    assert await look(cluster(*everything, logs=logs)) == await look(cluster(*reversed(everything), logs=logs))


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def live(api, tmp_path):
    with serving(api) as url:
        user = {"name": "me", "user": {}}
        contexts = [{"name": "c", "context": {"cluster": "c", "user": "me"}}]
        document = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [user],
            "contexts": contexts,
            "current-context": "c",
        }
        (tmp_path / "config").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **document}))
        reader = connect(kubeconfig=tmp_path / "config")
        yield reader
        reader.close()


async def test_a_live_cluster_is_read_in_pages_and_without_a_request_for_each_object(api, live):
    crowd = deployment("web", replicas=1200)
    set_ = replica_set(crowd)
    pods = [pod(set_) for _ in range(1200)]
    for number, one in enumerate(pods):
        one["metadata"]["name"] = f"web-{number}"
    api.lists["/api/v1/pods"] = pods
    api.lists["/apis/apps/v1/deployments"] = [crowd]
    api.lists["/apis/apps/v1/replicasets"] = [set_]
    api.lists["/api/v1/nodes"] = [node()]

    found = await look(live)

    paths = [path for path, _ in api.asked]
    assert (found.outcome, found.workloads) == ("healthy", 1)
    assert len([path for path in paths if path == "/api/v1/pods"]) == 3
    assert len(paths) < 80
    assert not [path for path in paths if "/namespaces/" in path]


async def test_logs_of_many_suspects_stay_few_requests(api, live):
    objects = [one for number in range(60) for one in broken(f"app-{number}")[0]]
    for path, kind in (
        ("/api/v1/pods", "Pod"),
        ("/apis/apps/v1/deployments", "Deployment"),
        ("/apis/apps/v1/replicasets", "ReplicaSet"),
    ):
        api.lists[path] = [one for one in objects if one["kind"] == kind]

    await look(live)

    assert len([path for path, _ in api.asked if path.endswith("/log")]) <= SUSPECTS


async def test_a_kind_that_is_forbidden_is_a_gap_and_asked_for_once(api, live):
    api.refuse["/api/v1/secrets"] = (403, "secrets is forbidden")
    for path, kind in (("/api/v1/pods", "Pod"), ("/apis/apps/v1/deployments", "Deployment"), ("/api/v1/nodes", "Node")):
        api.lists[path] = [one for one in [*app("web"), node()] if one["kind"] == kind]

    found = await look(live)

    assert found.gaps == (("Secret objects", "no rights: secrets is forbidden"),)
    assert len([path for path, _ in api.asked if path.endswith("/secrets")]) == 1


async def test_rights_in_namespaces_only_are_used(api, live):
    api.refuse["/api/v1/pods"] = (403, "pods is forbidden")
    objects = app("web")
    for path, kind in (("pods", "Pod"), ("services", "Service")):
        api.lists[f"/api/v1/namespaces/shop/{path}"] = [one for one in objects if one["kind"] == kind]
    for path, kind in (("deployments", "Deployment"), ("replicasets", "ReplicaSet")):
        api.lists[f"/apis/apps/v1/namespaces/shop/{path}"] = [one for one in objects if one["kind"] == kind]

    found = await survey(("shop",), reader=live, metrics=None, looker=OfflineReasoner(), limits=Limits(), everywhere=True)

    assert (found.outcome, found.workloads, found.gaps) == ("healthy", 1, ())


async def test_a_dump_without_configuration_is_not_said_to_lack_it(tmp_path):
    needs = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]
    objects = app("web", containers=[container(env=needs)])
    space = tmp_path / "dump" / "shop"
    space.mkdir(parents=True)
    (tmp_path / "dump" / "nodes.json").write_text(json.dumps({"kind": "NodeList", "apiVersion": "v1", "items": [node()]}))
    for stem, kind in (("pods", "Pod"), ("services", "Service"), ("deployments", "Deployment"), ("replicasets", "ReplicaSet"),
                       ("events", "Event"), ("daemonsets", "DaemonSet")):  # fmt: skip
        items = [one for one in objects if one["kind"] == kind] + (
            [event(objects[2], "Started", "x", kind="Normal")] if kind == "Event" else []
        )
        document = {"kind": f"{kind}List", "apiVersion": "v1", "items": items}
        (space / f"{stem}.json").write_text(json.dumps(document))

    found = await look(SnapshotCluster(read_dump(tmp_path / "dump")), "shop")

    assert found.outcome == "healthy"
    assert ("ConfigMap objects", "the dump holds none of this kind") in found.gaps
