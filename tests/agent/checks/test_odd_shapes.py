"""Custom resources come in every shape: whatever stands in them, no check falls over it."""

import random

import pytest

from agent.checks import run
from agent.domain.objects import Series
from agent.reasoning.offline import OfflineReasoner
from agent.toolsets.kinds import EXTENSION_KINDS
from tests.agent.builders import ago, app, asked, custom, obj, observed, told, topology
from tests.agent.checks.cases import CASES

ODD = (None, "", "x", 0, 7, True, [], {}, [None], ["x"], [{}], [[]], {"name": None}, {"name": 5}, {"a": {"b": None}})


def spoilt(value, dice, share):
    """A copy in which some values are of another shape."""
    if dice.random() < share:
        return dice.choice(ODD)
    if isinstance(value, dict):
        return {key: spoilt(one, dice, share) for key, one in value.items()}
    return [spoilt(one, dice, share) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(12))
def test_incidents_with_spoilt_custom_resources(seed):
    dice = random.Random(seed)
    ours = {one.kind for one in EXTENSION_KINDS} | {"Widget"}
    for cause in sorted(CASES):
        objects, logs = CASES[cause][1]()
        if not any(one["kind"] in ours for one in objects):
            continue
        odd = [
            {**one, **{part: spoilt(one[part], dice, 0.15) for part in ("spec", "status") if part in one}}
            if one["kind"] in ours
            else one
            for one in objects
        ]
        for one in odd:  # what reading lets through: spec and status are mappings, or not there
            for part in ("spec", "status"):
                if not isinstance(one.get(part) or {}, dict):
                    one[part] = {}
        run(topology(*odd, logs=logs))


@pytest.mark.parametrize("one", EXTENSION_KINDS, ids=lambda one: one.kind)
def test_a_resource_of_every_kind_that_says_nothing_yet(one):
    namespace = "shop" if one.namespaced else ""
    bare = obj(one.kind, "x", api=one.api_version, namespace=namespace, minutes=1)
    empty = obj(one.kind, "y", api=one.api_version, namespace="other" if namespace else "", minutes=1, spec={}, status={})
    assert [found.cause for found in run(topology(*app("web"), bare, empty)) if found.state == "active"] in (
        [],
        ["inference-pool-picker-missing"],
    )


def test_series_without_samples_or_labels_are_nothing():
    names = (
        "DCGM_FI_DEV_XID_ERRORS",
        "DCGM_FI_DEV_GPU_TEMP",
        "DCGM_FI_DEV_ROW_REMAP_FAILURE",
        "cilium_drop_count_total",
        "cilium_bpf_map_pressure",
        "cilium_unreachable_nodes",
        "hubble_lost_events_total",
        "vllm:num_requests_waiting",
        "cilium_ipsec_xfrm_error",
        "cilium_clustermesh_remote_cluster_readiness_status",
        "inference_pool_ready_pods",
    )
    bare = [Series(labels={"__name__": name}, samples=()) for name in names]
    assert [one for one in run(topology(*app("web"), series=bare)) if one.state == "active"] == []


def test_a_question_about_a_cluster_of_odd_resources_is_answered():
    odd = [
        custom(
            one.kind,
            "odd",
            {"type": None},
            told("Ready", "Maybe"),
            api=one.api_version,
            minutes=1,
            metadata={"deletionTimestamp": ago(-1)},
        )
        for one in EXTENSION_KINDS
    ]
    assert OfflineReasoner().diagnose(asked("what is wrong in namespace shop?"), observed(*app("web"), *odd)).outcome == "healthy"
