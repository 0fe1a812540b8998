"""A verdict is for places as they were labelled: who freezes one, or says that it is another environment, stops the next step."""

import threading

import pytest

from sidecar.approvals import Person
from sidecar.contract import Lease
from sidecar.errors import ClusterUnavailable
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.stop import state_of_stop, stop
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from tests.fakes.sidecar_cluster import status
from tests.fakes.sidecar_gate import deployment, make_world, plan, scale
from tests.sidecar.process.harness import wait_for

FREEZE = "lestrade.dev/freeze"


@pytest.fixture
def world(tmp_path, database):
    world = make_world(tmp_path, database(), verdict="allow")
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    for name in ("shop", "kube-system", "other"):
        labelled(world, name)
    return world


def labelled(world, name: str, **labels: str) -> None:
    named = {key.replace("__", "/").replace("_", "."): value for key, value in labels.items()}
    world.cluster.put("namespaces", {"metadata": {"name": name, "labels": {"team": "shop", **named}}})


def held(world) -> Lease:
    came = lease(submit(plan(scale(4), scale(5)), desk=world.desk).plan, desk=world.desk)
    assert isinstance(came, Lease)
    return came


@pytest.mark.parametrize(("place", "label"), [("shop", FREEZE), ("kube-system", "lestrade.dev/environment")])
def test_a_label_put_on_a_namespace_or_on_the_cluster_stops_the_next_step_and_not_the_way_back(world, place, label):
    mine = held(world)
    assert perform(mine.id, "step-1", desk=world.desk).status == "performed"
    labelled(world, place, **{label.replace(".", "_").replace("/", "__"): "prod"})
    writes = len(world.cluster.writes())

    stopped = perform(mine.id, "step-2", desk=world.desk)

    assert (stopped.status, stopped.reason) == ("refused", "target-changed")
    assert f"namespace {place} is labelled otherwise" in stopped.message
    assert label in stopped.message
    assert len(world.cluster.writes()) == writes
    assert undo(mine.id, desk=world.desk).complete


def test_the_labels_are_those_of_the_last_verdict_whatever_process_goes_on(world):
    came = submit(plan(scale(4)), desk=world.desk)
    labelled(world, "shop", criticality="high")  # between the verdict and the lease, which judges again
    mine = lease(came.plan, desk=world.desk)
    world.restart()
    labelled(world, "other", lestrade_dev__freeze="true")  # none of the plan's places
    assert perform(mine.id, "step-1", desk=world.desk).status == "performed"


def test_a_namespace_that_cannot_be_read_holds_the_step_up_and_ends_nothing(world):
    mine = held(world)
    world.cluster.before = lambda call, _: status(500, "broken") if call.path.endswith("/namespaces/shop") else None
    with pytest.raises(ClusterUnavailable, match="namespace shop cannot be read"):
        perform(mine.id, "step-1", desk=world.desk)
    world.cluster.before = lambda call, _: None
    assert perform(mine.id, "step-1", desk=world.desk).status == "performed"


def test_a_namespace_that_is_gone_stops_the_step(world):
    mine = held(world)
    world.cluster.before = lambda call, _: status(404, "not found") if call.path.endswith("/namespaces/shop") else None
    stopped = perform(mine.id, "step-1", desk=world.desk)
    assert (stopped.status, stopped.reason) == ("refused", "target-changed")
    assert "namespace shop is not there any more" in stopped.message


def test_a_stop_that_comes_while_a_namespace_is_looked_at_comes_before_the_write(world):
    mine, ada = held(world), Person(name="ada", roles=frozenset({"sre"}))
    stopping = threading.Thread(target=stop, args=(ada,), kwargs={"desk": world.desk})
    began = threading.Event()

    def slow(call, _):
        if call.path.endswith("/namespaces/shop") and not began.is_set():
            began.set()
            stopping.start()
            wait_for(lambda: state_of_stop(desk=world.desk).stopped, what="the stop is on record")

    writes = len(world.cluster.writes())
    world.cluster.before = slow
    stopped = perform(mine.id, "step-1", desk=world.desk)
    stopping.join(60)
    assert not stopping.is_alive()
    assert (stopped.status, stopped.reason) == ("refused", "lease-over")
    assert [call for call in world.cluster.writes()[writes:] if call.verb == "PATCH"] == []
