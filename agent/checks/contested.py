"""One field, two masters: replicas that an autoscaler sets and Git sets too, templates that two revisions take turns in, and
objects that a GitOps controller has to set back again and again."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.autoscaling import target_of
from agent.checks.registry import check, earliest, quote_event, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Happening, Topology
from agent.topology.extensions import group_of, manager_of
from agent.topology.fields import annotations_of, at, field_writes, items, mapping, name_of, number, ref_of, text

_GITOPS = ("argocd-controller", "argocd-application-controller", "kustomize-controller", "helm-controller", "fleet-agent", "helm")
LATELY = timedelta(minutes=60)
TURNS = 4  # so often up and down within the hour is no following of the load


@check("replicas-contested", weight=0.88)
def replicas_contested(topology: Topology) -> Iterator[Finding]:
    """A workload that an autoscaler scales and whose replicas a GitOps controller owns, going up and down again and again."""
    for hpa in topology.of_kind("HorizontalPodAutoscaler"):
        target = target_of(hpa)
        workload = topology.objects.get(target)
        if workload is None:
            continue
        owners = [text(entry, "manager") for entry in items(workload, "metadata", "managedFields")
                  if at(entry, "fieldsV1", "f:spec", "f:replicas") is not None]  # fmt: skip
        gitops = next((one for one in owners if one in _GITOPS), "")
        scaled = [one for one in topology.events_about(target) if one.reason == "ScalingReplicaSet"
                  and (one.last is None or topology.now - one.last < LATELY)]  # fmt: skip
        ups, downs = (
            sum(one.count for one in scaled if "up" in one.message),
            sum(one.count for one in scaled if "down" in one.message),
        )
        if not gitops or min(ups, downs) < TURNS // 2 or ups + downs < TURNS:
            continue
        source = manager_of(workload)
        yield Finding(
            cause="replicas-contested",
            subject=target,
            since=scaled[0].first,
            affects=(ref_of(hpa),),
            params={"manager": gitops, "source": str(source or "")},
            quotes=(
                quote_field(target, "metadata.managedFields", f"spec.replicas is owned by {gitops}"),
                *(quote_event(one) for one in scaled[-2:]),
            ),
            statement=f"{ref_of(hpa)} and {gitops}{f' ({source})' if source else ''} both set the replicas of {target}"
            f" and undo each other"
            f" ({ups} times up and {downs} times down within the hour).",
        )


HISTORY = "deployment.kubernetes.io/revision-history"  # revisions that a ReplicaSet was before: it came back each time
_UP_FROM_NOTHING = re.compile(r"scaled up replica set (\S+) from 0 to", re.I)


@check("changes-undone", weight=0.86)
def revisions_take_turns(topology: Topology) -> Iterator[Finding]:
    """Two ReplicaSets of a Deployment that become the newest in turns within the hour: somebody changes the template, and
    somebody else changes it back. One rollback and one new try are no quarrel."""
    for deployment in topology.of_kind("Deployment"):
        ref = ref_of(deployment)
        sets = {name_of(one): one for one in topology.replica_sets(ref)}
        told = [
            one for one in topology.events_about(ref)
            if one.reason == "ScalingReplicaSet" and one.last is not None and topology.now - one.last < LATELY
        ]  # fmt: skip
        returns = {name: len(_history(one)) for name, one in sets.items()}
        starts = _starts(told)
        rivals = sorted(name for name in sets if returns[name] or starts.get(name, 0) > 1)
        turns = max(sum(starts.get(name, 0) for name in rivals), sum(returns[name] + 1 for name in rivals) if told else 0)
        if len(rivals) < 2 or turns < TURNS:
            continue
        source, hands = manager_of(deployment), _hands(deployment)
        who = " and ".join(hands[:2]) if len(hands) > 1 else f"{hands[0]} and somebody else" if hands else "two sides"
        yield Finding(
            cause="changes-undone",
            subject=ref,
            since=earliest(*(one.first for one in told)),
            params={"turns": turns, "managers": [*hands[:4]], "source": str(source or "")},
            quotes=(
                *(quote_event(one) for one in told[-2:]),
                *(
                    quote_field(ref_of(sets[name]), f"metadata.annotations.{HISTORY}", annotations_of(sets[name])[HISTORY])
                    for name in rivals[:2]
                    if returns[name]
                ),
            ),
            statement=f"{ref} goes to and fro between two pod templates ({', '.join(rivals[:2])}, {turns} turns): {who} undo each"
            f" other's change{f'; {source} sets it back to what Git says' if source else ''}.",
        )


def _history(replica_set: Manifest) -> list[str]:
    return [one for one in annotations_of(replica_set).get(HISTORY, "").split(",") if one.strip()]


def _starts(told: list[Happening]) -> dict[str, int]:
    """How often each ReplicaSet was started from nothing."""
    found: dict[str, int] = {}
    for one in told:
        match = _UP_FROM_NOTHING.match(one.message)
        if match:
            found[match[1]] = found.get(match[1], 0) + max(one.count, 1)
    return found


def _hands(workload: Manifest) -> list[str]:
    """Who wrote the pod template, newest first."""
    wrote = [(when, who) for who, when, fields in field_writes(workload) if at(fields, "f:spec", "f:template") is not None]
    return list(dict.fromkeys(who for _, who in sorted(wrote, reverse=True)))


@check("changes-undone", weight=0.8)
def healed_again_and_again(topology: Topology) -> Iterator[Finding]:
    """An Argo CD Application that heals itself over and over with nothing new in Git: what it sets, somebody else changes."""
    for application in topology.of_kind("Application"):
        if group_of(application) != "argoproj.io":
            continue
        ref = ref_of(application)
        heals = at(application, "spec", "syncPolicy", "automated", "selfHeal") is True
        sync = mapping(application, "status", "operationState", "operation", "sync")
        tries = number(sync, "selfHealAttemptsCount") or number(sync, "autoHealAttemptsCount")
        told = [
            one for one in topology.events_about(ref)
            if one.reason == "OperationStarted" and "automated" in one.message and one.last is not None
            and topology.now - one.last < LATELY
        ]  # fmt: skip
        turns = max(tries, max((one.count for one in told), default=0))  # one message names one revision of Git
        if not heals or turns < TURNS:
            continue
        drifts = [
            Ref(text(one, "kind"), text(one, "namespace"), text(one, "name"))
            for one in items(application, "status", "resources")
            if text(one, "status") == "OutOfSync"
        ]
        named = f" {', '.join(map(str, drifts[:3]))}" if drifts else " what it manages"
        yield Finding(
            cause="changes-undone",
            subject=ref,
            since=earliest(*(one.first for one in told)),
            affects=tuple(drifts[:5]),
            params={"turns": turns, "managers": ["argocd-application-controller"], "source": str(ref)},
            quotes=tuple(quote_event(one) for one in told[-2:])
            or (quote_field(ref, "status.operationState.operation.sync", f"selfHealAttemptsCount: {turns}"),),
            statement=f"{ref} sets{named} back to what Git says again and again ({turns} times, nothing new in Git): somebody"
            " else keeps changing it.",
        )
