"""Every cause: its check fires on its incident, names the culprit, wins the ranking and has a page."""

import random

import pytest

from agent.checks import registered, run
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks import candidates, load_library
from tests.agent.builders import active, app, asked, observed, topology
from tests.agent.checks.cases import CASES, QUESTIONS, SERIES


@pytest.mark.parametrize("cause", sorted(CASES))
def test_the_check_fires_and_names_the_culprit(cause):
    subject, make = CASES[cause]
    objects, logs = make()

    found = [one for one in run(topology(*objects, logs=logs, series=SERIES[cause])) if one.cause == cause]

    assert [f"{one.subject.kind}/{one.subject.name}" for one in found] == [subject]
    assert found[0].state == "active"
    assert found[0].statement.endswith(".")


@pytest.mark.parametrize("cause", sorted(CASES))
def test_the_cause_wins_the_ranking(cause):
    _, make = CASES[cause]
    objects, logs = make()

    seen = observed(*objects, logs=logs)
    diagnosis = OfflineReasoner().diagnose(asked(QUESTIONS[cause]), seen, tuple(SERIES[cause]))

    assert diagnosis.outcome == "fault"
    assert diagnosis.causes[0].finding.cause == cause


@pytest.mark.parametrize("cause", sorted(CASES))
def test_the_order_of_objects_and_logs_does_not_matter(cause):
    _, make = CASES[cause]
    objects, logs = make()
    series = list(SERIES[cause])
    straight = run(topology(*objects, logs=logs, series=series))

    dice = random.Random(7)
    dice.shuffle(objects)
    dice.shuffle(logs)
    dice.shuffle(series)

    assert run(topology(*objects, logs=logs, series=series)) == straight


@pytest.mark.parametrize("cause", sorted(CASES))
def test_there_is_a_remedy_or_a_reason_why_a_person_is_needed(cause):
    _, make = CASES[cause]
    objects, logs = make()
    seen = observed(*objects, logs=logs)
    reasoner = OfflineReasoner()
    first = reasoner.diagnose(asked(QUESTIONS[cause]), seen, tuple(SERIES[cause])).causes[0]

    found = candidates(first, load_library(), reasoner.topology(seen))

    assert found
    for one in found:
        assert bool(one.actions) != bool(one.human)
        assert len(one.expects) == len(one.actions)
        assert not one.actions or any(not check.optional for check in one.verification)


def test_a_healthy_shop_has_no_finding():
    assert run(topology(*app("web"), *app("api", replicas=3))) == ()


def test_every_check_has_a_case():
    assert {one.cause for one in registered() if not one.symptom} - set(CASES) == set()


def test_symptoms_alone_are_no_cause():
    symptoms = {one.cause for one in registered() if one.symptom}

    assert symptoms >= {"crash-loop", "rollout-stalled", "pod-pending", "calls-failing"}
    assert active(run(topology(*app("web")))) == []
