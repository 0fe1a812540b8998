"""Routes of the Gateway API: parents, listeners that take them, backends, ports and grants, evaluated from the specs as a
controller does; its own conditions are quoted."""

from collections.abc import Iterator
from typing import Any

from agent.checks.config import near
from agent.checks.gateways import conditions_of, is_granted, ours, quotes_of
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.fields import at, created_at, items, mapping, name_of, number, ref_of, text
from agent.topology.policies import namespace_labels
from agent.topology.references import ROUTES
from agent.topology.selectors import matches


def routes(topology: Topology) -> list[Manifest]:
    return ours(topology, *ROUTES)


@check("route-parent-missing", weight=0.95)
def no_parent(topology: Topology) -> Iterator[Finding]:
    """A route whose parent Gateway, or the listener of it that it names, does not exist."""
    for route in routes(topology):
        ref = ref_of(route)
        for parent in items(route, "spec", "parentRefs"):
            if (text(parent, "kind") or "Gateway") != "Gateway":
                continue
            to = Ref("Gateway", text(parent, "namespace") or ref.namespace, text(parent, "name"))
            gateway, section = topology.objects.get(to), text(parent, "sectionName")
            names = [text(one, "name") for one in items(gateway, "spec", "listeners")]
            if gateway is None:
                known = topology.saw("Gateway") and (
                    topology.knows_namespace(to.namespace) or topology.in_namespace("Gateway", to.namespace)
                )
                others = [name_of(one) for one in topology.in_namespace("Gateway", to.namespace)]
                like = near(to.name, others)
                why = f"{to}, which does not exist{f' (there is {like})' if like else ''}" if known else ""
            else:
                why = f"listener {section} of {to}, which has only {', '.join(names)}" if section and section not in names else ""
                like = near(section, names) if why else ""
            if why:
                yield Finding(
                    cause="route-parent-missing",
                    subject=ref,
                    since=created_at(route),
                    params={"parent": str(to), "near": like},
                    quotes=(
                        quote_field(ref, "spec.parentRefs", f"{to.namespace}/{to.name} {section}".strip()),
                        *_parent_says(route),
                    ),
                    statement=f"{ref} is to be served by {why}, so nobody serves it.",
                )


def _parent_says(route: Manifest, kind: str = "Accepted") -> tuple[Quote, ...]:
    told = (said for one in items(route, "status", "parents") for said in conditions_of(one))
    return next(
        (
            quotes_of(ref_of(route), "status.parents", said)
            for said in told
            if text(said, "type") == kind and text(said, "status") == "False"
        ),
        (),
    )


@check("route-not-accepted", weight=0.93)
def not_allowed(topology: Topology) -> Iterator[Finding]:
    """A route that no listener of its Gateway takes: another namespace, another kind, or host names that do not meet."""
    for route in routes(topology):
        ref = ref_of(route)
        for parent in items(route, "spec", "parentRefs"):
            to = Ref(text(parent, "kind") or "Gateway", text(parent, "namespace") or ref.namespace, text(parent, "name"))
            gateway = topology.objects.get(to)
            listeners = [one for one in items(gateway, "spec", "listeners") if _is_meant(one, parent)]
            whys = [why for one in listeners if (why := _refuses(topology, one, route, to.namespace))]
            if listeners and len(whys) == len(listeners):
                yield Finding(
                    cause="route-not-accepted",
                    subject=ref,
                    since=created_at(route),
                    affects=(),
                    params={"parent": str(to)},
                    quotes=(*_parent_says(route), quote_field(to, "spec.listeners", "; ".join(dict.fromkeys(whys)))),
                    statement=f"{ref} is not taken by any listener of {to}: {'; '.join(dict.fromkeys(whys))}.",
                )


def _is_meant(listener: Any, parent: Any) -> bool:
    section, port = text(parent, "sectionName"), number(parent, "port")
    return (not section or text(listener, "name") == section) and (not port or number(listener, "port") == port)


def _refuses(topology: Topology, listener: Any, route: Manifest, space: str) -> str:
    """Why the listener does not take the route, or ""."""
    name, ref = text(listener, "name"), ref_of(route)
    allowed = mapping(listener, "allowedRoutes", "namespaces")
    source = text(allowed, "from") or "Same"
    if source == "Same" and ref.namespace != space:
        return f"listener {name} takes routes of its own namespace {space} only"
    if source == "Selector":
        labels = namespace_labels(topology, ref.namespace)
        if labels is not None and not matches(at(allowed, "selector"), labels):
            return f"listener {name} takes routes of namespaces with other labels than {ref.namespace} has"
    kinds = [text(one, "kind") for one in items(listener, "allowedRoutes", "kinds")]
    if kinds and ref.kind not in kinds:
        return f"listener {name} takes {', '.join(kinds)} only"
    host, hosts = text(listener, "hostname"), [one for one in items(route, "spec", "hostnames") if isinstance(one, str)]
    if host and hosts and not any(_meet(host, one) for one in hosts):
        return f"listener {name} serves {host}, the route is for {', '.join(hosts)}"
    return ""


def _meet(one: str, other: str) -> bool:
    """Whether two host names, either of which may begin with *., have one in common."""
    if one == other:
        return True
    for wide, narrow in ((one, other), (other, one)):
        if wide.startswith("*.") and narrow.removeprefix("*").endswith(wide[1:]) and narrow != wide[2:]:
            return True
    return False


@check("route-backend-missing", weight=0.94)
@check("reference-grant-missing", weight=0.94)
def no_backend(topology: Topology) -> Iterator[Finding]:
    """A route to a Service that does not exist, does not offer the port, or lies in a namespace that did not allow it."""
    for route in routes(topology):
        ref = ref_of(route)
        for named in topology.names.get(ref, ()):
            if named.relation != "routes-to" or named.to.kind != "Service":
                continue
            service, to = topology.objects.get(named.to), named.to
            cause, why, like = "", "", ""
            if service is None and topology.saw("Service") and topology.knows_namespace(to.namespace):
                like = near(to.name, [name_of(one) for one in topology.in_namespace("Service", to.namespace)])
                cause, why = "route-backend-missing", f"{to}, which does not exist{f' (there is {like})' if like else ''}"
            elif (
                service is not None
                and named.key
                and not any(str(at(one, "port")) == named.key for one in items(service, "spec", "ports"))
            ):
                has = ", ".join(str(at(one, "port")) for one in items(service, "spec", "ports"))
                cause, why = "route-backend-missing", f"port {named.key} of {to}, which offers {has} only"
            elif to.namespace != ref.namespace and not is_granted(topology, ref, to) and _refused_by_status(route):
                cause, why = "reference-grant-missing", f"{to}, and no ReferenceGrant of namespace {to.namespace} allows that"
            if cause:
                yield Finding(
                    cause=cause,
                    subject=ref,
                    since=created_at(route),
                    params={"service": f"{to.namespace}/{to.name}", "near": like},
                    quotes=(
                        quote_field(ref, named.where, f"{to.namespace}/{to.name}:{named.key}"),
                        *_parent_says(route, "ResolvedRefs"),
                    ),
                    statement=f"{ref} ({named.where}) sends to {why}, so requests for it fail.",
                )


def _refused_by_status(route: Manifest) -> bool:
    """Whether a controller says RefNotPermitted, or has said nothing yet (some check no grants)."""
    told = [
        said for one in items(route, "status", "parents") for said in conditions_of(one) if text(said, "type") == "ResolvedRefs"
    ]
    return not told or any(text(one, "reason") == "RefNotPermitted" for one in told)
