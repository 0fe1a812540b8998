"""How two objects depend on each other, by what they say themselves: what counts, and what does not."""

from typing import Any

import pytest

from sidecar.contract import ObjectRef
from sidecar.facts.portrait import Portrait
from sidecar.facts.relation import Seen, relation

WEB = {"app": "web"}
POD_OF_WEB = {"metadata": {"labels": WEB}}


def seen(kind: str, name: str, spec: dict[str, Any] | None = None, *, owners: tuple[Any, ...] = (), **metadata: Any) -> Seen:
    namespace = "" if kind in ("Node", "PersistentVolume") else metadata.pop("namespace", "shop")
    ref = ObjectRef(api_version="v1", kind=kind, namespace=namespace, name=name, uid=f"uid-{name}")
    live = {"kind": kind, "metadata": {"name": name, "uid": f"uid-{name}", **metadata}, "spec": spec or {}}
    return Seen(ref=ref, portrait=Portrait(live), owners=tuple(Portrait(owner) for owner in owners))  # type: ignore[arg-type]


def running(**template: Any) -> dict[str, Any]:
    return {"template": {"metadata": {"labels": WEB}, "spec": template}}


def container(**of: Any) -> dict[str, Any]:
    return running(containers=[{"name": "main", **of}])


DEPLOYMENT = seen("Deployment", "web", running())
NAMED = [
    ("ConfigMap", container(envFrom=[{"configMapRef": {"name": "it"}}])),
    ("Secret", container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "it"}}}])),
    ("ConfigMap", running(volumes=[{"projected": {"sources": [{"configMap": {"name": "it"}}]}}])),
    ("Secret", running(volumes=[{"secret": {"secretName": "it"}}])),
    ("PersistentVolumeClaim", running(volumes=[{"persistentVolumeClaim": {"claimName": "it"}}])),
    ("Secret", running(imagePullSecrets=[{"name": "it"}])),
    ("ServiceAccount", running(serviceAccountName="it")),
    ("ConfigMap", running(initContainers=[{"env": [{"valueFrom": {"configMapKeyRef": {"name": "it"}}}]}])),
]


@pytest.mark.parametrize(("kind", "spec"), NAMED)
def test_a_workload_depends_on_what_its_pods_name_whichever_of_the_two_comes_first(kind: str, spec: dict[str, Any]) -> None:
    workload, named = seen("Deployment", "web", spec), seen(kind, "it")

    assert relation(workload, named) == relation(named, workload) == "refers-to"
    assert relation(workload, seen(kind, "another")) == ""
    assert relation(workload, seen(kind, "it", namespace="pay")) == ""


def test_what_cannot_be_read_is_related_by_its_name_alone() -> None:
    secret = Seen(ref=seen("Secret", "it").ref)

    assert relation(seen("Deployment", "web", running(volumes=[{"secret": {"secretName": "it"}}])), secret) == "refers-to"


def test_a_thing_is_the_same_as_itself_made_anew() -> None:
    assert relation(DEPLOYMENT, Seen(ref=DEPLOYMENT.ref.model_copy(update={"uid": "earlier"}))) == "same"


def test_a_pod_and_what_stands_above_it_belong_together_and_so_do_two_pods_of_one_workload() -> None:
    one, two = (seen("Pod", name, owners=(DEPLOYMENT.live,)) for name in ("web-1", "web-2"))

    assert relation(one, DEPLOYMENT) == relation(DEPLOYMENT, one) == relation(one, two) == "owner"


def test_two_workloads_of_one_operator_have_nothing_to_do_with_each_other() -> None:
    operator = {"kind": "Kafka", "metadata": {"name": "events", "uid": "uid-events"}}

    assert relation(seen("Deployment", "a", owners=(operator,)), seen("StatefulSet", "b", owners=(operator,))) == ""


def test_a_namesake_of_another_uid_owns_nothing() -> None:
    above = {"kind": "Deployment", "metadata": {"name": "web", "uid": "another"}}

    assert relation(seen("Pod", "web-1", owners=(above,)), DEPLOYMENT) == ""


@pytest.mark.parametrize(("owner", "how"), [("uid-worker-1", "owner"), ("anew", "")])
def test_an_owner_is_known_by_the_uid_that_is_meant_whatever_is_there_by_now(owner: str, how: str) -> None:
    node = seen("Node", "worker-1", uid="anew")
    static = seen("Pod", "proxy", owners=({"kind": "Node", "metadata": {"name": "worker-1", "uid": owner}},))

    assert relation(node, static) == relation(static, node) == how


@pytest.mark.parametrize(
    ("holder", "how"),
    [
        (seen("Service", "s", {"selector": WEB}), "selects"),
        (seen("Service", "s", {"selector": {"app": "other"}}), ""),
        (seen("Service", "s", {}), ""),
        (seen("PodDisruptionBudget", "b", {"selector": {"matchLabels": WEB}}), "selects"),
        (seen("NetworkPolicy", "n", {"podSelector": {"matchLabels": WEB}}), "selects"),
        (seen("NetworkPolicy", "n", {"podSelector": {"matchLabels": {"app": "other"}}}), ""),
        (seen("ResourceQuota", "q"), "limits"),
        (seen("ResourceQuota", "q", namespace="pay"), ""),
        (seen("HorizontalPodAutoscaler", "h", {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}), "scales"),
        (seen("HorizontalPodAutoscaler", "h", {"scaleTargetRef": {"kind": "Deployment", "name": "other"}}), ""),
    ],
)
def test_what_selects_scales_or_limits_pods_is_related_to_what_runs_them(holder: Seen, how: str) -> None:
    assert relation(holder, DEPLOYMENT) == relation(DEPLOYMENT, holder) == how


@pytest.mark.parametrize("namespace", ["pay", ""])
@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Service", {"selector": WEB}),
        ("PodDisruptionBudget", {"selector": {"matchLabels": WEB}}),
        ("NetworkPolicy", {"podSelector": {"matchLabels": WEB}}),
        ("ResourceQuota", {}),
        ("LimitRange", {}),
    ],
)
def test_what_is_not_in_their_namespace_neither_selects_nor_limits_pods(kind: str, spec: dict[str, Any], namespace: str) -> None:
    holder = seen(kind, "it", spec, namespace=namespace)

    assert relation(holder, DEPLOYMENT) == relation(DEPLOYMENT, holder) == ""


def test_what_is_in_a_namespace_depends_on_what_it_names_in_none() -> None:
    claim, volume = seen("PersistentVolumeClaim", "data", {"volumeName": "it"}), seen("PersistentVolume", "it")

    assert relation(claim, volume) == relation(volume, claim) == "refers-to"
    assert relation(DEPLOYMENT, volume) == relation(volume, DEPLOYMENT) == ""


@pytest.mark.parametrize(("claim", "how"), [("data-db-0", "refers-to"), ("data-db-x", ""), ("logs-db-0", ""), ("data-dbs-0", "")])
def test_a_claim_of_a_stateful_set_is_known_by_its_name(claim: str, how: str) -> None:
    database = seen("StatefulSet", "db", {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]})

    assert relation(seen("PersistentVolumeClaim", claim), database) == how


def test_an_ingress_is_related_to_what_runs_behind_its_services_only() -> None:
    backend = {"backend": {"service": {"name": "front"}}}
    ingress = seen("Ingress", "i", {"rules": [{"http": {"paths": [backend]}}]})
    front = {"metadata": {"name": "front"}, "spec": {"selector": WEB}}
    other = {"metadata": {"name": "other"}, "spec": {"selector": WEB}}

    assert relation(ingress, DEPLOYMENT, services=[front]) == relation(DEPLOYMENT, ingress, services=[front]) == "routes-to"
    assert relation(ingress, DEPLOYMENT, services=[other]) == ""


@pytest.mark.parametrize(
    ("node", "place", "owned", "how"),
    [
        ({}, "worker-1", True, "runs-on"),
        ({}, "worker-2", True, ""),
        ({}, "worker-1", False, ""),
        ({"unschedulable": True}, None, True, "runs-on"),
        ({}, None, True, ""),
    ],
)
def test_a_node_is_related_to_a_workload_by_where_its_pods_are_or_wait(
    node: dict[str, Any], place: str | None, owned: bool, how: str
) -> None:
    pod = {"metadata": {"ownerReferences": [{"controller": owned}]}, "spec": {"nodeName": place}}

    assert relation(DEPLOYMENT, seen("Node", "worker-1", node), pods=[pod]) == how  # type: ignore[list-item]


def test_a_pod_is_related_to_the_node_that_it_runs_on() -> None:
    assert relation(seen("Pod", "p", {"nodeName": "worker-1"}), seen("Node", "worker-1")) == "runs-on"
    assert relation(seen("Pod", "p", {"nodeName": "worker-2"}), seen("Node", "worker-1")) == ""
