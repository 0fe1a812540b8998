"""Incidents of the Operator Lifecycle Manager, and of fields with two masters."""

from typing import Any

from tests.agent.builders import ago, app, custom, event, obj, told
from tests.agent.checks.cases import World, case

Object = dict[str, Any]
OLM = "operators.coreos.com/v1alpha1"


def csv(phase: str, message: str = "", *, reason: str = "", minutes: float = 60, **metadata: Any) -> Object:
    status = {"phase": phase, "reason": reason, "message": message, "lastTransitionTime": ago(minutes)}
    return obj("ClusterServiceVersion", "queue.v1.4.0", api=OLM, minutes=minutes, metadata=metadata, spec={}, status=status)


def subscription(*conditions: Object, source: str = "community") -> Object:
    spec = {"name": "queue", "source": source, "sourceNamespace": "olm", "channel": "stable"}
    return custom("Subscription", "queue", *conditions, api=OLM, spec=spec)


@case("operator-not-installed", "ClusterServiceVersion/queue.v1.4.0")
def _() -> World:
    return [csv("Failed", "install strategy failed: deployment queue-operator not ready", reason="InstallCheckFailed")], []


@case("operator-subscription-failing", "Subscription/queue")
def _() -> World:
    said = told("ResolutionFailed", "True", "ConstraintsNotSatisfiable", "no operators found in channel stable of package queue")
    return [subscription(said)], []


def catalog(state: str) -> Object:
    status = {"connectionState": {"lastObservedState": state, "lastConnect": ago(30)}}
    return obj("CatalogSource", "community", api=OLM, spec={}, status=status)


@case("operator-catalog-unreachable", "CatalogSource/community")
def _() -> World:
    said = told(
        "CatalogSourcesUnhealthy", "True", "UnhealthyCatalogSourceFound", "targeted catalogsource is not healthy", minutes=29
    )
    return [catalog("TRANSIENT_FAILURE"), subscription(said)], []


def group(name: str) -> Object:
    return obj("OperatorGroup", name, api="operators.coreos.com/v1", spec={})


@case("operator-groups-conflict", "OperatorGroup/first")
def _() -> World:
    return [group("first"), group("second"), subscription()], []


def hpa_for(name: str) -> Object:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": name}, "maxReplicas": 10}
    return obj("HorizontalPodAutoscaler", name, api="autoscaling/v2", spec=spec, status={})


def contested(*, ups: int = 6, downs: int = 6, manager: str = "argocd-controller") -> list[Object]:
    objects = app("web")
    written = {"manager": manager, "time": ago(5), "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    objects[0]["metadata"]["managedFields"] = [written]
    up = event(objects[0], "ScalingReplicaSet", "Scaled up replica set web-1 from 2 to 5", kind="Normal", count=ups)
    down = event(objects[0], "ScalingReplicaSet", "Scaled down replica set web-1 from 5 to 2", kind="Normal", count=downs)
    return [*objects, up, down, hpa_for("web")]


@case("replicas-contested", "Deployment/web")
def _() -> World:
    return contested(), []
