"""Services and what stands behind them: selectors, ports, endpoints, zero replicas, names that no Service has."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from agent.checks.callers import callers_of, log_troubles
from agent.checks.config import near
from agent.checks.keda import rests_at_zero
from agent.checks.registry import check, earliest, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.logs import started_lately
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, created_at, field_writes, items, labels_of, mapping, name_of, number, ref_of, text
from agent.topology.pods import container_ports, is_ready, unready_since
from agent.topology.selectors import matches_labels
from agent.topology.workloads import CONTROLLED, live_pods, previous_size, wanted
from sidecar.contract import Json


def selector_of(service: Manifest) -> Mapping[str, Any]:
    return mapping(service, "spec", "selector")


@check("service-selector-mismatch", weight=0.95)
def selects_nothing(topology: Topology) -> Iterator[Finding]:
    """A Service whose selector matches no pod and no workload of its namespace, while a near one exists."""
    for service in topology.of_kind("Service"):
        selector, ref = selector_of(service), ref_of(service)
        if not selector or topology.selected_by(service) or _selects_workload(topology, service):
            continue
        best = _nearest(topology, service)
        if best is None:
            continue
        workload, labels = best
        if _is_given_at_run_time(topology, selector, labels, workload):
            continue
        wrong = {key: value for key, value in selector.items() if labels.get(key) != value}
        suggested = {key: labels[key] if key in wrong else value for key, value in selector.items() if key in labels}
        has = ", ".join(f"{key}={labels[key]}" if key in labels else f"no {key}" for key in wrong)
        asks = ", ".join(f"{key}={value}" for key, value in wrong.items())
        callers = callers_of(topology, ref)
        params: dict[str, Json] = {"selector": dict(selector), "suggested_selector": dict(suggested), "workload": str(workload)}
        yield Finding(
            cause="service-selector-mismatch",
            subject=ref,
            since=_written(service, "f:selector"),
            affects=callers,
            params=params,
            quotes=(
                quote_field(ref, "spec", f"selector: {', '.join(f'{key}={value}' for key, value in selector.items())}"),
                quote_field(workload, "pod labels", ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))),
                *_call_quotes(topology, ref),
            ),
            statement=f"Service {ref.name} selects {asks}, but the pods of {workload} are labelled {has}, so the Service has"
            f" no endpoints" + (f" and {', '.join(map(str, callers))} cannot reach it." if callers else "."),
        )


def _selects_workload(topology: Topology, service: Manifest) -> bool:
    wanted_labels, namespace = selector_of(service), text(service, "metadata", "namespace")
    return any(
        matches_labels(wanted_labels, mapping(one, "spec", "template", "metadata", "labels"))
        for kind in CONTROLLED
        for one in topology.in_namespace(kind, namespace)
    )


def _wants_pods(topology: Topology, service: Manifest) -> bool:
    """Whether a workload behind the Service wants any pods."""
    labels, namespace = selector_of(service), text(service, "metadata", "namespace")
    return any(
        wanted(one) > 0 and matches_labels(labels, mapping(one, "spec", "template", "metadata", "labels"))
        for kind in CONTROLLED
        for one in topology.in_namespace(kind, namespace)
    )


def _nearest(topology: Topology, service: Manifest) -> tuple[Ref, Mapping[str, str]] | None:
    """The workload whose pods miss the selector by least: a shared label, or a name like the Service's."""
    selector, name = selector_of(service), name_of(service)
    scored: list[tuple[float, Ref, Mapping[str, str]]] = []
    for kind in CONTROLLED:
        for one in topology.in_namespace(kind, text(service, "metadata", "namespace")):
            labels = mapping(one, "spec", "template", "metadata", "labels")
            hits = sum(1 for key, value in selector.items() if labels.get(key) == value)
            alike = near(name, [name_of(one)]) != "" and any(key in labels for key in selector)
            if hits or alike:
                scored.append((hits + (1.5 if name_of(one) == name else 0.5 if alike else 0), ref_of(one), labels))
    if not scored:
        return None
    _, workload, labels = max(scored, key=lambda one: (one[0], str(one[1])))
    return workload, labels


def _is_given_at_run_time(topology: Topology, selector: Mapping[str, Any], labels: Mapping[str, str], workload: Ref) -> bool:
    """Whether it misses by a label that no template has and that somebody writes on the pods, such as the role of a database's
    leader and replicas: without a replica there is nobody behind its Service."""
    lacking = [key for key in selector if key not in labels]
    given = {key for pod in topology.pods_of(workload) for key in labels_of(pod)}
    return any(key in given for key in lacking)


def _written(manifest: Manifest, field: str) -> datetime | None:
    """When a top-level field of spec was written last, by managedFields."""
    times = [when for _, when, fields in field_writes(manifest) if at(fields, "f:spec", field) is not None]
    return max(times, default=None) or created_at(manifest)


def _call_quotes(topology: Topology, service: Ref) -> list[Quote]:
    quotes = [quote for unit, trouble, quote in log_troubles(topology) if topology.host(trouble.host, unit.namespace) == service]
    return quotes[:2]


@check("service-port-mismatch", weight=0.93)
def port_nobody_listens_on(topology: Topology) -> Iterator[Finding]:
    """A targetPort that no container of the selected pods declares (a name), or that differs from what they declare and
    refuses connections (a number: declaring ports is optional, so it needs a caller's word)."""
    for service in topology.of_kind("Service"):
        pods, ref = topology.selected_by(service), ref_of(service)
        if not pods or not any(is_ready(pod) for pod in pods):
            continue
        declared = [port for pod in pods for port in container_ports(pod_spec_of(pod))]
        names, numbers = {name for name, _, _ in declared if name}, {port for _, port, _ in declared}
        for index, port in enumerate(items(service, "spec", "ports")):
            target = at(port, "targetPort") or at(port, "port")
            told = _call_quotes(topology, ref)
            named = isinstance(target, str) and not target.isdigit()
            wrong = target not in names if named else bool(numbers) and _number_of(target) not in numbers and bool(told)
            if not wrong or at(port, "protocol") == "UDP":
                continue
            only = next(iter(numbers)) if len(numbers) == 1 else None
            suggested: Json = (
                only if only is not None else next((n for n in sorted(names) if n in (text(port, "name"), "http")), None)
            )
            workload = topology.unit(ref_of(pods[0]))
            has = ", ".join(map(str, sorted(numbers))) or "none"
            callers = callers_of(topology, ref)
            params: dict[str, Json] = {
                "target_port": target,
                "declared": [*sorted(numbers)],
                "port_path": f"/spec/ports/{index}/targetPort",
            }
            if suggested is not None:
                meant = [number for name, number, _ in declared if suggested in (name, number)]
                params |= {"suggested_port": suggested, "listens_on": meant[0]}
            yield Finding(
                cause="service-port-mismatch",
                subject=ref,
                since=_written(service, "f:ports"),
                affects=callers,
                params=params,
                quotes=(
                    quote_field(ref, "spec", f"port {at(port, 'port')} -> targetPort {target}"),
                    quote_field(workload, "pod template", f"containerPorts: {has}"),
                    *told,
                ),
                statement=f"Service {ref.name} sends port {at(port, 'port')} to targetPort {target}, where nobody listens:"
                f" the pods of"
                f" {workload} listen on {has}, so connections are refused although the endpoints are ready.",
            )


def _number_of(target: object) -> int:
    return int(target) if isinstance(target, int) or (isinstance(target, str) and target.isdigit()) else 0


@check("scaled-to-zero", weight=0.9)
def wants_no_pods(topology: Topology) -> Iterator[Finding]:
    """A workload of 0 replicas that somebody still calls. Without a caller it is off on purpose."""
    for workload in topology.of_kind("Deployment", "StatefulSet"):
        unit = ref_of(workload)
        if number(workload, "spec", "replicas", default=1) != 0 or live_pods(topology, unit):
            continue
        services = _services_of(topology, workload)
        callers = tuple(sorted({caller for service in services for caller in callers_of(topology, service) if caller != unit}))
        size = previous_size(topology, unit)
        events = [
            event for event in topology.events_about(unit) if event.reason == "ScalingReplicaSet" and "to 0" in event.message
        ]
        told = [quote for service in services for quote in _call_quotes(topology, service)]
        asked_back = any(event.last is not None for event in events)
        if not told and (rests_at_zero(topology, unit) or (not callers and not asked_back)):
            continue
        who = _scaler(workload)
        service = f", so Service {services[0].name} has no endpoints" if services else ""
        suffers = (
            f" and {', '.join(map(str, callers))} {'gets' if len(callers) == 1 else 'get'} connection refused"
            if callers and told
            else ""
        )
        yield Finding(
            cause="scaled-to-zero",
            subject=unit,
            affects=(*services, *callers),
            since=earliest(*(event.last for event in events[-1:])) or _written(workload, "f:replicas"),
            params={} if size is None else {"last_replicas": size},
            quotes=(
                quote_field(unit, "spec", "replicas: 0"),
                *(quote_field(unit, "event", f"{event.reason}: {event.message}", event.last) for event in events[-1:]),
                *told[:1],
            ),
            statement=f"{unit} is scaled to 0"
            f" replicas{f' (by {who})' if who else ''}{f'; it had {size}' if size else ''}{service}{suffers}.",
        )


def _scaler(workload: Manifest) -> str:
    """Who wrote spec.replicas last, by managedFields (the scale subresource counts)."""
    found = [
        (text(entry, "time"), text(entry, "manager"))
        for entry in items(workload, "metadata", "managedFields")
        if at(entry, "fieldsV1", "f:spec", "f:replicas") is not None
    ]
    return max(found)[1] if found else ""


def _services_of(topology: Topology, workload: Manifest) -> list[Ref]:
    labels = mapping(workload, "spec", "template", "metadata", "labels")
    services = topology.in_namespace("Service", text(workload, "metadata", "namespace"))
    return [ref_of(one) for one in services if selector_of(one) and matches_labels(selector_of(one), labels)]


@check("service-without-endpoints", weight=0.3, symptom=True)
def no_ready_endpoints(topology: Topology) -> Iterator[Finding]:
    """A Service with a selector and no ready pod behind it."""
    for service in topology.of_kind("Service"):
        pods, ref = topology.selected_by(service), ref_of(service)
        if not selector_of(service) or any(is_ready(pod) for pod in pods) or text(service, "spec", "type") == "ExternalName":
            continue
        if not pods and not _wants_pods(topology, service) and not callers_of(topology, ref):
            continue  # nobody is meant to be there, and nobody misses them
        yield Finding(
            cause="service-without-endpoints",
            subject=ref,
            symptom_only=True,
            affects=callers_of(topology, ref),
            since=earliest(*(unready_since(pod) for pod in pods)),
            quotes=tuple(_call_quotes(topology, ref)[:1]),
            statement=f"Service {ref.name} has no ready endpoints ({len(pods)} pods match its selector, none is ready).",
        )


@check("calls-failing", weight=0.25, symptom=True)
def calls_fail(topology: Topology) -> Iterator[Finding]:
    """A workload whose log says that it cannot reach another: a symptom of what stands behind that name."""
    for unit, trouble, quote in log_troubles(topology):
        if trouble.count < 3 or not started_lately(trouble.last, topology.now) or unit not in topology.objects:
            continue
        service = topology.host(trouble.host, unit.namespace)
        yield Finding(
            cause="calls-failing",
            subject=unit,
            symptom_only=True,
            since=trouble.first.at,
            quotes=(quote,),
            params={"host": trouble.host, "port": trouble.port, "kind": trouble.kind},
            affects=(service,) if service is not None and service in topology.objects else (),
            statement=f"{unit} cannot reach {trouble.host}{f':{trouble.port}' if trouble.port else ''} ({trouble.kind},"
            f" {trouble.count} times).",
        )
