"""ValidatingAdmissionPolicies in the laboratory: params, subresources, variables, errors; as a server of 1.36 has them."""

import pytest

from tests.lab.api.conftest import deployment
from tests.lab.api.test_server import lease

GROUP = "/apis/admissionregistration.k8s.io/v1"
EVERYTHING = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
MAPS = "/api/v1/namespaces/shop/configmaps"


def policy(admin, name="p", *, rules=(EVERYTHING,), binding=None, **spec):
    body = {"metadata": {"name": name}, "spec": {"matchConstraints": {"resourceRules": list(rules)}, **spec}}
    answer = admin.post(f"{GROUP}/validatingadmissionpolicies", body)
    assert answer.status_code == 201, answer.text
    bound = {"policyName": name, "validationActions": ["Deny"], **(binding or {})}
    admin.post(f"{GROUP}/validatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": bound})


def no(expression, **more):
    return {"expression": expression, **more}


@pytest.fixture
def bounds(admin):
    """A kind of params: at most so many replicas, by namespace."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "example.com", "scope": "Cluster", "names": {"plural": "bounds", "kind": "Bounds"}, "versions": [version]}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert admin.post(path, {"metadata": {"name": "bounds.example.com"}, "spec": spec}).status_code == 201
    return "/apis/example.com/v1/bounds"


BY_BOUNDS = {
    "paramKind": {"apiVersion": "example.com/v1", "kind": "Bounds"},
    "validations": [no("object.spec.replicas <= params.spec.most", messageExpression="'at most ' + string(params.spec.most)")],
}
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}


def test_a_rule_is_evaluated_with_the_object_that_the_binding_names(admin, bounds):
    binding = {"paramRef": {"name": "all", "parameterNotFoundAction": "Deny"}}
    policy(admin, rules=[DEPLOYMENTS], binding=binding, **BY_BOUNDS)
    admin.post(bounds, {"metadata": {"name": "all"}, "spec": {"most": 3}})
    path = "/apis/apps/v1/namespaces/shop/deployments"

    assert admin.post(path, deployment(replicas=3)).status_code == 201
    refused = admin.patch(f"{path}/web", {"spec": {"replicas": 4}})
    admin.patch(f"{bounds}/all", {"spec": {"most": 4}})

    assert refused.status_code == 422
    assert refused.json()["message"].endswith("denied request: at most 3")
    assert admin.patch(f"{path}/web", {"spec": {"replicas": 4}}).status_code == 200


def test_missing_params_refuse_every_write_that_the_constraints_match_whatever_the_conditions_say(admin, bounds):
    binding = {"paramRef": {"name": "all", "parameterNotFoundAction": "Deny"}}
    nobody = [{"name": "nobody", "expression": "request.userInfo.username == 'nobody'"}]
    policy(admin, binding=binding, matchConditions=nobody, **BY_BOUNDS)

    refused = admin.post(MAPS, {"metadata": {"name": "a"}})

    assert refused.status_code == 422
    assert "no params found for policy binding with `Deny` parameterNotFoundAction" in refused.json()["message"]


def test_missing_params_let_everything_pass_where_the_binding_says_so(admin, bounds):
    binding = {"paramRef": {"name": "all", "parameterNotFoundAction": "Allow"}}
    policy(admin, rules=[DEPLOYMENTS], binding=binding, **BY_BOUNDS)

    assert admin.post("/apis/apps/v1/namespaces/shop/deployments", deployment(replicas=99)).status_code == 201


@pytest.mark.parametrize(("failure", "status"), [("Fail", 422), ("Ignore", 201)])
def test_a_kind_of_params_that_is_not_served_is_an_error_of_the_policy(admin, failure, status):
    binding = {"paramRef": {"name": "all", "parameterNotFoundAction": "Allow"}}
    policy(admin, rules=[DEPLOYMENTS], binding=binding, failurePolicy=failure, **BY_BOUNDS)

    answer = admin.post("/apis/apps/v1/namespaces/shop/deployments", deployment())

    assert answer.status_code == status
    assert (status == 201) or "failed to find resource referenced by paramKind" in answer.json()["message"]


def test_of_a_scale_the_rules_see_the_scale(admin):
    scale = {**DEPLOYMENTS, "resources": ["deployments/scale"]}
    sees = (
        "request.subResource == 'scale' && object.kind == 'Scale' && !has(object.spec.template) && oldObject.spec.replicas == 2"
    )
    policy(admin, rules=[scale], validations=[no(f"!({sees})", message="a scale", reason="Forbidden")])
    path = "/apis/apps/v1/namespaces/shop/deployments"
    admin.post(path, deployment(replicas=2))

    refused = admin.patch(f"{path}/web/scale", {"spec": {"replicas": 3}})

    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
    assert admin.patch(f"{path}/web", {"spec": {"replicas": 3}}).status_code == 200


def test_of_an_eviction_the_rules_see_the_eviction_before_anything_goes(admin):
    eviction = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/eviction"]}
    sees = "request.kind.kind == 'Eviction' && request.name == 'p' && has(object.deleteOptions) && oldObject == null"
    policy(admin, rules=[eviction], validations=[no(f"!({sees})", message="not this one")])
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "app", "image": "x:1"}], "nodeName": "n"}}
    admin.post("/api/v1/namespaces/shop/pods", pod)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": 0}}

    refused = admin.post("/api/v1/namespaces/shop/pods/p/eviction", body)

    assert refused.json()["message"].endswith("denied request: not this one")
    assert "deletionTimestamp" not in admin.get("/api/v1/namespaces/shop/pods/p").json()["metadata"]


def test_tokens_and_open_connections_are_writes_that_rules_see(admin):
    policy(admin, validations=[no("false", reason="Forbidden")])
    token = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}

    assert admin.post("/api/v1/namespaces/shop/serviceaccounts/default/token", token).status_code == 403
    assert admin.get(MAPS).status_code == 200  # reads are none


def test_of_a_deletion_there_is_no_object_and_of_all_deletions_each_is_judged(admin):
    deletions = {**EVERYTHING, "operations": ["DELETE"]}
    rule = no("object == null && oldObject.metadata.name != 'kept'", message="kept")
    policy(admin, rules=[deletions], validations=[rule])
    for name in ("kept", "other"):
        admin.post(MAPS, {"metadata": {"name": name}})

    assert admin.delete(f"{MAPS}/kept").status_code == 422
    admin.delete(MAPS)

    assert [
        item["metadata"]["name"] for item in admin.get(MAPS).json()["items"] if item["metadata"]["name"] != "kube-root-ca.crt"
    ] == ["kept"]


def test_what_is_empty_in_a_request_is_not_there(admin):
    rule = no("!has(request.subResource) && !has(request.namespace) && has(request.name) && request.dryRun == false")
    policy(admin, rules=[{**EVERYTHING, "resources": ["namespaces"]}], validations=[rule])

    assert admin.post("/api/v1/namespaces", {"metadata": {"name": "made"}}).status_code == 201
    assert admin.post("/api/v1/namespaces?dryRun=All", {"metadata": {"name": "tried"}}).status_code == 422


def test_a_variable_that_fails_harms_only_what_uses_it(admin):
    variables = [
        {"name": "text", "expression": "'a' + 'b'"},
        {"name": "broken", "expression": "object.spec.nothing"},
        {"name": "twice", "expression": "variables.text + variables.text"},
    ]
    rules = [no("variables.twice == 'abab'"), no("object.metadata.name != 'bad' || variables.broken == 1", message="broken")]
    policy(admin, variables=variables, validations=rules)

    assert admin.post(MAPS, {"metadata": {"name": "good"}}).status_code == 201
    refused = admin.post(MAPS, {"metadata": {"name": "bad"}})
    assert refused.status_code == 422
    assert "resulted in error" in refused.json()["message"]


def test_one_condition_that_is_false_is_enough_and_an_error_among_them_refuses(admin):
    conditions = [
        {"name": "broken", "expression": "object.data.nothing == 'x'"},
        {"name": "never", "expression": "request.name == 'x'"},
    ]
    policy(admin, rules=[{**EVERYTHING, "resources": ["configmaps"]}], matchConditions=conditions, validations=[no("false")])

    assert admin.post(MAPS, {"metadata": {"name": "a"}}).status_code == 201
    assert "error in conditions" in admin.post(MAPS, {"metadata": {"name": "x"}}).json()["message"]


def test_a_message_that_cannot_be_made_gives_way_to_the_plain_one(admin):
    policy(admin, validations=[no("false", messageExpression="object.nothing", message="plainly no")])

    assert admin.post(MAPS, {"metadata": {"name": "a"}}).json()["message"].endswith("denied request: plainly no")


def test_what_a_policy_warns_of_or_audits_is_done(admin):
    policy(admin, "warns", validations=[no("false", message="beware")], binding={"validationActions": ["Warn", "Audit"]})

    answer = admin.post(MAPS, {"metadata": {"name": "a"}})

    assert (answer.status_code, "beware" in answer.headers["warning"]) == (201, True)


def test_a_custom_object_keeps_what_is_empty(admin, bounds):
    made = admin.post(bounds, {"metadata": {"name": "x"}, "spec": {"leases": {}, "list": []}}).json()

    assert made["spec"] == {"leases": {}, "list": []}


def test_identities_are_told_apart_by_their_names(admin, api):
    worker = lease(admin, api, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}])
    only = [{"name": "workers", "expression": "request.userInfo.username.startsWith('system:serviceaccount:shop:')"}]
    policy(admin, matchConditions=only, validations=[no("false", reason="Forbidden")])

    assert worker.post(MAPS, {"metadata": {"name": "a"}}).status_code == 403
    assert admin.post(MAPS, {"metadata": {"name": "a"}}).status_code == 201


@pytest.mark.parametrize("name", ["namespace", "in", "1st", "a-b"])
def test_a_variable_that_no_expression_could_name_is_refused(admin, name):
    spec = {
        "matchConstraints": {"resourceRules": [EVERYTHING]},
        "variables": [{"name": name, "expression": "1"}],
        "validations": [no("true")],
    }

    refused = admin.post(f"{GROUP}/validatingadmissionpolicies", {"metadata": {"name": "p"}, "spec": spec})

    assert refused.status_code == 422
    assert "spec.variables[0].name" in refused.json()["message"]


def test_a_rule_of_several_lines_needs_a_message_of_one(admin):
    spec = {"matchConstraints": {"resourceRules": [EVERYTHING]}, "validations": [no("true &&\ntrue"), no("true", message="a\nb")]}

    refused = admin.post(f"{GROUP}/validatingadmissionpolicies", {"metadata": {"name": "p"}, "spec": spec})

    fields = [cause["field"] for cause in refused.json()["details"]["causes"]]
    assert fields == ["spec.validations[0].message", "spec.validations[1].message"]
