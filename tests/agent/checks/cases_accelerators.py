"""Incidents of device plugins, dynamic resource allocation and GPUs."""

from typing import Any

from tests.agent.builders import app, deployment, event, lines, log, node, obj, pod, replica_set, waiting
from tests.agent.checks.cases import World, case
from tests.agent.machines import asking, dcgm, gpu_node, plugin, using

Object = dict[str, Any]


@case("device-plugin-unhealthy", "DaemonSet/nvidia-device-plugin")
def _() -> World:
    failing = waiting("CreateContainerError", "failed to create shim task", name="plugin")
    return [gpu_node(allocatable="0"), *plugin(failing), *asking()], []


@case("device-plugin-missing", "Deployment/infer")
def _() -> World:
    return [gpu_node(allocatable=None, capacity=None), *asking()], []


@case("extended-resource-not-offered", "Deployment/infer")
def _() -> World:
    mig = node()
    mig["status"]["capacity"]["nvidia.com/mig-1g.10gb"] = mig["status"]["allocatable"]["nvidia.com/mig-1g.10gb"] = "7"
    return [mig, *asking("nvidia.com/mig-3g.40gb")], []


@case("devices-withdrawn", "Node/node-1")
def _() -> World:
    return [gpu_node(allocatable="6"), *plugin(), *asking(amount="8")], []


@case("mig-config-failed", "Node/node-1")
def _() -> World:
    labels = {"nvidia.com__mig.config": "all-3g.40gb", "nvidia.com__mig.config.state": "failed"}
    return [gpu_node(allocatable="0", capacity="0", **labels), *plugin(), *asking("nvidia.com/mig-3g.40gb")], []


RESOURCE = "resource.k8s.io/v1"


def claiming(
    entry: Object, said: str = "0/1 nodes are available: 1 cannot allocate all claims.", *, made: str = ""
) -> list[Object]:
    """A workload whose pod waits for a ResourceClaim."""
    spec = {"resourceClaims": [{"name": "gpu", **entry}]}
    owner = deployment("infer", replicas=1, ready=0, pod=spec)
    set_ = replica_set(owner, ready=0)
    status = {"resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": made}]} if made else {}
    one = pod(set_, ready=False, statuses=[], phase="Pending", node="", minutes=20, status=status)
    return [owner, set_, one, event(one, "FailedScheduling", said)]


def claim(name: str = "infer-gpu", device_class: str = "gpu.example.com", *, allocated: str = "") -> Object:
    requests = [{"name": "gpu", "exactly": {"deviceClassName": device_class}}]
    results = [{"driver": "gpu.example.com", "pool": "node-1", "device": allocated, "request": "gpu"}] if allocated else []
    status = {"allocation": {"devices": {"results": results}}} if allocated else {}
    return obj("ResourceClaim", name, api=RESOURCE, spec={"devices": {"requests": requests}}, status=status)


def device_class(name: str = "gpu.example.com") -> Object:
    selectors = [{"cel": {"expression": f"device.driver == '{name}'"}}]
    return obj("DeviceClass", name, api=RESOURCE, namespace="", spec={"selectors": selectors})


def slice_of(*devices: str, driver: str = "gpu.example.com") -> Object:
    spec = {"driver": driver, "nodeName": "node-1", "pool": {"name": "node-1"}, "devices": [{"name": name} for name in devices]}
    return obj("ResourceSlice", f"node-1-{driver}", api=RESOURCE, namespace="", spec=spec)


@case("resource-claim-template-missing", "ResourceClaimTemplate/single-gpu")
def _() -> World:
    objects = claiming(
        {"resourceClaimTemplateName": "single-gpu"}, "0/1 nodes are available: waiting for resource claim to be created."
    )
    said = (
        'PodResourceClaim gpu: resource claim template "single-gpu": resourceclaimtemplate.resource.k8s.io "single-gpu" not found'
    )
    return [*objects, event(objects[2], "FailedResourceClaimCreation", said), device_class(), slice_of("gpu-0")], []


@case("resource-claim-missing", "ResourceClaim/shared-gpu")
def _() -> World:
    said = '0/1 nodes are available: 1 resourceclaim "shared-gpu" not found.'
    return [*claiming({"resourceClaimName": "shared-gpu"}, said), device_class(), slice_of("gpu-0")], []


@case("device-class-missing", "DeviceClass/gpu.exmaple.com")
def _() -> World:
    named = claiming({"resourceClaimName": "infer-gpu"}, "0/1 nodes are available: device class gpu.exmaple.com does not exist.")
    return [*named, claim(device_class="gpu.exmaple.com"), device_class(), slice_of("gpu-0")], []


@case("device-driver-publishes-nothing", "DeviceClass/gpu.example.com")
def _() -> World:
    return [
        *claiming({"resourceClaimName": "infer-gpu"}),
        claim(),
        device_class(),
        slice_of("nic-0", driver="net.example.com"),
    ], []


@case("resource-claim-unallocated", "Deployment/infer")
def _() -> World:
    objects = claiming({"resourceClaimTemplateName": "single-gpu"}, made="infer-gpu")
    template = obj("ResourceClaimTemplate", "single-gpu", api=RESOURCE, spec={"spec": claim()["spec"]})
    return [*objects, template, claim(), claim("other", allocated="gpu-0"), device_class(), slice_of("gpu-0")], []


@case("device-prepare-failed", "Deployment/infer")
def _() -> World:
    owner = deployment("infer", replicas=1, ready=0, pod={"resourceClaims": [{"name": "gpu", "resourceClaimName": "infer-gpu"}]})
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[waiting("ContainerCreating")], phase="Pending", minutes=20)
    said = "Failed to prepare dynamic resources: prepare dynamic resources: DRA driver gpu.example.com is not registered"
    return [
        owner,
        set_,
        one,
        event(one, "FailedPrepareDynamicResources", said),
        claim(allocated="gpu-0"),
        device_class(),
        slice_of("gpu-0"),
    ], []


XID_79 = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


@case("gpu-hardware-fault", "Node/node-1")
def _() -> World:
    machine = gpu_node()
    return [machine, *using(), event(machine, "KernelLog", XID_79)], []


@case("gpu-memory-fault", "Node/node-1")
def _() -> World:
    machine = gpu_node()
    return [machine, *using(), event(machine, "KernelLog", "NVRM: Xid (PCI:0000:3b:00): 95, pid=71, Uncontained ECC error")], []


@case("gpu-application-fault", "Deployment/trainer")
def _() -> World:
    objects = using(ready=False)
    said = "NVRM: Xid (PCI:0000:3b:00): 31, pid=71, name=python, MMU Fault: ENGINE GRAPHICS"
    return [gpu_node(), *objects], [log(objects[2], lines(f"kernel: {said}"))]


@case("gpu-driver-mismatch", "Deployment/trainer")
def _() -> World:
    objects = using(ready=False)
    return [gpu_node(), *objects], [log(objects[2], lines("Failed to initialize NVML: Driver/library version mismatch"))]


@case("nccl-failure", "Deployment/trainer")
def _() -> World:
    objects = using(ready=False)
    said = "[rank3]: Watchdog caught collective operation timeout: WorkNCCL(SeqNum=812, OpType=ALLREDUCE) ran for 600000 ms"
    return [gpu_node(), *objects], [log(objects[2], lines(said))]


@case("gpu-too-hot", "Node/node-1", series=[dcgm("GPU_TEMP", *[70.0] * 20, *[92.0] * 20)])
def _() -> World:
    return [gpu_node(), *plugin(), *using()], []


HELD = {"exported_pod": "trainer-00001abcde-axyz0", "exported_namespace": "shop"}


@case(
    "gpu-idle-while-others-wait",
    "Deployment/trainer",
    series=[dcgm("GPU_UTIL", *[0.0] * 100, **HELD), dcgm("FB_USED", *[30000.0] * 100, **HELD)],
)
def _() -> World:
    return [gpu_node(allocatable="1", capacity="1"), *plugin(), *using(), *asking()], []


def healthy_gpus() -> list[Object]:
    return [gpu_node(), *plugin(), *using(), *app("web")]
