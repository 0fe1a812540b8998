"""Gateway API (gateway.networking.k8s.io/v1): classes that nobody serves, Gateways that are not programmed, certificates of their
listeners. Evaluated from the specs; the controller's own conditions are quoted."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from agent.checks.config import near
from agent.checks.registry import check, quote_condition, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.fields import at, condition, created_at, items, mapping, name_of, ref_of, text, time_at
from agent.topology.surroundings import grants

GROUP = "gateway.networking.k8s.io/"
SETTLES = timedelta(minutes=2)


def ours(topology: Topology, *kinds: str) -> list[Manifest]:
    """Objects of the Gateway API (other APIs have kinds of the same names), not just made and not going."""
    return [
        one
        for one in topology.of_kind(*kinds)
        if text(one, "apiVersion").startswith(GROUP)
        and at(one, "metadata", "deletionTimestamp") is None
        and topology.now - (created_at(one) or topology.now - SETTLES) >= SETTLES
    ]


def conditions_of(holder: Any) -> Iterator[Mapping[str, Any]]:
    yield from (one for one in items(holder, "conditions") if isinstance(one, Mapping))


def quotes_of(ref: Ref, where: str, told: Mapping[str, Any]) -> tuple[Quote, ...]:
    if not told:
        return ()
    words = f"{text(told, 'type')}={text(told, 'status')} {text(told, 'reason')}: {text(told, 'message')}".strip(": ")
    return (quote_field(ref, where, words, time_at(told, "lastTransitionTime")),)


@check("gateway-class-missing", weight=0.95)
def no_class(topology: Topology) -> Iterator[Finding]:
    """A Gateway whose gatewayClassName names no GatewayClass."""
    known = sorted(name_of(one) for one in topology.of_kind("GatewayClass"))
    if not topology.saw("GatewayClass") or not known:
        return
    for gateway in ours(topology, "Gateway"):
        wanted, ref = text(gateway, "spec", "gatewayClassName"), ref_of(gateway)
        if wanted and wanted not in known:
            yield Finding(
                cause="gateway-class-missing",
                subject=ref,
                since=created_at(gateway),
                params={"near": near(wanted, known), "class": wanted},
                quotes=(quote_field(ref, "spec", f"gatewayClassName: {wanted}"), *quote_condition(gateway, "Accepted")),
                statement=f"{ref} names GatewayClass {wanted}, which does not exist (there are: {', '.join(known)}), so nobody"
                " serves it.",
            )


@check("gateway-class-not-accepted", weight=0.9)
def class_not_accepted(topology: Topology) -> Iterator[Finding]:
    """A GatewayClass in use that its controller refused, or that no controller has ever taken up."""
    for one in ours(topology, "GatewayClass"):
        said, ref = condition(one, "Accepted"), ref_of(one)
        users = [
            ref_of(gateway) for gateway in ours(topology, "Gateway") if text(gateway, "spec", "gatewayClassName") == ref.name
        ]
        if text(said, "status") == "True" or not users:
            continue
        controller = text(one, "spec", "controllerName")
        taken = text(said, "status") == "False"
        why = (
            f"{text(said, 'reason')}: {text(said, 'message')[:200]}".rstrip(": .")
            if taken
            else f"no controller {controller} acts on it"
        )
        yield Finding(
            cause="gateway-class-not-accepted",
            subject=ref,
            affects=tuple(users),
            since=time_at(said, "lastTransitionTime") or created_at(one),
            params={"controller": controller},
            quotes=tuple(quote_condition(one, "Accepted")) or (quote_field(ref, "spec", f"controllerName: {controller}"),),
            statement=f"{ref} is not accepted ({why}), so {', '.join(map(str, users[:4]))}"
            f" {'is' if len(users) == 1 else 'are'} not served.",
        )


@check("gateway-certificate-missing", weight=0.94)
def no_certificate(topology: Topology) -> Iterator[Finding]:
    """A listener whose certificateRefs name a Secret that is not there, is none of TLS, or may not be referred to."""
    for gateway in ours(topology, "Gateway"):
        ref = ref_of(gateway)
        for named in topology.names.get(ref, ()):
            if named.to.kind != "Secret":
                continue
            why = _wrong_secret(topology, gateway, named.to)
            if why:
                told = _listener_says(gateway, named.where.removeprefix("listener "), "ResolvedRefs")
                yield Finding(
                    cause="gateway-certificate-missing",
                    subject=ref,
                    since=time_at(told, "lastTransitionTime") or created_at(gateway),
                    params={"secret": f"{named.to.namespace}/{named.to.name}", "listener": named.where.removeprefix("listener ")},
                    quotes=(quote_field(ref, named.where, f"certificateRefs: {named.to}"), *quotes_of(ref, named.where, told)),
                    statement=f"{ref} ({named.where}) takes its certificate from {named.to}, which {why}, so the listener does"
                    " not serve.",
                )


def _wrong_secret(topology: Topology, gateway: Manifest, secret: Ref) -> str:
    found = topology.objects.get(secret)
    if found is None:
        known = topology.saw("Secret") and topology.knows_namespace(secret.namespace)
        return "does not exist" if known else ""
    if secret.namespace != ref_of(gateway).namespace and not is_granted(topology, ref_of(gateway), secret):
        return f"no ReferenceGrant of namespace {secret.namespace} lets it use"
    keys = {*mapping(found, "data"), *mapping(found, "stringData")}
    return (
        "" if {"tls.crt", "tls.key"} <= keys or not keys else f"has no tls.crt and tls.key (it has {', '.join(sorted(keys)[:5])})"
    )


def is_granted(topology: Topology, source: Ref, target: Ref) -> bool:
    held = topology.in_namespace("ReferenceGrant", target.namespace)
    return not topology.saw("ReferenceGrant") or any(grants(one, source, target.kind, target.name) for one in held)


def _listener_says(gateway: Manifest, name: str, kind: str) -> Mapping[str, Any]:
    told = (one for one in items(gateway, "status", "listeners") if text(one, "name") == name)
    return next((said for one in told for said in conditions_of(one) if text(said, "type") == kind), {})


@check("gateway-not-programmed", weight=0.7)
def not_programmed(topology: Topology) -> Iterator[Finding]:
    """Accepted or Programmed is not True for minutes, in the controller's own words (addresses, ports, conflicts)."""
    for gateway in ours(topology, "Gateway"):
        ref = ref_of(gateway)
        told = [one for kind in ("Accepted", "Programmed") if (one := condition(gateway, kind)) and text(one, "status") != "True"]
        for listener in items(gateway, "status", "listeners"):
            told += [one for one in conditions_of(listener) if (text(one, "type"), text(one, "status")) == ("Conflicted", "True")]
        told = [one for one in told if _lasts(one, topology.now)]
        if told:
            words = "; ".join(f"{text(one, 'reason')}: {text(one, 'message')[:200]}".rstrip(": .") for one in told[:2])
            yield Finding(
                cause="gateway-not-programmed",
                subject=ref,
                since=time_at(told[0], "lastTransitionTime"),
                params={"reason": text(told[0], "reason")},
                quotes=tuple(quote for one in told for quote in quotes_of(ref, "status", one)),
                statement=f"{ref} is not programmed, so its routes are not served: {words}.",
            )


def _lasts(told: Mapping[str, Any], now: datetime) -> bool:
    since = time_at(told, "lastTransitionTime")
    return since is None or since.year < 2000 or now - since >= SETTLES  # the API's default is 1970
