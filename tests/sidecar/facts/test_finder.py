"""What the judge looks up itself, on a cluster in memory: what is there, what is not, and what could not be seen."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from sidecar.contract import (
    Action,
    Cause,
    ChangeFields,
    Citation,
    CreateObject,
    DeletePod,
    DrainNode,
    FieldChange,
    ObjectRef,
    Plan,
    RestartWorkload,
    ScaleWorkload,
    Step,
)
from sidecar.facts import ClusterFacts
from sidecar.facts.portrait import NOWHERE
from sidecar.policy import open_judge
from sidecar.ports import ApiAnswer, ApiCall, Facts, History
from tests.fakes.sidecar_cluster import FakeCluster

NOW = datetime(2026, 11, 18, 10, 0, tzinfo=UTC)
SECRET = "hunter2-canary"


def ref(kind: str, name: str, *, namespace: str = "shop", api: str = "apps/v1", uid: str = "") -> ObjectRef:
    return ObjectRef(api_version=api, kind=kind, namespace=namespace, name=name, uid=uid or f"uid-{name}")


CHECKOUT = ref("Deployment", "checkout")
POD = ref("Pod", "checkout-7d9f-x2", api="v1")


def plan_of(*actions: Action) -> Plan:
    return Plan(
        incident="incident-1",
        attempt=1,
        cluster="lab",
        cause=Cause(slug="oom-killed", subject=actions[0].target),
        hypothesis="h",
        cited=(Citation(id="evidence-1", sha256="ab" * 32),),
        steps=tuple(Step(id=f"step-{n}", action=action, why="w", expect="e") for n, action in enumerate(actions, 1)),
    )


def workload(**metadata: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "registry.example/checkout:1.4", "env": [{"name": "PASSWORD", "value": SECRET}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "checkout", "namespace": "shop", "generation": 4, "labels": {"app": "checkout"}, **metadata},
        "spec": {
            "replicas": 3,
            "template": {
                "metadata": {"labels": {"app": "checkout"}},
                "spec": {"serviceAccountName": "checkout", "containers": [container]},
            },
        },
        "status": {"readyReplicas": 2},
    }


def owned(kind: str, name: str, owner: str, owner_kind: str) -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": owner_kind, "name": owner, "uid": f"uid-{owner}", "controller": True}
    metadata = {"name": name, "namespace": "shop", "labels": {"app": "checkout"}, "ownerReferences": [reference]}
    return {"apiVersion": "v1" if kind == "Pod" else "apps/v1", "kind": kind, "metadata": metadata, "spec": {}, "status": {}}


def budget(name: str, selector: dict[str, Any], allowed: int) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {"metadata": metadata, "spec": {"selector": selector}, "status": {"disruptionsAllowed": allowed}}


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    made.put("namespaces", {"metadata": {"name": "kube-system", "labels": {"lestrade.dev/environment": "test"}}})
    made.put("namespaces", {"metadata": {"name": "shop", "labels": {"lestrade.dev/environment": "dev"}}})
    made.put("deployments", workload(), "apps")
    made.put("replicasets", owned("ReplicaSet", "checkout-7d9f", "checkout", "Deployment"), "apps")
    made.put("pods", owned("Pod", "checkout-7d9f-x2", "checkout-7d9f", "ReplicaSet"))
    made.put("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker-1"}, "spec": {}, "status": {}})
    return made


def gathered(cluster: FakeCluster, *actions: Action, history: History | None = None) -> Facts:
    return ClusterFacts(cluster, now=lambda: NOW).gather(plan_of(*actions), history or History())


def target(facts: Facts, ref: ObjectRef) -> Any:
    return facts.document["targets"][f"{ref.kind}/{ref.namespace}/{ref.name}"]  # type: ignore[index, call-overload]


def test_a_workload_is_seen_as_it_is(cluster: FakeCluster) -> None:
    facts = gathered(cluster, ScaleWorkload(target=CHECKOUT, replicas=6))

    assert facts.missing == ()
    seen = target(facts, CHECKOUT)
    assert (seen["exists"], seen["uid"], seen["replicas"], seen["ready"]) == (True, "uid-checkout", 3, 2)
    assert seen["service_account"] == "checkout"
    assert seen["images"] == [{"container": "app", "image": "registry.example/checkout:1.4"}]
    assert facts.document["namespaces"] == {"shop": {"labels": {"lestrade.dev/environment": "dev"}}}
    assert facts.document["cluster"] == {"name": "lab", "environment": "", "labels": {"lestrade.dev/environment": "test"}}


def test_the_facts_are_what_the_rules_read(cluster: FakeCluster) -> None:
    judge = open_judge()

    allowed = judge.decide(plan := plan_of(ScaleWorkload(target=CHECKOUT, replicas=6)), gathered(cluster, plan.steps[0].action))
    denied = judge.decide(plan := plan_of(ScaleWorkload(target=CHECKOUT, replicas=60)), gathered(cluster, plan.steps[0].action))

    assert allowed.verdict == "review"  # the cluster is a test cluster: a dev label does not make it milder
    assert [reason.rule for reason in denied.reasons] == ["moved-lately", "scale-bounds"]


@pytest.mark.parametrize("hours", [0, 2])
def test_the_time_is_the_clusters_own_and_told_in_utc_wherever_it_stands(cluster: FakeCluster, hours: int) -> None:
    there = datetime(2027, 1, 1, 12 + hours, 0, tzinfo=timezone(timedelta(hours=hours)))
    cluster.before = lambda call, identity: None
    send = cluster.send

    def dated(call: ApiCall, credential: Any = None) -> ApiAnswer:
        answer = send(call, credential)
        return ApiAnswer(status=answer.status, body=answer.body, date=there)

    cluster.send = dated  # type: ignore[method-assign]
    facts = gathered(cluster, RestartWorkload(target=CHECKOUT))

    assert facts.document["now"] == "2027-01-01T12:00:00Z"
    assert facts.document["now_epoch"] == int(there.timestamp())


def test_a_cluster_that_tells_no_time_is_a_missing_fact(cluster: FakeCluster) -> None:
    send = cluster.send
    cluster.send = lambda call, credential=None: ApiAnswer(status=(a := send(call, credential)).status, body=a.body)  # type: ignore[method-assign, misc]

    facts = gathered(cluster, RestartWorkload(target=CHECKOUT))

    assert "now_epoch" not in facts.document
    assert facts.missing == ("the cluster's time: no answer carried a date",)


def test_an_object_that_is_not_there_is_known_not_to_be(cluster: FakeCluster) -> None:
    new = ref("ConfigMap", "flags", api="v1", uid="new")
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flags", "namespace": "shop"}}

    facts = gathered(cluster, CreateObject(target=new, manifest=manifest))

    assert facts.missing == ()
    assert target(facts, new) == {"exists": False}


NAMES_IT: list[tuple[str, str, dict[str, Any], str]] = [
    ("Service", "v1", {"selector": {"app": "checkout"}}, "selects"),
    ("PodDisruptionBudget", "policy/v1", {"selector": {"matchLabels": {"app": "checkout"}}}, "selects"),
    (
        "HorizontalPodAutoscaler",
        "autoscaling/v2",
        {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}, "maxReplicas": 3},
        "scales",
    ),
    ("Ingress", "networking.k8s.io/v1", {"defaultBackend": {"service": {"name": "front"}}}, "routes-to"),
]


@pytest.mark.parametrize(("kind", "api", "spec", "how"), NAMES_IT, ids=[kind for kind, *_ in NAMES_IT])
def test_what_a_plan_makes_is_related_to_what_it_will_be_about(
    cluster: FakeCluster, kind: str, api: str, spec: dict[str, Any], how: str
) -> None:
    cluster.put("services", {"metadata": {"name": "front", "namespace": "shop"}, "spec": {"selector": {"app": "checkout"}}})
    manifest = {"apiVersion": api, "kind": kind, "metadata": {"name": "more", "namespace": "shop"}, "spec": spec}
    made = CreateObject(target=ref(kind, "more", api=api, uid="new"), manifest=manifest)

    facts = gathered(cluster, RestartWorkload(target=CHECKOUT), made)

    assert facts.missing == ()
    assert facts.document["related"] == {"Deployment/shop/checkout": "same", f"{kind}/shop/more": how}


def test_a_pod_carries_the_chain_of_its_owners_and_its_budgets(cluster: FakeCluster) -> None:
    cluster.put("poddisruptionbudgets", budget("mine", {"matchLabels": {"app": "checkout"}}, 1), "policy")
    cluster.put("poddisruptionbudgets", budget("other", {"matchLabels": {"app": "payments"}}, 0), "policy")
    cluster.put("poddisruptionbudgets", budget("all", {"matchExpressions": [{"key": "app", "operator": "Exists"}]}, 2), "policy")

    seen = target(gathered(cluster, DeletePod(target=POD)), POD)

    assert [(owner["kind"], owner["name"]) for owner in seen["owners"]] == [
        ("ReplicaSet", "checkout-7d9f"),
        ("Deployment", "checkout"),
    ]
    assert sorted((found["name"], found["disruptions_allowed"]) for found in seen["disruption_budgets"]) == [
        ("all", 2),
        ("mine", 1),
    ]


def test_an_owner_that_was_made_anew_owns_nothing(cluster: FakeCluster) -> None:
    cluster.objects[("apps", "replicasets", "shop", "checkout-7d9f")]["metadata"]["uid"] = "another"

    assert target(gathered(cluster, DeletePod(target=POD)), POD)["owners"] == []


def test_every_pod_of_a_drain_is_looked_up(cluster: FakeCluster) -> None:
    node = ref("Node", "worker-1", namespace="", api="v1")

    facts = gathered(cluster, DrainNode(target=node, pods=(POD,)))

    assert set(facts.document["targets"]) == {"Node//worker-1", "Pod/shop/checkout-7d9f-x2"}  # type: ignore[arg-type]
    assert facts.missing == ()
    assert facts.document["namespaces"] == {"shop": {"labels": {"lestrade.dev/environment": "dev"}}}, "where its pods are"


MARKS: list[tuple[str, dict[str, Any], Any]] = [
    (
        "tracking id",
        {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/checkout"}},
        ("argocd", "shop"),
    ),
    ("argo label", {"labels": {"argocd.argoproj.io/instance": "shop"}}, ("argocd", "shop")),
    (
        "instance label with Argo CD's hand",
        {"labels": {"app.kubernetes.io/instance": "shop"}, "managedFields": [{"manager": "argocd-controller"}]},
        ("argocd", "shop"),
    ),
    (
        "kustomization",
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
        ("flux", "flux-system/apps"),
    ),
    ("helm release of flux", {"labels": {"helm.toolkit.fluxcd.io/name": "shop"}}, ("flux", "shop")),
    ("everybody's instance label", {"labels": {"app.kubernetes.io/instance": "shop"}}, None),
    (
        "helm by hand",
        {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {"meta.helm.sh/release-name": "shop"}},
        None,
    ),
]


@pytest.mark.parametrize(("marks", "owner"), [(m, o) for _, m, o in MARKS], ids=[name for name, _, _ in MARKS])
def test_gitops_ownership_is_read_from_what_the_tools_write(cluster: FakeCluster, marks: dict[str, Any], owner: Any) -> None:
    cluster.put("deployments", workload(**marks), "apps")

    for of, ref in ((RestartWorkload(target=CHECKOUT), CHECKOUT), (DeletePod(target=POD), POD)):
        found = target(gathered(cluster, of), ref)["gitops"]
        assert found == (None if owner is None else {"tool": owner[0], "app": owner[1]})


def test_helm_is_information(cluster: FakeCluster) -> None:
    cluster.put("deployments", workload(annotations={"meta.helm.sh/release-name": "shop"}), "apps")

    assert target(gathered(cluster, RestartWorkload(target=CHECKOUT)), CHECKOUT)["helm"] == {"release": "shop"}


def test_no_value_that_may_be_secret_is_among_the_facts(cluster: FakeCluster) -> None:
    path = "/spec/template/spec/containers/0/env/0/value"
    copy = {"kubectl.kubernetes.io/last-applied-configuration": f'{{"env": "{SECRET}"}}'}
    cluster.put("deployments", workload(annotations=copy), "apps")
    change = ChangeFields(target=CHECKOUT, changes=(FieldChange(path=path, before=SECRET, after="other"),))

    facts = gathered(cluster, change)

    assert target(facts, CHECKOUT)["live"]["fields"] == {
        path: {"present": True, "as_planned": True, "managers": [], "named": "PASSWORD"}
    }
    assert SECRET not in str(facts.document)
    assert SECRET not in str(facts.missing)


def test_a_field_that_somebody_else_changed_is_seen_not_to_be_as_planned(cluster: FakeCluster) -> None:
    change = ChangeFields(target=CHECKOUT, changes=(FieldChange(path="/spec/replicas", before=2, after=4),))

    assert target(gathered(cluster, change), CHECKOUT)["live"]["fields"]["/spec/replicas"] == {
        "present": True,
        "as_planned": False,
        "managers": [],
        "named": "",
    }


def test_secrets_are_not_looked_at(cluster: FakeCluster) -> None:
    secret = ref("Secret", "api", api="v1")
    cluster.put("secrets", {"metadata": {"name": "api", "namespace": "shop"}, "data": {"token": SECRET}})

    facts = gathered(cluster, ChangeFields(target=secret, changes=(FieldChange(path="/data/x", before=None, after="y"),)))

    assert any("Secrets are not looked at" in what for what in facts.missing)
    assert all("secrets" not in request.path for request in cluster.requests)


def test_a_kind_that_is_not_known_is_missing_and_nothing_is_sent_for_it(cluster: FakeCluster) -> None:
    widget = ref("Widget", "w", api="example.com/v1")

    facts = gathered(cluster, RestartWorkload(target=widget))

    assert any("no such kind" in what for what in facts.missing)
    assert all("widget" not in request.path for request in cluster.requests)


@pytest.mark.parametrize("part", ["deployments", "namespaces/shop", "namespaces/kube-system", "poddisruptionbudgets"])
def test_what_may_not_be_read_is_named_as_missing(cluster: FakeCluster, part: str) -> None:
    cluster.before = lambda call, identity: ApiAnswer(status=403, body={}) if part in call.path else None

    facts = gathered(cluster, RestartWorkload(target=CHECKOUT))

    assert any("403" in what for what in facts.missing)
    assert open_judge().decide(plan_of(RestartWorkload(target=CHECKOUT)), facts).verdict == "deny"


def test_a_cluster_that_is_down_leaves_nothing_known(cluster: FakeCluster) -> None:
    cluster.down = True

    facts = gathered(cluster, RestartWorkload(target=CHECKOUT))

    assert facts.document["targets"] == {}
    assert "cluster" not in facts.document
    assert len(facts.missing) >= 3


def test_a_cluster_that_breaks_in_an_unforeseen_way_does_not_raise(cluster: FakeCluster) -> None:
    def broken(call: ApiCall, identity: str) -> ApiAnswer | None:
        raise RuntimeError(SECRET)

    cluster.before = broken
    facts = gathered(cluster, RestartWorkload(target=CHECKOUT))

    assert facts.document == {}
    assert facts.missing == ("everything: the search failed (RuntimeError)",)


def performed(minutes: float, *, incident: str = "incident-1", of: ObjectRef = CHECKOUT) -> dict[str, Any]:
    at = (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"at": at, "incident": incident, "kind": "scale_workload", "target": of.document()}


def test_the_record_is_counted_by_target_namespace_and_incident(cluster: FakeCluster) -> None:
    payments = ref("Deployment", "payments")
    done = (performed(10), performed(59), performed(61, incident="incident-2"), performed(30, of=payments), performed(-5))

    facts = gathered(cluster, RestartWorkload(target=CHECKOUT), history=History(performed=done))

    history = facts.document["history"]
    assert history["targets"] == {"Deployment/shop/checkout": {"hour": 3, "day": 4, "replicas": 0, "fields": 0}}
    assert history["namespaces"] == {"shop": {"hour": 4, "day": 5}}
    assert history["incident"] == {"hour": 4, "day": 4}
    assert history["cluster"] == {"hour": 4, "day": 5}


def test_what_others_hold_a_lease_on_is_told(cluster: FakeCluster) -> None:
    facts = gathered(cluster, RestartWorkload(target=CHECKOUT), history=History(leased=(CHECKOUT.document(),)))

    assert facts.document["leased"] == ["Deployment/shop/checkout"]


@pytest.mark.parametrize(
    "entry", [{}, {"at": "yesterday", "incident": "i", "target": CHECKOUT.document()}, {**performed(1), "target": {}}]
)
def test_a_record_that_cannot_be_counted_counts_for_nothing(cluster: FakeCluster, entry: dict[str, Any]) -> None:
    facts = gathered(cluster, RestartWorkload(target=CHECKOUT), history=History(performed=(entry,)))

    assert "history" not in facts.document
    assert any("record" in what for what in facts.missing)


def test_each_thing_is_asked_for_once(cluster: FakeCluster) -> None:
    gathered(cluster, ScaleWorkload(target=CHECKOUT, replicas=4), RestartWorkload(target=CHECKOUT), DeletePod(target=POD))

    paths = [request.path for request in cluster.requests]
    assert len(paths) == len(set(paths))


def test_a_change_that_no_sum_depends_on_adds_nothing_where_its_place_is_there_and_its_object_counted(
    cluster: FakeCluster,
) -> None:
    def adds(path: str, before: Any) -> Any:
        change = ChangeFields(target=CHECKOUT, changes=(FieldChange(path=path, before=before, after="other"),))
        return gathered(cluster, change).document["adds"]

    there, nowhere = "/spec/template/spec/containers/0/env/0/value", "/spec/template/spec/containers/7/env/0/value"
    assert adds(there, SECRET) == {"step-1": {"cpu_millis": 0, "memory_mib": 0, "storage_mib": 0}}
    assert adds(nowhere, None) == {}

    live = workload()
    live["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "some"}}
    cluster.put("deployments", live, "apps")
    assert adds(there, SECRET) == {}


def test_nothing_is_kept_of_what_is_not_there(cluster: FakeCluster) -> None:
    """It stands for everything that is not there, as long as the process lasts."""
    absent = ref("Deployment", "gone")
    for number in range(3):
        path = f"/spec/template/spec/containers/0/env/{number}/value"
        gathered(cluster, ChangeFields(target=absent, changes=(FieldChange(path=path, before="a", after="b"),)))
        assert (NOWHERE.at(path), NOWHERE.managers(path)) == ((None, ""), [])

    assert (NOWHERE._places, NOWHERE._hands) == ({}, {})
