"""What looks like the incidents of strangers, and is as it should be."""

import pytest

from agent.checks import run
from tests.agent.builders import active, app, container, event, log, node, obj, service, topology
from tests.agent.checks.logbooks import repeated

ISTIO = "networking.istio.io/v1"
CALLER = app("web", containers=[container(env=[{"name": "API", "value": "http://api:80"}])])


@pytest.mark.parametrize(
    "line",
    [
        "ERROR traces export: dial tcp 127.0.0.1:4317: connect: connection refused",  # an agent that is optional
        "INFO connected to tcp://10.96.0.7:6379, port open",
        "WARN Unable to locate credentials, falling back to anonymous access",
    ],
)
def test_words_of_a_program_that_serves_are_no_cause(line):
    objects = app("web", minutes=600)
    redis = service("redis", selector={"app": "redis"})
    redis["spec"]["clusterIP"] = "10.96.0.7"

    found = run(topology(*objects, redis, *app("redis")[:-1], logs=[log(objects[2], f"2026-05-04T11:59:30Z {line}")]))

    assert active(found) == []


def test_a_canary_of_the_same_program_behind_one_service_is_no_stranger():
    labels = {"tier": "backend"}
    image = [container(image="registry.example.com/api:1.0")]
    newer = [container(image="registry.example.com/api:1.1")]
    ones = [*app("api", labels=labels, containers=image)[:-1], *app("api-canary", labels=labels, containers=newer)[:-1]]
    told = repeated(CALLER[2], "ERROR Post http://api.shop.svc:80/: dial tcp 10.0.0.1:80: connect: connection refused")

    found = run(topology(*ones, *CALLER, service("api", selector=labels), logs=[told]))

    assert "service-selects-strangers" not in {one.cause for one in found}


def test_a_subset_that_gets_no_traffic_or_only_a_testers_may_be_empty():
    idle = {"destination": {"host": "api", "subset": "v2"}, "weight": 0}
    only = {"match": [{"headers": {"x-test": {"exact": "1"}}}], "route": [{"destination": {"host": "api", "subset": "v2"}}]}
    routes = [only, {"route": [{"destination": {"host": "api"}, "weight": 100}, idle]}]
    virtual = obj("VirtualService", "api", api=ISTIO, spec={"hosts": ["api"], "http": routes})

    assert active(run(topology(*app("api"), *CALLER, virtual))) == []


def test_a_recommendation_that_is_applied_once_to_each_pod_is_as_wanted():
    objects = app("web")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = obj("VerticalPodAutoscaler", "web", api="autoscaling.k8s.io/v1", spec={"targetRef": target})
    told = [event(one, "EvictedByVPA", "Pod was evicted by VPA Updater", kind="Normal", count=1) for one in objects[2:4]]

    assert active(run(topology(*objects, scaler, *told))) == []


def test_a_kubelet_that_has_just_started_knows_no_capacity_yet():
    one = node("node-1")
    told = event(one, "ImageGCFailed", "invalid capacity 0 on image filesystem", count=3)

    assert active(run(topology(one, *app("web"), told))) == []
