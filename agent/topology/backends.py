"""What stands behind a Service that something else names (webhook, aggregated API, route): is it there, is it ready? Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import at, items, labels_of, mapping, number, ref_of, text
from agent.topology.graph import Topology
from agent.topology.pods import container_states, is_ready, phase, unready_since
from agent.topology.selectors import matches_labels
from agent.topology.workloads import CONTROLLED, wanted

State = Literal["ready", "missing", "empty", "unready", "off", "unseen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """missing: no such Service. empty: it selects no pod, nor a workload that would make some. off: its workload wants no pods.
    unready: pods, none of them ready. unseen: its namespace was not read. `words` continue "... is down because"."""

    service: Ref
    state: State
    words: str
    workload: Ref | None = None
    pods: tuple[Ref, ...] = ()

    @property
    def is_down(self) -> bool:
        return self.state not in ("ready", "unseen")


def backend(topology: Topology, service: Ref) -> Backend:
    manifest = topology.objects.get(service)
    if manifest is None:
        read = any(topology.in_namespace(kind, service.namespace) for kind in ("Service", "Pod"))
        if read and topology.saw("Service"):
            return Backend(service=service, state="missing", words=f"{service} does not exist")
        return Backend(service=service, state="unseen", words=f"{service} was not read")
    if text(manifest, "spec", "type") == "ExternalName":
        return Backend(service=service, state="unseen", words=f"{service} stands for a name outside")
    if not mapping(manifest, "spec", "selector"):
        return _by_slices(topology, service)
    pods = topology.selected_by(manifest)
    workload = topology.unit(ref_of(pods[0])) if pods else _maker(topology, manifest)
    if any(is_ready(pod) for pod in pods):
        return Backend(service=service, state="ready", words="", workload=workload, pods=tuple(ref_of(pod) for pod in pods))
    if pods:
        why = ", ".join(sorted({word for pod in pods for word in _troubles(pod)}))
        words = f"none of the {len(pods)} pods of {workload} behind {service} is ready"
        if len(pods) == 1:
            words = f"the only pod of {workload} behind {service} is not ready"
        words += f" ({why})" if why else ""
        return Backend(service=service, state="unready", words=words, workload=workload, pods=tuple(ref_of(pod) for pod in pods))
    if workload is not None:
        size = wanted(topology.objects[workload])
        words = f"{workload} behind {service} is scaled to 0" if not size else f"{workload} behind {service} has no pods"
        return Backend(service=service, state="unready" if size else "off", words=words, workload=workload)
    return Backend(service=service, state="empty", words=f"{service} selects no pod")


def _by_slices(topology: Topology, service: Ref) -> Backend:
    slices = [
        one
        for one in topology.in_namespace("EndpointSlice", service.namespace)
        if labels_of(one).get("kubernetes.io/service-name") == service.name
    ]
    endpoints = [one for each in slices for one in items(each, "endpoints")]
    if not slices:
        return Backend(service=service, state="unseen", words=f"endpoints of {service} were not read")
    if any(at(one, "conditions", "ready") is not False for one in endpoints):
        return Backend(service=service, state="ready", words="")
    return Backend(service=service, state="empty", words=f"{service} has no ready endpoints")


def _maker(topology: Topology, service: Manifest) -> Ref | None:
    selector, namespace = mapping(service, "spec", "selector"), text(service, "metadata", "namespace")
    return next(
        (
            ref_of(one)
            for kind in CONTROLLED
            for one in topology.in_namespace(kind, namespace)
            if matches_labels(selector, mapping(one, "spec", "template", "metadata", "labels"))
        ),
        None,
    )


def _troubles(pod: Manifest) -> list[str]:
    """What keeps the pod's containers, in a word each."""
    found = [one.waiting or one.end_reason for one in container_states(pod) if not one.ready]
    return [word for word in found if word and word != "Completed"] or ([] if phase(pod) == "Running" else [phase(pod)])


def down_since(topology: Topology, one: Backend) -> datetime | None:
    times = [unready_since(topology.objects[pod]) for pod in one.pods if pod in topology.objects]
    return min((time for time in times if time is not None), default=None)


def offers(topology: Topology, service: Ref, port: int) -> bool:
    """Whether the Service has the port; True also when it was not read."""
    manifest = topology.objects.get(service)
    ports = [number(one, "port") for one in items(manifest, "spec", "ports")]
    return manifest is None or port in ports
