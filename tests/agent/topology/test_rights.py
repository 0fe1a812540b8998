"""RBAC evaluated as the API server does it: rules, bindings, groups, aggregation; and what is missing when the answer is no."""

import random

import pytest

from agent.topology import build
from agent.topology.resources import is_cluster_scoped, resource_named
from agent.topology.rights import can, nearest, rights_of, subject_named, unseen, who_can
from agent.topology.roles import Request, Subject
from tests.agent.builders import NOW, obj

RBAC = "rbac.authorization.k8s.io/v1"
WEB = "system:serviceaccount:shop:web"


def role(name="reader", *, verbs=("get", "list"), resources=("pods",), groups=("",), cluster=False, **rule):
    one = {"verbs": list(verbs), "resources": list(resources), "apiGroups": list(groups), **rule}
    kind = "ClusterRole" if cluster else "Role"
    return obj(kind, name, api=RBAC, namespace="" if cluster else "shop", rules=[one])


def account(name="web", namespace="shop"):
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def binding(subject, to="reader", *, kind="Role", cluster=False, namespace="shop", name="reading"):
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": to}
    of = "ClusterRoleBinding" if cluster else "RoleBinding"
    return obj(of, name, api=RBAC, namespace="" if cluster else namespace, roleRef=ref, subjects=[subject])


def world(*objects):
    return build(NOW, [obj("ServiceAccount", "web"), *objects])


def may(request, *objects, who=WEB, groups=()):
    return can(world(*objects), who, request, groups=groups).allowed


LIST = Request(verb="list", resource="pods", namespace="shop")


def test_a_bound_role_gives_its_right_and_nothing_beside_it():
    objects = [role(), binding(account())]

    assert may(LIST, *objects)
    assert not may(Request(verb="delete", resource="pods", namespace="shop"), *objects)
    assert not may(Request(verb="list", resource="secrets", namespace="shop"), *objects)
    assert not may(Request(verb="list", resource="pods", namespace="other"), *objects)
    assert not may(LIST, *objects, who="system:serviceaccount:other:web")


def test_a_role_binding_says_nothing_about_all_namespaces_at_once():
    everywhere = Request(verb="list", resource="pods")

    assert not may(everywhere, role(), binding(account()))
    assert may(everywhere, role(cluster=True), binding(account(), kind="ClusterRole", cluster=True))
    assert may(LIST, role(cluster=True), binding(account(), kind="ClusterRole", cluster=True))


def test_a_cluster_role_bound_in_a_namespace_holds_there_only():
    objects = [role(cluster=True), binding(account(), kind="ClusterRole")]

    assert may(LIST, *objects)
    assert not may(Request(verb="list", resource="pods", namespace="other"), *objects)


@pytest.mark.parametrize(
    ("resources", "wanted", "allowed"),
    [
        (["pods"], "pods/log", False),
        (["pods/log"], "pods/log", True),
        (["pods/log"], "pods", False),
        (["*"], "pods/exec", True),
        (["*/scale"], "deployments/scale", True),
        (["*/scale"], "deployments", False),
    ],
)
def test_subresources_are_resources_of_their_own(resources, wanted, allowed):
    objects = [role(resources=resources, groups=["*"]), binding(account())]
    assert may(Request(verb="get", resource=wanted, namespace="shop"), *objects) is allowed


def test_names_narrow_a_rule_and_leave_no_list():
    objects = [role(resourceNames=["one"]), binding(account())]

    assert may(Request(verb="get", resource="pods", namespace="shop", name="one"), *objects)
    assert not may(Request(verb="get", resource="pods", namespace="shop", name="two"), *objects)
    assert not may(LIST, *objects)


def test_the_api_group_counts():
    objects = [role(resources=["deployments"], groups=["extensions"]), binding(account())]
    assert not may(Request(verb="get", resource="deployments", group="apps", namespace="shop"), *objects)


@pytest.mark.parametrize("group", ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"])
def test_every_service_account_is_in_groups(group):
    assert may(LIST, role(), binding({"kind": "Group", "name": group}))
    assert not may(LIST, role(), binding({"kind": "Group", "name": "system:serviceaccounts:other"}))


def test_groups_of_a_login_are_told_by_who_asks():
    objects = [role(), binding({"kind": "Group", "name": "oncall"})]
    assert may(LIST, *objects, who="jane", groups=["oncall"])
    assert not may(LIST, *objects, who="jane")


def test_a_service_account_named_as_the_user_that_it_is():
    assert may(LIST, role(), binding({"kind": "User", "name": WEB}))


@pytest.mark.parametrize(("urls", "allowed"), [(["/metrics"], True), (["/met*"], True), (["*"], True), (["/healthz"], False)])
def test_urls_that_are_no_resources(urls, allowed):
    rule = {"verbs": ["get"], "nonResourceURLs": urls}
    wide = obj("ClusterRole", "scraper", api=RBAC, namespace="", rules=[rule])
    path = Request(verb="get", path="/metrics")

    assert may(path, wide, binding(account(), "scraper", kind="ClusterRole", cluster=True)) is allowed
    assert not may(path, wide, binding(account(), "scraper", kind="ClusterRole"))  # a namespace has no URLs


def test_an_aggregated_role_has_the_rules_that_it_collects_also_in_a_ring():
    select = {"clusterRoleSelectors": [{"matchLabels": {"to": "view"}}]}
    view = obj(
        "ClusterRole", "view", api=RBAC, namespace="", rules=None, aggregationRule=select, metadata={"labels": {"to": "view"}}
    )
    part = role("part", cluster=True)
    part["metadata"]["labels"] = {"to": "view"}
    part["aggregationRule"] = select

    assert may(LIST, view, part, binding(account(), "view", kind="ClusterRole"))


def test_who_can_names_subject_binding_and_role():
    (grant,) = who_can(world(role(), binding(account())), LIST)

    assert (str(grant.subject), grant.binding.name, grant.role.name) == ("ServiceAccount shop/web", "reading", "reader")
    assert grant.rule == "get, list pods"
    assert [one.rule for one in rights_of(world(role(), binding(account())), WEB)] == ["get, list pods"]


def test_the_order_of_objects_does_not_matter():
    objects = [role(), binding(account()), binding(account("api"), name="second"), role("other", cluster=True)]
    straight = who_can(world(*objects), LIST)
    random.Random(5).shuffle(objects)
    assert who_can(world(*objects), LIST) == straight


def test_without_a_single_role_in_view_a_no_is_not_certain():
    nothing = build(NOW, [obj("ServiceAccount", "web")])
    assert unseen(nothing)
    assert not can(nothing, WEB, LIST).is_certain
    assert can(world(role()), WEB, LIST).is_certain
    assert not can(build(NOW, [role()], unseen={"ClusterRoleBinding": "no rights"}), WEB, LIST).is_certain


@pytest.mark.parametrize(
    ("objects", "lack"),
    [
        ([role(), binding(account("wbe"))], "other-subject"),
        ([role(), binding(account("web", "default"))], "other-subject"),
        ([role(), binding({"kind": "User", "name": "web"})], "other-subject"),
        ([role(), binding({"kind": "Group", "name": WEB})], "other-subject"),
        ([role("raeder"), binding(account())], "role-missing"),
        ([role(verbs=["get"]), binding(account())], "role-lacks-right"),
        ([role(resources=["pods/log"]), binding(account())], "role-lacks-right"),
        ([role(groups=["apps"]), binding(account())], "role-lacks-right"),
        ([role(cluster=True), binding(account(), kind="ClusterRole", namespace="other")], "other-namespace"),
        ([role()], "unbound-role"),
        ([role(resources=["configmaps"])], "nothing"),
        ([role(), binding(account("somebody-else"))], "nothing"),
        ([role(), binding(account("wbe")), obj("ServiceAccount", "wbe")], "nothing"),
    ],
)
def test_what_comes_nearest_to_the_right_that_is_missing(objects, lack):
    assert nearest(world(*objects), subject_named(WEB), LIST).lack == lack


def test_user_names():
    assert subject_named(WEB) == Subject("ServiceAccount", "shop", "web")
    assert subject_named("system:node:node-1") == Subject("User", "", "system:node:node-1")


def test_odd_roles_and_bindings_give_nobody_anything():
    odd = [
        obj("Role", "a", api=RBAC, rules="no"),
        obj("RoleBinding", "b", api=RBAC, roleRef=None, subjects=[None, 5, {"kind": "User"}]),
        obj("ClusterRoleBinding", "c", api=RBAC, namespace=""),
        obj(
            "ClusterRole",
            "d",
            api=RBAC,
            namespace="",
            rules=[None, {"verbs": None}],
            aggregationRule={"clusterRoleSelectors": [5]},
        ),
    ]
    assert not may(LIST, *odd)
    assert nearest(world(*odd), subject_named(WEB), LIST).lack == "nothing"


@pytest.mark.parametrize(
    ("word", "resource"),
    [
        ("pod", ("pods", "")),
        ("Deploy", ("deployments", "apps")),
        ("pods/exec", ("pods/exec", "")),
        ("deployments.apps", ("deployments", "apps")),
    ],
)
def test_resources_by_any_of_their_names(word, resource):
    assert resource_named(word) == resource
    assert resource_named("teapots") is None
    assert is_cluster_scoped("nodes")
    assert not is_cluster_scoped("pods/log")
