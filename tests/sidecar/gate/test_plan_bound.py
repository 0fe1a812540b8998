"""Leases held to their plans by admission, on a laboratory: every kind of step, what is in place, what is published."""

import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
import yaml

from lab.laboratory import Laboratory
from sidecar.contract import Lease, Problem
from sidecar.credentials import Issuer, PlanBound, admission
from sidecar.credentials import store as leases
from sidecar.execution.cluster import KubernetesCluster
from sidecar.gate.answer import answer
from sidecar.gate.lease import lease
from sidecar.gate.opening import WallClock
from sidecar.gate.perform import perform
from sidecar.gate.reap import reap
from sidecar.gate.settle import settle
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from tests.fakes.sidecar_gate import change, make_world, plan, ref
from tests.sidecar.process.harness import ROOT, furnished, wait_for

WRITES = "/apis/lestrade.dev/v1/leasedwrites/lestrade"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
WEEK = timedelta(days=7)
INCIDENTS = iter(range(1, 10_000))


def install(lab):
    for path in sorted((ROOT / "deploy" / "admission").glob("*.yaml")):
        lab.apply(list(yaml.safe_load_all(path.read_text())))


def shop(kind, name, spec=None, api_version="v1", **more):
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **({"spec": spec} if spec else {}), **more}


POD = {"containers": [{"name": "main", "image": "registry.k8s.io/job:1", "command": ["true"]}], "restartPolicy": "Never"}


@pytest.fixture(scope="module")
def lab():
    with Laboratory.start() as lab:
        furnished(lab)
        install(lab)
        web = lab.get("Deployment", "shop", "web")["spec"]["template"]
        newer = {
            **web,
            "spec": {**web["spec"], "containers": [{**web["spec"]["containers"][0], "image": "registry.k8s.io/web:2"}]},
        }
        selector = {"matchLabels": {"app": "web"}}
        lab.apply([shop("Deployment", "web", {"replicas": 2, "selector": selector, "template": newer}, "apps/v1")])
        lab.apply([shop("Service", "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]})])
        lab.apply([shop("Job", "once", {"template": {"metadata": {"labels": {"part": "job"}}, "spec": POD}}, "batch/v1")])
        wait_for(lambda: len(revisions(lab)) == 2, what="two revisions")
        wait_for(lambda: pods(lab), what="pods")
        yield lab


def revisions(lab):
    return [r for r in lab.store.list("apps", "replicasets", "shop") if r["metadata"].get("ownerReferences")]


def pods(lab):
    found = lab.store.list("", "pods", "shop")
    return [p for p in found if p["metadata"]["name"].startswith("web") and "deletionTimestamp" not in p["metadata"]]


@pytest.fixture
def world(lab, tmp_path):
    world = make_world(tmp_path)
    cluster = KubernetesCluster.connect(kubeconfig=lab.kubeconfig("lestrade/lestrade-sidecar"), name="lab")
    bound = PlanBound(cluster, namespace="lestrade-leases", clock=WallClock())
    issuer = Issuer(cluster, namespace="lestrade-leases", clock=WallClock(), plan_bound=bound)
    world.desk = replace(world.desk, cluster=cluster, issuer=issuer)
    yield world
    world.desk.ledger.close()


def target(lab, kind, name, api_version="v1", namespace="shop"):
    return ref(kind, name, namespace, api_version, uid=lab.get(kind, namespace, name)["metadata"]["uid"])


def asked(world, *actions):
    status = submit(plan(*actions, incident=f"inc-{next(INCIDENTS)}"), desk=world.desk)
    assert status.state == "waiting", status.decision.reasons
    person = world.people.known["ada"]
    revision = status.decision.revision
    answer(status.plan, person=person, verdict="approve", plan=status.plan, revision=revision, via="test", desk=world.desk)
    return lease(status.plan, desk=world.desk)


def leased(world, *actions):
    granted = asked(world, *actions)
    assert isinstance(granted, Lease), granted
    return granted


def published(lab):
    return lab.request("GET", WRITES)["spec"]["leases"]


# Every kind of step ------------------------------------------------------------------------------------------------------


def deployment(lab):
    return target(lab, "Deployment", "web", "apps/v1")


def created(kind, name, api_version, spec=None, **more):
    manifest = shop(kind, name, spec, api_version, **more)
    return {"kind": "create_object", "target": ref(kind, name, "shop", api_version, uid="new"), "manifest": manifest}


def changed(lab, kind, name, api_version, path, before, after):
    return change(path, before, after, target(lab, kind, name, api_version))


ACTIONS = {
    "restart": lambda lab: [{"kind": "restart_workload", "target": deployment(lab)}],
    "rollback": lambda lab: [{"kind": "rollback_workload", "target": deployment(lab), "to_revision": oldest(lab)}],
    "scale": lambda lab: [{"kind": "scale_workload", "target": deployment(lab), "replicas": 4}],
    "scale to nothing": lambda lab: [{"kind": "scale_workload", "target": deployment(lab), "replicas": 0}],
    "an image": lambda lab: [changed(lab, "Deployment", "web", "apps/v1", IMAGE, image(lab), "registry.k8s.io/web:9")],
    "two changes of one object": lambda lab: [
        changed(lab, "Deployment", "web", "apps/v1", IMAGE, image(lab), "registry.k8s.io/web:9"),
        changed(lab, "Deployment", "web", "apps/v1", f"{MAIN}/resources/limits/memory", None, "1000Mi"),
        changed(lab, "Deployment", "web", "apps/v1", "/metadata/labels/team", None, "shop"),
    ],
    "an amount that is written otherwise": lambda lab: [
        changed(lab, "Deployment", "web", "apps/v1", f"{MAIN}/resources/limits/cpu", None, "1000m")
    ],
    "a key": lambda lab: [changed(lab, "ConfigMap", "settings", "v1", "/data/mode", "slow", "fast")],
    "a key less": lambda lab: [changed(lab, "ConfigMap", "settings", "v1", "/data/mode", "slow", None)],
    "a selector": lambda lab: [changed(lab, "Service", "web", "v1", "/spec/selector/app", "web", "web2")],
    "delete pod": lambda lab: [{"kind": "delete_pod", "target": a_pod(lab)}],
    "evict pod": lambda lab: [{"kind": "evict_pod", "target": a_pod(lab)}],
    "cordon": lambda lab: [{"kind": "cordon_node", "target": target(lab, "Node", "worker-1", "v1", "")}],
    "drain": lambda lab: [drain(lab)],
    "a ConfigMap": lambda lab: [created("ConfigMap", "made", "v1", data={"a": "1"})],
    "a Service": lambda lab: [created("Service", "made", "v1", {"selector": {"app": "web"}, "ports": [{"port": 80}]})],
    "a budget": lambda lab: [
        created("PodDisruptionBudget", "made", "policy/v1", {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}})
    ],
    "an autoscaler": lambda lab: [
        created(
            "HorizontalPodAutoscaler",
            "made",
            "autoscaling/v2",
            {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}, "minReplicas": 1, "maxReplicas": 2},
        )
    ],
    "a claim": lambda lab: [
        created(
            "PersistentVolumeClaim",
            "made",
            "v1",
            {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
        )
    ],
    "a network policy": lambda lab: [created("NetworkPolicy", "made", "networking.k8s.io/v1", {"podSelector": {}})],
    "a job again": lambda lab: [{"kind": "rerun_job", "target": target(lab, "Job", "once", "batch/v1"), "new_name": "again"}],
}
MAIN = "/spec/template/spec/containers/0"
IMAGE = f"{MAIN}/image"


def image(lab):
    return lab.get("Deployment", "shop", "web")["spec"]["template"]["spec"]["containers"][0]["image"]


def oldest(lab):
    wait_for(lambda: len(revisions(lab)) >= 2)
    current = lab.get("Deployment", "shop", "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    numbers = [int(r["metadata"]["annotations"]["deployment.kubernetes.io/revision"]) for r in revisions(lab)]
    return min(number for number in numbers if str(number) != current)


def a_pod(lab):
    wait_for(lambda: pods(lab))
    return target(lab, "Pod", pods(lab)[0]["metadata"]["name"])


def drain(lab):
    wait_for(lambda: len([p for p in pods(lab) if p["spec"].get("nodeName")]) >= 2)
    node = pods(lab)[0]["spec"]["nodeName"]
    there = [target(lab, "Pod", p["metadata"]["name"]) for p in pods(lab) if p["spec"].get("nodeName") == node]
    return {"kind": "drain_node", "target": target(lab, "Node", node, "v1", ""), "pods": there}


@pytest.mark.parametrize("name", ACTIONS)
def test_every_kind_of_step_is_performed_and_undone_under_a_lease_that_is_held_to_it(world, lab, name):
    granted = leased(world, *ACTIONS[name](lab))
    steps = [f"step-{number}" for number in range(1, len(ACTIONS[name](lab)) + 1 if "made" not in name else 2)]
    assert set(published(lab)) == {granted.identity}

    results = [perform(granted.id, step, desk=world.desk) for step in steps]
    assert [(r.status, r.message) for r in results] == [("performed", "")] * len(steps)
    back = undo(granted.id, desk=world.desk)
    assert {r.status if r.reason != "irreversible" else "performed" for r in back.steps} == {"performed"}, back
    settlement = settle(granted.id, "undone", desk=world.desk)

    assert settlement.state == "settled"
    assert settlement.refusal in ("401", "403")
    assert published(lab) == {}


# What is in place ---------------------------------------------------------------------------------------------------------


def edited(lab, path, change):
    """The object at `path`, changed until the end of the block."""
    found = lab.request("GET", path)
    body = {k: v for k, v in found.items() if k != "status"}
    change(body)
    lab.request("PUT", path, body)


@contextmanager
def otherwise(lab, path, change):
    """As if somebody had edited, or deleted, what was installed; put back afterwards."""
    edited_, deleted = path.rsplit("/", 1)[-1], change is None
    if deleted:
        with_guard_off(lab, lambda: lab.request("DELETE", path))
    else:
        edited(lab, path, change)
    try:
        yield edited_
    finally:
        install_again(lab)


def with_guard_off(lab, work):
    guard = POLICIES.replace("policies", "policybindings") + "/lestrade-writes-kept"
    lab.request("DELETE", guard)
    work()


def install_again(lab):
    for path in sorted((ROOT / "deploy" / "admission").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            place = lab.path_of(document["apiVersion"], document["kind"], document["metadata"])
            status, found = lab.server.call("GET", place, None)
            if status == 404:
                lab.apply([document])
            elif document["kind"].startswith("Validating"):
                document["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
                lab.request("PUT", place, document)


BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
TAMPERED = {
    "no binding": (f"{BINDINGS}/lestrade-plan-bound", None),
    "no policy of kinds": (f"{POLICIES}/lestrade-lease-kinds", None),
    "no object": (WRITES, None),
    "a binding that only warns": (f"{BINDINGS}/lestrade-plan-bound", lambda b: b["spec"].update(validationActions=["Warn"])),
    "errors that are let be": (f"{POLICIES}/lestrade-plan-bound", lambda p: p["spec"].update(failurePolicy="Ignore")),
    "one rule less": (f"{POLICIES}/lestrade-plan-bound", lambda p: p["spec"]["validations"].pop()),
    "one resource less": (
        f"{POLICIES}/lestrade-plan-bound",
        lambda p: p["spec"]["matchConstraints"]["resourceRules"][0]["resources"].remove("deployments/scale"),
    ),
    "an exception": (
        f"{POLICIES}/lestrade-plan-bound",
        lambda p: p["spec"]["matchConditions"].append({"name": "x", "expression": "request.name != 'web'"}),
    ),
    "fewer namespaces": (
        f"{BINDINGS}/lestrade-plan-bound",
        lambda b: b["spec"].update(matchResources={"namespaceSelector": {"matchLabels": {"a": "b"}}}),
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_nothing_is_minted_where_the_policies_are_not_in_place_as_shipped(world, lab, how):
    with otherwise(lab, *TAMPERED[how]) as name:
        accounts = len(lab.store.list("", "serviceaccounts", "lestrade-leases"))
        refused = asked(world, {"kind": "scale_workload", "target": deployment(lab), "replicas": 5})

    assert isinstance(refused, Problem)
    assert (refused.status, refused.code) == (409, "admission-not-in-place")
    assert name.split("-")[-1] in refused.detail or "LeasedWrites" in refused.detail
    assert len(lab.store.list("", "serviceaccounts", "lestrade-leases")) == accounts
    assert lab.get("Deployment", "shop", "web")["spec"]["replicas"] != 5


def test_a_mint_that_the_api_server_does_not_enforce_is_taken_back(world, lab):
    """The policies go between the look and the mint: only the lease's own token shows it."""
    bound = world.desk.issuer.plan_bound
    assert bound.missing() == ""
    bound.missing = lambda: ""  # what was seen a moment ago
    with otherwise(lab, f"{BINDINGS}/lestrade-plan-bound", None):
        refused = asked(world, {"kind": "scale_workload", "target": deployment(lab), "replicas": 5})

    assert isinstance(refused, Problem)
    assert (refused.code, "lets a dry run pass" in refused.detail) == ("not-enforced", True)
    assert published(lab) == {}
    assert [s for s in lab.store.list("", "serviceaccounts", "lestrade-leases") if s["metadata"]["name"] != "default"] == []


def test_live_leases_end_when_they_are_no_longer_held_to_their_plans(world, lab):
    """Somebody takes the binding away while a lease lives: the next round of the reaper ends the lease."""
    granted = leased(world, {"kind": "scale_workload", "target": deployment(lab), "replicas": 5})
    reap(desk=world.desk)
    assert perform_state(world, granted) == "live"
    world.desk.issuer.plan_bound.forget()
    with otherwise(lab, f"{BINDINGS}/lestrade-plan-bound", None):
        reap(desk=world.desk)

    assert perform_state(world, granted) == "settled"
    ending = next(r for r in world.desk.ledger.documents(about=granted.plan) if r["kind"] == "lease-ending")
    assert "no longer held to its plan" in ending["body"]["why"]


def perform_state(world, granted):
    with world.desk.ledger.read() as connection:
        return leases.get(connection, granted.id).lease.state


def test_what_was_published_is_swept_as_is_everything_else_where_the_object_cannot_be_read(world, lab):
    issuer = world.desk.issuer
    with otherwise(lab, WRITES, None):
        assert issuer.labelled() == []
    lab.request("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/lestrade-plan-bound")

    assert issuer.labelled() == []

    install_again(lab)


# What is published --------------------------------------------------------------------------------------------------------


def test_writes_are_published_before_any_right_and_withdrawn_before_any_right_goes(world, lab):
    since = len(lab.requests)
    granted = leased(world, {"kind": "scale_workload", "target": deployment(lab), "replicas": 5})
    settle(granted.id, "unknown", desk=world.desk)

    made = [r for r in lab.requests[since:] if r.is_write and r.resource in ("leasedwrites", "rolebindings")]
    assert [(r.resource, r.method) for r in made] == [
        ("leasedwrites", "PATCH"),
        ("rolebindings", "POST"),
        ("leasedwrites", "PATCH"),
        ("rolebindings", "DELETE"),
    ]
    kinds = [record["kind"] for record in world.desk.ledger.documents(about=granted.plan)]
    assert kinds.index("lease-claimed") < kinds.index("lease-writes") < kinds.index("lease-granted")


def test_what_is_on_record_of_the_writes_names_them_and_holds_no_value(world, lab):
    granted = leased(world, changed(lab, "ConfigMap", "settings", "v1", "/data/mode", "slow", "canary-4711"))
    record = next(r for r in world.desk.ledger.documents(about=granted.plan) if r["kind"] == "lease-writes")
    settle(granted.id, "unknown", desk=world.desk)

    assert record["body"]["writes"] == ["UPDATE configmaps shop/settings"] * 2
    assert "canary-4711" not in str(record)


def test_many_leases_share_the_object_and_none_undoes_anothers_entry(world, lab):
    bounds = [PlanBound(world.desk.cluster, namespace="lestrade-leases", clock=WallClock()) for _ in range(6)]
    made = [lease_of(number) for number in range(6)]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda pair: pair[0].publish(pair[1], []), zip(bounds, made, strict=True))) == [None] * 6
        assert set(published(lab)) == {one.identity for one in made}
        assert list(pool.map(lambda pair: pair[0].withdraw(pair[1].identity), zip(bounds, made, strict=True))) == [""] * 6
    assert published(lab) == {}


def lease_of(number, **more):
    at = WallClock().now()
    fields = {"plan": "a" * 64, "state": "minting", "rights": (), "granted_at": at, "expires_at": at + timedelta(minutes=5)}
    identity = f"system:serviceaccount:lestrade-leases:lestrade-x{number}"
    return Lease(**(fields | {"id": f"x{number}", "identity": identity} | more))


def test_a_plan_whose_writes_take_too_much_room_gets_no_lease(world, lab):
    manifest = shop("ConfigMap", "big", data={f"key-{n}": "x" * 90_000 for n in range(3)})
    write = admission.created(admission.Resource(group="", version="v1", plural="configmaps"), manifest, manifest)

    refused = world.desk.issuer.plan_bound.publish(lease_of(9), [write])

    assert (refused.code, refused.status) == ("too-large-to-publish", 413)
    assert published(lab) == {}


def test_what_a_crash_left_published_is_withdrawn_by_the_reaper(world, lab):
    """Of a lease that this database does not know: when it has expired; of one that is settled: at once."""
    bound = world.desk.issuer.plan_bound
    old, young = (
        lease_of(1, expires_at=world.clock.now() - timedelta(seconds=5)),
        lease_of(2, expires_at=world.clock.now() + WEEK),
    )
    settled = leased(world, {"kind": "scale_workload", "target": deployment(lab), "replicas": 5})
    settle(settled.id, "unknown", desk=world.desk)
    for one in (old, young, settled):
        assert bound.publish(one, []) is None

    reap(desk=world.desk)
    left = set(published(lab))
    bound.withdraw(young.identity)

    assert left == {young.identity}


def test_a_crash_between_publishing_and_granting_is_gone_on_with(world, lab):
    status = submit(plan({"kind": "scale_workload", "target": deployment(lab), "replicas": 5}, incident="inc-x"), desk=world.desk)
    person, revision = world.people.known["ada"], status.decision.revision
    answer(status.plan, person=person, verdict="approve", plan=status.plan, revision=revision, via="test", desk=world.desk)
    bound = world.desk.issuer.plan_bound
    bound.enforced = crash
    with pytest.raises(KeyboardInterrupt):
        lease(status.plan, desk=world.desk)
    assert len(published(lab)) == 1
    del bound.enforced

    granted = lease(status.plan, desk=world.desk)

    assert isinstance(granted, Lease), granted
    assert perform(granted.id, "step-1", desk=world.desk).status == "performed"
    undo(granted.id, desk=world.desk)
    assert settle(granted.id, "undone", desk=world.desk).state == "settled"
    assert published(lab) == {}


def crash(*_, **__):
    raise KeyboardInterrupt


def test_a_mint_that_goes_on_later_publishes_nothing_for_an_object_that_changed_meanwhile(world, lab):
    status = submit(plan({"kind": "scale_workload", "target": deployment(lab), "replicas": 5}, incident="inc-y"), desk=world.desk)
    person, revision = world.people.known["ada"], status.decision.revision
    answer(status.plan, person=person, verdict="approve", plan=status.plan, revision=revision, via="test", desk=world.desk)
    bound = world.desk.issuer.plan_bound
    bound.publish = crash
    with pytest.raises(KeyboardInterrupt):
        lease(status.plan, desk=world.desk)
    del bound.publish
    path = "/apis/apps/v1/namespaces/shop/deployments/web"
    lab.request("PATCH", path, {"spec": {"replicas": 3}}, content_type="application/merge-patch+json")

    refused = lease(status.plan, desk=world.desk)
    lab.request("PATCH", path, {"spec": {"replicas": 2}}, content_type="application/merge-patch+json")

    assert isinstance(refused, Problem)
    assert refused.code == "target-changed"
    assert published(lab) == {}


# In a thief's hands -------------------------------------------------------------------------------------------------------


@contextmanager
def stolen(lab, granted):
    """The API server as whoever has this lease's token."""
    token = lab.server.mint(f"lestrade-leases/lestrade-{granted.id}")
    trusted = ssl.create_default_context(cafile=str(lab.ca_file))
    with httpx.Client(base_url=lab.url, verify=trusted, headers={"Authorization": f"Bearer {token}"}, timeout=10) as client:
        yield client


def refusals(answers):
    """Those that were let through, and those that something else than admission or RBAC stopped."""
    return {name: answer.status_code for name, answer in answers.items() if answer.status_code != 403}


def test_a_right_to_create_makes_the_approved_object_and_no_other(world, lab):
    granted = leased(world, *ACTIONS["a ConfigMap"](lab))
    path = "/api/v1/namespaces/shop/configmaps"
    approved = shop("ConfigMap", "made", data={"a": "1"})

    def but(**more):
        return {**approved, **more}

    def marked(**more):
        return {**approved, "metadata": {**approved["metadata"], **more}}

    with stolen(lab, granted) as thief:
        answers = {
            "another name": thief.post(path, json=marked(name="other")),
            "a name of the server's": thief.post(path, json={**approved, "metadata": {"generateName": "made"}}),
            "another value": thief.post(path, json=but(data={"a": "2"})),
            "one key more": thief.post(path, json=but(data={"a": "1", "b": "2"})),
            "no key": thief.post(path, json=but(data={})),
            "binary data": thief.post(path, json=but(binaryData={"b": "AAAA"})),
            "for ever": thief.post(path, json=but(immutable=True)),
            "a label": thief.post(path, json=marked(labels={"a": "b"})),
            "an annotation": thief.post(path, json=marked(annotations={"a": "b"})),
            "a finalizer": thief.post(path, json=marked(finalizers=["a.example/b"])),
            "an owner": thief.post(path, json=marked(ownerReferences=[OWNER])),
            "elsewhere": thief.post(path.replace("shop", "default"), json=marked(namespace="default")),
            "another kind": thief.post(
                "/api/v1/namespaces/shop/services", json=shop("Service", "made", {"ports": [{"port": 1}]})
            ),
            "as a dry run": thief.post(f"{path}?dryRun=All", json=approved),
            "the deletion of another": thief.delete(f"{path}/settings"),
        }
        assert refusals(answers) == {}
        assert thief.post(path, json=approved).status_code == 201
        assert thief.delete(f"{path}/made").status_code == 403  # the sidecar's own step did not make it
    lab.request("DELETE", f"{path}/made")
    settle(granted.id, "unknown", desk=world.desk)


OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": "0"}


def test_a_job_that_is_run_again_is_that_job(world, lab):
    """E11: no other image, account, host path or number of pods comes along."""
    granted = leased(world, *ACTIONS["a job again"](lab))
    path = "/apis/batch/v1/namespaces/shop/jobs"
    stored = lab.get("Job", "shop", "once")
    labels = {k: v for k, v in stored["metadata"].get("labels", {}).items() if "controller-uid" not in k and "job-name" not in k}

    def job(pod=None, labelled=None, **spec):
        template = {"metadata": {"labels": {"part": "job", **(labelled or {})}}, "spec": {**POD, **(pod or {})}}
        made = shop("Job", "again", {"template": template, **spec}, "batch/v1")
        return {**made, "metadata": {**made["metadata"], **({"labels": labels} if labels else {})}}

    volume = {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}
    evil = [{**POD["containers"][0], "image": "evil.example/miner"}]
    with stolen(lab, granted) as thief:
        answers = {
            "another image": thief.post(path, json=job(pod={"containers": evil})),
            "another account": thief.post(path, json=job(pod={"serviceAccountName": "admin"})),
            "a host path": thief.post(path, json=job(pod=volume)),
            "the host's network": thief.post(path, json=job(pod={"hostNetwork": True})),
            "many pods": thief.post(path, json=job(parallelism=500, completions=500)),
            "a label on its pods": thief.post(path, json=job(labelled={"app": "web"})),
            "another label on its pods": thief.post(path, json=job(labelled={"part": "web"})),
            "a pod instead": thief.post("/api/v1/namespaces/shop/pods", json=shop("Pod", "p", POD)),
        }
        assert refusals(answers) == {}
        assert thief.post(path, json=job(backoffLimit=stored["spec"]["backoffLimit"])).status_code == 201
    lab.request("DELETE", f"{path}/again")
    settle(granted.id, "unknown", desk=world.desk)


def test_a_pod_that_may_be_evicted_is_that_pod_within_its_own_grace(world, lab):
    pod = a_pod(lab)
    other = next(p for p in pods(lab) if p["metadata"]["uid"] != pod["uid"])["metadata"]["name"]
    granted = leased(world, {"kind": "evict_pod", "target": pod})
    path = "/api/v1/namespaces/shop/pods/{}/eviction"

    def eviction(name=pod["name"], **options):
        metadata = {"name": name, "namespace": "shop"}
        return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}

    with stolen(lab, granted) as thief:
        mine = {"uid": pod["uid"]}
        answers = {
            "whichever pod": thief.post(path.format(pod["name"]), json=eviction()),
            "a namesake": thief.post(path.format(pod["name"]), json=eviction(preconditions={"uid": "0"})),
            "at once": thief.post(path.format(pod["name"]), json=eviction(preconditions=mine, gracePeriodSeconds=0)),
            "another": thief.post(path.format(other), json=eviction(other, preconditions=mine)),
            "deleted": thief.delete(f"/api/v1/namespaces/shop/pods/{pod['name']}"),
        }
        assert refusals(answers) == {}
        assert thief.post(path.format(pod["name"]), json=eviction(preconditions=mine)).status_code == 201
    settle(granted.id, "unknown", desk=world.desk)


def test_a_node_that_may_be_cordoned_gets_no_label_and_no_taint(world, lab):
    granted = leased(world, *ACTIONS["cordon"](lab))
    with stolen(lab, granted) as thief:

        def patch(name, body):
            headers = {"content-type": "application/merge-patch+json"}
            return thief.patch(f"/api/v1/nodes/{name}", json=body, headers=headers)

        cordoned = {"spec": {"unschedulable": True}}
        taint = [{"key": "a", "effect": "NoExecute"}]
        answers = {
            "a label": patch("worker-1", {"metadata": {"labels": {"role": "admin"}}}),
            "a label beside it": patch("worker-1", cordoned | {"metadata": {"labels": {"role": "admin"}}}),
            "a taint": patch("worker-1", {"spec": {"taints": taint}}),
            "a taint beside it": patch("worker-1", {"spec": {"unschedulable": True, "taints": taint}}),
            "another node": patch("worker-2", cordoned),
        }
        assert refusals(answers) == {}
        assert patch("worker-1", cordoned).status_code == 200
    lab.request("PATCH", "/api/v1/nodes/worker-1", {"spec": {"unschedulable": None}}, content_type="application/merge-patch+json")
    settle(granted.id, "unknown", desk=world.desk)


def test_of_an_object_with_many_keys_the_approved_ones_change_all_together_and_no_others(world, lab):
    """B9 too: the object made anew under its name is another one."""
    path, headers = "/api/v1/namespaces/shop/configmaps/many", {"content-type": "application/merge-patch+json"}
    lab.apply([shop("ConfigMap", "many", data={"a": "1", "b": "1", "c": "1"})])
    it = target(lab, "ConfigMap", "many")
    new = {"path": "/data/new", "before": None, "after": "1"}
    changes = [{"path": "/data/a", "before": "1", "after": "2"}, {"path": "/data/b", "before": "1", "after": None}, new]
    granted = leased(world, {"kind": "change_fields", "target": it, "changes": changes})
    whole = {"data": {"a": "2", "b": None, "new": "1"}}

    with stolen(lab, granted) as thief:

        def patch(body):
            return thief.patch(path, json=body, headers=headers)

        answers = {
            "one that changes alone": patch({"data": {"a": "2"}}),
            "one that goes alone": patch({"data": {"b": None}}),
            "all but the new one": patch({"data": {"a": "2", "b": None}}),
            "another that goes with them": patch({"data": {**whole["data"], "c": None}}),
            "another that comes with them": patch({"data": {**whole["data"], "d": "1"}}),
            "another that changes with them": patch({"data": {**whole["data"], "c": "9"}}),
            "for ever": patch(whole | {"immutable": True}),
            "in bytes": patch(whole | {"binaryData": {"e": "AAAA"}}),
        }
        assert refusals(answers) == {}
        assert lab.get("ConfigMap", "shop", "many")["data"] == {"a": "1", "b": "1", "c": "1"}
        lab.request("PATCH", path, {"data": {"c": "by somebody else"}}, content_type="application/merge-patch+json")
        assert patch(whole).status_code == 200  # somebody else's key stays as that somebody left it
        lab.request("DELETE", path)
        lab.apply([shop("ConfigMap", "many", data={"a": "1", "b": "1", "c": "1"})])
        assert patch(whole).status_code == 403
    assert lab.get("ConfigMap", "shop", "many")["data"] == {"a": "1", "b": "1", "c": "1"}
    settle(granted.id, "unknown", desk=world.desk)


def test_one_lease_is_not_held_to_the_plan_of_another(world, lab):
    lab.apply([shop("ConfigMap", "second", data={"a": "1"})])
    one = leased(world, changed(lab, "ConfigMap", "settings", "v1", "/data/mode", "slow", "fast"))
    two = leased(world, changed(lab, "ConfigMap", "second", "v1", "/data/a", "1", "2"))
    headers = {"content-type": "application/merge-patch+json"}
    # RBAC is given away: whoever may do everything as this lease may still do what its plan holds only.
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    lab.apply([cluster_wide("ClusterRole", rules=rules), cluster_wide("ClusterRoleBinding", roleRef=ALL, subjects=[LEASES])])

    with stolen(lab, two) as thief:
        answers = {
            "the other's write": thief.patch(
                "/api/v1/namespaces/shop/configmaps/settings", json={"data": {"mode": "fast"}}, headers=headers
            ),
            "a Secret": thief.post("/api/v1/namespaces/shop/secrets", json=shop("Secret", "s")),
            "a token": thief.post(
                "/api/v1/namespaces/lestrade-leases/serviceaccounts/default/token",
                json={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}},
            ),
            "rights": thief.post(
                "/apis/rbac.authorization.k8s.io/v1/clusterroles", json=cluster_wide("ClusterRole", name="x", rules=rules)
            ),
            "its status": thief.patch(
                "/apis/apps/v1/namespaces/shop/deployments/web/status", json={"status": {}}, headers=headers
            ),
            "what is published": thief.patch(WRITES, json={"spec": {"leases": {}}}, headers=headers),
            "a namespace": thief.delete("/api/v1/namespaces/shop"),
        }
        assert refusals(answers) == {}
        assert (
            thief.patch("/api/v1/namespaces/shop/configmaps/second", json={"data": {"a": "2"}}, headers=headers).status_code
            == 200
        )
    for kind in ("clusterrolebindings", "clusterroles"):
        lab.request("DELETE", f"/apis/rbac.authorization.k8s.io/v1/{kind}/all-for-leases")
    for granted in (one, two):
        settle(granted.id, "unknown", desk=world.desk)


ALL = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "all-for-leases"}
LEASES = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:serviceaccounts:lestrade-leases"}


def cluster_wide(kind, name="all-for-leases", **more):
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}, **more}
