"""Quantities, selectors, times and revisions as Kubernetes means them."""

import pytest

from agent.domain.objects import Ref
from agent.topology.fields import moment
from agent.topology.quantities import quantity, spoken
from agent.topology.selectors import matches, node_fits, untolerated
from agent.topology.workloads import previous_size, rollback, still_serving
from tests.agent.builders import app, deployment, event, node, pod, replica_set, topology

WEB = Ref("Deployment", "shop", "web")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("128Mi", 134217728),
        ("552Ki", 565248),
        ("9K", None),
        ("250m", 0.25),
        ("1.5", 1.5),
        ("1e3", 1000),
        ("2G", 2e9),
        (4, 4),
        ("", None),
        ("x", None),
    ],
)
def test_quantities(text, value):
    assert quantity(text) == value


@pytest.mark.parametrize(
    ("amount", "like", "text"), [(268435456, "128Mi", "256Mi"), (2**31, "1Gi", "2Gi"), (0.3, "100m", "300m"), (6, "4", "6")]
)
def test_quantities_are_written_like_their_model(amount, like, text):
    assert spoken(amount, like) == text


def test_selectors():
    wanted = {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "In", "values": ["x", "y"]}]}
    assert matches(wanted, {"a": "1", "b": "y"})
    assert not matches(wanted, {"a": "1", "b": "z"})
    assert matches({}, {"any": "thing"})
    assert not matches(None, {"any": "thing"})


def test_node_affinity_terms_are_alternatives():
    terms = [
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
        {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]},
    ]
    spec = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}}
    assert node_fits(spec, node(labels={"gpu": "yes"}))
    assert not node_fits(spec, node(labels={"zone": "b"}))


def test_taints_and_tolerations():
    tainted = node(
        taints=[{"key": "pool", "value": "gpu", "effect": "NoSchedule"}, {"key": "soft", "effect": "PreferNoSchedule"}]
    )
    assert [one["key"] for one in untolerated({}, tainted)] == ["pool"]
    assert untolerated({"tolerations": [{"key": "pool", "operator": "Exists"}]}, tainted) == []
    assert untolerated({"tolerations": [{"operator": "Exists"}]}, tainted) == []


@pytest.mark.parametrize("text", ["2026-05-04T12:00:00Z", "2026-05-04T12:00:00.123456789Z", "2026-05-04T14:00:00+02:00"])
def test_times_are_aware_and_utc(text):
    assert moment(text).isoformat().startswith("2026-05-04T12:00:00")


@pytest.mark.parametrize("text", ["", "yesterday", None, 5])
def test_what_is_no_time(text):
    assert moment(text) is None


def two_revisions(newest, older):
    owner = deployment("web")
    sets = [
        replica_set(owner, 2, minutes=newest, image="r/app:2.0"),
        replica_set(owner, 1, minutes=older, image="r/app:1.0", ready=2),
    ]
    return [owner, *sets, pod(sets[0], ready=False), pod(sets[1], number=1)]


def test_the_revision_to_go_back_to_and_what_still_serves():
    seen = topology(*two_revisions(10, 500))

    back = rollback(seen, WEB, None)

    assert (back.to, back.newest, back.image_before, back.image_after) == (1, 2, "r/app:1.0", "r/app:2.0")
    assert still_serving(seen, WEB) == "2 pods of the old ReplicaSet (1.0) still serve"


def test_trouble_older_than_the_newest_revision_did_not_begin_with_it():
    seen = topology(*two_revisions(10, 500))
    assert rollback(seen, WEB, moment("2026-05-04T11:00:00Z")) is None


def test_a_revision_that_was_rolled_back_to_is_no_new_one():
    assert rollback(topology(*two_revisions(500, 10)), WEB, None) is None


def test_the_size_before_the_last_scale_down():
    off = deployment("web", replicas=0)
    down = event(off, "ScalingReplicaSet", "Scaled down replica set web-1 from 4 to 0", kind="Normal")
    assert previous_size(topology(off, down), WEB) == 4
    assert previous_size(topology(*app("web")), WEB) is None
