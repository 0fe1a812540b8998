"""Secrets that a controller should bring from elsewhere (External Secrets, Sealed Secrets) and does not. Never their values."""

from collections.abc import Iterator

from agent.checks.custom import complaint
from agent.checks.registry import check, quote_condition, quote_event
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of, secret_made_by
from agent.topology.fields import mapping, ref_of, text, time_at

_STORES = ("SecretStore", "ClusterSecretStore")


def _users(topology: Topology, secret: Ref) -> tuple[Ref, ...]:
    return (secret, *sorted(source for source, edges in topology.edges.items() if any(edge.target == secret for edge in edges)))


@check("secret-store-not-ready", weight=0.98)
def store_closed(topology: Topology) -> Iterator[Finding]:
    """Ready=False of a store that Secrets come from: no login, a wrong address, a vault that does not answer."""
    for store in topology.of_kind(*_STORES):
        said = complaint(store, topology.now, ("Ready",)) if group_of(store) == "external-secrets.io" else None
        if said is None:
            continue
        ref = ref_of(store)
        waiting = [one for one in topology.of_kind("ExternalSecret") if _store_of(one) == ref]
        made = [secret for one in waiting for secret in [secret_made_by(one)] if secret is not None]
        yield Finding(
            cause="secret-store-not-ready",
            subject=ref,
            affects=tuple(
                dict.fromkeys([*map(ref_of, waiting), *(user for secret in made for user in _users(topology, secret))])
            ),
            params={"reason": said.reason, "secrets": len(waiting)},
            quotes=tuple(quote_condition(store, "Ready")),
            statement=f"{ref} cannot be read, so {len(waiting)} Secret(s) are not brought from it: {said.words}.",
        )


def _store_of(one: Manifest) -> Ref:
    named = mapping(one, "spec", "secretStoreRef")
    kind = text(named, "kind") or "SecretStore"
    return Ref(kind, "" if kind == "ClusterSecretStore" else ref_of(one).namespace, text(named, "name"))


@check("secret-not-synced", weight=0.97)
def not_synced(topology: Topology) -> Iterator[Finding]:
    """An ExternalSecret that is not Ready, a SealedSecret that cannot be unsealed; the Secret is missing or old."""
    for one in topology.of_kind("ExternalSecret", "SealedSecret"):
        secret = secret_made_by(one)
        said = complaint(one, topology.now, ("Ready", "Synced")) if secret is not None else None
        if said is None or secret is None:
            continue
        ref, there = ref_of(one), secret in topology.objects
        events = [event for event in topology.events_about(ref) if event.kind == "Warning"]
        yield Finding(
            cause="secret-not-synced",
            subject=ref,
            # a Secret that was never there was missing before anybody looked for it
            since=said.since if there else None,
            affects=_users(topology, secret),
            params={
                "secret": secret.name,
                "reason": said.reason,
                "old": there,
                "synced": str(time_at(one, "status", "refreshTime") or ""),
            },
            quotes=(*quote_condition(one, said.type), *(quote_event(event) for event in events[-1:])),
            statement=f"{ref} does not bring {secret}, which"
            f" {'is as old as its last success' if there else 'does not exist yet'}:"
            f" {said.words}{f' ({events[-1].message[:200]})' if events else ''}.",
        )
