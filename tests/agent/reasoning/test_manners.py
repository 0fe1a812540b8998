"""What people type that is no plain question: greetings, commands, other languages, names for short, and what something needs."""

import pytest

from agent.domain.objects import Ref
from agent.reasoning.offline import OfflineReasoner
from agent.reasoning.questions import understand
from tests.agent.builders import NOW, app, asked, container, observed


def answer(question, *objects):
    return OfflineReasoner().diagnose(asked(question), observed(*(objects or (*app("web"), *app("cartservice")))))


@pytest.mark.parametrize("said", ["hola", "hi there!", "help", "Good morning"])
def test_a_greeting_is_asked_back(said):
    found = answer(said)
    assert found.outcome == "unclear"
    assert "what is wrong?" in found.answer.choices


@pytest.mark.parametrize("said", ["restart web", "please delete all pods", "can you scale web to 5"])
def test_a_command_is_told_that_nothing_was_done(said):
    assert answer(said).statement.startswith("A question changes nothing")


@pytest.mark.parametrize("said", ["why does web restart?", "can I delete web?", "start of the trouble with web?"])
def test_a_question_about_a_deed_is_a_question(said):
    assert "changes nothing" not in answer(said).statement


def test_words_of_another_language_are_not_taken_for_understood():
    assert answer("bonjour, pourquoi le site est lent").statement.startswith("Few of these words were understood")
    assert "Few of these" not in answer("why is the shop so slow since this morning?").statement


@pytest.mark.parametrize("said", ["cart broken pls help!!!", "why is cart slow since 10?", "is cart ok?"])
def test_what_people_call_for_short_is_found(said):
    found = answer(said)
    assert Ref("Deployment", "shop", "cartservice") in found.about
    assert "cart is taken for" in found.statement


def test_a_short_name_that_two_things_could_have_is_not_guessed():
    found = answer("cart broken", *app("cartservice"), *app("cartapi"))
    assert "is taken for" not in found.statement


def test_what_something_needs_is_listed_with_how_it_stands():
    web = app("web", containers=[container(env=[{"name": "CART_ADDR", "value": "cartservice:80"}])])
    found = answer("what does web depend on?", *web, *app("cartservice"))
    assert found.answer.intent == "needs"
    assert ("Service shop/cartservice", "calls it", "2 ready pods behind it, nothing wrong with it") in found.answer.rows


def test_who_calls_and_what_is_called_are_two_questions():
    assert understand("who talks to web?", NOW).intent == "impact"
    assert understand("what does web talk to?", NOW).intent == "needs"
    assert understand("why does web depend on db?", NOW).intent == "why"


def test_whether_something_exists_is_said():
    assert answer("does payments exist?").outcome == "absent"


def test_a_workload_may_what_its_account_may():
    assert "ServiceAccount shop/default" in answer("can web delete configmaps?").statement
