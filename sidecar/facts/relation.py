"""How two objects of a cluster depend on each other, by what they themselves say. Pure; the agent's word is no part of it.

A relation has no direction: "this workload mounts that ConfigMap" is a reason to touch either for the sake of the other.
"""

from collections.abc import Sequence

from sidecar.contract import ObjectRef
from sidecar.facts.naming import RUNS_PODS, WORKLOADS, backends
from sidecar.facts.portrait import NOWHERE, Identity, Portrait
from sidecar.facts.projection import Document, covers_labels, documents, mapping, selects, text

_SELECT_PODS = frozenset({"PodDisruptionBudget", "NetworkPolicy"})
_LIMIT = frozenset({"ResourceQuota", "LimitRange"})


class Seen:
    """`portrait` NOWHERE: not there, or not to be read (a Secret); its name alone can still be referred to. `chain`: it, where
    it is there, and what stands above it, nearest first; `identities` are theirs. `named`: as it is meant, whatever is there."""

    __slots__ = ("chain", "identities", "live", "named", "owners", "portrait", "ref")

    def __init__(self, ref: ObjectRef, portrait: Portrait = NOWHERE, owners: Sequence[Portrait] = ()):
        self.ref, self.portrait, self.owners = ref, portrait, owners
        self.live = portrait.live
        self.chain: Sequence[Portrait] = (portrait, *owners) if self.live else owners
        self.identities: Sequence[Identity] = [found.identity for found in self.chain]
        self.named: Identity = (ref.kind, ref.name, ref.uid)


def relation(one: Seen, other: Seen, *, services: Sequence[Document] = (), pods: Sequence[Document] = ()) -> str:
    """same | owner | refers-to | selects | scales | limits | runs-on | routes-to, "" for none that can be seen.

    `services`: those of the namespace, asked for between an Ingress and what runs pods. `pods`: those of the workload,
    asked for between a workload and a Node.
    """
    if one.ref.name == other.ref.name and one.ref.kind == other.ref.kind and one.ref.namespace == other.ref.namespace:
        return "same"
    return (
        _owner(one, other)
        or _one_way(one, other)
        or _one_way(other, one)
        or _routes(one, other, services)
        or _routes(other, one, services)
        or _runs(one, other, pods)
        or _runs(other, one, pods)
    )


def service_covers(service: Document, labels: Document) -> bool:
    """Whether a Service's selector picks pods of these labels; one without a selector picks none."""
    return covers_labels(mapping(mapping(service, "spec"), "selector"), labels)


def _owner(one: Seen, other: Seen) -> str:
    ours, theirs = one.identities, other.identities
    if one.named in theirs or other.named in ours:
        return "owner"
    # Two pods of one workload; not two workloads of one operator, or two pods that a Node calls its own.
    return "" if WORKLOADS.isdisjoint([found[0] for found in ours if found in theirs]) else "owner"


def _one_way(holder: Seen, held: Seen) -> str:
    """Whether `holder`, or what owns it, names, selects, scales or limits `held`."""
    kind, name, here, there = held.ref.kind, held.ref.name, holder.ref.namespace, held.ref.namespace
    if here != there and here and there:
        return ""
    for found in holder.chain:
        if (kind, name) in found.referred:
            return "scales" if found.live.get("kind") == "HorizontalPodAutoscaler" else "refers-to"
        if kind == "PersistentVolumeClaim" and found.live.get("kind") == "StatefulSet" and _claims(found.live, name):
            return "refers-to"
        if kind == "Node" and found.live.get("kind") == "Pod" and mapping(found.live, "spec").get("nodeName") == name:
            return "runs-on"
    if kind not in RUNS_PODS or not holder.live or not held.live or here != there:
        return ""
    if holder.ref.kind == "Service" and service_covers(holder.live, held.portrait.labels):
        return "selects"
    if holder.ref.kind in _SELECT_PODS and selects(_with_selector(holder.live), held.portrait.labels):
        return "selects"
    return "limits" if holder.ref.kind in _LIMIT else ""


def _routes(ingress: Seen, other: Seen, services: Sequence[Document]) -> str:
    if ingress.ref.kind != "Ingress" or other.ref.kind not in RUNS_PODS or ingress.ref.namespace != other.ref.namespace:
        return ""
    names = backends(ingress.live)
    behind = (one for one in services if text(mapping(one, "metadata"), "name") in names)
    return "routes-to" if any(service_covers(one, other.portrait.labels) for one in behind) else ""


def _runs(workload: Seen, node: Seen, pods: Sequence[Document]) -> str:
    """A pod of the workload runs on the node, or waits for a node while this one takes none."""
    if node.ref.kind != "Node" or workload.ref.kind not in WORKLOADS:
        return ""
    closed = mapping(node.live, "spec").get("unschedulable") is True
    places = {mapping(pod, "spec").get("nodeName") or "" for pod in pods if _is_owned(pod)}
    return "runs-on" if node.ref.name in places or (closed and "" in places) else ""


def _is_owned(pod: Document) -> bool:
    return any(entry.get("controller") is True for entry in documents(mapping(pod, "metadata").get("ownerReferences")))


def _claims(stateful: Document, claim: str) -> bool:
    """Claims of a StatefulSet are named <template>-<set>-<ordinal>."""
    owner = text(mapping(stateful, "metadata"), "name")
    templates = documents(mapping(stateful, "spec").get("volumeClaimTemplates"))
    for template in templates:
        prefix = f"{text(mapping(template, 'metadata'), 'name')}-{owner}-"
        if claim.startswith(prefix) and claim.removeprefix(prefix).isdecimal():
            return True
    return False


def _with_selector(live: Document) -> Document:
    """A NetworkPolicy calls its selector podSelector."""
    spec = mapping(live, "spec")
    return {"spec": {"selector": spec.get("selector", spec.get("podSelector"))}}
