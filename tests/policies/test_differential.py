"""Generated documents, judged by both engines: whole plans with other values, and spoilt ones."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.contract import Json
from sidecar.policy import load, policies_folder
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.engine import Engine
from sidecar.policy.opa import OpaEngine


def _coarse(number: float) -> float:
    """The embedded engine turns away numbers that it would round."""
    return round(number, 3)


DOCUMENTS: dict[str, Any] = load(policies_folder()).documents
ENVIRONMENTS = st.sampled_from(["dev", "dev", "dev", "dev", "test", "prod", "", "nowhere"])
LEVELS = st.sampled_from(["auto", "auto", "auto", "auto", "review", "", "observe", "full"])
NAMESPACES = st.sampled_from(["shop", "bank", "kube-system", "kube-x", "lestrade", ""])
KINDS = st.sampled_from(["Deployment", "StatefulSet", "DaemonSet", "Secret", "ConfigMap", "Node", "role"])
NUMBERS = st.one_of(st.integers(-2, 25), st.floats(-5, 30).map(_coarse), st.sampled_from([10_000, 2**53 - 1]))
GITOPS = st.sampled_from(
    [
        None,
        None,
        None,
        None,
        None,
        {"tool": "argocd", "app": "shop"},
        {"tool": "flux", "app": "x"},
        {"tool": "other", "app": "y"},
        {},
    ]
)
PATHS = st.sampled_from(
    ["/spec/replicas", "/spec/maxReplicas", "/spec/template/spec/containers/0/image", "/spec/template/spec/containers/1/env/0",
     "/spec/template/spec/hostNetwork", "/data/x", "/data", "/spec/selector/app", "/metadata/labels/x"]
)  # fmt: skip
VALUES = st.one_of(
    NUMBERS,
    st.text(max_size=12),
    st.sampled_from(
        ["registry.k8s.io/a:1", "registry.example/checkout:2", None, {"secretKeyRef": {"name": "a"}}, [{"hostPath": 1}]]
    ),
)
LABELS: list[dict[str, str]] = [
    {},
    {"team": "commerce"},
    {"lestrade.dev/criticality": "critical"},
    {"lestrade.dev/criticality": "?"},
    {"lestrade.dev/approvers": "somebody"},
]
HANDS: list[list[dict[str, Any]]] = [
    [],
    [{"manager": "kubectl-edit", "operation": "Update", "at_epoch": 1794995990}],
    [{"manager": "lestrade-x", "operation": "Update", "at_epoch": 1794995990}],
    [{"manager": "ci", "operation": "Apply", "at_epoch": None}],
]
ACTS: list[dict[str, Any]] = [
    {"kind": kind, "target": f"{of}/shop/x", "target_kind": of, "namespace": "shop", "replicas": count, "lowered": count == 0,
     "fields": [path]}
    for kind, of, count, path in (
        ("scale_workload", "Deployment", 0, "/spec/replicas"),
        ("change_fields", "PodDisruptionBudget", None, "/spec/minAvailable"),
        ("change_fields", "Deployment", None, "/spec/template/spec/containers/0/readinessProbe"),
        ("delete_pod", "Pod", None, ""),
    )
]  # fmt: skip
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).map(_coarse)
    | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=6,
)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Json]:
    """Several steps of the whole documents, with facts that belong to them, and values that may be anything near."""
    document: Any = deepcopy(DOCUMENTS[draw(st.sampled_from(sorted(DOCUMENTS)))])
    for _ in range(draw(st.integers(0, 3))):
        other = deepcopy(DOCUMENTS[draw(st.sampled_from(sorted(DOCUMENTS)))])
        document["plan"]["steps"] += other["plan"]["steps"]
        document["facts"]["targets"].update(other["facts"]["targets"])
        document["facts"]["history"]["targets"].update(other["facts"]["history"]["targets"])
        document["facts"]["namespaces"].update(other["facts"]["namespaces"])
        document["facts"]["history"]["namespaces"].update(other["facts"]["history"]["namespaces"])
        document["facts"]["related"].update(other["facts"]["related"])
        document["facts"]["workloads"].update(other["facts"]["workloads"])
    for number, step in enumerate(document["plan"]["steps"], 1):
        step["id"] = f"step-{number}"
        action = step["action"]
        if draw(st.integers(0, 2)):
            continue
        match action["kind"]:
            case "scale_workload":
                action["replicas"] = draw(NUMBERS)
            case "change_fields":
                action["changes"][0] = {"path": draw(PATHS), "before": draw(VALUES), "after": draw(VALUES)}
            case _:
                part = draw(st.sampled_from(["namespace", "kind", "uid"]))
                action["target"][part] = draw({"namespace": NAMESPACES, "kind": KINDS, "uid": st.just("other")}[part])
    facts = document["facts"]
    facts["cluster"]["environment"] = draw(ENVIRONMENTS)
    for namespace in facts["namespaces"].values():
        namespace["labels"] = {"lestrade.dev/environment": draw(ENVIRONMENTS), "lestrade.dev/autonomy": draw(LEVELS)}
    for target in facts["targets"].values():
        target["gitops"] = draw(GITOPS)
    for count in facts["history"]["targets"].values():
        count["hour"] = draw(st.sampled_from([0, 0, 0, 2, 5, 6]))
        count["replicas"] = draw(st.sampled_from([0, 0, 0, 38, 100]))
    facts["adds"] = {
        step["id"]: {
            "cpu_millis": draw(st.sampled_from([0, 0, 500, 9000, -200])),
            "memory_mib": draw(st.sampled_from([0, 128, 40_000])),
            "storage_mib": 0,
        }
        for step in document["plan"]["steps"]
    }
    for key in facts["related"]:
        facts["related"][key] = draw(st.sampled_from(["same", "same", "same", "refers-to", "", "trust-me"]))
    for workload in facts["workloads"].values():
        workload["replicas"] = draw(st.sampled_from([3, 3, 1, 10, None]))
    for target in facts["targets"].values():
        target["autoscalers"] = draw(st.sampled_from([[], [], [{"name": "a", "min": 2, "max": 5}], None]))
        for field in target.get("live", {}).get("fields", {}).values():
            field["managers"] = draw(st.sampled_from(HANDS))
    facts["history"]["recent"] = draw(st.lists(st.sampled_from(ACTS), max_size=2))
    facts["history"]["pods"] = draw(st.sampled_from([{}, {"shop": [f"checkout-{n}" for n in range(10)]}]))
    for namespace in facts["namespaces"].values():
        namespace["labels"].update(draw(st.sampled_from(LABELS)))
    facts["leased"] = [sorted(facts["targets"])[0]] if draw(st.integers(0, 9)) == 0 else []
    document["clock"] = {}
    whole: dict[str, Json] = document
    return whole


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Json]:
    """A whole document with anything at all in one or two places."""
    document: Any = draw(plans())
    for _ in range(draw(st.integers(1, 2))):
        place: Any = document
        for _ in range(draw(st.integers(1, 8))):
            keys = sorted(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or draw(st.integers(0, 3)) == 0:
                place[key] = draw(JSON)
                break
            place = place[key]
    whole: dict[str, Json] = document
    return whole


SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(document=plans())
def test_both_engines_say_the_same_to_generated_plans(
    embedded: EmbeddedEngine, opa: OpaEngine, same: Callable[[Engine, Engine, dict[str, Json]], None], document: dict[str, Json]
) -> None:
    same(embedded, opa, document)


@SETTINGS
@given(document=spoilt())
def test_both_engines_say_the_same_to_spoilt_plans(
    embedded: EmbeddedEngine, opa: OpaEngine, same: Callable[[Engine, Engine, dict[str, Json]], None], document: dict[str, Json]
) -> None:
    same(embedded, opa, document)
