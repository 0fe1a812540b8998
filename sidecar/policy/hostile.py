"""Documents that no bundle may let pass: whole ones, spoilt in one place. Pure.

Two kinds. Malformed: something that every verdict rests on is missing or of another type. Hostile: a well-formed plan for
what no rule of anybody's may open to an agent: rights, secrets, the API itself, the system's and the sidecar's own
namespaces, another cluster, an object that is not the one that was seen.
"""

from collections.abc import Iterator
from copy import deepcopy

from sidecar.contract import Json
from sidecar.policy.cases import edited, found, removed

_GONE = object()
# In the place of an object, a list, a text.
_NOT_OBJECTS: tuple[object, ...] = (_GONE, None, True, 0, "", "lots", [], [500], {"x": 1})
_NOT_LISTS: tuple[object, ...] = (_GONE, None, True, 7, "", "step-1", {}, {"0": {"id": "step-1"}})
_NOT_TEXTS: tuple[object, ...] = (_GONE, None, False, 7, "", [], ["x"], {})
_ACTION = "/plan/steps/0/action"
_MALFORMED: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("/plan", (*_NOT_OBJECTS, {})),
    ("/plan/cluster", _NOT_TEXTS),
    ("/plan/steps", (*_NOT_LISTS, [], [None], ["step-1"], [[]])),
    ("/plan/steps/0", (*_NOT_OBJECTS[1:], {})),
    ("/plan/steps/0/id", (*_NOT_TEXTS, "1", "step-", "step-0")),
    (_ACTION, (*_NOT_OBJECTS, {})),
    (f"{_ACTION}/kind", (*_NOT_TEXTS, "*", "exec", "delete_namespace", "Scale_Workload", "scale_workload ")),
    (f"{_ACTION}/target", (*_NOT_OBJECTS, {})),
    (f"{_ACTION}/target/apiVersion", (*_NOT_TEXTS, "apps", "evil.example/v1", "apps/v1/", "v1;")),
    (f"{_ACTION}/target/kind", (*_NOT_TEXTS, "*", "deployment", "Deployments", "v1/Secret", "secret", "Secrets")),
    (f"{_ACTION}/target/name", (*_NOT_TEXTS, "*", "..", "../x", "a/b", "UPPER", "x\n", "a" * 254, "checkout,payments")),
    (f"{_ACTION}/target/uid", (*_NOT_TEXTS, "new ", "another-uid", "*")),
    ("/facts", (*_NOT_OBJECTS, {})),
    ("/facts/now_epoch", (_GONE, None, True, "now", "1794996000", [], {})),
    ("/facts/cluster", (*_NOT_OBJECTS, {})),
    ("/facts/cluster/name", (*_NOT_TEXTS, "another")),
    ("/facts/cluster/environment", (_GONE, None, True, 7, "nowhere", [], {})),
    ("/facts/namespaces", (_GONE, None, True, 0, "", "lots", [], [500])),
    ("/facts/targets", (*_NOT_OBJECTS, {})),
    ("/facts/history", (*_NOT_OBJECTS, {})),
    ("/facts/history/incident", (*_NOT_OBJECTS, {}, {"hour": "0", "day": "0"}, {"hour": -1, "day": -1})),
    ("/facts/leased", (_GONE, None, True, 0, "", "none", {}, {"x": 1})),
)
_BY_ACTION: dict[str, tuple[tuple[str, tuple[object, ...]], ...]] = {
    "scale_workload": (("replicas", (_GONE, None, True, "lots", "6", -1, 1.5, 1e300, [500], {})),),
    "rollback_workload": (("to_revision", (_GONE, None, True, "3", 0, -1, 1.5, [], {})),),
    "change_fields": (
        ("changes", (*_NOT_LISTS, [], [None], [[]], ["/spec/replicas"])),
        ("changes/0", (*_NOT_OBJECTS[1:], {})),
        ("changes/0/after", (_GONE,)),
        (
            "changes/0/path",
            (*_NOT_TEXTS, "/", "/spec", "/metadata", "/metadata/finalizers", "/metadata/ownerReferences", "/metadata/namespace",
             "/spec/template", "/spec/template/spec", "/spec/template/spec/serviceAccountName", "/spec/template/spec/hostNetwork",
             "/spec/template/spec/containers/0/securityContext/privileged", "data/x", "/status", "*", "/*"),
        ),
    ),
    "drain_node": (("pods", (*_NOT_LISTS, [None], ["all"], [[]], [{"kind": "Pod"}])),),
    "create_object": (
        ("manifest", (*_NOT_OBJECTS, {})),
        ("manifest/kind", (*_NOT_TEXTS, "Secret", "Pod")),
        ("manifest/metadata", (*_NOT_OBJECTS, {})),
        ("manifest/metadata/name", (*_NOT_TEXTS, "another")),
        ("manifest/metadata/namespace", (*_NOT_TEXTS, "kube-system")),
        ("manifest/metadata/ownerReferences", ([{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}],)),
    ),
    "rerun_job": (("new_name", (*_NOT_TEXTS, "*", "../x", "UPPER")),),
    "silence_alert": (
        ("minutes", (_GONE, None, True, "60", 0, -1, 1.5, 1e9, 1441, [], {})),
        (
            "matchers",
            (*_NOT_LISTS, [], [None], [[]], [{"name": "alertname", "value": ""}], [{"name": "alertname", "value": "Down"}],
             [{"name": "namespace", "value": "shop"}],
             [{"name": "alertname", "value": "Down"}, {"name": "namespace", "value": ".*"}]),
        ),
    ),
}  # fmt: skip
# What is known of the alerts that a silence would cover.
_OF_SILENCES: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("/facts/silences", (*_NOT_OBJECTS, {})),
    ("/facts/silences/step-1", (*_NOT_OBJECTS, {}, {"configured": False})),
    ("/facts/silences/step-1/configured", (_GONE, None, False, "true", 1, [])),
    ("/facts/silences/step-1/count", (_GONE, None, True, "1", 0, -1, 1.5, 10_000, [], {})),
    ("/facts/silences/step-1/alerts", (*_NOT_LISTS, [], [None], [[]], ["Down"])),
    ("/facts/silences/step-1/alerts/0/about_target", (_GONE, None, False, "true", 1, [])),
)
_KINDS = (
    ("v1", "Secret"), ("v1", "ServiceAccount"), ("v1", "Namespace"), ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"), ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"), ("apiregistration.k8s.io/v1", "APIService"),
)  # fmt: skip
_NAMESPACES = (
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "lestrade-leases",
    "*",
    "",
    "../kube-system",
    "SHOP",
    "shop\n",
    ".",
)
_TARGET = f"{_ACTION}/target"


def spoilt(document: Json) -> Iterator[tuple[str, Json]]:
    """(what is wrong with it, the document) for everything that can be spoilt in this one."""
    for pointer, values in _MALFORMED:
        yield from _replaced(document, pointer, values)
    yield from _without_facts_of_target(document)
    yield from spoilt_action(document)


def spoilt_action(document: Json) -> Iterator[tuple[str, Json]]:
    """Only what differs from action to action."""
    for place, values in _BY_ACTION.get(_text(document, f"{_ACTION}/kind"), ()):
        yield from _replaced(document, f"{_ACTION}/{place}", values)
    if _text(document, f"{_ACTION}/kind") == "silence_alert":
        for pointer, values in _OF_SILENCES:
            yield from _replaced(document, pointer, values)
    yield from elsewhere(document)


def elsewhere(document: Json) -> Iterator[tuple[str, Json]]:
    """Well-formed, and of kinds and in namespaces that no data may open."""
    yield from _of_other_kinds(document)
    yield from _in_other_namespaces(document)


def _replaced(document: Json, pointer: str, values: tuple[object, ...]) -> Iterator[tuple[str, Json]]:
    for value in values:
        copy = deepcopy(document)
        try:
            if value is _GONE:
                removed(copy, pointer)
            else:
                edited(copy, pointer, value)  # type: ignore[arg-type]
        except (KeyError, IndexError, ValueError):
            continue
        if copy != document:
            yield f"{pointer} {'missing' if value is _GONE else f'is {_short(value)}'}", copy


def _without_facts_of_target(document: Json) -> Iterator[tuple[str, Json]]:
    key = _key(document)
    fact = f"/facts/targets/{key}"
    creates = _text(document, f"{_ACTION}/kind") == "create_object"
    yield from _replaced(document, fact, (*_NOT_OBJECTS, {}))
    yield from _replaced(document, f"{fact}/exists", (_GONE, None, "true", 1, [], creates))
    if not creates:
        yield from _replaced(document, f"{fact}/uid", (_GONE, None, "", "another-uid", 7, []))
    yield from _replaced(document, f"/facts/history/targets/{key}", (*_NOT_OBJECTS, {}))
    yield from _replaced(document, "/facts/leased", ([key.replace("~1", "/")],))
    namespace = _text(document, f"{_TARGET}/namespace")
    if namespace:
        yield from _replaced(document, f"/facts/namespaces/{namespace}", (*_NOT_OBJECTS, {}))
        yield from _replaced(document, f"/facts/namespaces/{namespace}/labels", (_GONE, None, True, 0, "", "x", [], ["x"]))
        yield from _replaced(document, f"/facts/history/namespaces/{namespace}", (*_NOT_OBJECTS, {}))


def _of_other_kinds(document: Json) -> Iterator[tuple[str, Json]]:
    """The facts go along: everything about the object is known and as the plan says, but for what it is."""
    for api_version, kind in _KINDS:
        copy = deepcopy(document)
        edited(copy, f"{_TARGET}/apiVersion", api_version)
        edited(copy, f"{_TARGET}/kind", kind)
        if _text(document, f"{_ACTION}/kind") == "create_object":
            edited(copy, f"{_ACTION}/manifest/apiVersion", api_version)
            edited(copy, f"{_ACTION}/manifest/kind", kind)
        yield f"the target is a {kind}", _with_facts_of(document, copy)


def _in_other_namespaces(document: Json) -> Iterator[tuple[str, Json]]:
    before = _text(document, f"{_TARGET}/namespace")
    for namespace in _NAMESPACES if before else ("kube-system", "*"):
        copy = deepcopy(document)
        edited(copy, f"{_TARGET}/namespace", namespace)
        if before:
            for place in ("/facts/namespaces", "/facts/history/namespaces"):
                there = found(copy, place)
                if isinstance(there, dict):
                    there[namespace] = deepcopy(there[before])
        if _text(document, f"{_ACTION}/kind") == "create_object":
            edited(copy, f"{_ACTION}/manifest/metadata/namespace", namespace)
        yield f"the target is in namespace {_short(namespace)}", _with_facts_of(document, copy)


def _with_facts_of(document: Json, copy: Json) -> Json:
    """Whatever is known about the target before is known about the one it is now: only what it is may speak against it."""
    before, now = (_key(one).replace("~1", "/") for one in (document, copy))
    for place in ("/facts", "/facts/history"):
        there = found(copy, place)
        for part in there.values() if isinstance(there, dict) else ():
            if isinstance(part, dict) and before in part:
                part[now] = deepcopy(part[before])
    return copy


def _key(document: Json) -> str:
    """As a segment of a JSON Pointer."""
    return "~1".join(_text(document, f"{_TARGET}/{part}") for part in ("kind", "namespace", "name"))


def _text(document: Json, pointer: str) -> str:
    value = found(document, pointer)
    return value if isinstance(value, str) else ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
