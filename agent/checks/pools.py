"""Gateway API inference extension: pools without a picker, without servers or without a gateway, and objectives without"
" a pool."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from agent.checks.config import near
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.metrics import last_value
from agent.topology import Topology
from agent.topology.extensions import group_of, picker_of, pool_selector
from agent.topology.fields import condition, created_at, items, labels_of, mapping, name_of, ref_of, text, time_at
from agent.topology.pods import is_finished
from agent.topology.selectors import matches_labels

_GROUPS = ("inference.networking.k8s.io", "inference.networking.x-k8s.io")
SETTLES = timedelta(minutes=2)


def _pools(topology: Topology) -> list[Manifest]:
    return [one for one in topology.of_kind("InferencePool") if group_of(one) in _GROUPS]


def _users(topology: Topology, pool: Ref) -> tuple[Ref, ...]:
    """Routes and objectives that lead to the pool."""
    return tuple(sorted(source for source, edges in topology.edges.items() if any(edge.target == pool for edge in edges)))


def _parents(pool: Manifest, kind: str) -> list[tuple[str, Manifest]]:
    """(gateway, condition) of each parent that says this condition is False."""
    found = []
    for parent in [*items(pool, "status", "parents"), *items(pool, "status", "parent")]:
        gateway = text(parent, "parentRef", "name") or text(parent, "parent", "name")
        told = [one for one in items(parent, "conditions") if text(one, "type") == kind and text(one, "status") == "False"]
        found += [(gateway, one) for one in told]
    return found


def _quoted(pool: Manifest, gateway: str, said: Manifest) -> Quote:
    words = f"{gateway}: {text(said, 'type')}=False ({text(said, 'reason')}): {text(said, 'message')}"
    return quote_field(ref_of(pool), "status.parents", words, time_at(said, "lastTransitionTime"))


@check("inference-pool-picker-missing", weight=0.96)
def no_picker(topology: Topology) -> Iterator[Finding]:
    """The endpoint picker's Service does not exist, or the gateway cannot resolve it (ResolvedRefs=False InvalidExtensionRef)."""
    for pool in _pools(topology):
        ref, picker, told = ref_of(pool), picker_of(pool), _parents(pool, "ResolvedRefs")
        absent = (
            picker is not None
            and picker not in topology.objects
            and topology.saw("Service")
            and topology.knows_namespace(ref.namespace)
        )
        if not absent and not told:
            continue
        others = [name_of(one) for one in topology.in_namespace("Service", ref.namespace)]
        like = near(picker.name, others) if picker is not None and absent else ""
        said = f"{text(told[0][1], 'reason')}: {text(told[0][1], 'message')}" if told else ""
        words = f"{picker} does not exist{f' (there is {like})' if like else ''}" if absent else said
        yield Finding(
            cause="inference-pool-picker-missing",
            subject=ref,
            since=time_at(told[0][1], "lastTransitionTime") if told else created_at(pool),
            affects=_users(topology, ref),
            params={"picker": str(picker or ""), "near": like},
            quotes=(quote_field(ref, "spec", f"endpoint picker {picker}"), *(_quoted(pool, *one) for one in told[:1])),
            statement=f"{ref} has no endpoint picker: {words.rstrip('.')}, so the gateway routes nothing to it.",
        )


@check("inference-pool-selects-nothing", weight=0.94)
def no_servers(topology: Topology) -> Iterator[Finding]:
    """A selector that no pod of the namespace meets; the picker then has no endpoint (inference_pool_ready_pods 0)."""
    for pool in _pools(topology):
        ref, wanted = ref_of(pool), pool_selector(pool)
        pods = [pod for pod in topology.pods_in.get(ref.namespace, ()) if not is_finished(pod)]
        made = created_at(pool)
        if not wanted or not topology.saw("Pod") or not topology.knows_namespace(ref.namespace):
            continue
        young = made is not None and topology.now - made < SETTLES
        if young or any(matches_labels(wanted, labels_of(pod)) for pod in pods):
            continue
        asks = ", ".join(f"{key}={value}" for key, value in wanted.items())
        workload = _nearest(topology, ref.namespace, wanted)
        has = ""
        if workload is not None:
            labels = mapping(workload, "spec", "template", "metadata", "labels")
            has = f" ({ref_of(workload)} is labelled {', '.join(f'{key}={labels[key]}' for key in wanted if key in labels)})"
        series = [
            one for one in topology.series if one.name == "inference_pool_ready_pods" and one.labels.get("name") == ref.name
        ]
        ready = last_value(series, "inference_pool_ready_pods")
        yield Finding(
            cause="inference-pool-selects-nothing",
            subject=ref,
            since=made,
            affects=_users(topology, ref),
            params={"selector": dict(wanted), "workload": str(ref_of(workload)) if workload is not None else ""},
            quotes=(
                quote_field(ref, "spec.selector", asks),
                *((quote_field(ref, "metrics", f"inference_pool_ready_pods {ready:.0f}"),) if ready is not None else ()),
            ),
            statement=f"{ref} selects {asks}, which no pod of the namespace bears{has}, so it has no model server.",
        )


def _nearest(topology: Topology, namespace: str, wanted: Mapping[str, str]) -> Manifest | None:
    """The workload whose pods bear one of the labels with the value that is most like the wanted one."""
    for key, value in wanted.items():
        bearers: dict[str, Manifest] = {}
        for kind in ("Deployment", "StatefulSet", "DaemonSet"):
            for one in topology.in_namespace(kind, namespace):
                bearers.setdefault(str(mapping(one, "spec", "template", "metadata", "labels").get(key, "")), one)
        like = near(value, [name for name in bearers if name])
        if like:
            return bearers[like]
    return None


@check("inference-pool-not-accepted", weight=0.9)
def not_accepted(topology: Topology) -> Iterator[Finding]:
    """Accepted=False of a parent gateway: it supports no pools, or the route that leads here was not accepted."""
    for pool in _pools(topology):
        ref, told = ref_of(pool), _parents(pool, "Accepted")
        old = [one for one in told if (at := time_at(one[1], "lastTransitionTime")) is None or topology.now - at >= SETTLES]
        if not old:
            continue
        gateway, said = old[0]
        yield Finding(
            cause="inference-pool-not-accepted",
            subject=ref,
            since=time_at(said, "lastTransitionTime"),
            affects=_users(topology, ref),
            params={"gateway": gateway, "reason": text(said, "reason")},
            quotes=(_quoted(pool, gateway, said),),
            statement=f"Gateway {gateway} does not accept {ref} ({text(said, 'reason')}):"
            f" {text(said, 'message')[:250].rstrip('.')}.",
        )


@check("inference-objective-without-pool", weight=0.94)
def no_pool(topology: Topology) -> Iterator[Finding]:
    for one in topology.of_kind("InferenceObjective", "InferenceModel"):
        ref, named = ref_of(one), mapping(one, "spec", "poolRef")
        pool = Ref(text(named, "kind") or "InferencePool", ref.namespace, text(named, "name"))
        if group_of(one) not in _GROUPS or not pool.name or pool in topology.objects or not topology.saw(pool.kind):
            continue
        if not topology.of_kind("InferencePool") and text(condition(one, "Accepted"), "status") != "False":
            continue
        there = sorted(name_of(other) for other in topology.in_namespace(pool.kind, ref.namespace))
        yield Finding(
            cause="inference-objective-without-pool",
            subject=ref,
            since=created_at(one),
            params={"pool": pool.name, "near": near(pool.name, there)},
            quotes=(quote_field(ref, "spec.poolRef", pool.name),),
            statement=f"{ref} belongs to {pool}, which does not exist (there {'is' if len(there) == 1 else 'are'}"
            f" {', '.join(there) or 'none'}).",
        )
