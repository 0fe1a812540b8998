"""GPUs that work and are held back: clocks taken down by heat or power supply, and links between GPUs that lose data.

By DCGM's metrics, with the bounds of its own health checks (dcgm_structs.h: DCGM_LIMIT_MAX_PCIREPLAY_RATE 8 a minute,
DCGM_LIMIT_MAX_NVLINK_ERROR 1). A GPU that draws all the power it may (SW power cap) works as designed.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from agent.checks.accelerators import gpu_pods
from agent.checks.registry import check, quote_field
from agent.checks.xids import node_of
from agent.domain.finding import Finding
from agent.domain.objects import Ref, Series
from agent.signals.golden import by_name
from agent.signals.readings import LATELY, growth
from agent.topology import Topology

_REASONS = ("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", "DCGM_FI_DEV_CLOCKS_EVENT_REASONS")  # the second since DCGM 4
_HELD = {0x40: "heat (HW thermal slowdown)", 0x20: "heat (SW thermal slowdown)", 0x80: "its power supply (HW power brake)"}
_REPLAYS = 8.0  # a minute
_LINK_ERRORS = (
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL",
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL",
    "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL",
    "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL",
)


@check("gpu-held-back", weight=0.72)
def clocks_taken_down(topology: Topology) -> Iterator[Finding]:
    """The bits of DCGM's clock event reasons that mean heat or the power supply, in most of the last samples."""
    for series in _of(topology, *_REASONS):
        last = [int(value) for _, value in series.samples[-6:] if 0 <= value < 2**63]
        hits = [(bit, words) for bit, words in _HELD.items() if 2 * sum(bool(one & bit) for one in last) > len(last)]
        ref = Ref("Node", "", node_of(topology, series))
        if len(last) < 3 or not hits or ref not in topology.objects:
            continue
        bits = sum(bit for bit, _ in hits)
        since = _since(series, bits)
        gpu = series.labels.get("gpu", "?")
        yield Finding(
            cause="gpu-held-back",
            subject=ref,
            since=since,
            affects=tuple(gpu_pods(topology, ref)),
            params={"gpu": gpu, "reason": hits[0][1]},
            quotes=(quote_field(ref, "metrics", f"{series.name} GPU {gpu}: {last[-1]:#x}", since),),
            statement=f"GPU {gpu} of {ref} runs at reduced clocks because of {' and '.join(words for _, words in hits)}.",
        )


def _since(series: Series, bits: int) -> datetime | None:
    begun = None
    for when, value in reversed(series.samples):
        if not (0 <= value < 2**63 and int(value) & bits):
            break
        begun = when
    return datetime.fromtimestamp(begun, UTC) if begun is not None else None


@check("gpu-link-failing", weight=0.8)
def links_lose_data(topology: Topology) -> Iterator[Finding]:
    """NVLink errors that still come, or PCIe replays of more than eight a minute. What was counted long ago is no fault."""
    worst: dict[Ref, tuple[float, Series, str]] = {}
    for series in _of(topology, *_LINK_ERRORS, "DCGM_FI_DEV_PCIE_REPLAY_COUNTER"):
        more = growth(series)
        minutes = min(LATELY, series.samples[-1][0] - series.samples[0][0]) / 60
        pcie = series.name == "DCGM_FI_DEV_PCIE_REPLAY_COUNTER"
        if minutes <= 0 or more < (1 + _REPLAYS * minutes if pcie else 1):
            continue
        ref = Ref("Node", "", node_of(topology, series))
        if ref in topology.objects and (ref not in worst or worst[ref][0] < more):
            worst[ref] = (more, series, "PCIe" if pcie else "NVLink")
    for ref, (more, series, link) in sorted(worst.items(), key=lambda one: one[0]):
        gpu = series.labels.get("gpu", "?")
        yield Finding(
            cause="gpu-link-failing",
            subject=ref,
            affects=tuple(gpu_pods(topology, ref)),
            params={"gpu": gpu, "link": link, "errors": round(more)},
            quotes=(quote_field(ref, "metrics", f"{series.name} GPU {gpu}: {more:.0f} more within the last minutes"),),
            statement=f"The {link} of GPU {gpu} of {ref} loses data and sends it again ({more:.0f} errors within the last"
            " minutes), so ranks that talk over it are slow or fail.",
        )


def _of(topology: Topology, *names: str) -> list[Series]:
    found = [one for name in names for one in by_name(topology).get(name, ()) if one.samples]
    return sorted(found, key=lambda one: sorted(one.labels.items()))
