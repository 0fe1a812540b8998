"""What is proposed after a denial: the same plan as policy wants it, once."""

from datetime import UTC, datetime
from typing import Any

from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.domain.outcome import Round
from agent.stages.propose import Proposal, propose
from sidecar.contract import Cause, Decision, Fix, ObjectRef, Plan, Reason, RestartWorkload, Step

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WEB = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="shop", name="web", uid="u-1")
WORD = Reason(rule="basis-changed", message="a model said so", fix=Fix(op="replace", text="say so", path="/basis", value="model"))


def denied(basis: Any, attempt: int) -> Round:
    step = Step(id="step-1", action=RestartWorkload(target=WEB), why="w", expect="e")
    cause = Cause(slug="oom", subject=WEB)
    plan = Plan(incident="inc-1", attempt=attempt, cluster="lab", basis=basis, cause=cause, hypothesis="h", steps=(step,))
    decision = Decision(verdict="deny", revision="r", reasons=(WORD,), plan=plan.digest, facts="ab" * 32, decided_at=NOW)
    return Round(attempt=attempt, plan=plan, remedy="a#restart", end="denied", decision=decision)


def proposed(*rounds: Round) -> Any:
    incident = Incident(id="inc-1", cluster="lab", opened_at=NOW, alerts=())
    nothing: Any = None  # without a cause no runbook is opened, and nothing is looked up
    return propose(incident, Diagnosis(outcome="fault", statement="s"), nothing, rounds, runbooks=nothing, evidence=())


def test_what_was_a_models_word_once_is_proposed_as_one_and_not_given_up():
    found = proposed(denied("checks", 1))
    assert isinstance(found, Proposal)
    assert (found.round.plan.basis, found.round.plan.attempt, found.round.rests_on_model) == ("model", 2, True)
    assert not isinstance(proposed(denied("checks", 1), denied("model", 2)), Proposal), "once"
