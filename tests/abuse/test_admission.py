"""The lease's own token in a thief's hands, and the API server itself asked: what holds with plan-bound admission, and without.

The bypass variant of the rows: nothing here goes through the sidecar once the lease is live. The token is minted for the lease's
ServiceAccount as the sidecar does it, which no agent can.
"""

import json
import ssl

import httpx
import pytest
import yaml

from tests.sidecar.process.harness import AGENT_TOKEN, IDENTITY, ROOT, Sidecar, good, running, wait_for

LEASES = "lestrade-leases"
WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
MERGE = "application/merge-patch+json"
COUNT = iter(range(1, 1000))


def installed(lab) -> None:
    for path in sorted((ROOT / "deploy" / "admission").glob("*.yaml")):
        lab.apply(list(yaml.safe_load_all(path.read_text())))


@pytest.fixture(scope="module")
def bound(tmp_path_factory):
    with running(tmp_path_factory.mktemp("bound"), environment={"LESTRADE_SIDECAR_PLAN_BOUND_ADMISSION": "true"}) as sidecar:
        installed(sidecar.lab)
        furnish(sidecar.lab)
        yield sidecar.start()


@pytest.fixture(scope="module")
def unbound(tmp_path_factory):
    """The default: names are held by RBAC, contents by nobody but the sidecar."""
    with running(tmp_path_factory.mktemp("unbound")) as sidecar:
        furnish(sidecar.lab)
        yield sidecar.start()


def furnish(lab) -> None:
    """A second namespace with the same workload, as a target for what goes astray."""
    web = lab.get("Deployment", "shop", "web")
    spec = {key: web["spec"][key] for key in ("replicas", "selector", "template")}
    lab.apply(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "other"}, "spec": spec},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api", "namespace": "shop"}, "spec": spec},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "namespace": "shop"}, "data": {"a": "1"}},
        ]
    )


class Thief:
    """Whoever has the token of a lease, on another machine."""

    def __init__(self, sidecar: Sidecar, lease: dict) -> None:
        self.lab, self.identity = sidecar.lab, f"{LEASES}/lestrade-{lease['id']}"
        token = sidecar.lab.server.mint(self.identity)
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "curl/8"}
        self.http = httpx.Client(
            base_url=sidecar.lab.url,
            verify=ssl.create_default_context(cafile=str(sidecar.lab.ca_file)),
            headers=headers,
            timeout=10,
        )

    def patch(self, path: str, body, kind: str = MERGE) -> httpx.Response:
        return self.http.patch(path, content=json.dumps(body), headers={"content-type": kind})

    def wrote(self) -> list:
        return [r for r in self.lab.requests if r.is_write and r.identity == self.identity]


def target(sidecar: Sidecar, kind="Deployment", name="web", api_version="apps/v1") -> dict:
    uid = sidecar.lab.get(kind, "shop", name)["metadata"]["uid"]
    return {"apiVersion": api_version, "kind": kind, "namespace": "shop", "name": name, "uid": uid}


def fresh(sidecar: Sidecar) -> Sidecar:
    """The workload as at the beginning, whatever the test before left."""
    container = {"name": "main", "image": "registry.k8s.io/web:1"}
    spec = {"replicas": 2, "template": {"spec": {"containers": [container]}}}
    sidecar.lab.request("PATCH", WEB, {"spec": spec}, content_type="application/strategic-merge-patch+json")
    return sidecar


def plan(sidecar: Sidecar, *actions: dict) -> dict:
    steps = [{"id": f"step-{n}", "action": action, "why": "so", "expect": "better"} for n, action in enumerate(actions, 1)]
    cause = {"slug": "oom-killed", "subject": target(sidecar)}
    incident = f"inc-{next(COUNT)}"
    return {"incident": incident, "attempt": 1, "cluster": "lab", "cause": cause, "hypothesis": "too small", "steps": steps}


def scale(sidecar: Sidecar, replicas: int) -> dict:
    return {"kind": "scale_workload", "target": target(sidecar), "replicas": replicas}


def image(sidecar: Sidecar, tag: str) -> dict:
    path = "/spec/template/spec/containers/0/image"
    before = sidecar.lab.get("Deployment", "shop", "web")["spec"]["template"]["spec"]["containers"][0]["image"]
    change = {"path": path, "before": before, "after": f"registry.k8s.io/web:{tag}"}
    return {"kind": "change_fields", "target": target(sidecar), "changes": [change]}


def now(sidecar: Sidecar, name="web", namespace="shop") -> dict:
    return sidecar.lab.get("Deployment", namespace, name)


def leases_in(sidecar: Sidecar) -> dict:
    return sidecar.lab.request("GET", "/apis/lestrade.dev/v1/leasedwrites/lestrade")["spec"]["leases"]


def answered(sidecar: Sidecar, *actions: dict) -> dict:
    """A plan of these actions, answered by as many people as the verdict asks for."""
    status = sidecar.submit(plan(sidecar, *actions))
    for name in ("ada", "bob"):
        status = good(sidecar.approve(status, name)) if status["state"] == "waiting" else status
    assert status["state"] == "approved", status
    return status


def leased(sidecar: Sidecar, *actions: dict) -> dict:
    status = answered(sidecar, *actions)
    return good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))


@pytest.fixture
def ended(request):
    """Leases that a test leaves open are settled after it."""
    taken: list[tuple[Sidecar, dict]] = []
    yield lambda sidecar, lease: taken.append((sidecar, lease)) or lease
    for sidecar, lease in taken:
        sidecar.settle(lease, "unknown")


REFUSED = (401, 403, 405, 422)


def test_B4_a_stolen_token_changes_nothing_of_the_approved_object_but_what_was_approved(bound, ended):
    lease = ended(bound, leased(bound, scale(fresh(bound), 4), image(bound, "2")))
    thief, before = Thief(bound, lease), now(bound)
    container = before["spec"]["template"]["spec"]["containers"][0]
    approved = {"spec": {"template": {"spec": {"containers": [{**container, "image": "registry.k8s.io/web:2"}]}}}}
    bait = {"name": "K", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    swapped = {**container, "image": "evil.example/web:2"}
    leaking = {**container, "image": "registry.k8s.io/web:2", "env": [bait]}
    second = [{**container, "image": "registry.k8s.io/web:2"}, {"name": "miner", "image": "evil.example/miner"}]

    def containers(*wanted: dict) -> dict:
        return {"spec": {"template": {"spec": {"containers": list(wanted)}}}}

    attempts = {
        "another number": thief.patch(f"{WEB}/scale", {"spec": {"replicas": 60}}),
        "none at all": thief.patch(f"{WEB}/scale", {"spec": {"replicas": 0}}),
        "the number where it was not approved": thief.patch(WEB, {"spec": {"replicas": 60}}),
        "the approved number on the other resource": thief.patch(WEB, {"spec": {"replicas": 4}}),
        "another image": thief.patch(WEB, containers(swapped)),
        "a secret beside it": thief.patch(WEB, containers(leaking)),
        "another container": thief.patch(WEB, containers(*second)),
        "a label alone": thief.patch(WEB, {"metadata": {"labels": {"team": "thieves"}}}),
        "a label beside it": thief.patch(WEB, approved | {"metadata": {"labels": {"team": "thieves"}}}),
        "an annotation alone": thief.patch(WEB, {"metadata": {"annotations": {"a": "b"}}}),
        "a finalizer": thief.patch(WEB, {"metadata": {"finalizers": ["thieves.example/hold"]}}),
        "an owner": thief.patch(WEB, {"metadata": {"ownerReferences": [owner(bound)]}}),
        "a field that nobody spoke of": thief.patch(WEB, {"spec": {"paused": True}}),
        "another field beside it": thief.patch(WEB, approved | {"spec": {**approved["spec"], "revisionHistoryLimit": 1}}),
        "a JSON patch": thief.patch(
            WEB, [{"op": "add", "path": "/spec/minReadySeconds", "value": 9}], "application/json-patch+json"
        ),
        "a strategic patch": thief.patch(
            WEB, containers({"name": container["name"], "$patch": "delete"}), "application/strategic-merge-patch+json"
        ),
        "an apply": thief.patch(
            f"{WEB}?fieldManager=x&force=true",
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 60}},
            "application/apply-patch+yaml",
        ),
        "a dry run of it": thief.patch(f"{WEB}?dryRun=All", approved),
        "its status": thief.patch(f"{WEB}/status", {"status": {"replicas": 0}}),
        "another name": thief.patch(WEB.replace("web", "api"), approved),
        "another namespace": thief.patch(WEB.replace("shop", "other"), approved),
        "the scale of another": thief.patch(f"{WEB.replace('shop', 'other')}/scale", {"spec": {"replicas": 4}}),
        "its deletion": thief.http.delete(WEB),
        "the deletion of all": thief.http.delete(WEB.removesuffix("/web")),
        "what is published": thief.patch("/apis/lestrade.dev/v1/leasedwrites/lestrade", {"spec": {"leases": None}}),
    }

    assert {name: answer.status_code for name, answer in attempts.items() if answer.status_code not in REFUSED} == {}
    by_policy = [name for name, answer in attempts.items() if "lestrade-plan-bound" in answer.text]
    assert {"another number", "another image", "a label alone", "a finalizer", "a dry run of it"} <= set(by_policy)
    after = now(bound)
    assert (after["spec"], labels(after)) == (before["spec"], labels(before))
    assert thief.wrote() == []

    # Honestly: what was approved can be done by whoever has the token, and so can its inverse; nothing else can.
    assert thief.patch(WEB, approved).status_code == 200
    assert thief.patch(f"{WEB}/scale", {"spec": {"replicas": 4}}).status_code == 200
    assert thief.patch(f"{WEB}/scale", {"spec": {"replicas": 5}}).status_code == 403
    assert thief.patch(WEB, containers(container)).status_code == 200
    assert now(bound)["spec"]["template"] == before["spec"]["template"]


def owner(sidecar: Sidecar) -> dict:
    found = now(sidecar, "api")
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": found["metadata"]["uid"]}


def labels(found: dict) -> tuple:
    meta = found["metadata"]
    kept = {name: value for name, value in meta.get("annotations", {}).items() if "kubernetes.io" not in name}
    return meta.get("labels"), kept, meta.get("finalizers"), meta.get("ownerReferences")


def test_B4_the_approved_step_itself_goes_through_the_sidecar_with_admission_on(bound, ended):
    """What the thief is refused, the sidecar is not: the step, and the way back."""
    lease = ended(bound, leased(bound, scale(fresh(bound), 4), image(bound, "3")))
    before = now(bound)["spec"]["template"]["spec"]["containers"][0]["image"]

    assert [bound.perform(lease, step)["status"] for step in ("step-1", "step-2")] == ["performed", "performed"]
    assert (now(bound)["spec"]["replicas"], leases_in(bound).keys()) == (4, {lease["identity"]})
    assert bound.undo(lease)["complete"] is True

    after = now(bound)["spec"]
    assert (after["replicas"], after["template"]["spec"]["containers"][0]["image"]) == (2, before)


def test_B4_without_plan_bound_admission_rbac_holds_names_and_not_contents(unbound, ended):
    """Said honestly: by default, a token that is stolen from the sidecar can write anything into the approved object."""
    lease = ended(unbound, leased(unbound, image(fresh(unbound), "2")))
    thief, before = Thief(unbound, lease), now(unbound)
    evil = [{**before["spec"]["template"]["spec"]["containers"][0], "image": "evil.example/web:2"}]
    swap = {"spec": {"template": {"spec": {"containers": evil}}}}

    held = {
        "another name": thief.patch(WEB.replace("web", "api"), swap),
        "another namespace": thief.patch(WEB.replace("shop", "other"), swap),
        "the scale": thief.patch(f"{WEB}/scale", {"spec": {"replicas": 60}}),
        "the status": thief.patch(f"{WEB}/status", {"status": {"replicas": 0}}),
        "its deletion": thief.http.delete(WEB),
        "another kind": thief.patch("/api/v1/namespaces/shop/configmaps/settings", {"data": {"mode": "x"}}),
    }
    assert {name: answer.status_code for name, answer in held.items() if answer.status_code != 403} == {}
    assert thief.wrote() == []
    assert thief.patch(f"{WEB}?dryRun=All", swap).status_code == 200  # not held: this is what plan-bound admission is for


@pytest.mark.parametrize("world", ["bound", "unbound"])
def test_E7_a_token_that_was_copied_out_is_worth_nothing_when_the_lease_is_over(world, request):
    sidecar = request.getfixturevalue(world)
    lease = leased(sidecar, image(fresh(sidecar), "7"))
    thief = Thief(sidecar, lease)
    approved = [{**now(sidecar)["spec"]["template"]["spec"]["containers"][0], "image": "registry.k8s.io/web:7"}]
    write = {"spec": {"template": {"spec": {"containers": approved}}}}
    assert thief.http.get(WEB).status_code == 200  # it is a token that works

    settlement = sidecar.settle(lease, "not-performed")
    answers = [thief.patch(WEB, write), thief.patch(f"{WEB}?dryRun=All", write), thief.http.get(WEB), thief.http.delete(WEB)]

    assert settlement["state"] == "settled"
    assert {answer.status_code for answer in answers} <= {401, 403}
    assert thief.wrote() == []
    if world == "bound":
        assert leases_in(sidecar) == {}


def test_E7_a_token_used_from_elsewhere_while_the_lease_lives_is_held_to_the_plan(bound, ended):
    lease = ended(bound, leased(bound, scale(fresh(bound), 3)))
    thief = Thief(bound, lease)

    assert thief.patch(f"{WEB}/scale", {"spec": {"replicas": 30}}).status_code == 403
    assert thief.http.post("/api/v1/namespaces/shop/pods", json={"metadata": {"name": "p"}, "spec": {}}).status_code == 403
    assert thief.http.get("/api/v1/namespaces/shop/secrets").status_code == 403
    assert thief.wrote() == []


def test_E7_no_answer_of_the_sidecar_holds_a_token(bound, ended):
    lease = ended(bound, leased(bound, scale(fresh(bound), 3)))
    bound.perform(lease)
    shown = json.dumps([lease, bound.undo(lease), good(bound.person("ada").get("/v1/audit"))])

    token = Thief(bound, lease).http.headers["authorization"].removeprefix("Bearer ")
    assert token.startswith("eyJ")  # every token does
    assert "eyJ" not in shown + "".join(bound.lines)


def test_E10_the_agent_has_nothing_that_the_api_server_takes(bound):
    """The credential that an agent does have opens the sidecar's socket only; and without one there is nothing."""
    trusted = ssl.create_default_context(cafile=str(bound.lab.ca_file))
    before = len([r for r in bound.lab.requests if r.is_write])
    for headers in ({}, {"Authorization": f"Bearer {AGENT_TOKEN}"}):
        with httpx.Client(base_url=bound.lab.url, verify=trusted, headers=headers) as agent:
            answers = [
                agent.get(WEB),
                agent.get("/api/v1/namespaces/shop/secrets"),
                agent.patch(f"{WEB}/scale", json={"spec": {"replicas": 60}}, headers={"content-type": MERGE}),
                agent.delete(WEB),
                agent.post(f"/api/v1/namespaces/{LEASES}/serviceaccounts/default/token", json={"spec": {}}),
            ]
        assert {answer.status_code for answer in answers} <= {401, 403}
    assert len([r for r in bound.lab.requests if r.is_write]) == before


def test_E10_what_leases_may_write_is_not_read_through_the_gateway(bound):
    answers = [
        bound.agent.get(f"/v1/read/lab/apis/lestrade.dev/v1/leasedwrites{tail}") for tail in ("", "/lestrade", "?watch=true")
    ]

    assert {answer.status_code for answer in answers} == {403}


def test_E10_no_account_and_no_pod_of_ours_mounts_a_token_unasked():
    """So far no manifest of ours makes a pod; the first one that does has to say that no token is mounted."""
    for path in sorted((ROOT / "deploy").rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if not document:
                continue
            template = (document.get("spec") or {}).get("template") or {}
            if "containers" in (template.get("spec") or {}):
                assert template["spec"].get("automountServiceAccountToken") is False, path


def test_E10_a_leases_account_is_mounted_into_nothing(bound, ended):
    lease = ended(bound, leased(bound, scale(fresh(bound), 3)))

    account = bound.lab.get("ServiceAccount", LEASES, f"lestrade-{lease['id']}")

    assert account["automountServiceAccountToken"] is False


def test_E2_with_its_own_rights_policy_the_sidecars_token_makes_and_deletes_leases_and_nothing_else(bound, ended):
    bound.lab.apply(list(yaml.safe_load_all((ROOT / "deploy" / "rbac" / "own-rights.yaml").read_text())))
    api, lease_of = "/apis/rbac.authorization.k8s.io/v1", {"lestrade.dev/lease": "lease-x"}
    mine = {"name": "lestrade-lease-x", "namespace": "shop", "labels": lease_of}
    held = ended(bound, leased(bound, scale(fresh(bound), 3)))  # minting works under it
    for name in ("theirs", "lestrade-lease-x"):
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": "shop"}}
        bound.lab.apply([{**role, "rules": []}])
    thief = Thief(bound, held)
    thief.identity = IDENTITY
    thief.http.headers["Authorization"] = f"Bearer {bound.lab.server.mint(IDENTITY)}"
    tried = f"{api}/clusterrolebindings/lestrade-ceiling?dryRun=All"
    # A real API server begins to enforce a new policy up to a second after it has taken it.
    wait_for(lambda: thief.http.delete(tried).status_code == 403, seconds=30, what="the policy is enforced")

    def binding(**changed) -> dict:
        account = {"kind": "ServiceAccount", "name": "lestrade-lease-x", "namespace": LEASES}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lestrade-lease-x"}
        document = {"metadata": mine, "roleRef": role, "subjects": [account]} | changed
        return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", **document}

    bindings = f"{api}/namespaces/shop/rolebindings"
    one = binding()["subjects"][0]
    attempts = {
        "somebody's role deleted": thief.http.delete(f"{api}/namespaces/shop/roles/theirs"),
        "its own binding deleted": thief.http.delete(f"{api}/clusterrolebindings/lestrade-ceiling"),
        "a binding without a lease": thief.http.post(bindings, json=binding(metadata={"name": "free", "namespace": "shop"})),
        "a person bound": thief.http.post(bindings, json=binding(subjects=[one, {"kind": "User", "name": "eve"}])),
        "another account bound": thief.http.post(bindings, json=binding(subjects=[one | {"namespace": "shop"}])),
        "another role bound": thief.http.post(bindings, json=binding(roleRef=binding()["roleRef"] | {"name": "theirs"})),
        "an account of no lease": thief.http.post(
            f"/api/v1/namespaces/{LEASES}/serviceaccounts", json={"metadata": {"name": "spare", "namespace": LEASES}}
        ),
    }

    assert {name: answer.status_code for name, answer in attempts.items()} == dict.fromkeys(attempts, 403)
    assert [name for name, answer in attempts.items() if "lestrade-own-rights" not in answer.text] == []
    end = bound.settle(held, "unknown")  # and so does taking away
    assert end["state"] == "settled", end


def test_E7_no_lease_is_minted_while_plan_bound_admission_is_not_in_place(bound):
    binding = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/lestrade-plan-bound"
    kept = bound.lab.request("GET", binding)
    status = answered(bound, scale(fresh(bound), 3))
    bound.lab.request("DELETE", binding)
    before = len(bound.lab.writes())

    refused = bound.agent.post(f"/v1/plans/{status['plan']}/lease")
    bound.lab.apply([{k: kept[k] for k in ("apiVersion", "kind", "spec")} | {"metadata": {"name": kept["metadata"]["name"]}}])

    assert refused.status_code == 409
    assert refused.json()["code"] in ("admission-not-in-place", "not-enforced")  # seen by the look, or by the lease's own token
    assert bound.leftovers() == []
    assert [r for r in bound.lab.writes()[before:] if r.resource in ("deployments", "deployments/scale")] == []
    kinds = [
        record["kind"] for record in good(bound.person("ada").get("/v1/audit"))["records"] if record["plan"] == status["plan"]
    ]
    assert kinds[-1] != "lease-granted", kinds
