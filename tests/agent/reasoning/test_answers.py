"""Answers without a model: what changed, who may, what would suffer; asking back; what is not there, or is elsewhere."""

import pytest

from agent.ports import Gap
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import (
    ago,
    app,
    asked,
    container,
    deployment,
    ended,
    node,
    obj,
    observed,
    pod,
    replica_set,
    service,
    waiting,
)

REASONER = OfflineReasoner()


def answer(question, *objects, gaps=()):
    return REASONER.diagnose(asked(question), observed(*objects, gaps=gaps))


def moved(objects, namespace):
    for one in objects:
        one["metadata"]["namespace"] = namespace
    return objects


def spaces(*names):
    return [obj("Namespace", name, namespace="") for name in names]


def chain():
    """An Ingress before web, which calls orders, which mounts settings and calls db; node-2 holds one of two pods of orders."""
    web = app("web", replicas=1, containers=[container(env=[{"name": "ORDERS_URL", "value": "http://orders"}])])
    settings = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]
    orders = app("orders", containers=[container(env=[{"name": "DB_HOST", "value": "db"}, *settings])])
    next(one for one in orders if one["kind"] == "Pod")["spec"]["nodeName"] = "node-2"
    path = {"path": "/", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
    entry = obj(
        "Ingress", "shop", api="networking.k8s.io/v1", spec={"rules": [{"host": "shop.example", "http": {"paths": [path]}}]}
    )
    return [*web, *orders, *app("db", replicas=1), entry, obj("ConfigMap", "settings", data={"a": "1"}), node(), node("node-2")]


def effects(diagnosis):
    assert diagnosis.outcome == "answered", diagnosis.statement
    return {row[0]: row[1] for row in diagnosis.answer.rows}


def test_what_would_be_affected_follows_calls_and_routes():
    found = effects(answer("what would be affected if db goes down?", *chain()))

    assert found["Deployment shop/orders"] == "gets errors"
    assert found["Deployment shop/web"] == "gets errors"
    assert found["Ingress shop/shop"] == "gets errors"


def test_a_node_takes_along_what_has_no_pod_elsewhere():
    full, spare = (effects(answer(f"what happens if I drain {name}?", *chain())) for name in ("node-1", "node-2"))

    assert full["Deployment shop/web"] == full["Service shop/web"] == "stops"
    assert full["Deployment shop/orders"] == "gets errors"  # it keeps a pod, and loses its database
    assert spare == {"Deployment shop/orders": "weakened"}


def test_configuration_is_missed_at_the_next_start():
    found = answer("who uses configmap settings?", *chain())

    assert effects(found) == {"Deployment shop/orders": "at the next start"}
    assert "env A" in found.answer.rows[0][2]


def test_a_namespace_takes_along_what_is_in_it_and_who_calls_it():
    caller = moved(app("till", replicas=1, containers=[container(env=[{"name": "URL", "value": "http://web.shop"}])]), "blog")
    found = effects(answer("what happens if I delete namespace shop?", *app("web"), *caller, *spaces("shop", "blog")))

    assert found["Deployment shop/web"] == found["Service shop/web"] == "stops"
    assert found["Deployment blog/till"] == "gets errors"


def test_a_configmap_of_every_namespace_is_asked_back():
    here, there = obj("ConfigMap", "settings", data={}), obj("ConfigMap", "settings", namespace="blog", data={})

    assert answer("who uses configmap settings?", here, there, *spaces("shop", "blog")).outcome == "unclear"


def test_nothing_needs_it():
    found = answer("what depends on web?", *app("web"))

    assert found.outcome == "answered"
    assert "Nothing that can be seen needs" in found.statement


def test_a_single_replica_is_minded_before_a_restart():
    assert "a restart is an outage" in answer("is it safe to restart db?", *chain()).statement


def test_what_changed_is_a_dated_list_newest_first():
    objects = app("web")
    for one, minutes, manager in ((objects[0], 30, "helm"), (objects[-1], 5, "kubectl-edit")):
        one["metadata"]["managedFields"] = [
            {"manager": manager, "time": ago(minutes), "fieldsV1": {"f:spec": {"f:selector": {}}}}
        ]

    found = answer("what changed in the last hour?", *objects)

    assert [(row[1], row[3]) for row in found.answer.rows] == [
        ("Service shop/web", "kubectl-edit"),
        ("Deployment shop/web", "helm"),
    ]
    assert found.answer.rows[0][0] == "2026-05-04 11:55:00"


def test_a_time_in_the_question_bounds_the_list():
    objects = app("web")
    objects[0]["metadata"]["managedFields"] = [{"manager": "helm", "time": ago(30), "fieldsV1": {"f:spec": {"f:replicas": {}}}}]

    found = answer("what changed since 10 minutes?", *objects)

    assert found.answer.rows == ()
    assert "Nothing changed" in found.statement


def test_after_the_deploy_begins_with_the_last_revision():
    owner = deployment("web")
    old, new = replica_set(owner, 1, minutes=300), replica_set(owner, 2, minutes=40)
    edited = service("web")
    edited["metadata"]["managedFields"] = [{"manager": "kubectl", "time": ago(20), "fieldsV1": {"f:spec": {"f:ports": {}}}}]
    early = obj("ConfigMap", "web-settings", data={"a": "1"}, minutes=500)
    early["metadata"]["managedFields"] = [{"manager": "kubectl", "time": ago(200), "fieldsV1": {"f:data": {}}}]

    found = answer("what changed in namespace shop after the deploy?", owner, old, new, edited, early)

    whats = [row[1] for row in found.answer.rows]
    assert "Service shop/web" in whats
    assert "ConfigMap shop/web-settings" not in whats


RIGHTS = [
    obj(
        "Role",
        "janitor",
        api="rbac.authorization.k8s.io/v1",
        rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"]}],
    ),
    obj(
        "RoleBinding",
        "janitors",
        api="rbac.authorization.k8s.io/v1",
        roleRef={"kind": "Role", "name": "janitor"},
        subjects=[{"kind": "User", "name": "ada"}, {"kind": "ServiceAccount", "name": "sweeper", "namespace": "shop"}],
    ),
    obj("ServiceAccount", "sweeper"),
]


def test_who_can_delete_pods():
    found = answer("who can delete pods in namespace shop?", *RIGHTS)

    assert {row[0] for row in found.answer.rows} == {"User ada", "ServiceAccount shop/sweeper"}
    assert all("RoleBinding shop/janitors" in row[2] for row in found.answer.rows)
    assert "2 subjects can delete pods" in found.statement


def test_nobody_can():
    assert "Nobody can delete secrets" in answer("who can delete secrets in namespace shop?", *RIGHTS).statement


def test_what_an_account_can_do_and_whether_it_may():
    held = answer("what can the serviceaccount sweeper do in namespace shop?", *RIGHTS)
    may = answer("can serviceaccount sweeper delete pods in namespace shop?", *RIGHTS)
    may_not = answer("can user ada delete secrets in namespace shop?", *RIGHTS)

    assert "get, delete pods" in held.answer.rows[0][1]
    assert "may delete pods" in may.statement
    assert "may not delete secrets" in may_not.statement


def test_rights_that_could_not_be_read_are_no_rights_denied():
    found = answer("who can delete pods in namespace shop?", *app("web"))

    assert "cannot be said" in found.statement


def test_a_name_in_two_namespaces_is_asked_back_with_the_state_of_each():
    objects = [*app("web"), *moved(app("web", replicas=1), "blog"), *spaces("shop", "blog")]

    found = answer("can I restart web?", *objects)

    assert found.outcome == "unclear"
    assert [row[0] for row in found.answer.rows] == ["Deployment blog/web", "Deployment shop/web"]
    assert "2 of 2 pods ready" in found.statement
    assert found.answer.choices == ("can I restart web in namespace blog?", "can I restart web in namespace shop?")


def test_nobody_is_asked_back_where_all_that_may_be_meant_are_well():
    objects = [*app("web"), *moved(app("web", replicas=1), "blog"), *spaces("shop", "blog")]

    found = answer("is web healthy?", *objects)

    assert found.outcome == "healthy"
    assert "Deployment blog/web" in found.statement
    assert "Deployment shop/web" in found.statement


def test_of_two_of_one_name_the_one_that_has_something_wrong_is_meant():
    ill = app("cart")
    ill[4]["spec"]["selector"] = {"app": "crat"}
    objects = [*ill, *moved(app("cart", replicas=1), "blog"), *spaces("shop", "blog")]

    found = answer("why is cart down?", *objects)

    assert found.outcome == "fault"
    assert found.statement.startswith("Service shop/cart is meant") or found.statement.startswith("Deployment shop/cart is meant")
    assert found.causes[0].finding.cause == "service-selector-mismatch"


def test_a_choice_asked_again_is_answered():
    objects = [*app("web"), *moved(app("web", replicas=1), "blog"), *spaces("shop", "blog")]
    first = answer("what happens if I restart web?", *objects)

    again = answer(first.answer.choices[1], *objects)

    assert again.outcome == "answered"
    assert "Deployment shop/web" in again.statement


def test_where_nothing_is_wrong_with_it_how_it_stands_is_said():
    resting = deployment("demo", replicas=0)
    claim = obj("PersistentVolumeClaim", "later", spec={"storageClassName": "fast"}, status={"phase": "Pending"})
    kind = obj("StorageClass", "fast", api="storage.k8s.io/v1", namespace="", volumeBindingMode="WaitForFirstConsumer")
    outside = obj("Service", "erp", spec={"type": "ExternalName", "externalName": "erp.example.com"})
    objects = [resting, claim, kind, outside, *app("web"), *spaces("shop")]

    assert "scaled to 0 replicas" in answer("why is demo down?", *objects).statement
    assert "WaitForFirstConsumer" in answer("why is pvc later pending?", *objects).statement
    assert "erp.example.com" in answer("erp is not reachable", *objects).statement


def test_what_is_well_is_said_to_be_well_though_others_that_need_it_are_not():
    ill = app("web", containers=[container(env=[{"name": "DB_HOST", "value": "store"}])])
    ill[2]["status"]["containerStatuses"] = [waiting("CreateContainerConfigError", 'secret "pw" not found')]
    ill[0]["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "pw"}}]
    objects = [*ill, *app("store"), *spaces("shop")]

    assert answer("is store ok?", *objects).outcome == "healthy"
    assert answer("store down?", *objects).statement.startswith("Nothing is wrong with Deployment shop/store")


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("are the nodes ok?", "Node node-1"),
        ("nodes not ready?", "Node node-1"),
        ("foo is down", "Nothing is called foo"),
        ("why is carts-service failing", "Deployment shop/cart"),
        ("pod web-7d4b9c6f5d-x2k9p crashing", "Deployment shop/web"),
    ],
)
def test_kinds_slips_and_pods_of_old_revisions_are_understood(question, says):
    assert says in answer(question, *app("web"), *app("cart"), *spaces("shop")).statement


def test_another_name_tells_which_is_meant():
    objects = [*app("web"), *app("cart"), *moved(app("web"), "blog"), *spaces("shop", "blog")]

    assert answer("why can web not reach cart?", *objects).outcome == "healthy"


@pytest.mark.parametrize(
    "question", ["why is inventory-sync failing?", "what happens if deploy/inventory dies?", "is billing healthy?"]
)
def test_what_does_not_exist_is_said(question):
    found = answer(question, *app("web"), *spaces("shop"))

    assert found.outcome == "absent"
    assert found.statement.startswith("There is no ")
    assert found.causes == ()


def test_what_does_not_exist_may_be_a_slip_too_far():
    found = answer("why is payment-gateway down?", *app("payments-gate"), *spaces("shop"))

    assert found.outcome == "absent"
    assert found.answer.choices == ("Deployment shop/payments-gate",)


def test_a_fault_of_something_else_is_not_blamed_for_what_does_not_exist():
    owner = deployment("web", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    broken = [owner, set_, pod(set_, ready=False, statuses=[ended(137, "OOMKilled")])]

    found = answer("why does inventory-sync restart?", *broken, *spaces("shop"))

    assert found.outcome == "absent"
    assert found.causes == ()
    assert "whatever was meant" in found.statement


def test_what_lives_in_another_namespace_is_said_and_answered_there():
    here, there = app("web"), moved(app("orders", replicas=1), "blog")
    there[0]["status"]["readyReplicas"] = 0
    account = obj("ServiceAccount", "default", namespace="blog")

    narrow = answer("why is orders failing in namespace shop?", *here, *spaces("shop", "blog"))
    whole = answer("why is orders failing in namespace shop?", *here, *there, account, *spaces("shop", "blog"))

    assert narrow.wants == ("ns:blog",)  # the run reads on before it says that there is none
    assert "orders is not in namespace shop; it is in another namespace: Deployment blog/orders" in whole.statement


def test_a_namespace_that_does_not_exist_is_said():
    found = answer("what is wrong in namespace shoppe-front?", *app("web"), *spaces("shop"))

    assert found.outcome == "absent"
    assert "no namespace shoppe-front" in found.statement


def test_a_slip_in_a_namespace_is_taken_for_it_and_said():
    found = answer("what is wrong in namespace payemnts?", *moved(app("web"), "payments"), *spaces("payments"))

    assert found.outcome == "healthy"
    assert "namespace payemnts is taken for Namespace payments" in found.statement


def test_what_may_not_be_read_is_not_said_to_be_absent():
    gap = Gap(what="Deployment objects", why="no rights")

    found = answer("why is inventory-sync failing?", obj("ConfigMap", "x"), gaps=[gap])

    assert found.outcome == "unknown"
    assert "no rights" in found.statement


def test_a_missing_object_that_something_refers_to_can_be_asked_about():
    needs = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db-login", "key": "a"}}}]
    owner = deployment("web", replicas=1, ready=0, containers=[container(env=needs)])
    set_ = replica_set(owner, ready=0)
    waiting = {"name": "app", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "CreateContainerConfigError"}}}

    found = answer(
        "what is wrong with secret db-login?", owner, set_, pod(set_, ready=False, phase="Pending", statuses=[waiting])
    )

    assert [one.finding.cause for one in found.causes] == ["secret-missing"]


def test_a_container_or_label_is_a_name_too():
    objects = app("web", containers=[container("envoy-sidecar")])

    assert answer("is envoy-sidecar healthy?", *objects).outcome == "healthy"


@pytest.mark.parametrize("said", ["gateway-payment", "payment-gateway-service", "payment_gateway", "deploy/payment-gatewya"])
def test_another_order_or_what_only_says_the_kind_is_the_same_name(said):
    found = answer(f"is {said} healthy?", *app("payment-gateway"), *app("other"))

    assert found.outcome == "healthy"
    assert "Deployment shop/payment-gateway: 2 of 2 pods ready" in found.statement


def test_the_order_of_objects_does_not_matter_to_any_answer():
    objects = [*chain(), *RIGHTS]
    for question in ("what would be affected if db goes down?", "who can delete pods in namespace shop?", "what changed?"):
        assert answer(question, *objects) == answer(question, *reversed(objects))


def test_a_gone_pod_leads_to_its_workload():
    found = answer("why did web-00001abcde-zzzzz restart?", *app("web"))

    assert found.outcome == "healthy"
    assert "Deployment shop/web: 2 of 2 pods ready" in found.statement
