"""XID errors of NVIDIA GPUs, wherever they are told: node and pod events, logs, DCGM metrics. Says nothing of causes.

Codes and their meaning: NVIDIA's XID catalogue.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.checks.applications import told
from agent.checks.registry import quote_event, quote_field
from agent.domain.finding import Quote
from agent.domain.objects import Ref, Series
from agent.topology import Topology
from agent.topology.fields import name_of, text

_XID = re.compile(
    r"NVRM:\s*Xid\s*\((?:PCI:)?[0-9a-f:.]+\)\s*:\s*(\d{1,3})\b"
    r"|\bxid[ _-]?errors?\b[ =:#\"(]*(\d{1,3})\b|\b(?:gpu|nvidia)\b[^\n]{0,60}\bxid[ =:#]+(\d{1,3})\b",
    re.I,
)
APPLICATION = frozenset({13, 31, 43, 45, 68, 69})
MEMORY = frozenset({48, 63, 64, 92, 94, 95})
MEANING = {
    13: "graphics engine exception",
    31: "memory page fault of the program",
    43: "the program stopped",
    45: "preemptive clean-up",
    48: "double bit ECC error",
    62: "internal micro-controller halt",
    63: "memory rows are remapped",
    64: "a row could not be remapped",
    69: "graphics engine class error",
    74: "NVLink error",
    79: "the GPU has fallen off the bus",
    92: "many single bit ECC errors",
    94: "contained ECC error",
    95: "uncontained ECC error",
    109: "context switch timeout",
    119: "GSP does not answer",
    120: "GSP error",
    140: "unrecovered ECC error",
    149: "NVLink netir error",
    154: "the GPU needs a reset",
}
LATELY = timedelta(minutes=60)
_NODE_LABELS = ("Hostname", "hostname", "node", "kubernetes_node", "exported_node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Xid:
    """One error of one GPU: its code, who was hurt, and the words that say so."""

    code: int
    node: str
    unit: Ref | None
    at: datetime | None
    quote: Quote


def xids(topology: Topology) -> list[Xid]:
    """XID errors of the last hour, from events, logs and DCGM; worked out once a topology."""
    known: list[Xid] | None = topology.derived.get("xids")
    if known is None:
        known = [*_in_events(topology), *_in_logs(topology), *_in_metrics(topology)]
        topology.derived["xids"] = known
    return known


def _in_events(topology: Topology) -> Iterator[Xid]:
    for about, events in topology.events.items():
        for event in events:
            match = _XID.search(event.message) if "xid" in event.message.lower() else None
            if match and (event.last is None or topology.now - event.last < LATELY):
                node, unit = _place(topology, about)
                yield Xid(code=_code(match), node=node, unit=unit, at=event.first, quote=quote_event(event))


def _in_logs(topology: Topology) -> Iterator[Xid]:
    for one in told(topology, _XID, ("xid",)):
        pod = one.quotes[-1].about
        node, unit = _place(topology, pod)
        yield Xid(code=_code(one.match), node=node, unit=unit, at=one.first.at, quote=one.quotes[-1])


def _in_metrics(topology: Topology) -> Iterator[Xid]:
    for series in topology.series:
        if series.name != "DCGM_FI_DEV_XID_ERRORS":
            continue
        hits = [(when, value) for when, value in series.samples if value > 0]
        if hits:
            code, node, pod = int(hits[-1][1]), node_of(topology, series), pod_of(series)
            stands = all(int(value) == code for _, value in series.samples)  # the gauge keeps the last error for ever
            if stands and code in APPLICATION:
                continue
            unit = topology.unit_of_name(pod) if pod is not None else None
            began = None if stands else datetime.fromtimestamp(next(when for when, value in hits if int(value) == code), UTC)
            words = f"DCGM_FI_DEV_XID_ERRORS {code} on GPU {series.labels.get('gpu', '?')} of {node or 'a node'}"
            yield Xid(
                code=code, node=node, unit=unit, at=began, quote=quote_field(Ref("Node", "", node), "metrics", words, began)
            )


def _code(match: re.Match[str]) -> int:
    return int(match[1] or match[2] or match[3])


def _place(topology: Topology, about: Ref) -> tuple[str, Ref | None]:
    if about.kind == "Node":
        return about.name, None
    pod = topology.objects.get(about)
    return (text(pod, "spec", "nodeName") if pod is not None else ""), topology.unit_of_name(about)


def node_of(topology: Topology, series: Series) -> str:
    names = {name_of(node) for node in topology.of_kind("Node")}
    told_names = [series.labels[label] for label in _NODE_LABELS if series.labels.get(label)]
    return next((name for name in told_names if name in names), told_names[0] if told_names else "")


def pod_of(series: Series) -> Ref | None:
    """The pod that uses the GPU; `exported_` where Prometheus kept the exporter's own labels apart."""
    labels = series.labels
    name = labels.get("exported_pod") or labels.get("pod", "")
    namespace = labels.get("exported_namespace") or labels.get("namespace", "")
    return Ref("Pod", namespace, name) if name and "exporter" not in name else None
