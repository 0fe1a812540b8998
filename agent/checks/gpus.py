"""GPUs that fail: XID errors, memory faults, driver mismatch, heat, ranks that lose each other, and idle GPUs others wait for.

An XID of the application's own making (13, 31, 43 ...) accuses the program, one of the hardware or driver the node.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from agent.checks.accelerators import gpu_pods
from agent.checks.applications import told
from agent.checks.registry import check, quote_condition, quote_field
from agent.checks.scheduling import unplaced
from agent.checks.xids import APPLICATION, MEANING, MEMORY, Xid, node_of, pod_of, xids
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref, Series
from agent.topology import Topology
from agent.topology.fields import items, ref_of, text, time_at
from agent.topology.workloads import troubled_containers

_MISMATCH = re.compile(
    r"driver/library version mismatch|failed to initialize nvml|nvml: driver not loaded|couldn't communicate with the"
    " nvidia driver"
    r"|cuda driver version is insufficient for cuda runtime|nvidia driver on your system is too old"
    r"|no kernel image is available for execution|forward compatibility was attempted",
    re.I,
)
_NCCL = re.compile(
    r"nccl\s+(?:error|warn)[^\n]{0,200}(?:unhandled (?:system|cuda) error|remote (?:process|peer)|timed?"
    " ?out|connection|bootstrap)"
    r"|watchdog caught collective operation timeout|ncclsystemerror|ncclremoteerror|ncclunhandledcudaerror",
    re.I,
)
# Conditions that are True when all is well; all others that speak of GPUs are True when something is wrong.
_GOOD = re.compile(r"(?<!un)healthy|(?<!not)ready|ok$|(?<!un)available|installed|present|enabled|(?<!in)active$", re.I)
HOT = 90.0  # degrees Celsius: data centre GPUs slow down between 85 and 95


@check("gpu-memory-fault", weight=0.95)
@check("gpu-hardware-fault", weight=0.95)
@check("gpu-application-fault", weight=0.8)
def xid_errors(topology: Topology) -> Iterator[Finding]:
    """The gravest XID of each node; application codes by workload, and only where no graver one explains them."""
    by_node: dict[str, list[Xid]] = {}
    for one in xids(topology):
        by_node.setdefault(one.node, []).append(one)
    for node, ones in sorted(by_node.items()):
        hard = [one for one in ones if one.code not in APPLICATION]
        if hard and Ref("Node", "", node) in topology.objects:
            yield _hardware(topology, node, hard)
        elif hard:
            yield from _programs(hard, "gpu-hardware-fault")
        yield from _programs([one for one in ones if one.code in APPLICATION and not hard], "gpu-application-fault")
    yield from _conditions(topology)


def _hardware(topology: Topology, node: str, hard: Sequence[Xid]) -> Finding:
    worst = max(hard, key=lambda one: (one.code in MEMORY, one.code in (79, 119, 120), one.code))
    ref, codes = Ref("Node", "", node), sorted({one.code for one in hard})
    said = ", ".join(f"XID {code}{f' ({MEANING[code]})' if code in MEANING else ''}" for code in codes)
    hurt = {one.unit for one in hard if one.unit is not None} | set(gpu_pods(topology, ref))
    return Finding(
        cause="gpu-memory-fault" if worst.code in MEMORY else "gpu-hardware-fault",
        subject=ref,
        since=min((one.at for one in hard if one.at), default=None),
        affects=tuple(sorted(hurt)),
        params={"codes": [*codes], "node": node},
        quotes=tuple(one.quote for one in hard[:3]),
        statement=f"A GPU of {ref} is faulty: {said}; the programs on it fail whatever they do.",
    )


def _programs(ones: Sequence[Xid], cause: str) -> Iterator[Finding]:
    for unit in sorted({one.unit for one in ones if one.unit is not None}):
        mine = [one for one in ones if one.unit == unit]
        codes = sorted({one.code for one in mine})
        said = ", ".join(f"XID {code}{f' ({MEANING[code]})' if code in MEANING else ''}" for code in codes)
        fault = "is at fault itself on the GPU" if cause == "gpu-application-fault" else "runs on a faulty GPU"
        yield Finding(
            cause=cause,
            subject=unit,
            since=min((one.at for one in mine if one.at), default=None),
            params={"codes": [*codes], "node": mine[0].node},
            quotes=tuple(one.quote for one in mine[:2]),
            statement=f"{unit} {fault}: {said}.",
        )


def _conditions(topology: Topology) -> Iterator[Finding]:
    """Conditions of node problem detectors that speak of GPUs: True is bad."""
    for node in topology.of_kind("Node"):
        for one in items(node, "status", "conditions"):
            kind = text(one, "type")
            about_gpu = re.search(r"gpu|nvlink|xid|nvidia", kind, re.I) and not _GOOD.search(kind)
            if about_gpu and text(one, "status") == "True":
                ref = ref_of(node)
                yield Finding(
                    cause="gpu-hardware-fault",
                    subject=ref,
                    since=time_at(one, "lastTransitionTime"),
                    affects=tuple(gpu_pods(topology, ref)),
                    params={"codes": [], "node": ref.name},
                    quotes=tuple(quote_condition(node, kind)),
                    statement=f"{ref} reports {kind} ({text(one, 'reason')}): {text(one, 'message')[:250]}.",
                )


_ROWS = {
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": "memory rows could not be remapped",
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": "double bit ECC errors since the driver was loaded",
}


@check("gpu-memory-fault", weight=0.95)
def rows_not_remapped(topology: Topology) -> Iterator[Finding]:
    """DCGM: a row that could not be remapped, or double bit ECC errors. Remapped rows alone are taken care of."""
    for series in topology.series:
        if series.name not in _ROWS or not series.samples or series.samples[-1][1] <= 0:
            continue
        ref = Ref("Node", "", node_of(topology, series))
        if ref in topology.objects:
            began = datetime.fromtimestamp(next(when for when, value in series.samples if value > 0), UTC)
            words = f"{series.name} {int(series.samples[-1][1])} on GPU {series.labels.get('gpu', '?')}"
            yield Finding(
                cause="gpu-memory-fault",
                subject=ref,
                since=began,
                affects=tuple(gpu_pods(topology, ref)),
                params={"codes": [], "node": ref.name},
                quotes=(quote_field(ref, "metrics", words, began),),
                statement=f"GPU {series.labels.get('gpu', '?')} of {ref} has a memory fault: {_ROWS[series.name]} ({words}).",
            )


@check("gpu-driver-mismatch", weight=0.93)
def driver_mismatch(topology: Topology) -> Iterator[Finding]:
    """The NVIDIA driver and its library differ, or the driver is not loaded: NVML cannot start."""
    needles = ("nvml", "driver/library", "nvidia driver", "cuda driver", "kernel image", "forward compat")
    for one in told(topology, _MISMATCH, needles):
        yield _mismatch(topology, one.unit, one.last.text.strip()[:250], one.quotes[-1], one.first.at)
    for _, unit, box in troubled_containers(topology):
        said = f"{box.waiting_message} {box.end_message}"
        if _MISMATCH.search(said):
            quote = quote_field(box.pod, f"status of container {box.name}", said.strip()[:400])
            yield _mismatch(topology, unit, said.strip()[:250], quote, None)


def _mismatch(topology: Topology, unit: Ref, said: str, quote: Quote, since: datetime | None) -> Finding:
    pod = topology.objects.get(quote.about)
    node = text(pod, "spec", "nodeName") if pod is not None else ""
    return Finding(
        cause="gpu-driver-mismatch",
        subject=unit,
        since=since,
        params={"node": node},
        quotes=(quote,),
        statement=f"{unit} cannot use the GPU{f' of node {node}' if node else ''}: driver, hardware and library do not fit"
        f" together: {said}.",
    )


@check("nccl-failure", weight=0.7)
def ranks_do_not_meet(topology: Topology) -> Iterator[Finding]:
    """NCCL: a rank is gone, or the network or interconnect between ranks fails. The rank that fell first has the cause."""
    for one in told(topology, _NCCL, ("nccl", "collective operation timeout")):
        yield Finding(
            cause="nccl-failure",
            subject=one.unit,
            since=one.first.at,
            params={"count": one.count},
            quotes=one.quotes[:1],
            statement=f"The ranks of {one.unit} lose each other (NCCL): {one.first.text.strip()[:300]}.",
        )


@check("gpu-too-hot", weight=0.7)
def slowed_by_heat(topology: Topology) -> Iterator[Finding]:
    """DCGM_FI_DEV_GPU_TEMP at or over 90 degrees in most of the last samples."""
    for series in topology.series:
        last = [value for _, value in series.samples[-6:]]
        if series.name != "DCGM_FI_DEV_GPU_TEMP" or len(last) < 3 or sorted(last)[len(last) // 2] < HOT:
            continue
        ref = Ref("Node", "", node_of(topology, series))
        if ref not in topology.objects:
            continue
        began = next((datetime.fromtimestamp(when, UTC) for when, value in series.samples if value >= HOT), None)
        words = f"GPU {series.labels.get('gpu', '?')}: {last[-1]:.0f} degrees"
        yield Finding(
            cause="gpu-too-hot",
            subject=ref,
            since=began,
            affects=tuple(gpu_pods(topology, ref)),
            params={"node": ref.name, "temperature": last[-1]},
            quotes=(quote_field(ref, "metrics", f"DCGM_FI_DEV_GPU_TEMP {words}", began),),
            statement=f"A GPU of {ref} is at its temperature limit and slows down ({words}).",
        )


@check("gpu-idle-while-others-wait", weight=0.89)
def idle_and_wanted(topology: Topology) -> Iterator[Finding]:
    """A GPU whose memory is held and that has done nothing in all samples (at least half an hour), while pods wait for one.
    Nobody waiting: the owner's business, and no finding."""
    waiting = [one for one in unplaced(topology) if "Insufficient nvidia.com/" in one.words]
    used = {_gpu(one): one for one in topology.series if one.name == "DCGM_FI_DEV_FB_USED"}
    for series in topology.series if waiting else ():
        pod = pod_of(series)
        if series.name != "DCGM_FI_DEV_GPU_UTIL" or pod is None or len(series.samples) < 2:
            continue
        long = series.samples[-1][0] - series.samples[0][0] >= 1800
        memory = used.get(_gpu(series))
        if not long or any(value > 1 for _, value in series.samples) or memory is None or memory.samples[-1][1] <= 0:
            continue
        unit = topology.unit_of_name(pod)
        minutes = int((series.samples[-1][0] - series.samples[0][0]) // 60)
        yield Finding(
            cause="gpu-idle-while-others-wait",
            subject=unit,
            affects=tuple(one.unit for one in waiting),
            params={"minutes": minutes, "waiting": [str(one.unit) for one in waiting]},
            quotes=(
                quote_field(
                    pod, "metrics", f"DCGM_FI_DEV_GPU_UTIL 0 and FB_USED {memory.samples[-1][1]:.0f} MiB for {minutes} min"
                ),
            ),
            statement=f"{unit} holds a GPU and has not used it for {minutes} minutes, while"
            f" {', '.join(str(one.unit) for one in waiting)}"
            f" {'waits' if len(waiting) == 1 else 'wait'} for one.",
        )


def _gpu(series: Series) -> tuple[str, ...]:
    return tuple(series.labels.get(key, "") for key in ("UUID", "gpu", "Hostname", "GPU_I_ID"))
