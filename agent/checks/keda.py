"""KEDA: scalers that cannot read their trigger, credentials that are not there, and two autoscalers on one workload.

A paused ScaledObject, an inactive trigger and zero replicas of an idle workload are by design.
"""

from collections.abc import Iterator
from datetime import datetime

from agent.checks.autoscaling import target_of
from agent.checks.custom import complaint
from agent.checks.registry import check, earliest, quote_condition, quote_event, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import authentications_of, group_of, held
from agent.topology.fields import condition, created_at, items, mapping, name_of, namespace_of, number, ref_of, text
from agent.topology.references import WORKLOADS

_SAYS = ("KEDAScalerFailed", "ScaledObjectCheckFailed", "KEDAMetricSourceFailed", "TriggerAuthenticationFailed")


def scaled_objects(topology: Topology, *kinds: str) -> list[Manifest]:
    wanted = kinds or ("ScaledObject", "ScaledJob")
    found = [one for one in topology.of_kind(*wanted) if group_of(one) == "keda.sh" and not held(one)]
    return [one for one in found if text(one, "kind") == "ScaledJob" or scales(one).name]


def scales(scaled: Manifest) -> Ref:
    target = mapping(scaled, "spec", "scaleTargetRef")
    return Ref(text(target, "kind") or "Deployment", namespace_of(scaled), text(target, "name"))


def rests_at_zero(topology: Topology, unit: Ref) -> bool:
    """Whether KEDA keeps the workload at zero on purpose: nothing to do, or paused so."""
    for scaled in topology.of_kind("ScaledObject"):
        if group_of(scaled) == "keda.sh" and scales(scaled) == unit:
            idle = text(condition(scaled, "Active"), "status") == "False" and text(condition(scaled, "Ready"), "status") == "True"
            return bool(held(scaled)) or (idle and number(scaled, "spec", "minReplicaCount") == 0)
    return False


def _own_hpa(scaled: Manifest) -> Ref:
    name = text(scaled, "status", "hpaName") or text(scaled, "spec", "advanced", "horizontalPodAutoscalerConfig", "name")
    return Ref("HorizontalPodAutoscaler", namespace_of(scaled), name or f"keda-hpa-{name_of(scaled)}")


def _said(topology: Topology, scaled: Manifest) -> tuple[list[Quote], datetime | None]:
    """The Ready condition when it is False, and the last failure event."""
    bad = text(condition(scaled, "Ready"), "status") == "False"
    events = [one for one in topology.events_about(ref_of(scaled)) if one.reason in _SAYS and one.kind == "Warning"]
    quotes = [*(quote_condition(scaled, "Ready") if bad else ()), *(quote_event(one) for one in events[-1:])]
    return quotes, earliest(*(one.first for one in events))


@check("keda-target-missing", weight=0.97)
def scales_nothing(topology: Topology) -> Iterator[Finding]:
    for scaled in scaled_objects(topology, "ScaledObject"):
        target, ref = scales(scaled), ref_of(scaled)
        if target.kind not in WORKLOADS or not topology.saw(target.kind) or target in topology.objects:
            continue
        quotes, since = _said(topology, scaled)
        yield Finding(
            cause="keda-target-missing",
            subject=ref,
            since=since or created_at(scaled),
            params={"target": str(target)},
            quotes=(quote_field(ref, "spec.scaleTargetRef", f"{target.kind}/{target.name}"), *quotes),
            statement=f"{ref} is to scale {target}, which does not exist.",
        )


@check("keda-trigger-auth-missing", weight=0.97)
def no_credentials(topology: Topology) -> Iterator[Finding]:
    """A trigger names a TriggerAuthentication that does not exist, or that names a Secret or key which is not there."""
    for scaled in scaled_objects(topology):
        ref = ref_of(scaled)
        for named in dict.fromkeys(authentications_of(scaled)):
            found = topology.objects.get(named)
            quotes, since = _said(topology, scaled)
            if found is None:
                trouble = bool(quotes) and bool(named.namespace) and topology.knows_namespace(named.namespace)
                known = topology.of_kind(named.kind) or trouble or any(named.name in one.text for one in quotes)
                if not known or not topology.saw(named.kind):
                    continue
                subject, lacks = named, f"{named} does not exist"
            else:
                absent = _absent_secret(topology, found, named)
                if absent is None:
                    continue
                subject, lacks = absent
            yield Finding(
                cause="keda-trigger-auth-missing",
                subject=subject,
                since=since or created_at(scaled),
                affects=(ref, _own_hpa(scaled), *((scales(scaled),) if text(scaled, "kind") == "ScaledObject" else ())),
                params={"authentication": str(named)},
                quotes=(quote_field(ref, "spec.triggers", f"authenticationRef {named.kind}/{named.name}"), *quotes),
                statement=f"{ref} cannot read its trigger, because {lacks}; its workload keeps the size that it has.",
            )


def _absent_secret(topology: Topology, auth: Manifest, named: Ref) -> tuple[Ref, str] | None:
    """A Secret or a key of one that the authentication needs and that is not there. Cluster-wide ones use KEDA's namespace."""
    for one in items(auth, "spec", "secretTargetRef") if named.namespace else ():
        secret = Ref("Secret", named.namespace, text(one, "name"))
        found, key = topology.objects.get(secret), text(one, "key")
        if not topology.saw("Secret") or not topology.knows_namespace(named.namespace):
            return None
        if found is None:
            return secret, f"{secret}, which {named} takes {text(one, 'parameter')} from, does not exist"
        if key and key not in mapping(found, "data") and key not in mapping(found, "stringData"):
            return secret, f"{secret} has no key {key}, which {named} takes {text(one, 'parameter')} from"
    return None


@check("keda-hpa-conflict", weight=0.95)
def two_masters(topology: Topology) -> Iterator[Finding]:
    """A workload that KEDA scales and that another HorizontalPodAutoscaler, or another ScaledObject, scales too."""
    by_target: dict[Ref, list[Manifest]] = {}
    for scaled in scaled_objects(topology, "ScaledObject"):
        by_target.setdefault(scales(scaled), []).append(scaled)
    for target, ones in sorted(by_target.items()):
        own = {_own_hpa(one) for one in ones} | {ref for one in ones for ref in _children(topology, ref_of(one))}
        others = [ref_of(hpa) for hpa in topology.in_namespace("HorizontalPodAutoscaler", target.namespace)
                  if target_of(hpa) == target and ref_of(hpa) not in own]  # fmt: skip
        rivals = [*others, *(ref_of(one) for one in ones[1:])]
        if not rivals:
            continue
        ref = ref_of(ones[0])
        quotes, since = _said(topology, ones[0])
        yield Finding(
            cause="keda-hpa-conflict",
            subject=rivals[0],
            since=since or created_at(topology.objects[rivals[0]]),
            affects=(ref, target),
            params={"target": str(target), "rivals": [*map(str, rivals)]},
            quotes=(
                *(quote_field(one, "spec.scaleTargetRef", f"{target.kind}/{target.name}") for one in (ref, *rivals[:1])),
                *quotes,
            ),
            statement=f"{target} is scaled by {ref} and by {', '.join(map(str, rivals))} as well: they undo each other's"
            f" replicas,"
            " or KEDA refuses to work.",
        )


def _children(topology: Topology, ref: Ref) -> list[Ref]:
    return [edge.target for edge in topology.edges.get(ref, ()) if edge.relation == "owns"]


@check("keda-scaler-failing", weight=0.9)
def cannot_read_trigger(topology: Topology) -> Iterator[Finding]:
    """Ready=False, a trigger whose health is Failing, or Fallback=True: the size no longer follows the load."""
    for scaled in scaled_objects(topology):
        ref, said = ref_of(scaled), complaint(scaled, topology.now, ("Ready",))
        failing = {name: number(one, "numberOfFailures") for name, one in mapping(scaled, "status", "health").items()
                   if text(one, "status") == "Failing"}  # fmt: skip
        fallback = text(condition(scaled, "Fallback"), "status") == "True"
        if said is None and not failing and not fallback:
            continue
        quotes, since = _said(topology, scaled)
        kinds = sorted({text(one, "type") for one in items(scaled, "spec", "triggers")})
        worst = ", ".join(f"{name} failed {count} times" for name, count in sorted(failing.items()))
        words = (said.words if said is not None else "") or worst or "Fallback=True"
        last = next((one.text for one in quotes if one.source.startswith("kubernetes: event")), "")
        after = f"; it runs at the fallback of {number(scaled, 'spec', 'fallback', 'replicas')} replicas" if fallback else ""
        yield Finding(
            cause="keda-scaler-failing",
            subject=ref,
            since=since or (said.since if said is not None else None),
            affects=(_own_hpa(scaled), *((scales(scaled),) if text(scaled, "kind") == "ScaledObject" else ())),
            params={"triggers": [*kinds], "fallback": fallback},
            quotes=(*quotes, *((quote_field(ref, "status.health", worst),) if worst else ())),
            statement=f"{ref} cannot work ({', '.join(kinds)}): {words}{f' ({last[:200]})' if last else ''}{after}.",
        )
