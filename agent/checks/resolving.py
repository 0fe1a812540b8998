"""Pods that cannot resolve names while the cluster's DNS works: they ask the wrong server, or in the wrong way, or too early."""

from collections.abc import Iterator

from agent.checks.containers import rollback_params
from agent.checks.dns import dns_troubles
from agent.checks.registry import check, quote_event, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.topology import Topology, pod_spec_of
from agent.topology.dns import ndots, resolver_of
from agent.topology.fields import at, created_at, ref_of, text
from agent.topology.pods import is_ready
from agent.topology.workloads import rollback, workloads
from sidecar.contract import Json


@check("pod-dns-policy", weight=0.93)
def asks_the_wrong_server(topology: Topology) -> Iterator[Finding]:
    """A pod that looks for a Service of the cluster and, by its dnsPolicy, does not ask the cluster's DNS."""
    for unit, trouble, quote in dns_troubles(topology):
        spec = pod_spec_of(topology.objects[unit])
        service = topology.host(trouble.host, unit.namespace)
        asks = resolver_of(topology, spec)
        if service not in topology.objects or asks == "cluster":
            continue
        policy = text(spec, "dnsPolicy") or "ClusterFirst"
        host = at(spec, "hostNetwork") is True
        why = (
            "hostNetwork with dnsPolicy ClusterFirst means the node's resolver"
            if host and policy == "ClusterFirst"
            else (f"dnsPolicy {policy} means {'the node' + chr(39) + 's resolver' if asks == 'node' else 'servers of its own'}")
        )
        params: dict[str, Json] = {"host": trouble.host, "dns_policy": policy}
        params["suggested_policy"] = "ClusterFirstWithHostNet" if host else "ClusterFirst"
        params |= rollback_params(rollback(topology, unit, trouble.first.at))
        yield Finding(
            cause="pod-dns-policy",
            subject=unit,
            since=trouble.first.at,
            params=params,
            quotes=(quote, quote_field(unit, "pod template", f"dnsPolicy: {policy}; hostNetwork: {str(host).lower()}")),
            statement=f"{unit} cannot resolve {trouble.host}, although {service} exists: {why}, which knows no Services of the"
            " cluster.",
        )


@check("dns-ndots-too-low", weight=0.9)
def tries_the_name_as_it_stands(topology: Topology) -> Iterator[Finding]:
    """A short name with as many dots as ndots: it is asked for as it stands, and some resolvers (musl) stop there."""
    for unit, trouble, quote in dns_troubles(topology):
        spec, dots = pod_spec_of(topology.objects[unit]), trouble.host.rstrip(".").count(".")
        service, limit = topology.host(trouble.host, unit.namespace), ndots(spec)
        full = ".svc." in f"{trouble.host}." and not trouble.host.endswith(".svc")
        if service not in topology.objects or resolver_of(topology, spec) != "cluster" or limit >= 5 or dots < limit or full:
            continue
        yield Finding(
            cause="dns-ndots-too-low",
            subject=unit,
            since=trouble.first.at,
            params={"host": trouble.host, "ndots": limit, **rollback_params(rollback(topology, unit, trouble.first.at))},
            quotes=(quote, quote_field(unit, "dnsConfig", f"ndots: {limit}")),
            statement=f"{unit} cannot resolve {trouble.host}, although {service} exists: dnsConfig sets ndots to {limit}, so a"
            f" name with {dots} dot{'s' if dots != 1 else ''} is not completed by the cluster's search domains.",
        )


@check("headless-peers-unready", weight=0.92)
def peers_wait_for_each_other(topology: Topology) -> Iterator[Finding]:
    """A StatefulSet whose pods look for each other by name before they are ready, under a headless Service that publishes ready
    ones only: each waits for the other."""
    for unit, trouble, quote in dns_troubles(topology):
        workload = topology.objects[unit]
        service = Ref("Service", unit.namespace, text(workload, "spec", "serviceName"))
        manifest = topology.objects.get(service)
        if unit.kind != "StatefulSet" or manifest is None or topology.host(trouble.host, unit.namespace) != service:
            continue
        pods = topology.selected_by(manifest)
        if at(manifest, "spec", "publishNotReadyAddresses") is True or all(is_ready(pod) for pod in pods):
            continue
        yield Finding(
            cause="headless-peers-unready",
            subject=service,
            affects=(unit,),
            since=trouble.first.at,
            params={"host": trouble.host},
            quotes=(quote, quote_field(service, "spec", "publishNotReadyAddresses: false")),
            statement=f"The pods of {unit} look for each other ({trouble.host}) before they are ready, and headless {service}"
            " publishes ready pods only (publishNotReadyAddresses is not set), so none finds the other and none becomes ready.",
        )


@check("headless-service-missing", weight=0.6)
def no_governing_service(topology: Topology) -> Iterator[Finding]:
    """A StatefulSet whose spec.serviceName names no Service: its pods have no names of their own."""
    for workload in workloads(topology):
        name, unit = text(workload, "spec", "serviceName"), ref_of(workload)
        service = Ref("Service", unit.namespace, name)
        if unit.kind != "StatefulSet" or not name or service in topology.objects or not topology.saw("Service"):
            continue
        names = topology.in_namespace("Service", unit.namespace)
        told = [quote for one, trouble, quote in dns_troubles(topology) if name in trouble.host.split(".")]
        if not names and not told:
            continue  # nothing of the namespace's Services was seen
        yield Finding(
            cause="headless-service-missing",
            subject=unit,
            since=created_at(workload),
            params={"service": name},
            quotes=(quote_field(unit, "spec", f"serviceName: {name}"), *told[:2]),
            statement=f"{unit} names Service {name} (spec.serviceName), which does not exist, so its pods cannot be reached by"
            " name.",
        )


@check("dns-config-too-long", weight=0.55)
def too_many_servers(topology: Topology) -> Iterator[Finding]:
    """DNSConfigForming: more nameservers or search domains than a resolver takes; those beyond are left out. Where only the
    node's own file is too long and no name fails, it is no fault of the pod."""
    failing = {unit for unit, _, _ in dns_troubles(topology)}
    seen: set[Ref] = set()
    for about in dict.fromkeys(about for about, _ in topology.told("DNSConfigForming")):
        unit = topology.unit_of_name(about)
        told = [one for one in topology.events_about(about) if one.reason == "DNSConfigForming"]
        spec = pod_spec_of(topology.objects.get(unit, {}))
        if unit in seen or not (at(spec, "dnsConfig") or unit in failing):
            continue
        seen.add(unit)
        yield Finding(
            cause="dns-config-too-long",
            subject=unit,
            since=told[-1].first,
            quotes=(quote_event(told[-1]),),
            statement=f"The DNS configuration of {unit} is longer than a resolver takes, and the rest is left out:"
            f" {told[-1].message[:250].rstrip('. ')}.",
        )
