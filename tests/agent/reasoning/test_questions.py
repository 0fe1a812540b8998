"""Questions by their words alone: what is wanted, of what, with which symptom and of which time."""

from datetime import UTC, datetime

import pytest

from agent.reasoning.names import nearest, said_in_parts
from agent.reasoning.periods import period_of
from agent.reasoning.questions import understand

NOW = datetime(2026, 5, 4, 15, 30, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("why is checkout failing?", "why"),
        ("What is wrong in namespace shop?", "why"),
        ("checkout-api restarts again and again. What is the cause?", "why"),
        ("what happened to the payments pods", "why"),
        ("Which pods can't read their secrets?", "why"),
        ("why did the deploy change nothing?", "why"),
        ("payments was changed and is down since then, why?", "why"),
        ("Are customers affected, and why does it hang?", "why"),
        ("is checkout healthy?", "health"),
        ("how is the payments service doing?", "health"),
        ("is everything ok in shop?", "health"),
        ("Is mailer broken?", "health"),
        ("what changed in shop since yesterday?", "changed"),
        ("who changed the web deployment?", "changed"),
        ("did anyone deploy something in the last hour?", "changed"),
        ("show me the recent changes", "changed"),
        ("when was web last deployed?", "changed"),
        ("who can delete pods in namespace shop?", "access"),
        ("which service accounts can read secrets?", "access"),
        ("what can the serviceaccount ci do in namespace build?", "access"),
        ("can user bob delete deployments in shop?", "access"),
        ("Who is allowed to read logs in prod?", "access"),
        ("what would be affected if db goes down?", "impact"),
        ("what happens if I drain node-3?", "impact"),
        ("who uses configmap app-settings?", "impact"),
        ("what depends on redis?", "impact"),
        ("is it safe to restart payments-api?", "impact"),
        ("can I delete the secret db-login?", "impact"),
    ],
)
def test_what_is_wanted(question, intent):
    assert understand(question, NOW).intent == intent


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("since 14:05", "04 14:05", "04 15:30"),
        ("at 14:05", "04 13:35", "04 14:35"),
        ("at 2pm", "04 13:30", "04 14:30"),
        ("at 23:50", "03 23:20", "04 00:20"),  # still to come today: it was yesterday
        ("yesterday at 14:05", "03 13:35", "03 14:35"),
        ("yesterday", "03 00:00", "04 00:00"),
        ("since yesterday", "03 00:00", "04 15:30"),
        ("between 14:00 and 14:30", "04 14:00", "04 14:30"),
        ("over the past hour", "04 14:30", "04 15:30"),
        ("this morning", "04 04:00", "04 12:00"),
        ("last night", "03 18:00", "04 08:00"),
        ("on friday", "01 00:00", "02 00:00"),
        ("on 2026-05-02 at 10:00", "02 09:30", "02 10:30"),
    ],
)
def test_times(words, start, end):
    found = period_of(f"checkout fails {words}", NOW)

    assert found is not None
    assert (found.start.strftime("%d %H:%M"), found.end.strftime("%d %H:%M")) == (start, end)


@pytest.mark.parametrize(("words", "minutes"), [("since 10 minutes", 10), ("half an hour ago", 30), ("for about 2 hours", 120)])
def test_a_length_of_time_reaches_back_at_least_so_far_and_not_twice(words, minutes):
    found = period_of(words, NOW)

    assert found is not None
    assert minutes <= (NOW - found.start).total_seconds() / 60 < 2 * minutes
    assert found.end == NOW


@pytest.mark.parametrize("words", ["after the deploy", "since the last release", "after the 2.15 rollout", "since our update"])
def test_a_change_is_a_time_too(words):
    found = period_of(words, NOW)

    assert found is not None
    assert found.anchor == "change"


@pytest.mark.parametrize("words", ["from 2 to 4", "port 8080", "version 3.0.1", "a while ago", "10.0.0.1:8080", "p99 of 300 ms"])
def test_numbers_that_are_no_time(words):
    assert period_of(words, NOW) is None


def test_what_is_put_as_names_are():
    found = understand('why can deploy/web and the pod "cart" not reach db-main in shop/orders since 10:00?', NOW).mentions

    assert {(one.name, one.kind, one.namespace) for one in found if one.sure} >= {
        ("web", "Deployment", ""),
        ("cart", "", ""),
        ("db-main", "", ""),
        ("orders", "", "shop"),
    }


@pytest.mark.parametrize(
    "question", ["why is everything slow?", "what is going on?", "why does the website not work?", "is it up?"]
)
def test_ordinary_words_are_no_names(question):
    assert understand(question, NOW).mentions == ()


def test_rights_are_understood_as_rbac_has_them():
    access = understand("who can read logs in namespace shop?", NOW).access
    named = understand("who has access to secret db-login?", NOW).access
    ours = understand("what can the serviceaccount build/ci do?", NOW).access

    assert access is not None
    assert (access.verb, access.resource) == ("get", "pods/log")
    assert named is not None
    assert (named.verb, named.resource, named.name) == ("get", "secrets", "db-login")
    assert ours is not None
    assert (ours.subject, ours.subject_kind) == ("build/ci", "ServiceAccount")


def test_symptoms_are_understood():
    assert "crash" in understand("it restarts all the time", NOW).symptoms
    assert "memory" in understand("pods get OOMKilled", NOW).symptoms
    assert "pending" in understand("the pod is Pending", NOW).symptoms


def test_names_are_matched_with_slips_and_other_separators_and_not_with_other_names():
    names = ("checkout-api", "checkout-web", "db", "payments")

    assert [name for name, _ in nearest("chekcout-api", names)] == ["checkout-api"]
    assert nearest("payment", names)[0][0] == "payments"
    assert nearest("orders", names) == []
    assert nearest("dc", names) == []  # a slip in two letters is another word
    assert said_in_parts("checkout-api", ("the", "checkout", "api"))
    assert not said_in_parts("checkout-api", ("the", "checkout"))
