"""Faults that somebody puts in on purpose: experiments that run (Chaos Mesh, LitmusChaos, ChaosBlade), and faults that routes of
a mesh or gateway inject (Istio, Envoy Gateway, Kuma). What suffers from them suffers from nothing else. An experiment that is
paused or not begun is no finding; one that has just ended is told as over."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from agent.checks.registry import check, earliest, quote_condition, quote_field
from agent.domain.finding import Finding, FindingState, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of
from agent.topology.fields import at, condition, created_at, field_writes, items, kind_of, mapping, ref_of, text, time_at
from agent.topology.injected import injected_into, is_injected

_AT_ONCE = ("pod-kill", "container-kill", "pod-failure-once")  # done in a moment: what it did shows for minutes
_SHOWS = timedelta(minutes=10)
FOR_SOME = 0.3  # weight of a fault that only certain requests meet: it accounts for what nothing else does
_TOLD = timedelta(hours=1)  # how long one that is over is told of
_SUITES = {"chaos-mesh.org": "Chaos Mesh", "litmuschaos.io": "LitmusChaos", "chaosblade.io": "ChaosBlade"}


@check("fault-injected", weight=0.97)
def on_purpose(topology: Topology) -> Iterator[Finding]:
    for manifest in list(topology.objects.values()):
        group, kind = group_of(manifest), kind_of(manifest)
        if group in _SUITES:
            state = _state(topology, manifest, group, kind)
            if state is not None:
                yield _experiment(topology, manifest, _SUITES[group], state)
        elif group == "networking.istio.io" and kind.startswith("VirtualService"):
            yield from _routes(topology, manifest)
        elif group == "gateway.envoyproxy.io" and mapping(manifest, "spec", "faultInjection"):
            yield from _injects(topology, manifest, [mapping(manifest, "spec", "faultInjection")], "spec.faultInjection")
        elif group == "kuma.io" and kind.startswith("MeshFaultInjection"):
            faults = [
                mapping(one)
                for side in ("to", "from", "rules")
                for entry in items(manifest, "spec", side)
                for one in items(entry, "default", "http")
            ]
            yield from _injects(topology, manifest, faults, "spec")


def _state(topology: Topology, manifest: Manifest, group: str, kind: str) -> FindingState | None:
    """Whether it is at work, has just ended, or neither."""
    if group == "chaos-mesh.org":
        return _of_chaos_mesh(topology, manifest)
    if group == "chaosblade.io":
        return "active" if text(manifest, "status", "phase") == "Running" and injected_into(manifest, topology.objects) else None
    if kind != "ChaosEngine":
        return None
    state, status = text(manifest, "spec", "engineState") or "active", text(manifest, "status", "engineStatus")
    if state == "active" and status == "initialized":
        return "active"
    ended = [when for one in items(manifest, "status", "experiments") if (when := time_at(one, "lastUpdateTime")) is not None]
    return "recovered" if ended and topology.now - max(ended) <= _TOLD else None


def _of_chaos_mesh(topology: Topology, manifest: Manifest) -> FindingState | None:
    over = condition(manifest, "AllRecovered")
    made, at_once = created_at(manifest), text(manifest, "spec", "action") in _AT_ONCE
    if text(condition(manifest, "Paused"), "status") == "True":
        return None
    if text(over, "status") == "True" or text(manifest, "status", "experiment", "desiredPhase") == "Stop":
        told = [event for one in items(manifest, "status", "experiment", "containerRecords") for event in items(one, "events")]
        ended = max((when for one in told if (when := time_at(one, "timestamp")) is not None), default=None)
        return "recovered" if ended is not None and topology.now - ended <= _TOLD else None
    if not is_injected(manifest):
        return None
    return "active" if not at_once or made is None or topology.now - made <= _SHOWS else None


def _experiment(topology: Topology, manifest: Manifest, suite: str, state: FindingState) -> Finding:
    ref, done = ref_of(manifest), condition(manifest, "AllInjected")
    quotes = tuple(quote_condition(manifest, "AllInjected"))
    if not quotes:
        words = text(manifest, "status", "engineStatus") or text(manifest, "status", "phase") or "Running"
        quotes = (quote_field(ref, "status", words),)
    verb = "runs" if state == "active" else "has ended"
    what = f"{kind_of(manifest)} ({_what(manifest)}) of {suite} {verb}"
    return _finding(topology, manifest, what, time_at(done, "lastTransitionTime"), quotes, state)


def _what(manifest: Manifest) -> str:
    """What the experiment does, in its own words."""
    spec = mapping(manifest, "spec")
    names = [text(one, "name") for one in items(spec, "experiments")]
    names += [f"{text(one, 'scope')} {text(one, 'target')} {text(one, 'action')}".strip() for one in items(spec, "experiments")
              if text(one, "action")]  # fmt: skip
    told = [one for one in names if one] or [text(spec, "action")]
    told += [f"stress of {', '.join(sorted(mapping(spec, 'stressors')))}"] if mapping(spec, "stressors") else []
    told += [f"clock moved by {text(spec, 'timeOffset')}"] if text(spec, "timeOffset") else []
    if kind_of(manifest).startswith("HTTPChaos"):
        told += [f"{text(spec, 'target')} {name}" for name in ("abort", "delay", "replace", "patch") if spec.get(name)]
    return ", ".join(dict.fromkeys(one for one in told if one))[:200] or "experiment"


def _routes(topology: Topology, manifest: Manifest) -> Iterator[Finding]:
    routes = items(manifest, "spec", "http")
    hit = [number for number, one in enumerate(routes) if _told(mapping(one, "fault"))]
    if hit:
        number = min(hit, key=lambda one: (_is_for_some(routes[one]), one))
        hosts = ", ".join(str(one) for one in items(manifest, "spec", "hosts")[:3])
        some = _is_for_some(routes[number])
        to = f" to {hosts}{', for requests with certain headers only,' if some else ''}"
        faults, where = [mapping(routes[number], "fault")], f"spec.http[{number}].fault"
        found = _injects(topology, manifest, faults, where, to)
        yield from (replace(one, weight=FOR_SOME) if some else one for one in found)


def _is_for_some(route: Any) -> bool:
    """Whether a route is for requests with certain headers or parameters: those of a tester, most often."""
    chosen = items(route, "match")
    return bool(chosen) and all(mapping(one, "headers") or mapping(one, "queryParams") for one in chosen)


def _injects(
    topology: Topology, manifest: Manifest, faults: list[Mapping[str, Any]], where: str, to: str = ""
) -> Iterator[Finding]:
    told = [words for one in faults for words in _told(one)]
    if told:
        wrote = [when for _, when, fields in field_writes(manifest) if at(fields, "f:spec") is not None]
        quote = quote_field(ref_of(manifest), where, "; ".join(told))
        what = f"its routes{to} inject faults ({'; '.join(told)})"
        yield _finding(topology, manifest, what, max(wrote, default=None), (quote,))


def _told(fault: Mapping[str, Any]) -> list[str]:
    """ "delay 5s in 50 %" of each kind of fault that hits anything."""
    found = []
    for kind, fields in (
        ("delay", ("fixedDelay", "value")),
        ("abort", ("httpStatus", "grpcStatus")),
        ("responseBandwidth", ("limit",)),
    ):
        one = mapping(fault, kind)
        share = at(one, "percentage", "value") if mapping(one, "percentage") else one.get("percentage", one.get("percent"))
        if one and share not in (0, 0.0, "0"):
            size = next((one[field] for field in fields if one.get(field)), "")
            found.append(f"{kind} {size} in {100 if share is None else share} %")
    return found


def _finding(
    topology: Topology, manifest: Manifest, what: str, since: datetime | None, quotes: tuple[Quote, ...],
    state: FindingState = "active",
) -> Finding:  # fmt: skip
    ref = ref_of(manifest)
    hit = tuple(
        dict.fromkeys(_lifted(topology, one) for one in injected_into(manifest, topology.objects, over=state != "active"))
    )
    where = f", on {', '.join(map(str, hit[:4]))}" if hit else ""
    does = "A fault is put in on purpose" if state == "active" else "A fault was put in on purpose"
    suffers = "What suffers there suffers from that." if state == "active" else "What it hit had to recover from it."
    return Finding(
        cause="fault-injected",
        subject=ref,
        state=state,
        since=earliest(since) or created_at(manifest),
        affects=hit[:20],
        params={"what": what},
        quotes=quotes,
        statement=f"{does} by {ref}: {what}{where}. {suffers}",
    )


def _lifted(topology: Topology, ref: Ref) -> Ref:
    return topology.unit_of_name(ref) if ref.kind == "Pod" else ref
