"""The clock that moves, the stop that two people lift, the glass that two people break: at the gate, with a clock of our own."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.approvals import Person, Seen
from sidecar.contract import Lease, Problem
from sidecar.gate.answer import answer
from sidecar.gate.glass import close_review, open_reviews
from sidecar.gate.hours import BOUND, Hours
from sidecar.gate.lease import lease
from sidecar.gate.memberships import KeptMemberships
from sidecar.gate.standing import standing
from sidecar.gate.stop import LIFT_WITHIN, lift, state_of_stop, stop
from sidecar.gate.submit import submit
from tests.fakes.sidecar_gate import FakeClock, World, deployment, make_world, plan, scale

WHY = "checkout is down and nobody answers"


@pytest.fixture
def world(tmp_path):
    world = make_world(tmp_path, lease_seconds=1800)
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    for name in ("gus", "hal", "ida"):
        world.people.add(name, "break-glass")
    for name in ("bob", "dan"):
        world.people.add(name, "operator")
    return world


def say(world: World, digest: str, name: str, verdict: str = "approve", *, glass: bool = False):
    person = world.people.known[name]
    return answer(
        digest,
        person=person,
        verdict=verdict,
        plan=digest,
        revision="rev-1",
        via="test",
        reason=WHY,
        glass=glass,
        desk=world.desk,
    )


def code(came) -> str:
    assert isinstance(came, Problem), came
    return came.code


def kinds(world: World, digest: str = "") -> list[str]:
    return [str(record["kind"]) for record in world.desk.ledger.documents(about=digest)]


# the clock


def test_time_never_goes_back_and_never_stands_still():
    clock = FakeClock()
    hours = Hours(clock)
    began = hours.now()
    clock.advance(seconds=10)
    clock.set(hours=-1)
    assert hours.now() == began + timedelta(seconds=10)
    clock.advance(seconds=5)
    assert hours.now() == began + timedelta(seconds=15)


def test_a_clock_that_went_ahead_and_came_back_lengthens_no_later_deadline():
    clock = FakeClock()
    hours = Hours(clock)
    clock.set(hours=1)
    ahead = hours.now()
    clock.set(hours=-1)
    clock.advance(minutes=10)
    assert hours.now() == ahead + timedelta(minutes=10)


@pytest.mark.parametrize(("moved", "wrong"), [(0, False), (59, False), (-59, False), (61, True), (-61, True)])
def test_a_minute_is_forgiven_and_more_is_not(moved, wrong):
    clock = FakeClock()
    hours = Hours(clock)
    clock.advance(days=3)
    clock.set(seconds=moved)
    assert bool(hours.wrong()) is wrong


def test_a_record_from_the_future_is_not_trusted_and_not_forgotten():
    clock = FakeClock()
    hours = Hours(clock)
    hours.not_before(clock.now() + BOUND + timedelta(seconds=1))
    assert "set back" in hours.wrong()
    clock.advance(seconds=1)
    assert hours.now() > clock.now() + BOUND


def test_with_a_wrong_clock_a_yes_is_not_taken_and_a_no_is(world):
    digest = submit(plan(scale(5)), desk=world.desk).plan
    world.clock.set(seconds=-120)
    assert code(say(world, digest, "ada")) == "clock-unsure"
    assert say(world, digest, "ada", "deny").state == "refused"
    assert submit(plan(scale(5), attempt=2), desk=world.desk).decision.reasons[-1].rule == "clock-unsure"


# the stop


def test_half_a_lift_lapses_and_outlives_a_restart_until_then(world):
    stop(world.people.known["ada"], reason="enough", desk=world.desk)
    assert lift(world.people.known["bob"], desk=world.desk).lifting == ("bob",)
    world.restart()
    assert state_of_stop(desk=world.desk).lifting == ("bob",)
    world.clock.advance(seconds=LIFT_WITHIN.total_seconds() + 1)
    assert state_of_stop(desk=world.desk).lifting == ()
    assert lift(world.people.known["dan"], desk=world.desk).stopped
    assert not lift(world.people.known["bob"], desk=world.desk).stopped
    assert kinds(world)[-1] == "stop-lifted"


def test_whoever_lost_the_role_lifts_nothing_and_a_new_stop_begins_anew(world):
    stop(world.people.known["ada"], desk=world.desk)
    lift(world.people.known["bob"], desk=world.desk)
    world.people.add("bob", "sre")
    assert lift(world.people.known["dan"], desk=world.desk).stopped
    world.people.add("bob", "operator")
    stop(world.people.known["ada"], desk=world.desk)
    assert lift(world.people.known["bob"], desk=world.desk).lifting == ("bob",)


def test_a_bot_stops_but_lifts_nothing(world):
    world.people.known["robot"] = Person(name="robot", roles=frozenset({"operator"}), bot=True)
    assert stop(world.people.known["robot"], desk=world.desk).stopped
    assert code(lift(world.people.known["robot"], desk=world.desk)) == "no-role"
    lift(world.people.known["bob"], desk=world.desk)
    assert code(lift(world.people.known["robot"], desk=world.desk)) == "no-role"
    assert state_of_stop(desk=world.desk).stopped


# the glass


def broken(world: World, **more: object) -> str:
    digest = submit(plan(scale(5), **more), desk=world.desk).plan
    assert say(world, digest, "gus", glass=True).state == "waiting"
    assert say(world, digest, "hal", glass=True).state == "approved"
    return digest


def test_two_people_break_the_glass_for_minutes(world):
    digest = broken(world)
    granted = lease(digest, desk=world.desk)
    assert isinstance(granted, Lease)
    assert granted.expires_at - granted.granted_at <= timedelta(seconds=300)
    assert kinds(world, digest).count("glass-broken") == 1
    view = standing(digest, desk=world.desk).approval
    assert [(given.person, given.glass) for given in view.answers] == [("gus", True), ("hal", True)]


def test_a_broken_glass_that_is_not_used_within_five_minutes_is_void(world):
    digest = broken(world)
    world.clock.advance(seconds=301)
    assert code(lease(digest, desk=world.desk)) == "expired"
    assert [review.plan for review in open_reviews(desk=world.desk)] == [digest], "it was broken all the same"


def test_a_usual_yes_and_a_glass_yes_are_not_two(world):
    world.judge.count = 2
    world.people.add("ada", "approver", "break-glass")
    digest = submit(plan(scale(5)), desk=world.desk).plan
    assert say(world, digest, "ada").state == "waiting"
    assert say(world, digest, "gus", glass=True).state == "waiting"
    assert say(world, digest, "ada", glass=True).state == "approved", "she changed how she says it, and counts once"
    assert len(standing(digest, desk=world.desk).answers) == 2


def test_without_a_reason_or_without_need_no_glass_breaks(world):
    digest = submit(plan(scale(5)), desk=world.desk).plan
    person = world.people.known["gus"]
    short = answer(
        digest,
        person=person,
        verdict="approve",
        plan=digest,
        revision="rev-1",
        via="test",
        reason="now",
        glass=True,
        desk=world.desk,
    )
    assert code(short) == "reason-wanted"
    say(world, digest, "ada")
    assert code(say(world, digest, "gus", glass=True)) == "not-waiting"


def test_one_of_the_two_who_loses_the_role_takes_the_approval_along(world):
    digest = broken(world)
    world.people.add("hal", "sre")
    assert code(lease(digest, desk=world.desk)) == "approval-lapsed"


def test_what_the_policy_denies_by_now_no_glass_opens(world):
    digest = broken(world)
    world.judge.verdict = "deny"
    assert code(lease(digest, desk=world.desk)) == "policy-denies"
    assert world.cluster.writes() == []


def test_a_review_is_closed_by_somebody_else_with_a_word(world):
    world.people.known["kim"] = Person(name="kim", roles=frozenset({"operator"}), also=frozenset({"kim.k"}))
    digest = broken(world, requested_by="kim.k")
    world.people.add("hal", "operator", "break-glass")
    for name, expected in (("hal", "own-review"), ("kim", "own-review"), ("ida", "no-role")):
        assert code(close_review(digest, person=world.people.known[name], note=WHY, desk=world.desk)) == expected
    assert code(close_review(digest, person=world.people.known["bob"], note="ok", desk=world.desk)) == "reason-wanted"
    assert close_review(digest, person=world.people.known["bob"], note=WHY, desk=world.desk).closed_by == "bob"
    assert open_reviews(desk=world.desk) == []
    assert close_review(digest, person=world.people.known["dan"], note="something else", desk=world.desk).closed_by == "bob"


# what the identity provider said


def test_what_a_provider_said_is_kept_over_a_restart_and_only_the_newest_counts(world):
    now = world.desk.ledger.now()

    def seen(seconds: int, *roles: str) -> Seen:
        return Seen(
            name="oidc:x#1",
            subject="1",
            email="",
            called="Gil",
            also=frozenset({"1", "gil"}),
            roles=frozenset(roles),
            at=now + timedelta(seconds=seconds),
        )

    kept = KeptMemberships(world.desk.ledger)
    assert kept.keep(seen(0, "sre", "owner")).roles == {"sre", "owner"}
    assert kept.keep(seen(10, "sre")).roles == {"sre"}
    assert kept.keep(seen(5, "sre", "owner")).roles == {"sre"}, "an old token brings nothing back"
    assert kept.keep(seen(10, "owner", "sre")).roles == {"sre"}
    assert kept.keep(seen(10)).roles == frozenset(), "of one second: what both say"
    world.restart()
    again = KeptMemberships(world.desk.ledger).of("oidc:x#1")
    assert (again.roles, again.also, again.called) == (frozenset(), {"1", "gil"}, "Gil")
    assert kinds(world).count("membership-seen") == 3
    assert KeptMemberships(world.desk.ledger).keep(replace(seen(0), name="oidc:x#2")).roles == frozenset()
    assert KeptMemberships(world.desk.ledger).of("oidc:x#2") is None, "nobody is not kept"
