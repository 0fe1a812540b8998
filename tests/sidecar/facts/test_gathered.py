"""Facts that no rule reads come last: the whole is the same whatever came last, and what could not be had is told as ever."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.contract import (
    Cause,
    ChangeFields,
    CreateObject,
    FieldChange,
    Json,
    Matcher,
    ObjectRef,
    Plan,
    ScaleWorkload,
    SilenceAlert,
)
from sidecar.errors import ClusterUnavailable
from sidecar.execution import Looks
from sidecar.facts import ClusterFacts
from sidecar.facts.projection import Document, mapping
from sidecar.facts.sight import Sight
from sidecar.policy import RegoJudge
from sidecar.policy.unread import Unread, told
from sidecar.ports import ApiAnswer, ApiCall, Credential, Facts, FiringAlert, History, nothing
from tests.fakes.sidecar_cluster import FakeCluster
from tests.sidecar.facts.test_finder import CHECKOUT, NOW, POD, budget, owned, plan_of, ref, workload

NAMES = sorted(get_args(Unread))
SCALER = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "more", "namespace": "shop"}}
SCALED = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}, "maxReplicas": 9}
ALL = frozenset(NAMES)
ASKED = {"related", "silences"}  # others are asked for them: that is done by then


class Alerts:
    """One alert that fires, or none that can be had."""

    absent = False

    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    def firing(self, matchers: tuple[Matcher, ...]) -> tuple[FiringAlert, ...]:
        self.asked += 1
        if self.down:
            raise ClusterUnavailable("no answer from Alertmanager")
        return (FiringAlert(labels={"alertname": "Slow", "deployment": "checkout"}, silenced=False),)


class Ticking(FakeCluster):
    """With each answer it is a second later there."""

    def send(self, call: ApiCall, credential: Credential | None = None) -> ApiAnswer:
        return replace(super().send(call, credential), date=NOW + timedelta(seconds=len(self.requests)))


def cluster() -> FakeCluster:
    made = Ticking()
    for name in ("kube-system", "shop"):
        made.put("namespaces", {"metadata": {"name": name, "labels": {"team": "pay"}}})
    written = [{"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    made.put("deployments", workload(managedFields=written, annotations={"meta.helm.sh/release-name": "shop"}), "apps")
    made.put("replicasets", owned("ReplicaSet", "checkout-7d9f", "checkout", "Deployment"), "apps")
    made.put("pods", owned("Pod", "checkout-7d9f-x2", "checkout-7d9f", "ReplicaSet"))
    made.put("services", {"metadata": {"name": "front", "namespace": "shop"}, "spec": {"selector": {"app": "checkout"}}})
    backend = {"service": {"name": "front", "port": {"number": 80}}}
    made.put(
        "ingresses", {"metadata": {"name": "door", "namespace": "shop"}, "spec": {"defaultBackend": backend}}, "networking.k8s.io"
    )
    made.put("horizontalpodautoscalers", {**SCALER, "spec": SCALED}, "autoscaling")
    made.put("poddisruptionbudgets", budget("half", {"matchLabels": {"app": "checkout"}}, 1), "policy")
    return made


def plan() -> Plan:
    """On something that is there, on what scales it and what belongs to it, on something that is not there, and on alerts; its
    cause is what leads there, so that it takes a list to see how they depend on each other."""
    made = ref("ConfigMap", "new", api="v1", uid="new")
    manifest: dict[str, Json] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "namespace": "shop"}}
    scaler = ref("HorizontalPodAutoscaler", "more", api="autoscaling/v2")
    whole = plan_of(
        ScaleWorkload(target=CHECKOUT, replicas=6),
        SilenceAlert(target=POD, matchers=(Matcher(name="alertname", value="Slow"),), minutes=30),
        CreateObject(target=made, manifest=manifest),
        ScaleWorkload(target=ref("Deployment", "gone"), replicas=1),
        ChangeFields(target=scaler, changes=(FieldChange(path="/spec/maxReplicas", before=9, after=12),)),
    )
    return whole.model_copy(update={"cause": Cause(slug="slow", subject=ref("Ingress", "door", api="networking.k8s.io/v1"))})


def gathered(last: frozenset[str] = frozenset(), *, of: FakeCluster | None = None, alerts: Alerts | None = None) -> Facts:
    return ClusterFacts(of or cluster(), now=lambda: NOW, alerts=alerts or Alerts()).gather(plan(), History(), last=last)


EAGER = gathered()


def test_the_plan_of_these_tests_has_every_fact_that_may_come_last() -> None:
    document: Any = EAGER.document
    seen = [document, *document["targets"].values()]
    assert [name for name in NAMES if not any(facts.get(name) for facts in seen)] == ["deleting", "gitops"]
    assert document["related"]["Deployment/shop/checkout"] == "routes-to"


@settings(max_examples=60, deadline=None)
@given(st.frozensets(st.sampled_from(NAMES)))
def test_whatever_comes_last_the_whole_is_the_same(last: frozenset[str]) -> None:
    facts = gathered(last)

    assert told(facts.but_for(last), last) == told(EAGER.document, last)
    assert facts.but_for(ALL) == facts.but_for(last) == told(EAGER.document, last - ASKED)
    assert facts.document == EAGER.document
    assert (facts.missing, facts.digest) == (EAGER.missing, EAGER.digest)


def test_whoever_may_do_without_less_is_given_the_whole() -> None:
    facts = gathered(frozenset({"labels", "live"}))

    assert facts.but_for(frozenset({"labels"})) == EAGER.document == facts.but_for(frozenset())


@pytest.mark.parametrize(
    "subject", [ref("Ingress", "door", api="networking.k8s.io/v1"), ref("Node", "n", namespace="", api="v1")]
)
@pytest.mark.parametrize("shared", [True, False])
def test_nobody_is_asked_for_anything_when_the_rest_is_put_together(subject: ObjectRef, shared: bool) -> None:
    there, alerts = cluster(), Alerts()
    asking = plan().model_copy(update={"cause": Cause(slug="slow", subject=subject)})
    through = Looks(there, alerts) if shared else None
    facts = ClusterFacts(there, now=lambda: NOW, alerts=alerts).gather(asking, History(), through=through, last=ALL)
    asked = (len(there.requests), alerts.asked)

    assert facts.document["adds"]
    assert (len(there.requests), alerts.asked) == asked
    assert min(asked) > 0


def test_what_could_not_be_had_stays_away_and_is_missing_once() -> None:
    """The budgets, so everything that they might cover; and alerts."""
    there, alerts = cluster(), Alerts()
    alerts.down = True
    down = ApiAnswer(status=503, body={})
    there.before = lambda call, _: down if "poddisruptionbudgets" in call.path or call.path.endswith("/kube-system") else None
    facts, eager = gathered(ALL, of=there, alerts=alerts), gathered(of=there, alerts=alerts)

    assert "Deployment/shop/checkout" not in mapping(facts.but_for(ALL), "targets")
    assert [*mapping(facts.document, "targets")] == [
        "ConfigMap/shop/new",
        "Deployment/shop/gone",
        "HorizontalPodAutoscaler/shop/more",
    ]
    assert {**facts.document, "now": "", "now_epoch": 0} == {**eager.document, "now": "", "now_epoch": 0}
    assert facts.missing == eager.missing
    assert [*facts.missing] == sorted(set(facts.missing))
    assert len(facts.missing) > 2


class Allowing:
    """An engine that allows, and keeps what it was told."""

    revision = "r1"

    def __init__(self) -> None:
        self.told: Document = {}

    def ask(self, document: dict[str, Json], *, meanwhile: Callable[[], None] = nothing) -> Json:
        self.told = dict(document["facts"])  # type: ignore[arg-type]
        return {"verdict": "allow", "reasons": [], "approvals": None, "lease_seconds": 900}

    def why_not(self) -> str:
        return ""


def test_a_search_that_fails_at_its_end_is_a_denial_and_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = gathered(frozenset({"live"}))

    def broken(*_: object) -> Document:
        raise RecursionError("secret")

    monkeypatch.setattr(Sight, "completed", broken)
    engine = Allowing()
    decision = RegoJudge(engine, zones=(), unread=frozenset({"live"})).decide(plan(), facts)

    assert engine.told == told(EAGER.document, frozenset({"live"})), "it was asked before that"
    assert [(reason.rule, reason.message) for reason in decision.reasons] == [
        ("fact-missing", "could not be looked up: everything: the search failed (RecursionError)")
    ]
    assert (facts.document, decision.facts) == ({}, facts.digest)


def test_a_policy_that_came_meanwhile_and_reads_more_is_told_it() -> None:
    engine = Allowing()
    facts = gathered(frozenset({"labels", "live", "related"}))

    RegoJudge(engine, zones=(), unread=frozenset({"live"})).decide(plan(), facts)

    assert engine.told == told(EAGER.document, frozenset({"live"}))
