"""One field, two masters: replicas that an autoscaler sets and that Git sets too."""

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.autoscaling import target_of
from agent.checks.registry import check, quote_event, quote_field
from agent.domain.finding import Finding
from agent.topology import Topology
from agent.topology.extensions import manager_of
from agent.topology.fields import at, items, ref_of, text

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
