"""Services that send to the wrong pods although they have endpoints: of another application, or by another protocol."""

from collections.abc import Iterator

from agent.checks.callers import callers_of, log_troubles
from agent.checks.registry import check, quote_field
from agent.checks.services import selector_of
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, items, name_of, ref_of, text
from agent.topology.pods import containers
from agent.topology.workloads import CONTROLLED, tag


@check("service-selects-strangers", weight=0.92)
def sends_to_several_programs(topology: Topology) -> Iterator[Finding]:
    """Its selector is so wide that pods of several programs stand behind it, and callers fail there. Several workloads of one
    program (a canary, one a zone) are as wanted."""
    for service in topology.of_kind("Service"):
        ref, told = ref_of(service), _told(topology, ref_of(service))
        if not selector_of(service) or not told:
            continue
        programs: dict[frozenset[str], list[Ref]] = {}
        for pod in topology.selected_by(service):
            unit = topology.unit(ref_of(pod))
            if unit.kind in CONTROLLED:
                programs.setdefault(_program(pod), []).append(unit)
        units = sorted({one for ones in programs.values() for one in ones})
        if len(programs) < 2 or len(units) < 2:
            continue
        meant = [one for one in units if one.name == name_of(service)]
        strange = [one for one in units if one not in meant] if meant else units
        labels = ", ".join(f"{key}={value}" for key, value in selector_of(service).items())
        yield Finding(
            cause="service-selects-strangers",
            subject=ref,
            affects=callers_of(topology, ref),
            params={"workloads": [str(one) for one in units], "strangers": [str(one) for one in strange]},
            quotes=(quote_field(ref, "spec", f"selector: {labels}"), *told[:2]),
            statement=f"Service {ref.name} selects {labels}, which pods of several programs bear ({', '.join(map(str, units))}):"
            f" part of what is sent to it lands at {', '.join(map(str, strange))}.",
        )


def _program(pod: Manifest) -> frozenset[str]:
    """What runs in it: the repositories of its images, without their tags."""
    return frozenset(
        image[: -len(tag(image)) - 1] if image.endswith(tag(image)) else image
        for one in containers(pod_spec_of(pod), init=False)
        for image in [text(one, "image")]
        if text(one, "name") not in ("istio-proxy", "linkerd-proxy")
    )


@check("service-port-mismatch", weight=0.93)
def speaks_another_protocol(topology: Topology) -> Iterator[Finding]:
    """A Service's port is UDP (or SCTP) where all its pods declare that port for TCP, and callers fail there; or the reverse."""
    for service in topology.of_kind("Service"):
        ref, pods = ref_of(service), topology.selected_by(service)
        told = _told(topology, ref)
        if not pods or not told:
            continue
        declared = {
            (key, text(port, "protocol") or "TCP")
            for pod in pods
            for box in containers(pod_spec_of(pod), init=False)
            for port in items(box, "ports")
            for key in (text(port, "name"), at(port, "containerPort"))
            if key
        }
        for number, port in enumerate(items(service, "spec", "ports")):
            target, protocol = at(port, "targetPort") or at(port, "port"), text(port, "protocol") or "TCP"
            others = sorted({spoken for key, spoken in declared if key == target})
            if not others or protocol in others:
                continue
            yield Finding(
                cause="service-port-mismatch",
                subject=ref,
                affects=callers_of(topology, ref),
                params={"target_port": target, "protocol": protocol, "protocol_path": f"/spec/ports/{number}/protocol"},
                quotes=(quote_field(ref, "spec", f"port {at(port, 'port')}/{protocol} -> targetPort {target}"), *told[:2]),
                statement=f"Service {ref.name} offers port {at(port, 'port')} for {protocol} only, while its pods serve {target}"
                f" by {', '.join(others)}: connections by {', '.join(others)} are refused although the endpoints are ready.",
            )


def _told(topology: Topology, service: Ref) -> list[Quote]:
    return [quote for unit, trouble, quote in log_troubles(topology) if topology.host(trouble.host, unit.namespace) == service]
