"""Faults that somebody puts in on purpose: chaos experiments that run, and faults that a mesh's routes inject. What suffers from
them suffers from nothing else. An experiment that is paused, over, or not begun is no finding."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.registry import check, earliest, quote_condition, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of
from agent.topology.fields import at, condition, created_at, field_writes, items, kind_of, mapping, ref_of, text, time_at
from agent.topology.injected import injected_into

_AT_ONCE = ("pod-kill", "container-kill", "pod-failure-once")  # done in a moment: what it did shows for minutes
_SHOWS = timedelta(minutes=10)


@check("fault-injected", weight=0.97)
def on_purpose(topology: Topology) -> Iterator[Finding]:
    """Chaos Mesh (AllInjected, not AllRecovered), LitmusChaos (an active engine), Istio (http[].fault of a VirtualService)."""
    for manifest in list(topology.objects.values()):
        group = group_of(manifest)
        if group == "chaos-mesh.org" and _is_running(topology, manifest):
            done = condition(manifest, "AllInjected")
            yield _finding(
                topology,
                manifest,
                f"{kind_of(manifest)} ({text(manifest, 'spec', 'action') or 'experiment'}) of Chaos Mesh runs",
                time_at(done, "lastTransitionTime"),
                tuple(quote_condition(manifest, "AllInjected")),
            )
        elif group == "litmuschaos.io" and kind_of(manifest) == "ChaosEngine" and _is_active(manifest):
            names = ", ".join(text(one, "name") for one in items(manifest, "spec", "experiments"))
            quote = quote_field(ref_of(manifest), "status.engineStatus", text(manifest, "status", "engineStatus"))
            yield _finding(topology, manifest, f"an experiment of LitmusChaos runs ({names})", None, (quote,))
        elif group == "networking.istio.io" and kind_of(manifest).startswith("VirtualService"):
            yield from _routes(topology, manifest)


def _is_running(topology: Topology, manifest: Manifest) -> bool:
    if text(condition(manifest, "Paused"), "status") == "True" or text(condition(manifest, "AllRecovered"), "status") == "True":
        return False
    if text(manifest, "status", "experiment", "desiredPhase") == "Stop" or not injected_into(manifest):
        return False
    made = created_at(manifest)
    return text(manifest, "spec", "action") not in _AT_ONCE or made is None or topology.now - made <= _SHOWS


def _is_active(manifest: Manifest) -> bool:
    state, status = text(manifest, "spec", "engineState") or "active", text(manifest, "status", "engineStatus")
    return state == "active" and status == "initialized"


def _routes(topology: Topology, manifest: Manifest) -> Iterator[Finding]:
    for number, route in enumerate(items(manifest, "spec", "http")):
        told = []
        for kind, field in (("delay", "fixedDelay"), ("abort", "httpStatus")):
            fault = mapping(route, "fault", kind)
            share = at(fault, "percentage", "value") if "percentage" in fault else at(fault, "percent")
            if fault and share != 0:
                told.append(f"{kind} {fault.get(field) or fault.get('grpcStatus') or ''} in {100 if share is None else share} %")
        if told:
            wrote = [when for _, when, fields in field_writes(manifest) if at(fields, "f:spec") is not None]
            hosts = ", ".join(str(one) for one in items(manifest, "spec", "hosts")[:3])
            quote = quote_field(ref_of(manifest), f"spec.http[{number}].fault", "; ".join(told))
            what = f"its routes to {hosts} inject faults ({'; '.join(told)})"
            yield _finding(topology, manifest, what, max(wrote, default=None), (quote,))
            return


def _finding(topology: Topology, manifest: Manifest, what: str, since: datetime | None, quotes: tuple[Quote, ...]) -> Finding:
    ref = ref_of(manifest)
    hit = tuple(dict.fromkeys(_lifted(topology, one) for one in injected_into(manifest)))
    where = f", on {', '.join(map(str, hit[:4]))}" if hit else ""
    return Finding(
        cause="fault-injected",
        subject=ref,
        since=earliest(since) or created_at(manifest),
        affects=hit[:20],
        params={"what": what},
        quotes=quotes,
        statement=f"A fault is put in on purpose by {ref}: {what}{where}. What suffers there suffers from that.",
    )


def _lifted(topology: Topology, ref: Ref) -> Ref:
    return topology.unit_of_name(ref) if ref.kind == "Pod" else ref
