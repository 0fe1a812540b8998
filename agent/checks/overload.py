"""Inference servers that get more than they can serve, by vLLM's own metrics."""

from collections.abc import Iterator
from datetime import UTC, datetime

from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Ref, Series
from agent.signals.curves import Curve, Shift, rate, ratio, shift, total
from agent.signals.golden import by_name
from agent.topology import Topology
from agent.topology.fields import number
from sidecar.contract import Json


@check("kv-cache-saturated", weight=0.75)
@check("inference-queue-growing", weight=0.6)
def overloaded(topology: Topology) -> Iterator[Finding]:
    """vLLM's own metrics: a KV cache that stays full while requests wait, a queue that stays long with room in the cache, or a
    short one whose first tokens come three times as late as before."""
    cache = _by_unit(topology, "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
    for unit, series in sorted(_by_unit(topology, "vllm:num_requests_waiting").items()):
        queue = _middle(series)
        full = _middle(cache[unit]) if unit in cache else None
        if queue < 1 or unit not in topology.objects:
            continue
        saturated = full is not None and full >= 0.95
        late = _first_token(topology).get(unit)
        if not saturated and queue < 10 and late is None:
            continue
        began = next((datetime.fromtimestamp(when, UTC) for when, value in series.samples if value >= max(1, queue / 2)), None)
        words = f"num_requests_waiting {queue:.0f}" + (f", kv_cache_usage {full:.0%}" if full is not None else "")
        words += f", time_to_first_token {late.after:.1f} s (before {late.before:.1f} s)" if late is not None else ""
        yield Finding(
            cause="kv-cache-saturated" if saturated else "inference-queue-growing",
            subject=unit,
            since=began,
            params={"waiting": round(queue), "cache": round(full, 2) if full is not None else None, **_one_more(topology, unit)},
            quotes=(quote_field(unit, "metrics", f"vllm: {words}", began),),
            statement=f"{unit} has more requests than it can serve: {queue:.0f} wait"
            + (
                f" and its KV cache is full ({full:.0%})."
                if saturated
                else ", although its KV cache has room."
                if full is not None
                else "."
            )
            + (f" The first token comes after {late.after:.1f} s (before {late.before:.1f} s)." if late is not None else ""),
        )


LATE, TIMES = 2.0, 3.0  # seconds to the first token, and how many times as long as before


def _first_token(topology: Topology) -> dict[Ref, Shift]:
    """Workloads whose answers begin much later than they used to, as the mean of vLLM's histogram of it."""
    sums, counts = (
        _curves(topology, f"vllm:time_to_first_token_seconds_{end}") for end in ("sum", "count")
    )  # fmt: skip
    found = {unit: shift(ratio(total(curves), total(counts.get(unit, [])))) for unit, curves in sums.items()}
    return {unit: one for unit, one in found.items() if one is not None and one.after >= LATE and one.times >= TIMES}


def _curves(topology: Topology, name: str) -> dict[Ref, list[Curve]]:
    found: dict[Ref, list[Curve]] = {}
    for series in by_name(topology).get(name, ()):
        if series.labels.get("pod"):
            unit = topology.unit_of_name(Ref("Pod", series.labels.get("namespace", ""), series.labels["pod"]))
            found.setdefault(unit, []).append(rate(series))
    return found


def _one_more(topology: Topology, unit: Ref) -> dict[str, Json]:
    """A size to try for a Deployment that no autoscaler manages."""
    manifest = topology.objects.get(unit)
    scaled = any(edge.target == unit and edge.relation == "scales" for edges in topology.edges.values() for edge in edges)
    if manifest is None or unit.kind != "Deployment" or scaled:
        return {}
    return {"suggested_replicas": number(manifest, "spec", "replicas", default=1) + 1}


def _by_unit(topology: Topology, *names: str) -> dict[Ref, Series]:
    found: dict[Ref, Series] = {}
    for series in topology.series:
        if series.name in names and series.samples and series.labels.get("pod"):
            unit = topology.unit_of_name(Ref("Pod", series.labels.get("namespace", ""), series.labels["pod"]))
            if unit not in found or _middle(series) > _middle(found[unit]):
                found[unit] = series
    return found


def _middle(series: Series) -> float:
    """Median of the last ten samples."""
    last = sorted(value for _, value in series.samples[-10:])
    return last[len(last) // 2]
