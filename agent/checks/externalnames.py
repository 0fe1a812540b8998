"""Services that are another name for a host elsewhere (type ExternalName): a host no DNS knows fails all who use it."""

from collections.abc import Iterator

from agent.checks.callers import log_troubles
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.connections import ConnectionTrouble
from agent.signals.logs import started_lately
from agent.topology import Topology
from agent.topology.fields import created_at, field_writes, ref_of, text


@check("external-name-unresolved", weight=0.95)
def leads_nowhere(topology: Topology) -> Iterator[Finding]:
    """Callers cannot resolve the Service's name, or the host behind it, while the Service is there."""
    found: dict[Ref, list[tuple[Ref, ConnectionTrouble, Quote]]] = {}
    for unit, trouble, quote in log_troubles(topology):
        if trouble.kind != "dns" or not started_lately(trouble.last, topology.now):
            continue
        host = topology.host(trouble.host, unit.namespace)
        named = host if host is not None and text(topology.objects.get(host), "spec", "type") == "ExternalName" else None
        service = named or _by_target(topology, trouble.host)
        if service is not None:
            found.setdefault(service, []).append((unit, trouble, quote))
    for service, ones in sorted(found.items()):
        manifest = topology.objects[service]
        target = text(manifest, "spec", "externalName")
        wrote = [when for _, when, fields in field_writes(manifest) if "f:spec" in fields]
        who = tuple(dict.fromkeys(unit for unit, _, _ in ones))
        yield Finding(
            cause="external-name-unresolved",
            subject=service,
            since=max(wrote, default=None) or created_at(manifest),
            affects=who,
            params={"external_name": target},
            quotes=(*(quote for _, _, quote in ones[:2]), quote_field(service, "spec", f"externalName: {target}")),
            statement=f"{service} is another name for {target}, which does not resolve, so {', '.join(map(str, who[:3]))}"
            f" {'does' if len(who) == 1 else 'do'} not find it.",
        )


def _by_target(topology: Topology, host: str) -> Ref | None:
    known: dict[str, Ref] | None = topology.derived.get("external-names")
    if known is None:
        known = topology.derived["external-names"] = {
            text(one, "spec", "externalName").rstrip(".").lower(): ref_of(one)
            for one in topology.of_kind("Service")
            if text(one, "spec", "type") == "ExternalName"
        }  # fmt: skip
    return known.get(host)
