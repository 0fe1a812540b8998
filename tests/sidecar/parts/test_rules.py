"""Who may answer, and what the answers come to."""

from datetime import UTC, datetime, timedelta

import pytest

from sidecar.approvals import Person, Request, admit, outcome
from sidecar.contract import Answer

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAN = "a" * 64
PEOPLE = {
    "ada": Person(name="ada", roles=frozenset({"approver"})),
    "bob": Person(name="bob", roles=frozenset({"approver", "owner"})),
    "eve": Person(name="eve", roles=frozenset({"viewer"})),
}


def request(**over) -> Request:
    fields = {
        "plan": PLAN,
        "revision": "r1",
        "cluster": "lab",
        "requested_by": "",
        "count": 1,
        "roles": frozenset({"approver"}),
        "expires_at": NOW + timedelta(minutes=10),
        "state": "waiting",
    }
    return Request(**{**fields, **over})


def said(person: str, verdict: str = "approve", at: datetime = NOW) -> Answer:
    return Answer(person=person, verdict=verdict, via="test", at=at)


def taken(answer: Answer, req: Request, *, plan: str = PLAN, revision: str = "r1", now: datetime = NOW) -> str:
    refusal = admit(answer, req, plan=plan, revision=revision, person=PEOPLE.get(answer.person), now=now)
    return "" if refusal is None else refusal.code


@pytest.mark.parametrize(
    ("answer", "over", "expected"),
    [
        (said("ada"), {}, ""),
        (said("ada", "deny"), {}, ""),
        (said("eve"), {}, "no-role"),
        (said("eve", "deny"), {}, "no-role"),
        (said("mallory"), {}, "no-role"),
        (said("ada"), {"roles": frozenset()}, "no-role"),
        (said("ada"), {"requested_by": "ada"}, "own-request"),
        (said("ada"), {"requested_by": " ADA "}, "own-request"),
        (said("ada", "deny"), {"requested_by": "ada"}, ""),
        (said("ada"), {"state": "expired"}, "expired"),
        (said("ada"), {"expires_at": NOW}, "expired"),
        (said("ada"), {"state": "refused"}, "not-waiting"),
        (said("ada"), {"state": "leased"}, "not-waiting"),
        (said("ada"), {"state": "void"}, "not-waiting"),
        (said("ada", "deny"), {"state": "approved"}, ""),
    ],
)
def test_who_may_answer_what(answer, over, expected):
    assert taken(answer, request(**over)) == expected


def test_an_answer_to_another_plan_or_under_another_policy_is_stale():
    assert taken(said("ada"), request(), plan="b" * 64) == "stale-plan"
    assert taken(said("ada"), request(), revision="r2") == "stale-plan"


def test_two_are_wanted_and_one_person_counts_once():
    asked = request(count=2)
    assert outcome(asked, [said("ada"), said("ada")], who=PEOPLE.get, now=NOW) == "waiting"
    assert outcome(asked, [said("ada"), said("bob")], who=PEOPLE.get, now=NOW) == "approved"


def test_one_person_under_two_spellings_counts_once():
    people = {**PEOPLE, "Ada": Person(name="Ada", roles=PEOPLE["ada"].roles)}
    assert outcome(request(count=2), [said("ada"), said("Ada")], who=people.get, now=NOW) == "waiting"


def test_a_deny_wins_over_any_number_of_approvals():
    assert outcome(request(), [said("ada"), said("bob", "deny")], who=PEOPLE.get, now=NOW) == "refused"


def test_whoever_lost_the_role_no_longer_counts():
    without = {**PEOPLE, "ada": Person(name="ada", roles=frozenset())}
    assert outcome(request(), [said("ada")], who=without.get, now=NOW) == "waiting"


def test_silence_is_expired_and_never_yes():
    assert outcome(request(expires_at=NOW), [], who=PEOPLE.get, now=NOW) == "expired"


def test_an_answer_after_the_deadline_does_not_count():
    late = said("ada", at=NOW + timedelta(minutes=11))
    assert outcome(request(), [late], who=PEOPLE.get, now=NOW + timedelta(minutes=12)) == "expired"
