"""Horizontal autoscalers: blind, at their upper bound, pointing at nothing. At the lower bound is healthy by design."""

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, quote_condition, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, condition, items, mapping, number, ref_of, text, time_at
from agent.topology.pods import container_path, containers
from sidecar.contract import Json

LONG, SHORT = timedelta(minutes=15), timedelta(minutes=5)  # KubeHpaMaxedOut of the kubernetes-mixin waits as long
FAR_ABOVE = 1.5


def target_of(hpa: Manifest) -> Ref:
    target = mapping(hpa, "spec", "scaleTargetRef")
    return Ref(text(target, "kind"), text(hpa, "metadata", "namespace"), text(target, "name"))


def _resources(hpa: Manifest) -> list[str]:
    return [
        text(one, "resource", "name") or text(one, "containerResource", "name")
        for one in items(hpa, "spec", "metrics")
        if text(one, "type") in ("Resource", "ContainerResource")
    ]


@check("hpa-missing-request", weight=0.95)
def no_request_to_compare_with(topology: Topology) -> Iterator[Finding]:
    """ScalingActive=False, and a container of the target asks for nothing of the resource that is a share of the request."""
    for hpa in topology.of_kind("HorizontalPodAutoscaler"):
        said, target = condition(hpa, "ScalingActive"), target_of(hpa)
        workload = topology.objects.get(target)
        if text(said, "status") != "False" or workload is None:
            continue
        spec = pod_spec_of(workload)
        for resource in _resources(hpa):
            bare = [
                text(one, "name")
                for one in containers(spec, init=False)
                if at(one, "resources", "requests", resource) is None and at(one, "resources", "limits", resource) is None
            ]
            if not bare or (
                text(said, "message")
                and "missing request" not in text(said, "message")
                and "FailedGet" not in text(said, "reason")
            ):
                continue
            request = "100m" if resource == "cpu" else "128Mi"
            changes: list[Json] = [
                {"path": f"/spec/template/spec{container_path(spec, name)}/resources/requests/{resource}", "after": request}
                for name in bare
            ]
            yield Finding(
                cause="hpa-missing-request",
                subject=target,
                affects=(ref_of(hpa),),
                since=time_at(said, "lastTransitionTime"),
                quotes=(
                    *quote_condition(hpa, "ScalingActive"),
                    quote_field(target, "spec", f"container {bare[0]}: no {resource} request"),
                ),
                params={
                    "container": bare[0],
                    "containers": list(bare),
                    "resource": resource,
                    "suggested_request": request,
                    "changes": changes,
                },
                statement=f"HorizontalPodAutoscaler {text(hpa, 'metadata', 'name')} cannot compute {resource.upper()}"
                f" utilisation because"
                f" container {', '.join(bare)} of {target} has no {resource} request (FailedGetResourceMetric, missing"
                f" request for {resource}).",
            )
            break


@check("hpa-metrics-unavailable", weight=0.85)
def no_metrics(topology: Topology) -> Iterator[Finding]:
    """ScalingActive=False for minutes although every container has its request: the metrics pipeline does not answer."""
    for hpa in topology.of_kind("HorizontalPodAutoscaler"):
        said, workload = condition(hpa, "ScalingActive"), topology.objects.get(target_of(hpa))
        since, message = time_at(said, "lastTransitionTime"), text(said, "message")
        old = since is None or topology.now - since > timedelta(minutes=2)
        reasons = ("FailedGetResourceMetric", "FailedGetExternalMetric", "FailedGetPodsMetric", "FailedGetObjectMetric")
        if (
            text(said, "status") != "False"
            or text(said, "reason") not in reasons
            or "missing request" in message
            or not old
            or not workload
        ):
            continue
        apis = [edge.target for edge in topology.edges.get(ref_of(hpa), ()) if edge.target.kind == "APIService"]
        yield Finding(
            cause="hpa-metrics-unavailable",
            subject=ref_of(hpa),
            # an API that says itself that it is down is the cause, and this its symptom
            symptom_only=any(text(condition(topology.objects.get(one, {}), "Available"), "status") == "False" for one in apis),
            affects=(target_of(hpa),),
            since=since,
            quotes=tuple(quote_condition(hpa, "ScalingActive")),
            statement=f"{ref_of(hpa)} gets no metrics, so it does not scale {target_of(hpa)}: {message[:250]}.",
        )


@check("hpa-target-missing", weight=0.95)
def scales_nothing(topology: Topology) -> Iterator[Finding]:
    for hpa in topology.of_kind("HorizontalPodAutoscaler"):
        target = target_of(hpa)
        if (
            target.kind in ("Deployment", "StatefulSet", "ReplicaSet")
            and topology.saw(target.kind)
            and target not in topology.objects
        ):
            yield Finding(
                cause="hpa-target-missing",
                subject=ref_of(hpa),
                quotes=tuple(quote_condition(hpa, "AbleToScale")),
                statement=f"{ref_of(hpa)} is to scale {target}, which does not exist.",
            )


@check("hpa-at-max", weight=0.8)
def at_its_bound(topology: Topology) -> Iterator[Finding]:
    """ScalingLimited=True TooManyReplicas: it wants more than maxReplicas."""
    for hpa in topology.of_kind("HorizontalPodAutoscaler"):
        said, target = condition(hpa, "ScalingLimited"), target_of(hpa)
        if text(said, "status") != "True" or text(said, "reason") != "TooManyReplicas":
            continue
        most = number(hpa, "spec", "maxReplicas")
        if number(hpa, "status", "currentReplicas") < most and number(hpa, "status", "desiredReplicas") < most:
            continue
        if not _presses(hpa, topology.now - (time_at(said, "lastTransitionTime") or topology.now - LONG)):
            continue
        load = "; ".join(words for words, _ in _load(hpa))
        yield Finding(
            cause="hpa-at-max",
            subject=ref_of(hpa),
            affects=(target,),
            since=time_at(said, "lastTransitionTime"),
            quotes=(*quote_condition(hpa, "ScalingLimited"), quote_field(ref_of(hpa), "spec", f"maxReplicas: {most}")),
            params={"max": most, "suggested_max": most + max(1, most // 2)},
            statement=f"The autoscaler works and is at its upper bound: {target} runs at maxReplicas {most} of {ref_of(hpa)}"
            f"{f' while {load}' if load else ''} (ScalingLimited, TooManyReplicas).",
        )


def _presses(hpa: Manifest, held: timedelta) -> bool:
    """Whether its bound has held it back for long, or what it measures is far above the goal: a short peak is what the bound
    is for."""
    worst = max((ratio for _, ratio in _load(hpa)), default=None)
    return held >= LONG or (held >= SHORT and (worst is None or worst >= FAR_ABOVE))


def _load(hpa: Manifest) -> Iterator[tuple[str, float]]:
    """(words, how many times the goal) of every resource that is measured as a share of the request."""
    goals = {
        text(one, "resource", "name"): at(one, "resource", "target", "averageUtilization")
        for one in items(hpa, "spec", "metrics")
    }
    for one in items(hpa, "status", "currentMetrics"):
        name, value = text(one, "resource", "name"), at(one, "resource", "current", "averageUtilization")
        if value is not None and goals.get(name):
            yield f"{name} is at {value}% with a target of {goals[name]}%", value / goals[name]
