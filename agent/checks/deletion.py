"""Things that do not go away: namespaces and pods held by finalizers, or by what can no longer be discovered."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, quote_condition, quote_field
from agent.domain.finding import Finding
from agent.topology import Topology
from agent.topology.fields import condition, items, name_of, number, ref_of, text, time_at

_FINALIZER = re.compile(r"([\w.-]+(?:/[\w.-]+)?) in \d+ resource instances")
GRACE = timedelta(minutes=2)
LONG = timedelta(minutes=10)


@check("namespace-finalizer", weight=0.95)
def held_by_finalizer(topology: Topology) -> Iterator[Finding]:
    """Terminating, NamespaceFinalizersRemaining=True: an object in it waits for a controller that does not act."""
    for namespace in topology.of_kind("Namespace"):
        began, said = time_at(namespace, "metadata", "deletionTimestamp"), condition(namespace, "NamespaceFinalizersRemaining")
        if began is None or topology.now - began < GRACE or text(said, "status") != "True":
            continue
        name, words = name_of(namespace), text(said, "message")
        finalizers = _FINALIZER.findall(words)
        holders = [
            (ref, manifest)
            for ref, manifest in topology.objects.items()
            if ref.namespace == name and any(one in finalizers for one in items(manifest, "metadata", "finalizers"))
        ]
        subject = holders[0][0] if holders else ref_of(namespace)
        quotes = [
            *quote_condition(namespace, "NamespaceFinalizersRemaining"),
            *quote_condition(namespace, "NamespaceContentRemaining"),
        ]
        quotes += [
            quote_field(ref, "metadata", f"finalizers: {', '.join(map(str, items(manifest, 'metadata', 'finalizers')))}", began)
            for ref, manifest in holders[:2]
        ]
        who = ", ".join(str(ref) for ref, _ in holders[:3]) or "an object in it"
        yield Finding(
            cause="namespace-finalizer",
            subject=subject,
            affects=(ref_of(namespace),),
            since=began,
            quotes=tuple(quotes),
            params={"finalizers": list(finalizers), "namespace": name},
            statement=f"Namespace {name} cannot finish its deletion because {who} still carries the finalizer"
            f" {', '.join(finalizers)},"
            " and nothing in the cluster removes it.",
        )


@check("namespace-stuck", weight=0.85)
def cannot_discover(topology: Topology) -> Iterator[Finding]:
    """Terminating because an aggregated API does not answer, or content cannot be deleted. An API that is seen to be down is
    the cause, and this its symptom."""
    down = [one for one in topology.of_kind("APIService") if text(condition(one, "Available"), "status") == "False"]
    for namespace in topology.of_kind("Namespace"):
        began = time_at(namespace, "metadata", "deletionTimestamp")
        if began is None or topology.now - began < GRACE:
            continue
        for kind in ("NamespaceDeletionDiscoveryFailure", "NamespaceDeletionContentFailure"):
            said = condition(namespace, kind)
            if text(said, "status") == "True":
                yield Finding(
                    cause="namespace-stuck",
                    subject=ref_of(namespace),
                    since=began,
                    symptom_only=bool(down) and kind == "NamespaceDeletionDiscoveryFailure",
                    quotes=tuple(quote_condition(namespace, kind)),
                    statement=f"Namespace {name_of(namespace)} cannot finish its deletion: {text(said, 'message')[:250]}.",
                )


@check("claim-still-used", weight=0.8)
def claim_in_use(topology: Topology) -> Iterator[Finding]:
    """A PersistentVolumeClaim that was deleted while pods use it: its protection holds it until they are gone."""
    for claim in topology.of_kind("PersistentVolumeClaim"):
        ref, began = ref_of(claim), time_at(claim, "metadata", "deletionTimestamp")
        held = [str(one) for one in items(claim, "metadata", "finalizers") if str(one).endswith("/pvc-protection")]
        if began is None or not held or topology.now - began < LONG or _is_going(topology, ref.namespace):
            continue
        users = sorted(
            {
                topology.unit(source)
                for source, edges in topology.edges.items()
                if any(edge.target == ref and edge.relation == "mounts" for edge in edges)
            }
        )
        if users:
            yield Finding(
                cause="claim-still-used",
                subject=ref,
                since=began,
                affects=tuple(users),
                params={"users": [str(one) for one in users]},
                quotes=(quote_field(ref, "metadata", f"deletionTimestamp {began:%F %T}Z; finalizers: {', '.join(held)}", began),),
                statement=f"{ref} is being deleted since {began:%F %T}Z while {', '.join(map(str, users[:3]))} still"
                f" use{'s' if len(users) == 1 else ''} it: it goes, and its data may, as soon as their pods are gone.",
            )


def _is_going(topology: Topology, namespace: str) -> bool:
    return time_at(topology.get("Namespace", "", namespace), "metadata", "deletionTimestamp") is not None


@check("pod-stuck-terminating", weight=0.8)
def pod_does_not_go(topology: Topology) -> Iterator[Finding]:
    """deletionTimestamp lies in the future by the grace period; past it, the pod should be gone."""
    for pod in topology.of_kind("Pod"):
        until = time_at(pod, "metadata", "deletionTimestamp")
        if until is None or topology.now - until < GRACE:
            continue
        finalizers = [str(one) for one in items(pod, "metadata", "finalizers")]
        node = topology.get("Node", "", text(pod, "spec", "nodeName"))
        silent = node is not None and text(condition(node, "Ready"), "status") != "True"
        why = (
            f"finalizer {', '.join(finalizers)}"
            if finalizers
            else f"its node {name_of(node)} is not ready"
            if node and silent
            else ""
        )
        yield Finding(
            cause="pod-stuck-terminating",
            subject=ref_of(pod),
            since=until,
            params={"finalizers": [*finalizers], "grace": number(pod, "metadata", "deletionGracePeriodSeconds")},
            quotes=(
                quote_field(ref_of(pod), "metadata", f"deletionTimestamp {until:%H:%M:%SZ}; finalizers: {finalizers or 'none'}"),
            ),
            statement=f"{ref_of(pod)} should be gone since {until:%H:%M:%SZ}{f'; it is held by {why}' if why else ''}.",
        )
