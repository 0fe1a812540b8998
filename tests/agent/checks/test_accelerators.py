"""Accelerators: what is offered, in use or by design is no fault; a hardware fault explains the programs that fall over it."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import active, app, asked, ended, event, lines, log, measured, node, observed, topology
from tests.agent.checks.cases_accelerators import (
    HELD,
    XID_79,
    claim,
    claiming,
    dcgm,
    device_class,
    healthy_gpus,
    slice_of,
)
from tests.agent.machines import asking, gpu_node, plugin, using


def causes(*objects, logs=(), series=()):
    return active(run(topology(*objects, logs=logs, series=series)))


def answer(*objects, logs=(), question="What is wrong in namespace shop?"):
    return OfflineReasoner().diagnose(asked(question), observed(*objects, logs=logs))


def first(*objects, logs=()):
    return answer(*objects, logs=logs).causes[0].finding


def test_gpus_that_work_are_no_finding():
    assert causes(*healthy_gpus()) == []


def test_all_gpus_in_use_is_a_matter_of_capacity_and_not_of_the_plugin():
    assert causes(gpu_node(), *plugin(), *asking(amount="9")) == ["insufficient-extended-resource"]


def test_a_node_with_gpus_that_nobody_asks_for_needs_no_plugin():
    assert causes(gpu_node(allocatable=None, capacity=None), *app("web")) == []


@pytest.mark.parametrize(
    ("resource", "label"),
    [("nvidia.com/gpu", "nvidia.com/gpu.present"), ("amd.com/gpu", "feature.node.kubernetes.io/amd-gpu"),
     ("gpu.intel.com/i915", "intel.feature.node.kubernetes.io/gpu")],
)  # fmt: skip
def test_the_plugin_of_any_vendor_is_missed(resource, label):
    found = first(node(labels={label: "true"}), *asking(resource))
    assert found.cause == "device-plugin-missing"
    assert resource in found.statement


def test_a_plugin_that_selects_no_node_is_named():
    found = first(gpu_node(allocatable=None, capacity=None), *plugin(desired=0), *asking())
    assert found.cause == "device-plugin-unhealthy"
    assert "desired 0" in found.statement


def test_a_plugin_that_crashes_explains_the_pods_and_its_own_crash_is_told():
    found = answer(gpu_node(allocatable="0"), *plugin(ended(1, name="plugin")), *asking())
    assert found.causes[0].finding.cause == "device-plugin-unhealthy"
    assert all(one.finding.cause != "insufficient-extended-resource" for one in found.causes)


def test_without_hardware_or_likeness_the_shortage_itself_is_told():
    assert first(node(), *asking()).cause == "insufficient-extended-resource"


def test_devices_that_are_all_offered_and_odd_capacities_are_no_finding():
    one = gpu_node()
    one["status"]["capacity"] |= {"hugepages-2Mi": "4Gi", "ephemeral-storage": "100Gi", "memory": "16Gi"}
    one["status"]["allocatable"] |= {"hugepages-2Mi": "0", "ephemeral-storage": "90Gi", "memory": "15Gi"}
    assert causes(one, *app("web")) == []


@pytest.mark.parametrize("state", ["success", "pending", "rebooting"])
def test_a_partitioning_that_works_or_is_on_its_way_is_no_finding(state):
    assert causes(gpu_node(**{"nvidia.com__mig.config.state": state}), *app("web")) == []


def test_a_claim_that_is_allocated_and_a_pod_that_runs_is_no_finding():
    assert causes(*app("web", pod={"resourceClaims": [{"name": "gpu", "resourceClaimName": "c"}]}), claim("c", allocated="gpu-0"),
                  device_class(), slice_of("gpu-0")) == []  # fmt: skip


def test_how_many_devices_there_are_and_who_has_them_is_said():
    objects = claiming({"resourceClaimName": "infer-gpu"})
    found = first(*objects, claim(), claim("other", allocated="gpu-0"), device_class(), slice_of("gpu-0", "gpu-1"))
    assert found.cause == "resource-claim-unallocated"
    assert "2 published, 1 taken" in found.statement
    assert found.params["all_taken"] is False


def test_kinds_that_could_not_be_read_are_not_called_missing():
    objects = claiming({"resourceClaimTemplateName": "single-gpu"})
    found = run(
        topology(
            *objects, unseen={"ResourceClaimTemplate": "no rights", "DeviceClass": "no rights", "ResourceSlice": "no rights"}
        )
    )
    assert active(found) == ["resource-claim-unallocated"]


def test_a_gpu_that_fell_off_the_bus_explains_the_program_that_crashes_on_it():
    objects = using(ready=False)
    objects[2]["status"]["containerStatuses"] = [ended(139)]
    machine = gpu_node()
    found = answer(machine, *objects, event(machine, "KernelLog", XID_79, minutes=58), question="why does trainer crash in shop?")
    assert [one.finding.cause for one in found.causes] == ["gpu-hardware-fault"]
    assert "fallen off the bus" in found.causes[0].finding.statement


@pytest.mark.parametrize(
    ("words", "cause", "subject"),
    [
        ("NVRM: Xid (PCI:0000:01:00): 119, pid=9, Timeout waiting for RPC from GSP", "gpu-hardware-fault", "Node"),
        ("NVRM: Xid (PCI:0000:01:00): 48, pid=9, An uncorrectable double bit error (DBE)", "gpu-memory-fault", "Node"),
        ("NVRM: Xid (PCI:0000:01:00): 13, pid=9, Graphics Exception", "gpu-application-fault", "Deployment"),
    ],
)
def test_a_code_in_a_programs_log_accuses_the_node_or_the_program(words, cause, subject):
    objects = using(ready=False)
    found = first(gpu_node(), *objects, logs=[log(objects[2], lines(words))])
    assert (found.cause, found.subject.kind) == (cause, subject)


def test_the_metric_of_the_exporter_names_node_and_code():
    (found,) = run(topology(gpu_node(), *using(), series=[dcgm("XID_ERRORS", *[0.0] * 10, *[79.0] * 5, **HELD)]))
    assert (found.cause, str(found.subject)) == ("gpu-hardware-fault", "Node node-1")
    assert found.since is not None


@pytest.mark.parametrize(
    "series",
    [
        [dcgm("XID_ERRORS", *[0.0] * 20)],
        [dcgm("GPU_TEMP", *[70.0] * 40, 91.0)],
        [dcgm("ROW_REMAP_FAILURE", *[0.0] * 20), dcgm("UNCORRECTABLE_REMAPPED_ROWS", *[2.0] * 20)],
        [dcgm("GPU_UTIL", *[0.0] * 100, **HELD), dcgm("FB_USED", *[30000.0] * 100, **HELD)],  # idle, and nobody waits
        [measured("vllm:num_requests_waiting", [3] * 40, pod="trainer-00001abcde-axyz0")],
    ],
)
def test_metrics_of_gpus_that_are_well_are_no_finding(series):
    assert causes(*healthy_gpus(), series=series) == []


def test_a_gpu_that_is_used_now_and_then_is_not_idle():
    series = [dcgm("GPU_UTIL", *[0.0] * 60, 55.0, *[0.0] * 39, **HELD), dcgm("FB_USED", *[30000.0] * 100, **HELD)]
    waiting = [gpu_node(allocatable="1", capacity="1"), *plugin(), *using(), *asking()]
    assert "gpu-idle-while-others-wait" not in causes(*waiting, series=series)


def test_rows_that_could_not_be_remapped():
    (found,) = run(topology(*healthy_gpus(), series=[dcgm("ROW_REMAP_FAILURE", *[0.0] * 10, 1.0, 1.0, number="3")]))
    assert found.cause == "gpu-memory-fault"
    assert "GPU 3" in found.statement


def test_a_condition_of_a_node_that_speaks_of_its_gpu():
    bad = {"type": "GPUMissing", "status": "True", "reason": "GPUMissing", "message": "expected 8 GPUs, found 7"}
    good = {"type": "NVLinkStatusInactive", "status": "False", "reason": "NVLinkActive", "message": ""}
    machine = gpu_node()
    machine["status"]["conditions"] += [bad, good]
    assert causes(machine, *plugin(), *using()) == ["gpu-hardware-fault"]


def test_the_word_xid_in_an_ordinary_log_is_nothing():
    objects = using()
    told = log(objects[2], lines("ERROR request xid=8842 of user 79 failed", "transaction xid 12 committed"))
    assert [one for one in causes(gpu_node(), *plugin(), *objects, logs=[told]) if one.startswith("gpu-")] == []


def test_an_old_error_of_a_gpu_is_not_told():
    machine = gpu_node()
    assert causes(machine, *plugin(), *using(), event(machine, "KernelLog", XID_79, minutes=300)) == []


def test_the_exporter_keeps_the_last_error_of_a_program_for_ever():
    assert causes(*healthy_gpus(), series=[dcgm("XID_ERRORS", *[31.0] * 40, **HELD)]) == []
    assert causes(*healthy_gpus(), series=[dcgm("XID_ERRORS", *[0.0] * 20, *[31.0] * 20, **HELD)]) == ["gpu-application-fault"]


@pytest.mark.parametrize("kind", ["NvidiaDriverInstalled", "GPUHealthy", "GpuAvailable", "NVLinkStatusActive"])
def test_conditions_that_are_good_when_they_are_true(kind):
    machine = gpu_node()
    machine["status"]["conditions"] += [{"type": kind, "status": "True"}]
    assert causes(machine, *plugin(), *using()) == []
