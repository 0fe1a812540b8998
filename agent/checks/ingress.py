"""Ingress: a class, Services, ports and TLS Secrets that it names and that are not there."""

from collections.abc import Iterator

from agent.checks.config import keys_of, near
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding
from agent.topology import Topology
from agent.topology.fields import annotations_of, at, created_at, items, name_of, ref_of, text
from agent.topology.surroundings import is_default


@check("ingress-backend-missing", weight=0.93)
def no_backend(topology: Topology) -> Iterator[Finding]:
    for ingress in topology.of_kind("Ingress"):
        ref = ref_of(ingress)
        for named in topology.names.get(ref, ()):
            if named.to.kind != "Service":
                continue
            service = topology.objects.get(named.to)
            if service is None and topology.saw("Service"):
                like = near(named.to.name, [name_of(one) for one in topology.in_namespace("Service", ref.namespace)])
                said = f"Service {named.to.name}, which does not exist{f' (there is {like})' if like else ''}"
            elif service is not None and named.key and not _offers(service, named.key):
                said = f"port {named.key} of Service {named.to.name}, which does not offer it"
            else:
                continue
            yield Finding(
                cause="ingress-backend-missing",
                subject=ref,
                since=created_at(ingress),
                params={"service": named.to.name},
                quotes=(quote_field(ref, named.where, f"backend {named.to.name}:{named.key}"),),
                statement=f"{ref} ({named.where}) sends to {said}.",
            )


def _offers(service: object, port: str) -> bool:
    return any(str(at(one, "port")) == port or text(one, "name") == port for one in items(service, "spec", "ports"))


@check("ingress-class-missing", weight=0.9)
def no_class(topology: Topology) -> Iterator[Finding]:
    if not topology.saw("IngressClass"):
        return
    for ingress in topology.of_kind("Ingress"):
        ref, wanted = ref_of(ingress), text(ingress, "spec", "ingressClassName")
        known = [name_of(one) for one in topology.of_kind("IngressClass")]
        old = annotations_of(ingress).get("kubernetes.io/ingress.class", "")
        if not wanted and not old and known and not any(is_default(one) for one in topology.of_kind("IngressClass")):
            yield Finding(
                cause="ingress-class-missing",
                subject=ref,
                since=created_at(ingress),
                params={"near": known[0] if len(known) == 1 else "", "named": False},
                quotes=(quote_field(ref, "spec", "ingressClassName: (none)"),),
                statement=f"{ref} names no IngressClass and none is the default (there are: {', '.join(known)}), so no controller"
                " serves it.",
            )
        if wanted and wanted not in known and known:
            yield Finding(
                cause="ingress-class-missing",
                subject=ref,
                since=created_at(ingress),
                params={"near": near(wanted, known)},
                quotes=(quote_field(ref, "spec", f"ingressClassName: {wanted}"),),
                statement=f"{ref} names IngressClass {wanted}, which does not exist (there are: {', '.join(known)}).",
            )


@check("ingress-tls-secret-missing", weight=0.9)
def no_certificate(topology: Topology) -> Iterator[Finding]:
    if not topology.saw("Secret"):
        return
    for ingress in topology.of_kind("Ingress"):
        ref = ref_of(ingress)
        for named in topology.names.get(ref, ()):
            if named.to.kind == "Secret" and named.to not in topology.objects:
                yield Finding(
                    cause="ingress-tls-secret-missing",
                    subject=ref,
                    since=created_at(ingress),
                    params={"secret": named.to.name},
                    quotes=(quote_field(ref, "spec.tls", f"secretName: {named.to.name}"),),
                    statement=f"{ref} takes its certificate from Secret {named.to.name}, which does not exist.",
                )
            keys = sorted(keys_of(topology.objects.get(named.to, {}))) if named.to.kind == "Secret" else []
            lacking = [one for one in ("tls.crt", "tls.key") if one not in keys]
            if keys and lacking:
                yield Finding(
                    cause="ingress-tls-secret-missing",
                    subject=ref,
                    since=created_at(ingress),
                    params={"secret": named.to.name, "lacking": [*lacking]},
                    quotes=(quote_field(named.to, "data", f"keys: {', '.join(keys)}"),),
                    statement=f"{ref} takes its certificate from Secret {named.to.name}, which has no {' and no '.join(lacking)}"
                    f" (it has {', '.join(keys)}), so the controller serves its own default certificate.",
                )
