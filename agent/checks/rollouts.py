"""Rollouts that stop: paused, stalled, or without pods because the API refuses to create them."""

import re
from collections.abc import Iterator

from agent.checks.config import near
from agent.checks.containers import rollback_params
from agent.checks.registry import check, earliest, quote_condition, quote_event, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Happening, Topology
from agent.topology.fields import at, condition, created_at, name_of, number, ref_of, text, time_at
from agent.topology.workloads import images_of, is_serving, ready, revisions, rollback, still_serving, tag, wanted, workloads

_ACCOUNT = re.compile(r'serviceaccount "([^"]+)" not found', re.I)
_FORBIDDEN = re.compile(
    r"violates PodSecurity|unable to validate against any security context constraint|PodSecurityPolicy: unable"
)


def refusals(topology: Topology, unit: Ref) -> list[Happening]:
    """FailedCreate events of a workload's controllers, newest last; only while it has fewer pods than it wants, of its newest
    revision too."""
    manifest = topology.objects.get(unit)
    if manifest is None or (unit.kind != "Job" and is_serving(topology, unit) and not _lacks_new_pods(manifest)):
        return []
    return [event for event in topology.events_of_unit(unit) if event.reason in ("FailedCreate", "FailedCreatePod")]


def _lacks_new_pods(workload: Manifest) -> bool:
    """Whether a release stands still because its pods are refused, while those of the revision before serve in full."""
    return text(condition(workload, "ReplicaFailure"), "status") == "True" and number(
        workload, "status", "updatedReplicas"
    ) < wanted(workload)


def refused_units(topology: Topology) -> list[tuple[Ref, list[Happening], str]]:
    """(workload, events, what was said last), from events or the ReplicaFailure condition when the events are gone; worked out
    once a topology."""
    known: list[tuple[Ref, list[Happening], str]] | None = topology.derived.get("refused-units")
    if known is None:
        known = topology.derived["refused-units"] = list(_refused(topology))
    return known


def _refused(topology: Topology) -> Iterator[tuple[Ref, list[Happening], str]]:
    for workload in [*workloads(topology), *topology.of_kind("Job")]:
        unit = ref_of(workload)
        events = refusals(topology, unit)
        said = condition(workload, "ReplicaFailure")
        if events:
            yield unit, events, events[-1].message
        elif text(said, "status") == "True" and (not is_serving(topology, unit) or _lacks_new_pods(workload)):
            yield unit, [], text(said, "message")


@check("serviceaccount-missing", weight=0.97)
def no_service_account(topology: Topology) -> Iterator[Finding]:
    """FailedCreate "serviceaccount not found": the pods are refused before they exist."""
    for unit, events, said in refused_units(topology):
        match = _ACCOUNT.search(said)
        if match is None:
            continue
        name = match[1].rpartition("/")[2]
        if topology.get("ServiceAccount", unit.namespace, name) is not None:
            continue  # it exists by now: the controller will try again
        others = sorted(name_of(one) for one in topology.in_namespace("ServiceAccount", unit.namespace))
        yield Finding(
            cause="serviceaccount-missing",
            subject=unit,
            since=earliest(*(event.first for event in events)),
            quotes=tuple(quote_event(event) for event in events[-1:]),
            params={
                "service_account": name,
                "near": near(name, [one for one in others if one != "default"]),
                "existing": list(others),
            },
            statement=f"The pods of {unit} cannot be created because ServiceAccount {name} does not exist in namespace"
            f" {unit.namespace}"
            f" (there are: {', '.join(others) or 'none'}).",
        )


@check("pod-security-violation", weight=0.93)
def violates_pod_security(topology: Topology) -> Iterator[Finding]:
    for unit, events, said in refused_units(topology):
        match = _FORBIDDEN.search(said)
        if match is not None:
            back = rollback(topology, unit, None)
            yield Finding(
                cause="pod-security-violation",
                subject=unit,
                since=earliest(*(event.first for event in events)),
                quotes=tuple(quote_event(event) for event in events[-1:]),
                params=rollback_params(back),
                statement=f"The pods of {unit} are refused by the namespace's pod security level: {said[match.start() :][:300]}.",
            )


@check("pod-creation-refused", weight=0.4, symptom=True)
def creation_refused(topology: Topology) -> Iterator[Finding]:
    for unit, events, said in refused_units(topology):
        yield Finding(
            cause="pod-creation-refused",
            subject=unit,
            since=earliest(*(event.first for event in events)),
            symptom_only=True,
            quotes=tuple(quote_event(event) for event in events[-1:]),
            statement=f"Pods of {unit} cannot be created: {said[:300]}.",
        )


@check("rollout-paused", weight=0.93)
def paused(topology: Topology) -> Iterator[Finding]:
    """spec.paused with a template that no ReplicaSet has yet. A pause without a waiting change is no fault."""
    for deployment in topology.of_kind("Deployment"):
        if at(deployment, "spec", "paused") is not True:
            continue
        unit, known = ref_of(deployment), revisions(topology, ref_of(deployment))
        asked = images_of(deployment)
        if not known or at(known[0].replica_set, "spec", "template", "spec", "containers") == at(
            deployment, "spec", "template", "spec", "containers"
        ):
            continue
        running = known[0].images
        change = f"with image {tag(asked[0])} ({asked[0]})" if asked and running and asked != running else "of the pods"
        old = tag(running[0]) if running else ""
        yield Finding(
            cause="rollout-paused",
            subject=unit,
            since=time_at(condition(deployment, "Progressing"), "lastUpdateTime"),
            quotes=(
                quote_field(unit, "spec", f"paused: true; image {', '.join(asked)}"),
                *quote_condition(deployment, "Progressing"),
            ),
            params={"wanted_image": asked[0] if asked else "", "running_image": running[0] if running else ""},
            statement=f"{unit} is paused (spec.paused: true), so its new template {change} is accepted but not rolled out;"
            f" all pods still"
            f" run {old}.",
        )


@check("rollout-stalled", weight=0.3, symptom=True)
def stalled(topology: Topology) -> Iterator[Finding]:
    """Progressing=False ProgressDeadlineExceeded, or fewer ready pods than wanted."""
    for workload in workloads(topology):
        unit = ref_of(workload)
        late = text(condition(workload, "Progressing"), "reason") == "ProgressDeadlineExceeded"
        if is_serving(topology, unit) or wanted(workload) == 0 or (ready(workload) >= wanted(workload) and not late):
            continue
        back = rollback(topology, unit, None)
        serving = still_serving(topology, unit)
        since = time_at(condition(workload, "Available"), "lastTransitionTime") or created_at(workload)
        yield Finding(
            cause="rollout-stalled",
            subject=unit,
            symptom_only=True,
            since=since,
            params=rollback_params(back),
            quotes=tuple(quote_condition(workload, "Progressing" if late else "Available")),
            statement=f"{unit} has {ready(workload)} of {wanted(workload)} pods ready"
            f"{' and its rollout has passed its deadline' if late else ''}{'; ' + serving if serving else ''}.",
        )
