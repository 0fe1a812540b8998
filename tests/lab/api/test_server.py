"""What the recordings do not show: lab time, the request log, interference, grants that end, the order of things."""

import json
import threading
import time

import httpx
import pytest

from tests.lab.api.conftest import Client, deployment

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop"


def lease(admin, api, rules, name="worker"):
    """An account with a role of its own, and a client that holds its token."""
    admin.post("/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": name}})
    admin.post(f"{RBAC}/roles", {"metadata": {"name": name}, "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "shop"}
    admin.post(f"{RBAC}/rolebindings", {"metadata": {"name": name}, "roleRef": ref, "subjects": [subject]})
    return Client(api, f"shop/{name}")


def test_every_answer_carries_lab_time(admin, clock):
    assert admin.get("/version").headers["date"] == "Thu, 04 Mar 2027 05:06:07 GMT"
    clock.advance(3600)

    assert admin.get("/nonesuch").headers["date"] == "Thu, 04 Mar 2027 06:06:07 GMT"


def test_objects_are_dated_by_lab_time(admin, clock):
    clock.advance(60)

    made = admin.post("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "a"}, "data": {"k": "1"}}).json()

    assert made["metadata"]["creationTimestamp"] == "2027-03-04T05:07:07Z"
    assert made["metadata"]["managedFields"][0]["time"] == "2027-03-04T05:07:07Z"
    assert made["metadata"]["managedFields"][0]["manager"] == "tests"


def test_the_request_log_says_who_did_what(admin, api):
    worker = lease(admin, api, [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]}])
    worker.post(DEPLOYMENTS, deployment())
    worker.delete(f"{DEPLOYMENTS}/web")
    admin.post(f"{DEPLOYMENTS}?dryRun=All", deployment("other"))

    rows = [(r.identity, r.verb, r.resource, r.status, r.is_write) for r in api.requests if r.group == "apps"]

    assert rows == [
        ("shop/worker", "create", "deployments", 201, True),
        ("shop/worker", "delete", "deployments", 403, False),
        ("admin", "create", "deployments", 201, False),
    ]


def test_the_request_log_holds_no_token(admin, api):
    token = api.mint("shop/default")
    review = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": token}}

    assert admin.post("/apis/authentication.k8s.io/v1/tokenreviews", review).json()["status"]["authenticated"]

    assert token not in repr(api.requests)
    assert api.admin_token not in repr(api.requests)


def test_a_hook_can_change_the_world_just_before_a_request(admin, api):
    admin.post(DEPLOYMENTS, deployment(replicas=1))
    other = Client(api)

    def interfere(call):
        if call.method == "PATCH" and call.header("user-agent").startswith("tests") and not done:
            done.append(1)
            other.http.patch(
                f"{DEPLOYMENTS}/web", json={"spec": {"replicas": 9}}, headers={"content-type": "application/merge-patch+json"}
            )

    done: list[int] = []
    api.on_request(interfere)
    answer = admin.patch(f"{DEPLOYMENTS}/web", [{"op": "test", "path": "/spec/replicas", "value": 1}], "json-patch+json")

    assert answer.status_code == 422
    assert admin.get(f"{DEPLOYMENTS}/web").json()["spec"]["replicas"] == 9


@pytest.mark.parametrize("text", ["a && b", "<x>", "line\u2028line", "Müller", "\x7f", "😀", 'a/b "\\ \n\t\x01\x08'])
def test_a_test_operation_compares_strings_as_gos_encoder_writes_them(admin, text):
    """As kube-apiserver v1.36.2 answered: an equal string in other escapes is another one."""
    configmaps = "/api/v1/namespaces/shop/configmaps"
    admin.post(configmaps, {"metadata": {"name": "words"}, "data": {"said": text}})
    in_gos_way = json.dumps(text, ensure_ascii=False)
    for character in "&<>\u2028\u2029":
        in_gos_way = in_gos_way.replace(character, f"\\u{ord(character):04x}")

    def tested(written: str) -> int:
        patch = f'[{{"op": "test", "path": "/data", "value": {{"said": {written}}}}}]'
        headers = {"content-type": "application/json-patch+json"}
        return admin.http.patch(f"{configmaps}/words", content=patch.encode(), headers=headers).status_code

    assert tested(in_gos_way) == 200
    assert {tested(other) for other in (json.dumps(text), json.dumps(text, ensure_ascii=False)) if other != in_gos_way} <= {422}


def test_a_deleted_binding_ends_the_right_at_once(admin, api):
    worker = lease(admin, api, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
    assert worker.get("/api/v1/namespaces/shop/pods").status_code == 200

    admin.delete(f"{RBAC}/rolebindings/worker")

    assert worker.get("/api/v1/namespaces/shop/pods").status_code == 403


def test_a_deleted_account_is_believed_ten_seconds_more_and_no_longer(admin, api, clock):
    worker = lease(admin, api, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
    assert worker.get("/api/v1/namespaces/shop/pods").status_code == 200
    admin.delete("/api/v1/namespaces/shop/serviceaccounts/worker")

    clock.advance(9)
    assert worker.get("/api/v1/namespaces/shop/pods").status_code == 200
    clock.advance(1.5)
    assert worker.get("/api/v1/namespaces/shop/pods").status_code == 401


def test_a_token_never_used_before_the_account_went_is_refused_at_once(admin, api):
    worker = lease(admin, api, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}])
    admin.delete("/api/v1/namespaces/shop/serviceaccounts/worker")

    assert worker.get("/api/v1/namespaces/shop/pods").status_code == 401


def test_patch_on_deployments_needs_no_right_on_scale(admin, api):
    admin.post(DEPLOYMENTS, deployment())
    worker = lease(
        admin, api, [{"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"], "verbs": ["patch"]}]
    )

    assert worker.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 2}}).status_code == 200
    assert worker.patch(f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 3}}).status_code == 403


@pytest.mark.parametrize(("field", "code"), [("uid", 422), ("resourceVersion", 409)])
def test_a_patch_that_names_another_uid_or_revision_is_refused(admin, field, code):
    admin.post(DEPLOYMENTS, deployment())

    answer = admin.patch(f"{DEPLOYMENTS}/web", {"metadata": {field: "77"}, "spec": {"replicas": 4}})

    assert answer.status_code == code
    assert admin.get(f"{DEPLOYMENTS}/web").json()["spec"]["replicas"] == 1


def test_a_dry_run_changes_nothing(admin):
    admin.post(DEPLOYMENTS, deployment())
    before = admin.get(f"{DEPLOYMENTS}/web").json()

    shown = admin.patch(f"{DEPLOYMENTS}/web?dryRun=All", {"spec": {"replicas": 5}}).json()

    assert shown["spec"]["replicas"] == 5
    assert admin.get(f"{DEPLOYMENTS}/web").json() == before


def test_a_watch_tells_of_changes_as_they_come(admin):
    revision = admin.get("/api/v1/namespaces/shop/configmaps").json()["metadata"]["resourceVersion"]
    seen: list[str] = []

    def follow():
        with admin.http.stream(
            "GET", f"/api/v1/namespaces/shop/configmaps?watch=1&resourceVersion={revision}&timeoutSeconds=5"
        ) as stream:
            for line in stream.iter_lines():
                seen.append(line)
                if len(seen) == 2:
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    admin.post("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "new"}})
    admin.delete("/api/v1/namespaces/shop/configmaps/new")
    thread.join(5)

    assert ['"type":"ADDED"' in seen[0], '"type":"DELETED"' in seen[1]] == [True, True]


def test_a_watch_from_forgotten_history_is_told_so(admin, api):
    api.compact()

    lines = admin.get("/api/v1/configmaps?watch=1&resourceVersion=5&timeoutSeconds=2").text.splitlines()

    assert len(lines) == 1
    assert '"code":410' in lines[0]


def test_a_streaming_list_ends_with_a_bookmark_that_says_so(admin):
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1"
    admin.post("/api/v1/namespaces/shop/secrets", {"metadata": {"name": "a"}})

    lines = admin.get(f"/api/v1/namespaces/shop/secrets?{query}").text.splitlines()

    assert ['"type":"ADDED"' in lines[0], '"k8s.io/initial-events-end":"true"' in lines[1]] == [True, True]


def test_a_watch_with_bookmarks_gets_one_before_it_ends(admin):
    revision = admin.get("/api/v1/namespaces/shop/secrets").json()["metadata"]["resourceVersion"]
    path = f"/api/v1/namespaces/shop/secrets?watch=1&allowWatchBookmarks=true&timeoutSeconds=5&resourceVersion={revision}"

    lines = admin.get(path).text.splitlines()

    assert len(lines) == 1
    assert '"type":"BOOKMARK"' in lines[0]


def test_a_custom_resource_is_served_checked_and_printed(admin):
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}}},
    }
    column = {"name": "Size", "type": "integer", "jsonPath": ".spec.size"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [column],
    }
    names = {"plural": "boxes", "kind": "Box"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    admin.post(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {"metadata": {"name": "boxes.example.com"}, "spec": spec}
    )
    base = "/apis/example.com/v1/namespaces/shop/boxes"

    assert admin.post(base, {"metadata": {"name": "bad"}, "spec": {}}).status_code == 422
    assert admin.post(base, {"metadata": {"name": "good"}, "spec": {"size": 3, "odd": 1}}).json()["spec"] == {"size": 3}
    table = admin.get(base, accept="application/json;as=Table;v=v1;g=meta.k8s.io").json()
    assert table["rows"][0]["cells"] == ["good", 3]


def test_a_policy_stops_what_one_token_writes_and_nothing_else(admin, api):
    worker = lease(admin, api, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "list"]}])
    other = Client(api, "shop/worker")
    extra = worker.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}).json()["status"]["userInfo"]["extra"]
    key, (credential,) = next(iter(extra.items()))
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    expression = f"!('{credential}' in request.userInfo.extra['{key}'])"
    conditions = [{"name": "has-one", "expression": f"has(request.userInfo.extra) && '{key}' in request.userInfo.extra"}]
    validation = {"expression": expression, "message": "withdrawn", "reason": "Forbidden"}
    policy = {"matchConstraints": {"resourceRules": [rule]}, "matchConditions": conditions, "validations": [validation]}
    group = "/apis/admissionregistration.k8s.io/v1"
    admin.post(f"{group}/validatingadmissionpolicies", {"metadata": {"name": "p"}, "spec": policy})
    admin.post(
        f"{group}/validatingadmissionpolicybindings",
        {"metadata": {"name": "p"}, "spec": {"policyName": "p", "validationActions": ["Deny"]}},
    )
    path = "/api/v1/namespaces/shop/configmaps"

    assert worker.post(path, {"metadata": {"name": "a"}}).status_code == 403
    assert worker.get(path).status_code == 200
    assert other.post(path, {"metadata": {"name": "a"}}).status_code == 201


def test_a_log_is_cut_and_followed(admin, api, said, clock):
    from lab.api.cluster import LogLine
    from lab.store import Key

    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "app", "image": "x:1"}], "nodeName": "n"}}
    admin.post("/api/v1/namespaces/shop/pods", pod)
    now = clock.now().timestamp()
    said.lines_of[("app", False)] = [LogLine(now - 60, "old"), LogLine(now - 5, "new")]
    base = "/api/v1/namespaces/shop/pods/p/log"

    assert admin.get(base).text == "old\nnew\n"
    assert admin.get(f"{base}?tailLines=1").text == "new\n"
    assert admin.get(f"{base}?sinceSeconds=10").text == "new\n"
    assert admin.get(f"{base}?limitBytes=3").text == "old"
    assert admin.get(f"{base}?timestamps=true&tailLines=1").text == "2027-03-04T05:06:02.000000000Z new\n"
    assert admin.get(f"{base}?previous=true").status_code == 400
    with admin.http.stream("GET", f"{base}?follow=true&tailLines=1") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "new"
        said.lines_of[("app", False)].append(LogLine(now, "newer"))
        assert next(lines) == "newer"
    with api.cluster.store.lock:
        api.cluster.store.remove(Key("", "pods", "shop", "p"))


def test_a_pod_on_a_node_is_left_to_its_kubelet_and_others_go_at_once(admin):
    spec = {"containers": [{"name": "app", "image": "x:1"}]}
    admin.post("/api/v1/namespaces/shop/pods", {"metadata": {"name": "placed"}, "spec": spec | {"nodeName": "n"}})
    admin.post("/api/v1/namespaces/shop/pods", {"metadata": {"name": "waiting"}, "spec": spec})

    for name in ("placed", "waiting"):
        assert admin.delete(f"/api/v1/namespaces/shop/pods/{name}").status_code == 200

    assert admin.get("/api/v1/namespaces/shop/pods/placed").json()["metadata"]["deletionGracePeriodSeconds"] == 30
    assert admin.get("/api/v1/namespaces/shop/pods/waiting").status_code == 404


def test_what_nobody_owns_any_more_is_collected(admin):
    owner = admin.post("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "owner"}}).json()
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    admin.post("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "child", "ownerReferences": [ref]}})

    admin.delete("/api/v1/namespaces/shop/configmaps/owner")

    assert until(lambda: admin.get("/api/v1/namespaces/shop/configmaps/child").status_code == 404)


def test_an_owner_deleted_in_the_foreground_waits_for_its_pods(admin, api):
    from lab.store import Key

    owner = admin.post("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "owner"}}).json()
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True}
    spec = {"containers": [{"name": "app", "image": "x:1"}], "nodeName": "n"}
    admin.post("/api/v1/namespaces/shop/pods", {"metadata": {"name": "p", "ownerReferences": [ref]}, "spec": spec})
    admin.delete("/api/v1/namespaces/shop/configmaps/owner", {"propagationPolicy": "Foreground"})
    assert until(lambda: "deletionTimestamp" in admin.get("/api/v1/namespaces/shop/pods/p").json()["metadata"])
    assert admin.get("/api/v1/namespaces/shop/configmaps/owner").status_code == 200

    api.cluster.store.remove(Key("", "pods", "shop", "p"))  # the kubelet is done

    assert until(lambda: admin.get("/api/v1/namespaces/shop/configmaps/owner").status_code == 404)


def test_a_deleted_namespace_takes_everything_with_it(admin, clock):
    admin.post("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "a"}})
    admin.delete("/api/v1/namespaces/shop")
    assert admin.post("/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "b"}}).status_code == 403

    clock.advance(5)

    assert until(lambda: admin.get("/api/v1/namespaces/shop").status_code == 404)
    assert admin.get("/api/v1/namespaces/shop/configmaps").json()["items"] == []


def test_a_new_namespace_has_its_default_account(admin):
    assert admin.get("/api/v1/namespaces/shop/serviceaccounts/default").status_code == 200


def test_a_quota_counts_what_is_there(admin):
    admin.post(
        "/api/v1/namespaces/shop/resourcequotas",
        {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1", "requests.cpu": "1"}}},
    )
    spec = {"containers": [{"name": "app", "image": "x:1", "resources": {"requests": {"cpu": "500m"}}}]}
    assert admin.post("/api/v1/namespaces/shop/pods", {"metadata": {"name": "one"}, "spec": spec}).status_code == 201

    refused = admin.post("/api/v1/namespaces/shop/pods", {"metadata": {"name": "two"}, "spec": spec})

    assert refused.status_code == 403
    assert "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1" in refused.json()["message"]
    admin.delete("/api/v1/namespaces/shop/pods/one")
    assert admin.post("/api/v1/namespaces/shop/pods", {"metadata": {"name": "two"}, "spec": spec}).status_code == 201


def test_applied_fields_have_owners_and_conflicts_name_them(admin):
    path = f"{DEPLOYMENTS}/web"
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", **deployment(replicas=2)}
    assert admin.patch(f"{path}?fieldManager=gitops", manifest, "apply-patch+yaml").status_code == 201

    other = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}}
    refused = admin.patch(f"{path}?fieldManager=someone", other, "apply-patch+yaml")
    forced = admin.patch(f"{path}?fieldManager=someone&force=true", other, "apply-patch+yaml")

    assert refused.status_code == 409
    assert refused.json()["details"]["causes"][0]["field"] == ".spec.replicas"
    assert forced.json()["spec"]["replicas"] == 3


def test_a_revision_of_the_future_is_waited_for_and_then_refused(admin):
    began = time.monotonic()

    answer = admin.get("/api/v1/namespaces/shop/configmaps?resourceVersion=999999999&resourceVersionMatch=NotOlderThan")

    assert answer.status_code == 504
    assert time.monotonic() - began >= 2.9


def test_plain_http_is_not_answered(api):
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{api.port}/version")


def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
