"""Pods that no node takes. The scheduler's words are evidence; the rules themselves are evaluated again on the nodes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.checks.containers import rollback_params
from agent.checks.registry import check, earliest, quote_event, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Happening, Topology, pod_spec_of
from agent.topology.fields import at, condition, created_at, items, labels_of, mapping, name_of, ref_of, text, time_at
from agent.topology.pods import is_finished, is_scheduled, requested
from agent.topology.quantities import quantity
from agent.topology.selectors import matches, node_fits, requirement_text, untolerated
from agent.topology.workloads import live_pods, rollback
from sidecar.contract import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """The pending pods of one workload, one of them as the example, and what the scheduler said last."""

    unit: Ref
    pods: tuple[Manifest, ...]
    spec: Mapping[str, Any]
    said: Happening | None
    since: datetime | None

    @property
    def words(self) -> str:
        return self.said.message if self.said is not None else ""

    @property
    def quotes(self) -> tuple[Quote, ...]:
        return (quote_event(self.said),) if self.said is not None else ()

    @property
    def refs(self) -> tuple[Ref, ...]:
        return tuple(ref_of(pod) for pod in self.pods)


def unplaced(topology: Topology) -> list[Unplaced]:
    """Workloads with pods that are not bound to a node, gated ones left out; worked out once a topology."""
    known: list[Unplaced] | None = topology.derived.get("unplaced")
    if known is None:
        known = list(_unplaced(topology))
        topology.derived["unplaced"] = known
    return known


def _unplaced(topology: Topology) -> Iterator[Unplaced]:
    for unit in sorted(topology.pods_by_owner):
        pods = tuple(
            pod for pod in live_pods(topology, unit) if not is_scheduled(pod) and text(pod, "status", "phase") == "Pending"
        )
        if not pods or text(condition(pods[0], "PodScheduled"), "reason") == "SchedulingGated":
            continue
        said = [
            event for pod in pods for event in topology.events_about(ref_of(pod)) if event.reason == "FailedScheduling"
        ] or _from_condition(pods)
        yield Unplaced(
            unit=unit,
            pods=pods,
            spec=pod_spec_of(pods[0]),
            said=said[-1] if said else None,
            since=earliest(*(created_at(pod) for pod in pods)),
        )


def _from_condition(pods: tuple[Manifest, ...]) -> list[Happening]:
    one = condition(pods[-1], "PodScheduled")
    if text(one, "status") != "False" or not text(one, "message"):
        return []
    when = time_at(one, "lastTransitionTime")
    return [
        Happening(
            about=ref_of(pods[-1]),
            kind="Warning",
            reason=text(one, "reason"),
            message=text(one, "message"),
            count=1,
            first=when,
            last=when,
        )
    ]


def nodes_said(words: str) -> str:
    """ "0/3 nodes" as the scheduler counts them."""
    match = re.match(r"(\d+/\d+ nodes)", words)
    return match[1] if match else "no node"


def pods_said(one: Unplaced) -> str:
    return f"{len(one.pods)} pod{'s' if len(one.pods) != 1 else ''} of {one.unit}"


@check("node-selector-mismatch", weight=0.95)
def no_node_has_the_labels(topology: Topology) -> Iterator[Finding]:
    """nodeSelector or required node affinity that no node's labels meet."""
    for one in unplaced(topology):
        nodes = topology.of_kind("Node")
        if not nodes or any(node_fits(one.spec, node) for node in nodes):
            continue
        selector = mapping(one.spec, "nodeSelector")
        asks = ", ".join(f"{key}={value}" for key, value in selector.items()) or _affinity_words(one.spec)
        unmet = [key for key, value in selector.items() if not any(labels_of(node).get(key) == value for node in nodes)]
        near = {key: sorted({labels_of(node)[key] for node in nodes if key in labels_of(node)}) for key in unmet}
        params: dict[str, Json] = {
            "selector": dict(selector),
            "unmet": list(unmet),
            "values_on_nodes": {key: [*map(str, values)] for key, values in near.items()},
        }
        only = [key for key in unmet if len(near[key]) == 1]
        if len(unmet) == 1 and only:
            key = only[0].replace("~", "~0").replace("/", "~1")
            prefix = "/spec/template/spec" if one.unit.kind != "Pod" else "/spec"
            params |= {"label_path": f"{prefix}/nodeSelector/{key}", "suggested_value": near[only[0]][0]}
        params |= rollback_params(rollback(topology, one.unit, one.since))
        hint = "".join(f" (nodes carry {key}={', '.join(near[key])})" for key in unmet if near[key])
        yield Finding(
            cause="node-selector-mismatch",
            subject=one.unit,
            since=one.since,
            affects=one.refs,
            quotes=one.quotes,
            params=params,
            statement=f"{pods_said(one)} ask for nodeSelector {asks}, and none of the {len(nodes)} node(s) carries that"
            f" label{hint}; free capacity does not matter (didn't match Pod's node affinity/selector).",
        )


def _affinity_words(spec: Mapping[str, Any]) -> str:
    terms = items(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
    return " or ".join(requirement_text(term) for term in terms)


@check("untolerated-taint", weight=0.9)
def tainted(topology: Topology) -> Iterator[Finding]:
    """Every node that fits otherwise bears a taint that the pods do not tolerate (the cordon's own taint is another cause)."""
    for one in unplaced(topology):
        fitting = [node for node in topology.of_kind("Node") if node_fits(one.spec, node)]
        kept_off = [(node, _own_taints(one.spec, node)) for node in fitting]
        if not fitting or not all(taints for _, taints in kept_off) or (one.words and "taint" not in one.words):
            continue
        found = sorted({_taint_words(taint) for _, taints in kept_off for taint in taints})
        yield Finding(
            cause="untolerated-taint",
            subject=one.unit,
            since=one.since,
            affects=one.refs,
            quotes=one.quotes,
            params={"taints": list(found)},
            statement=f"{pods_said(one)} do not tolerate the taint {', '.join(found)}, which every node that would fit bears.",
        )


def has_room(topology: Topology, node: Manifest, spec: Mapping[str, Any]) -> bool:
    """Whether the node has cpu and memory left for one such pod, by requests as the scheduler counts."""
    there = [
        pod_spec_of(pod)
        for pod in topology.of_kind("Pod")
        if text(pod, "spec", "nodeName") == name_of(node) and not is_finished(pod)
    ]
    for resource in ("cpu", "memory"):
        have = quantity(at(node, "status", "allocatable", resource))
        if have is not None and sum(requested(one, resource) for one in there) + requested(spec, resource) > have:
            return False
    return True


def _own_taints(spec: Mapping[str, Any], node: Manifest) -> list[Mapping[str, Any]]:
    return [taint for taint in untolerated(spec, node) if text(taint, "key") != "node.kubernetes.io/unschedulable"]


def _taint_words(taint: Mapping[str, Any]) -> str:
    value = text(taint, "value")
    return f"{text(taint, 'key')}{f'={value}' if value else ''}:{text(taint, 'effect')}"


@check("node-cordoned", weight=0.93)
def cordoned(topology: Topology) -> Iterator[Finding]:
    """Nodes taken out of scheduling (spec.unschedulable) that pods wait for. Without waiting pods a cordon is no fault."""
    waiting: dict[Ref, list[Unplaced]] = {}
    for one in unplaced(topology):
        fitting = [node for node in topology.of_kind("Node") if node_fits(one.spec, node) and not _own_taints(one.spec, node)]
        closed = [node for node in fitting if at(node, "spec", "unschedulable") is True]
        roomy = [node for node in closed if has_room(topology, node, one.spec)]
        if roomy and ("unschedulable" in one.words or not one.words):
            for node in roomy:
                waiting.setdefault(ref_of(node), []).append(one)
    for node_ref, ones in sorted(waiting.items()):
        node = topology.objects[node_ref]
        taint: Mapping[str, Any] = next(
            (t for t in items(node, "spec", "taints") if text(t, "key") == "node.kubernetes.io/unschedulable"), {}
        )
        since = time_at(taint, "timeAdded")
        waiting_pods: list[Json] = [str(ref) for one in ones for ref in one.refs]
        yield Finding(
            cause="node-cordoned",
            subject=node_ref,
            since=since,
            affects=tuple(dict.fromkeys(one.unit for one in ones)),
            quotes=(
                *(quote for one in ones for quote in one.quotes),
                quote_field(node_ref, "spec", "unschedulable: true", since),
            ),
            params={"waiting": waiting_pods},
            statement=f"Node {node_ref.name} is cordoned (spec.unschedulable), so {' and '.join(pods_said(one) for one in ones)}"
            " cannot be placed; pods that already run are not affected.",
        )


@check("pod-anti-affinity", weight=0.93)
def keeps_apart(topology: Topology) -> Iterator[Finding]:
    """Required pod anti-affinity with fewer places (hosts, zones) than replicas."""
    for one in unplaced(topology):
        terms = items(one.spec, "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
        if "existing pods anti-affinity" in one.words and not terms:
            yield _kept_off(one)
        if not terms or (one.words and "anti-affinity" not in one.words):
            continue
        key = text(terms[0], "topologyKey")
        places = {labels_of(node).get(key) for node in topology.of_kind("Node") if key in labels_of(node)}
        placed = [pod for pod in live_pods(topology, one.unit) if is_scheduled(pod)]
        own = matches(mapping(terms[0], "labelSelector"), labels_of(one.pods[0]))
        whom = "each other" if own else f"pods with {requirement_text(mapping(terms[0], 'labelSelector'))}"
        count = "a single node" if len(places) == 1 and key == "kubernetes.io/hostname" else f"{len(places)} place(s)"
        yield Finding(
            cause="pod-anti-affinity",
            subject=one.unit,
            since=one.since,
            affects=one.refs,
            quotes=one.quotes,
            params={"topology_key": key, "places": len(places), "placed": len(placed)},
            statement=f"{one.unit} requires pod anti-affinity to {whom} per {key}, and the cluster has {count}"
            f" ({nodes_said(one.words)} available), so only {len(placed)} of {len(placed) + len(one.pods)} pods can be placed.",
        )


def _kept_off(one: Unplaced) -> Finding:
    """Pods that run already do not want these beside them: the scheduler keeps the rule of either side."""
    return Finding(
        cause="pod-anti-affinity",
        subject=one.unit,
        since=one.since,
        affects=one.refs,
        quotes=one.quotes,
        params={"by_others": True},
        statement=f"{pods_said(one)} cannot be scheduled: pods on every node that would fit require anti-affinity to them"
        " (didn't satisfy existing pods anti-affinity rules).",
    )


@check("host-port-conflict", weight=0.95)
def port_taken(topology: Topology) -> Iterator[Finding]:
    """A hostPort can be had once a node."""
    for one in unplaced(topology):
        ports = sorted(
            {
                int(port["hostPort"])
                for box in items(one.spec, "containers")
                for port in items(box, "ports")
                if at(port, "hostPort")
            }
        )
        if not ports or (one.words and "free ports" not in one.words):
            continue
        nodes = len(topology.of_kind("Node"))
        yield Finding(
            cause="host-port-conflict",
            subject=one.unit,
            since=one.since,
            affects=one.refs,
            quotes=one.quotes,
            params={"ports": list(ports)},
            statement=f"{one.unit} wants host port {', '.join(map(str, ports))} (hostPort), which a node can give once; on"
            f" {nodes} node(s)"
            f" {pods_said(one)} find no free ports and cannot be scheduled.",
        )
