"""Texts that count something: anybody who may write an object or an event may write anything there."""

import pytest

from agent.domain.objects import Ref
from agent.topology import build
from agent.topology.fields import counted
from agent.topology.workloads import previous_size
from tests.agent.builders import NOW


@pytest.mark.parametrize("raw", ["", " 3", "-3", "\u00b2", "\u0663", "9" * 5000, "3.0"])
def test_what_is_no_count_is_none(raw):
    assert counted(raw) is None


def test_a_count_is_read():
    assert counted("042") == 42


@pytest.mark.parametrize("words", ["Scaled down from ", "Scaled down from \u00b2 to 0", "from nothing", "5 are gone"])
def test_an_event_of_a_scale_down_that_says_no_number_tells_no_size(words):
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.1", "namespace": "shop"},
        "involvedObject": {"kind": "Deployment", "namespace": "shop", "name": "web"},
        "reason": "ScalingReplicaSet", "message": words, "lastTimestamp": NOW.isoformat(),
    }  # fmt: skip
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}}

    assert previous_size(build(NOW, [web, event]), Ref("Deployment", "shop", "web")) is None
