"""Where a plan acts: the labels of its namespaces, and of kube-system for the cluster. Environment, autonomy, freezes and who
approves are told from them, so a verdict holds for the labels that it was given for. Knows no rule."""

from collections.abc import Iterable, Mapping

from sidecar.contract import Action, Json, target_of
from sidecar.errors import ClusterUnavailable
from sidecar.execution.pointer import value_at
from sidecar.ports import ApiCall, Cluster

_CLUSTER = "kube-system"  # its labels are those of the whole cluster
Labels = Mapping[str, Json]  # by namespace; None for one that is not there


def places_of(actions: Iterable[Action]) -> list[str]:
    return sorted({_CLUSTER, *(target.namespace for action in actions for target in target_of(action) if target.namespace)})


def labels_of(namespace: str, cluster: Cluster) -> Json:
    """Raises ClusterUnavailable where it cannot be read; None for one that is not there."""
    answer = cluster.send(ApiCall(method="GET", path=f"/api/v1/namespaces/{namespace}"))
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise ClusterUnavailable(f"namespace {namespace} cannot be read: the API server says {answer.status}")
    if not value_at(answer.body, ("metadata", "name")):
        raise ClusterUnavailable(f"namespace {namespace} cannot be read: the API server's answer is no namespace")
    labels = value_at(answer.body, ("metadata", "labels"))
    return labels if isinstance(labels, dict) else {}


def relabelled(was: Labels | None, now: Labels) -> str:
    """Which place is no longer labelled as it was when the plan was judged last; "" where all are."""
    for namespace, labels in now.items():
        if was is None or namespace not in was:
            return f"it is not known how namespace {namespace} was labelled when the plan was judged"
        before = was[namespace]
        if before == labels:
            continue
        if not isinstance(before, dict) or not isinstance(labels, dict):
            return f"namespace {namespace} is not there any more, or was not when the plan was judged"
        names = sorted(name for name in {*before, *labels} if before.get(name) != labels.get(name))
        return f"namespace {namespace} is labelled otherwise than when the plan was judged: {', '.join(names)}"
    return ""
