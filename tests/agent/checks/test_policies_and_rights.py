"""Refused connections and refused rights: what is blamed, in which words, and when nothing is said."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import active, app, asked, container, event, lines, log, obj, observed, topology
from tests.agent.checks.cases_network import NO_NAME, RBAC, TIMEOUT, calling, policy


def found(cause, objects, logs=()):
    return [one for one in run(topology(*objects, logs=logs)) if one.cause == cause]


def the_one(cause, objects, logs=()):
    (finding,) = found(cause, objects, logs)
    return finding


CALLER = {"podSelector": {"matchLabels": {"app": "web"}}}


@pytest.mark.parametrize(
    ("blocking", "direction", "words", "suggestion"),
    [
        (policy("shut"), "ingress", "allows no ingress at all", ""),
        (policy("shut", policyTypes=["Egress"]), "egress", "allows no egress at all", ""),
        (
            policy("service-port", ingress=[{"from": [CALLER], "ports": [{"port": 80}]}]),
            "ingress",
            "on port 80/TCP only",
            "add port 8080/TCP",
        ),
        (
            policy("slip", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "web-v1"}}}]}]),
            "ingress",
            "pods with app=web-v1",
            "the pods of Deployment shop/web have app=web",
        ),
        (
            policy("out", policyTypes=["Egress"], egress=[{"to": [{"podSelector": {"matchLabels": {"app": "apis"}}}]}]),
            "egress",
            "connections to pods with app=apis",
            "the pods of Deployment shop/api have app=api",
        ),
    ],
)
def test_the_policy_is_named_with_what_it_lacks(blocking, direction, words, suggestion):
    objects, logs = calling(TIMEOUT, blocking)
    finding = the_one("networkpolicy-blocks", objects, logs)

    assert finding.subject.name == blocking["metadata"]["name"]
    assert finding.params["direction"] == direction
    assert words in finding.statement
    assert "Deployment shop/web cannot connect to Deployment shop/api on port 8080/TCP (timeout)" in finding.statement
    assert suggestion in str(finding.params.get("suggestion", ""))
    assert finding.quotes[0].text.endswith(TIMEOUT)


def test_a_caller_in_another_namespace_needs_a_namespace_selector():
    far = app("web", containers=[container(env=[{"name": "API_URL", "value": "http://api.shop"}])])
    for one in far:
        one["metadata"]["namespace"] = "front"
    objects, logs = calling(TIMEOUT.replace("//api", "//api.shop"), policy("in", ingress=[{"from": [CALLER]}]), caller=far)
    spaces = [obj("Namespace", name, namespace="") for name in ("front", "shop")]

    finding = the_one("networkpolicy-blocks", [*objects, *spaces], logs)

    assert "add a namespaceSelector for front" in finding.params["suggestion"]


def test_two_callers_are_one_cause():
    objects, logs = calling(TIMEOUT, policy("shut", select={"app": "api"}))
    more = app("job")
    finding = the_one("networkpolicy-blocks", [*objects, *more], [*logs, log(more[2], lines(*[TIMEOUT] * 4))])

    assert {one.name for one in finding.affects} == {"web", "job", "api"}


def test_the_address_of_a_service_is_as_good_as_its_name():
    objects, logs = calling("ERROR dial tcp 10.0.0.44:80: connect: connection timed out", policy("shut", select={"app": "api"}))
    next(one for one in objects if one["kind"] == "Service" and one["metadata"]["name"] == "api")["spec"]["clusterIP"] = (
        "10.0.0.44"
    )

    assert the_one("networkpolicy-blocks", objects, logs).subject.name == "shut"


def test_egress_to_the_api_server_and_to_the_outside():
    out = policy("out", policyTypes=["Egress"], egress=[{"to": [CALLER]}])
    said = 'ERROR Get "https://kubernetes.default.svc:443/api": dial tcp: i/o timeout'
    objects, logs = calling(said, out)
    assert "Service default/kubernetes" in the_one("networkpolicy-blocks", objects, logs).statement

    objects, logs = calling("ERROR dial tcp 203.0.113.5:443: i/o timeout", out)
    assert "203.0.113.5 on port 443/TCP" in the_one("networkpolicy-blocks", objects, logs).statement


OPEN = [{"from": [CALLER], "ports": [{"port": "http"}]}]


@pytest.mark.parametrize(
    ("said", "more"),
    [
        (TIMEOUT, []),
        (TIMEOUT, [policy("in", ingress=OPEN)]),
        (TIMEOUT, [policy("other", select={"app": "other"})]),
        (TIMEOUT, [policy("shut", namespace="elsewhere")]),
        ("INFO all is well", [policy("shut")]),
        ("ERROR Get http://api/items: 500 internal server error", [policy("shut")]),
        (TIMEOUT.replace("//api", "//gone"), [policy("shut", policyTypes=["Ingress"])]),
    ],
)
def test_no_policy_is_blamed_without_a_failed_call_that_it_refuses(said, more):
    objects, logs = calling(said, *more)
    assert found("networkpolicy-blocks", objects, logs) == []


def test_a_target_that_is_down_itself_is_not_the_policys_doing():
    objects, logs = calling(TIMEOUT, policy("shut"))
    for one in objects:
        if one["kind"] == "Pod" and one["metadata"]["name"].startswith("api"):
            one["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    assert found("networkpolicy-blocks", objects, logs) == []


def test_a_port_that_nobody_listens_on_is_not_the_policys_doing():
    objects, logs = calling(TIMEOUT.replace("i/o timeout", "connection refused"), policy("in", ingress=OPEN))
    next(one for one in objects if one["kind"] == "Service" and one["metadata"]["name"] == "api")["spec"]["ports"][0][
        "targetPort"
    ] = 9
    assert found("networkpolicy-blocks", objects, logs) == []
    assert found("service-port-mismatch", objects, logs)


def test_a_host_outside_that_policy_shuts_off_is_not_told_as_failing_itself():
    out = policy("out", policyTypes=["Egress"], egress=[{"to": [CALLER]}])
    objects, logs = calling("ERROR dial tcp 203.0.113.5:443: i/o timeout", out)
    diagnosis = OfflineReasoner().diagnose(asked("What is wrong in namespace shop?"), observed(*objects, logs=logs))
    assert [one.finding.cause for one in diagnosis.causes] == ["networkpolicy-blocks"]


def test_default_deny_with_what_is_needed_is_healthy():
    dns = {"ports": [{"port": 53, "protocol": "UDP"}]}
    rules = policy(
        "all", policyTypes=["Ingress", "Egress"], ingress=[{"from": [CALLER]}], egress=[dns, {"to": [{"podSelector": {}}]}]
    )
    assert active(run(topology(*app("web"), *app("api"), rules))) == []


def test_names_that_do_not_exist_are_not_the_policys_doing_when_dns_is_open():
    egress = [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]}]
    objects, logs = calling(NO_NAME, policy("out", policyTypes=["Egress"], egress=egress))
    assert found("networkpolicy-blocks-dns", objects, logs) == []


def test_the_rule_for_dns_is_suggested_beside_the_rules_that_are_there():
    egress = [{"to": [{"podSelector": {}}]}]
    objects, logs = calling(NO_NAME, policy("out", policyTypes=["Egress"], egress=egress))
    finding = the_one("networkpolicy-blocks-dns", objects, logs)

    assert finding.params["suggested_egress"][0] == egress[0]
    assert {one["protocol"] for one in finding.params["suggested_egress"][1]["ports"]} == {"UDP", "TCP"}


def test_the_blocked_call_explains_what_suffers_from_it():
    objects, logs = calling(TIMEOUT, policy("shut", select={"app": "api"}))
    diagnosis = OfflineReasoner().diagnose(asked("why do requests of web fail?"), observed(*objects, logs=logs))

    assert [one.finding.cause for one in diagnosis.causes] == ["networkpolicy-blocks"]
    assert "calls-failing@Deployment/shop/web" in diagnosis.causes[0].explains


# Rights.


def refused(*more, account="web", verb="list", resource="secrets", group="", where=' in the namespace "shop"', name=""):
    objects = app("web", pod={"serviceAccountName": account})
    user = f"system:serviceaccount:shop:{account}"
    what = f"{resource}{f' {chr(34)}{name}{chr(34)}' if name else ''}"
    said = f'ERROR {what} is forbidden: User "{user}" cannot {verb} resource "{resource}" in API group "{group}"{where}'
    return [*objects, obj("ServiceAccount", "web"), *more], [log(objects[2], lines("INFO up", said))]


def role(name="reader", *, verbs=("get", "list"), resources=("secrets",), groups=("",), **metadata):
    rules = [{"verbs": list(verbs), "resources": list(resources), "apiGroups": list(groups)}]
    return obj("Role", name, api=RBAC, rules=rules, **metadata)


def bound(name="web", *, to="reader", kind="ServiceAccount", namespace="shop"):
    subject = {"kind": kind, "name": name, **({"namespace": namespace} if kind == "ServiceAccount" else {})}
    return obj("RoleBinding", "reading", api=RBAC, roleRef={"kind": "Role", "name": to}, subjects=[subject])


@pytest.mark.parametrize(
    ("more", "subject", "words"),
    [
        ([role(), bound("wep")], "RoleBinding/reading", "names ServiceAccount shop/wep instead"),
        ([role(), bound(namespace="default")], "RoleBinding/reading", "names ServiceAccount default/web instead"),
        ([role(), bound(kind="User")], "RoleBinding/reading", "names User web instead"),
        ([role(), bound(to="raeder")], "RoleBinding/reading", "Role shop/raeder, which does not exist (there is reader)"),
        ([role("other"), bound(to="vault-login")], "Role/vault-login", "which does not exist"),
        ([role(verbs=["get"]), bound()], "Role/reader", "which has only: get secrets"),
        ([role(resources=["configmaps"]), bound()], "Role/reader", "which says nothing about secrets"),
        ([role()], "Deployment/web", "no binding gives it Role shop/reader"),
        ([role("x", resources=["pods"])], "Deployment/web", "no binding gives it that right"),
    ],
)
def test_what_is_missing_is_named(more, subject, words):
    objects, logs = refused(*more)
    finding = the_one("rbac-forbidden", objects, logs)

    assert f"{finding.subject.kind}/{finding.subject.name}" == subject
    assert "ServiceAccount shop/web cannot list secrets in namespace shop" in finding.statement
    assert words in finding.statement


def test_cluster_roles_that_were_not_read_are_not_missing():
    subject = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}
    view = obj("RoleBinding", "viewing", api=RBAC, roleRef={"kind": "ClusterRole", "name": "view"}, subjects=[subject])
    objects, logs = refused(view)
    assert "does not exist" not in the_one("rbac-forbidden", objects, logs).statement


def test_pods_that_run_as_another_account_than_was_made_for_them():
    objects, logs = refused(role(), bound(), account="default")
    finding = the_one("rbac-forbidden", objects, logs)

    assert finding.subject.kind == "Deployment"
    assert finding.params["suggested_account"] == "web"
    assert "its pods run as ServiceAccount default, while ServiceAccount web" in finding.statement


def test_a_right_that_was_given_since_is_no_fault_any_more():
    objects, logs = refused(role(), bound())
    finding = the_one("rbac-forbidden", objects, logs)

    assert finding.state == "recovered"
    assert "by now RoleBinding shop/reading" in finding.statement


def test_names_clusters_and_paths_are_read_from_the_sentence():
    wide = obj("ClusterRoleBinding", "x", api=RBAC, namespace="", roleRef={"kind": "ClusterRole", "name": "none"}, subjects=[])
    objects, logs = refused(wide, verb="get", resource="nodes", where=" at the cluster scope", name="node-1")
    assert "cannot get nodes node-1 in the whole cluster" in the_one("rbac-forbidden", objects, logs).statement

    web = app("web")
    said = 'ERROR forbidden: User \\"system:serviceaccount:shop:web\\" cannot get path \\"/metrics\\"'
    assert "cannot get /metrics" in the_one("rbac-forbidden", web, [log(web[2], lines(said))]).statement


def test_a_controller_that_is_refused_says_so_in_an_event():
    objects = app("web")
    user = "system:serviceaccount:kube-system:job-controller"
    said = f'pods is forbidden: User "{user}" cannot create resource "pods" in API group "" in the namespace "shop"'
    finding = the_one("rbac-forbidden", [*objects, role(), event(objects[0], "FailedCreate", said)])

    assert "ServiceAccount kube-system/job-controller cannot create pods" in finding.statement


def test_a_refusal_of_long_ago_is_not_told():
    objects, logs = refused(role("x", resources=["pods"]))
    old = [log(objects[2], lines(logs[0].text.splitlines()[-1].partition(" ")[2], minutes=300))]
    assert found("rbac-forbidden", objects, old) == []


def test_a_log_line_that_only_speaks_of_forbidden_things_is_none():
    objects = app("web")
    assert (
        active(run(topology(*objects, logs=[log(objects[2], lines("ERROR 403 forbidden: user bob may not see page 7"))]))) == []
    )
