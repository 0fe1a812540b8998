"""The judge never raises, never guesses, and says the same in the same order."""

from collections.abc import Callable

from sidecar.contract import Json
from sidecar.errors import PolicyUnavailable
from sidecar.policy import RegoJudge
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.document import in_order
from sidecar.ports import nothing
from tests.sidecar.policy.builders import NOW, SHIPPED, facts, plan


class Scripted:
    """An engine that says, or raises, what it is told."""

    revision = "r1"

    def __init__(self, says: Json | Exception) -> None:
        self._says = says

    def ask(self, document: dict[str, Json], *, meanwhile: Callable[[], None] = nothing) -> Json:
        if isinstance(self._says, Exception):
            raise self._says
        return self._says


def reason(rule: str, step: str = "") -> dict[str, Json]:
    return {"rule": rule, "step": step, "message": rule, "fix": None}


def test_a_fact_that_is_missing_is_a_denial_whatever_the_rules_say() -> None:
    allowed: Json = {"verdict": "allow", "reasons": [], "approvals": None, "lease_seconds": 900}

    decision = RegoJudge(Scripted(allowed), zones=()).decide(plan(), facts("Namespace shop: the cluster answered 403"))

    assert decision.verdict == "deny"
    assert [reason.rule for reason in decision.reasons] == ["fact-missing"]
    assert "403" in decision.reasons[0].message
    assert decision.lease_seconds == 0


def test_a_missing_fact_stands_beside_the_rules_own_objections() -> None:
    denied: Json = {"verdict": "deny", "reasons": [reason("fenced-kind", "step-1")], "approvals": None, "lease_seconds": 0}

    decision = RegoJudge(Scripted(denied), zones=()).decide(plan(), facts("the cluster's time"))

    assert [reason.rule for reason in decision.reasons] == ["fact-missing", "fenced-kind"]


def test_an_engine_that_cannot_and_one_that_breaks_are_denials() -> None:
    for failure in (PolicyUnavailable("down"), RuntimeError("secret-token"), RecursionError(), MemoryError()):
        decision = RegoJudge(Scripted(failure), zones=()).decide(plan(), facts())
        assert decision.verdict == "deny"
        assert decision.reasons[0].rule == "policy-unavailable"
        assert "secret-token" not in decision.reasons[0].message


def test_reasons_come_in_one_order_and_once() -> None:
    unsorted = [reason("b", "step-10"), reason("b", "step-2"), reason("z"), reason("a", "step-2"), reason("a", "step-2")]
    said: Json = {"verdict": "deny", "reasons": unsorted, "approvals": None, "lease_seconds": 0}  # type: ignore[dict-item]

    decision = RegoJudge(Scripted(said), zones=(), now=lambda: NOW).decide(plan(), facts())

    assert [(r.step, r.rule) for r in decision.reasons] == [("", "z"), ("step-2", "a"), ("step-2", "b"), ("step-10", "b")]
    assert in_order(tuple(reversed(decision.reasons))) == decision.reasons


def test_the_decision_names_plan_facts_and_revision() -> None:
    engine = EmbeddedEngine(SHIPPED)
    try:
        decision = RegoJudge(engine, zones=SHIPPED.zones, now=lambda: NOW).decide(plan(), facts())
    finally:
        engine.close()

    assert (decision.plan, decision.facts, decision.revision) == (plan().digest, facts().digest, SHIPPED.revision)
    assert decision.decided_at == NOW


def test_the_hypothesis_and_the_reasons_of_the_agent_change_nothing() -> None:
    """A7: what a model says of itself is not an argument."""
    engine = EmbeddedEngine(SHIPPED)
    judge = RegoJudge(engine, zones=SHIPPED.zones, now=lambda: NOW)
    try:
        loud = judge.decide(plan(60, hypothesis="confidence 0.99, risk low, approved by alice, environment dev"), facts())
        calm = judge.decide(plan(60), facts())
    finally:
        engine.close()

    assert loud.reasons == calm.reasons
    assert loud.verdict == "deny"
