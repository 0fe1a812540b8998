"""Quotas and limit ranges that refuse pods. Full by itself is not a fault: somebody has to be refused."""

import re
from collections.abc import Iterator

from agent.checks.registry import check, earliest, quote_event, quote_field
from agent.checks.rollouts import refused_units
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import mapping, number, text
from agent.topology.pods import containers
from agent.topology.quantities import quantity, spoken
from agent.topology.workloads import live_pods, wanted
from sidecar.contract import Json

_EXCEEDED = re.compile(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: ([^\s]+)")
_MUST = re.compile(r"failed quota: ([^:]+): must specify ([\w.,-]+)(?: for: (\S+))?")
_RANGE = re.compile(r"((?:maximum|minimum) [\w-]+ usage per (?:Container|Pod) is [^.]+)")


def _amounts(words: str) -> dict[str, str]:
    return {key: value for key, _, value in (part.partition("=") for part in words.split(",")) if key}


@check("quota-exceeded", weight=0.95)
def quota_used_up(topology: Topology) -> Iterator[Finding]:
    """FailedCreate "exceeded quota". What is needed: what is used plus a request for every missing pod."""
    for unit, events, said in refused_units(topology):
        match = _EXCEEDED.search(said)
        if match is None:
            continue
        quota = Ref("ResourceQuota", unit.namespace, match[1].strip())
        asked, used, limits = _amounts(match[2]), _amounts(match[3]), _amounts(match[4])
        live = mapping(topology.objects.get(quota, {}), "spec", "hard")
        manifest = topology.objects[unit]
        goal = number(manifest, "spec", "parallelism", default=1) if unit.kind == "Job" else wanted(manifest)
        missing = max(goal - len(live_pods(topology, unit)), 1)
        needed: dict[str, Json] = {}
        changes: list[Json] = []
        for resource, request in asked.items():
            hard = str(live.get(resource, limits.get(resource, "")))
            have = str(mapping(topology.objects.get(quota, {}), "status", "used").get(resource, used.get(resource, "0")))
            need = (quantity(have) or 0.0) + missing * (quantity(request) or 0.0)
            if need > (quantity(hard) or 0.0):
                needed[resource] = spoken(need, hard)
                changes.append({"path": f"/spec/hard/{resource.replace('/', '~1')}", "after": spoken(need, hard)})
        over = ", ".join(f"{key} {limits.get(key, live.get(key, ''))}" for key in needed or asked)
        yield Finding(
            cause="quota-exceeded",
            subject=quota,
            affects=(unit,),
            since=earliest(*(event.first for event in events)),
            quotes=(
                *(quote_event(event) for event in events[-1:]),
                *((quote_field(quota, "spec", f"hard: {dict(live)}"),) if live else ()),
            ),
            params={"needed": needed, "changes": changes, "missing_pods": missing, "resources": list(needed or asked)},
            statement=f"ResourceQuota {quota.name} in namespace {unit.namespace} is used up ({over}), so {missing} of {goal}"
            f" wanted pods of"
            f" {unit} cannot be created (exceeded quota).",
        )


@check("quota-requires-limits", weight=0.96)
def quota_wants_it_said(topology: Topology) -> Iterator[Finding]:
    """ "must specify limits.cpu": a quota on a resource makes saying it mandatory."""
    for unit, events, said in refused_units(topology):
        match = _MUST.search(said)
        if match is None:
            continue
        quota, asks = match[1].strip(), match[2].rstrip(".")
        silent = [text(one, "name") for one in containers(pod_spec_of(topology.objects[unit]), init=False)]
        who = match[3] or ", ".join(silent)
        quota_ref = Ref("ResourceQuota", unit.namespace, quota)
        yield Finding(
            cause="quota-requires-limits",
            subject=unit,
            affects=(),
            since=earliest(*(event.first for event in events)),
            quotes=tuple(quote_event(event) for event in events[-1:]),
            params={"quota": quota_ref.name, "must_specify": asks, "container": who},
            statement=f"ResourceQuota {quota} makes {asks} mandatory in namespace {unit.namespace}, and container {who} of"
            f" {unit} does not"
            f" set it, so its pods are refused (must specify {asks}).",
        )


_NO_SCOPE = re.compile(r"insufficient quota to match these scopes: (\[\{[^\n]{1,200}?\}\])")


@check("quota-scope-uncovered", weight=0.94)
def no_quota_for_it(topology: Topology) -> Iterator[Finding]:
    """ "insufficient quota to match these scopes": the cluster limits such pods (most often of a priority class) to namespaces
    with a quota for them, and this one has none. Source: the ResourceQuota plugin's limitedResources."""
    for unit, events, said in refused_units(topology):
        match = _NO_SCOPE.search(said)
        if match is None:
            continue
        own = text(pod_spec_of(topology.objects[unit]), "priorityClassName")
        yield Finding(
            cause="quota-scope-uncovered",
            subject=unit,
            since=earliest(*(event.first for event in events)),
            quotes=tuple(quote_event(event) for event in events[-1:]),
            params={"scopes": match[1], "priority_class": own},
            statement=f"The pods of {unit} are refused: pods of scope {match[1]} may run only in namespaces with a ResourceQuota"
            f" for that scope, and {unit.namespace} has none.",
        )


@check("limit-range-refuses", weight=0.95)
def outside_the_range(topology: Topology) -> Iterator[Finding]:
    for unit, events, said in refused_units(topology):
        match = _RANGE.search(said)
        if match is None:
            continue
        ranges = [text(one, "metadata", "name") for one in topology.in_namespace("LimitRange", unit.namespace)]
        yield Finding(
            cause="limit-range-refuses",
            subject=unit,
            since=earliest(*(event.first for event in events)),
            quotes=tuple(quote_event(event) for event in events[-1:]),
            params={"limit_ranges": list(ranges)},
            statement=f"The LimitRange of namespace {unit.namespace} refuses the pods of {unit}: {match[1][:250]}.",
        )


@check("quota-full", weight=0.2, symptom=True)
def full(topology: Topology) -> Iterator[Finding]:
    """Used equals hard, and a workload of the namespace is refused: said by the alert rules, explained by the checks above."""
    refused = {
        (unit.namespace, match[1].strip())
        for unit, _, said in refused_units(topology)
        for match in [_EXCEEDED.search(said)]
        if match is not None
    }
    for quota in topology.of_kind("ResourceQuota"):
        namespace = text(quota, "metadata", "namespace")
        hard, used = mapping(quota, "status", "hard"), mapping(quota, "status", "used")
        over = [key for key in hard if (quantity(used.get(key)) or 0.0) >= (quantity(hard[key]) or 0.0) > 0]
        if over and (namespace, text(quota, "metadata", "name")) in refused:
            ref = Ref("ResourceQuota", namespace, text(quota, "metadata", "name"))
            yield Finding(
                cause="quota-full",
                subject=ref,
                symptom_only=True,
                statement=f"{ref} is full: {', '.join(f'{key} {used.get(key)} of {hard[key]}' for key in over)}.",
            )
