"""Facts that no rule reads come last: the whole is the same whatever came last, and what could not be had is told as ever."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.contract import CreateObject, Json, Matcher, Plan, ScaleWorkload, SilenceAlert
from sidecar.errors import ClusterUnavailable
from sidecar.execution import Looks
from sidecar.facts import ClusterFacts
from sidecar.facts.projection import Document
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


class Alerts:
    """One alert that fires, or none that can be had."""

    absent = False

    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    def firing(self, matchers: object) -> list[FiringAlert]:
        self.asked += 1
        if self.down:
            raise ClusterUnavailable("no answer from Alertmanager")
        return [FiringAlert(labels={"alertname": "Slow", "deployment": "checkout"}, silenced=False)]


class Noon(FakeCluster):
    """It is always the same time there."""

    def send(self, call: ApiCall, credential: Credential | None = None) -> ApiAnswer:
        return replace(super().send(call, credential), date=NOW)


def cluster() -> FakeCluster:
    made = Noon()
    for name in ("kube-system", "shop"):
        made.put("namespaces", {"metadata": {"name": name, "labels": {"team": "pay"}}})
    written = [{"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    made.put("deployments", workload(managedFields=written, annotations={"meta.helm.sh/release-name": "shop"}), "apps")
    made.put("replicasets", owned("ReplicaSet", "checkout-7d9f", "checkout", "Deployment"), "apps")
    made.put("pods", owned("Pod", "checkout-7d9f-x2", "checkout-7d9f", "ReplicaSet"))
    made.put("services", {"metadata": {"name": "front", "namespace": "shop"}, "spec": {"selector": {"app": "checkout"}}})
    made.put("horizontalpodautoscalers", {**SCALER, "spec": SCALED}, "autoscaling")
    made.put("poddisruptionbudgets", budget("half", {"matchLabels": {"app": "checkout"}}, 1), "policy")
    return made


def plan() -> Plan:
    """On something that is there, on something that belongs to it, on something that is not there, and on alerts."""
    made = ref("ConfigMap", "new", api="v1", uid="new")
    manifest: dict[str, Json] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "namespace": "shop"}}
    return plan_of(
        ScaleWorkload(target=CHECKOUT, replicas=6),
        SilenceAlert(target=POD, matchers=(Matcher(name="alertname", value="Slow"),), minutes=30),
        CreateObject(target=made, manifest=manifest),
        ScaleWorkload(target=ref("Deployment", "gone"), replicas=1),
    )


def gathered(last: frozenset[str] = frozenset(), *, of: FakeCluster | None = None, alerts: Alerts | None = None) -> Facts:
    return ClusterFacts(of or cluster(), now=lambda: NOW, alerts=alerts or Alerts()).gather(plan(), History(), last=last)


EAGER = gathered()


def test_the_plan_of_these_tests_has_every_fact_that_may_come_last() -> None:
    document: Any = EAGER.document
    seen = [document, *document["targets"].values()]
    assert [name for name in NAMES if not any(facts.get(name) for facts in seen)] == ["deleting", "gitops"]


@settings(max_examples=60, deadline=None)
@given(st.frozensets(st.sampled_from(NAMES)))
def test_whatever_comes_last_the_whole_is_the_same(last: frozenset[str]) -> None:
    facts = gathered(last)

    assert facts.but_for(ALL) == facts.but_for(last) == told(EAGER.document, last)
    assert facts.document == EAGER.document
    assert (facts.missing, facts.digest) == (EAGER.missing, EAGER.digest)


def test_whoever_may_do_without_less_is_given_the_whole() -> None:
    facts = gathered(frozenset({"labels", "live"}))

    assert facts.but_for(frozenset({"labels"})) == EAGER.document == facts.but_for(frozenset())


def test_what_comes_last_is_asked_for_when_it_is_wanted_and_once() -> None:
    alerts = Alerts()
    facts = gathered(frozenset({"silences"}), alerts=alerts)
    assert alerts.asked == 0
    assert facts.document["silences"] == facts.document["silences"] == EAGER.document["silences"]
    assert alerts.asked == 1


def test_what_cannot_be_had_of_it_is_missing() -> None:
    alerts = Alerts()
    alerts.down = True
    facts = gathered(frozenset({"silences"}), alerts=alerts)
    assert "step-2" not in str(facts.but_for(ALL).get("silences"))
    assert facts.missing == gathered(alerts=alerts).missing != ()
    assert facts.document["silences"] == {}


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
    decision = RegoJudge(Allowing(), zones=(), unread=frozenset({"live"})).decide(plan(), facts)

    assert [(reason.rule, reason.message) for reason in decision.reasons] == [
        ("fact-missing", "could not be looked up: everything: the search failed (RecursionError)")
    ]
    assert (facts.document, decision.facts) == ({}, facts.digest)


def test_a_policy_that_came_meanwhile_and_reads_more_is_told_it() -> None:
    engine = Allowing()
    facts = gathered(frozenset({"labels", "live", "related"}))

    RegoJudge(engine, zones=(), unread=frozenset({"live"})).decide(plan(), facts)

    assert engine.told == told(EAGER.document, frozenset({"live"}))


def test_looks_that_are_shared_are_asked_for_nothing_more_at_the_end() -> None:
    there = cluster()
    looks = Looks(there)
    facts = ClusterFacts(there, now=lambda: NOW).gather(plan(), History(), through=looks, last=ALL)
    asked = len(there.requests)
    assert facts.missing == ()
    assert len(there.requests) == asked > 0
