"""The graph: who owns, selects, needs and calls whom; what a pod that is gone belonged to."""

from agent.checks import run
from agent.domain.objects import Ref
from agent.topology.calls import hosts_in, service_of
from tests.agent.builders import NS, app, container, deployment, event, log, node, obj, pod, replica_set, service, topology

WEB, DB = Ref("Deployment", "shop", "web"), Ref("Deployment", "shop", "db")


def test_a_pod_belongs_to_its_deployment_and_a_service_needs_what_it_selects():
    seen = topology(*app("web"))
    (first, *_) = [Ref("Pod", "shop", one["metadata"]["name"]) for one in seen.of_kind("Pod")]

    assert seen.unit(first) == WEB
    assert len(seen.pods_of(WEB)) == 2
    assert WEB in seen.depends_on(Ref("Service", "shop", "web"))


def test_a_workload_needs_what_its_environment_and_config_name():
    boxes = [container(env=[{"name": "DB_HOST", "value": "db"}], envFrom=[{"configMapRef": {"name": "settings"}}])]
    config = obj("ConfigMap", "settings", data={"CACHE_URL": "redis://cache.shop.svc:6379/0"})
    seen = topology(*app("web", containers=boxes), *app("db"), *app("cache"), config)

    needed = seen.depends_on(WEB)

    assert {DB, Ref("Deployment", "shop", "cache"), Ref("ConfigMap", "shop", "settings"), Ref("Node", "", "node-1")} <= needed
    assert WEB in seen.dependents_of(DB)
    assert WEB not in seen.dependents_of(WEB)


def test_mutual_needs_end():
    one = app("a", containers=[container(env=[{"name": "B_URL", "value": "http://b"}])])
    two = app("b", containers=[container(env=[{"name": "A_URL", "value": "http://a"}])])
    seen = topology(*one, *two)

    assert Ref("Deployment", "shop", "b") in seen.depends_on(Ref("Deployment", "shop", "a"))
    assert Ref("Deployment", "shop", "a") in seen.depends_on(Ref("Deployment", "shop", "b"))


def test_events_of_a_pod_that_is_gone_belong_to_its_workload():
    owner = deployment("web")
    set_ = replica_set(owner)
    gone = pod(set_, number=7)
    gone["metadata"]["name"] = f"{set_['metadata']['name']}-zzzzz"
    seen = topology(owner, set_, event(gone, "Failed", "x"))

    assert [one.reason for one in seen.events_of_unit(WEB)] == ["Failed"]


def test_the_kubelets_excuse_is_no_log():
    objects = app("web")
    seen = topology(
        *objects, logs=[log(objects[2], "unable to retrieve container logs for containerd://1"), log(objects[3], "hello")]
    )

    assert [one.text for one in seen.logs_of(WEB)] == ["hello"]


def test_scheduler_events_without_last_time_still_have_one():
    objects = app("web")
    one = event(objects[2], "FailedScheduling", "x")
    one |= {"firstTimestamp": None, "lastTimestamp": None, "count": None, "eventTime": "2026-05-04T11:00:00.123456Z"}
    seen = topology(*objects, one)

    (found,) = seen.events_about(Ref("Pod", "shop", objects[2]["metadata"]["name"]))
    assert found.last is not None
    assert found.count == 1


def test_odd_objects_do_not_break_the_graph():
    odd = [
        {"kind": "Pod", "metadata": {"name": "x", "namespace": "shop"}},
        {"kind": "Deployment", "metadata": {"name": "y", "namespace": "shop"}, "spec": None, "status": []},
        {"kind": "Service", "metadata": {"name": "z", "namespace": "shop"}, "spec": {"selector": None, "ports": "no"}},
        {"kind": "Event", "metadata": {}, "involvedObject": None},
        {"kind": "Ingress", "metadata": {"name": "i"}, "spec": {"rules": [{}]}},
        {"kind": "Node"},
    ]
    seen = topology(*odd, node("n"))

    assert len(seen.of_kind("Pod")) == 1


def test_hosts_are_read_from_urls_ports_and_keys_that_name_hosts():
    assert hosts_in("postgres://u:p@db.shop:5432/x") == [("db.shop", 5432)]
    assert hosts_in("kafka-0.kafka.shop.svc:9092,kafka-1.kafka.shop.svc:9092")[0] == ("kafka-0.kafka.shop.svc", 9092)
    assert hosts_in("cache", key="REDIS_HOST") == [("cache", 0)]
    assert hosts_in("info", key="LOG_LEVEL") == []


def test_which_names_are_services_of_the_cluster():
    assert service_of("db", "shop") == Ref("Service", "shop", "db")
    assert service_of("db.data.svc.cluster.local", "shop") == Ref("Service", "data", "db")
    assert service_of("api.example.com", "shop") is None
    assert service_of("10.0.0.1", "shop") is None
    assert service_of("localhost", "shop") is None


def test_a_service_without_a_selector_selects_nothing():
    bare = service("external")
    bare["spec"].pop("selector")
    assert topology(*app("web"), bare).selected_by(bare) == []


def test_a_kind_that_another_api_group_has_as_well_is_another_thing_of_the_same_name():
    core = service("web")
    serverless = obj("Service", "web", api="serving.knative.dev/v1", spec={"template": {}})
    policy = obj("NetworkPolicy", "all", api="crd.projectcalico.org/v1", spec={"selector": "all()", "types": ["Ingress"]})

    graph = topology(*app("web")[:-1], serverless, core, policy)

    assert graph.get("Service", NS, "web") == core
    assert graph.get("Service.serving.knative.dev", NS, "web") == serverless
    assert graph.of_kind("NetworkPolicy") == []
    assert len(graph.selected_by(core)) == 2
    assert run(graph) == ()
