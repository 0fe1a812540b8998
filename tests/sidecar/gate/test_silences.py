"""A silence is made once, seen by those who approve it, taken back, and never left behind by what did not help."""

from datetime import timedelta

import pytest

from sidecar.approvals import switch
from sidecar.contract import Lease
from sidecar.errors import AlertmanagerUnavailable
from sidecar.execution import Looks
from sidecar.gate.answer import answer
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.reap import reap
from sidecar.gate.settle import settle
from sidecar.gate.stop import stop
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from tests.fakes.sidecar_alertmanager import CRASHES, silence
from tests.fakes.sidecar_gate import World, deployment, make_world, plan, scale


class Crash(BaseException):
    """The process is gone: nothing catches it."""


@pytest.fixture
def world(tmp_path, database):
    world = make_world(tmp_path, database())
    world.cluster.put("deployments", deployment(), "apps")
    return world


def leased(world: World, *actions, attempt: int = 1) -> Lease:
    digest = submit(plan(*(actions or (silence(),)), attempt=attempt), desk=world.desk).plan
    ada = world.people.known["ada"]
    answer(digest, person=ada, verdict="approve", plan=digest, revision="rev-1", via="test", desk=world.desk)
    granted = lease(digest, desk=world.desk)
    assert isinstance(granted, Lease), granted
    return granted


def crash(what: str) -> None:
    raise Crash


def stopped(world: World) -> None:
    """Somebody stops everything while this very step is under way."""
    with world.desk.ledger.write() as transaction:
        switch.stop(transaction.connection, by="ada", at=transaction.now, reason="")


def kinds(world: World, about: str = "") -> list[str]:
    return [record["kind"] for record in world.desk.ledger.documents(about=about)]


def test_people_see_every_alert_that_would_be_muted_and_by_which_labels(world):
    world.alerts.alerts.append({**CRASHES, "pod": "web-7d9f5c8b64-zz9zz\u202e"})
    view = submit(plan(silence()), desk=world.desk).approval
    (change,) = view.changes
    assert change.summary == "silence KubePodCrashLooping about Deployment shop/web for 60 minutes"
    assert "+  minutes: 60" in change.diff
    assert "pod=web-7d9f5c8b64-x2kqz" in change.diff
    assert "\u202e" not in change.diff
    assert change.reversible
    assert "Alertmanager has none" in view.dry_run


def test_a_silence_is_made_without_any_right_and_stays_where_it_helped(world):
    granted = leased(world)
    assert granted.rights == ()
    result = perform(granted.id, "step-1", desk=world.desk)
    assert result.status == "performed", result
    (made,) = world.alerts.standing()
    assert {one.name: one.value for one in made.matchers} == {
        name: CRASHES[name] for name in ("alertname", "namespace", "severity")
    }
    assert made.ends_at - made.starts_at == timedelta(minutes=60)
    assert made.comment.startswith(f"being repaired [incident inc-1, plan {granted.plan[:12]}, approved by ada]")
    assert perform(granted.id, "step-1", desk=world.desk).repeated
    settlement = settle(granted.id, "helped", desk=world.desk)
    assert (settlement.state, settlement.contradictions) == ("settled", ())
    assert settlement.observed[0] == "step-1 is as-left"
    stop(world.people.known["ada"], desk=world.desk)
    assert len(world.alerts.standing()) == 1, "a stop takes back what goes on, not what was settled as helped"


def test_undoing_ends_it_and_once_is_enough(world):
    granted = leased(world)
    perform(granted.id, "step-1", desk=world.desk)
    world.alerts.alerts.clear()  # resolved meanwhile
    assert undo(granted.id, desk=world.desk).complete
    assert world.alerts.standing() == []
    assert settle(granted.id, "undone", desk=world.desk).observed[0] == "step-1 is undone"


@pytest.mark.parametrize("end", ["did-not-help", "unknown", "the time is over", "stopped"])
def test_what_ends_without_a_plain_yes_ends_the_silence(world, end):
    granted = leased(world)
    perform(granted.id, "step-1", desk=world.desk)
    if end == "the time is over":
        world.clock.advance(seconds=world.judge.lease_seconds + 1)
        reap(desk=world.desk)
    elif end == "stopped":
        stop(world.people.known["ada"], desk=world.desk)
    else:
        settle(granted.id, end, desk=world.desk)
    assert world.alerts.standing() == []
    assert "silence-ended" in kinds(world)


def test_while_alertmanager_is_silent_itself_the_lease_is_not_settled(world):
    granted = leased(world)
    perform(granted.id, "step-1", desk=world.desk)
    world.alerts.down = True
    assert settle(granted.id, "unknown", desk=world.desk).state == "revocation_pending"
    assert not world.cluster.names("rolebindings")
    repair = submit(plan(scale(5), incident="inc-2"), desk=world.desk).plan
    answer(repair, person=world.people.known["ada"], verdict="approve", plan=repair, revision="rev-1", via="t", desk=world.desk)
    assert isinstance(lease(repair, desk=world.desk), Lease), "what it was about can be repaired meanwhile"
    for _ in range(3):
        world.clock.advance(seconds=61)
        reap(desk=world.desk)
    assert settle(granted.id, "unknown", desk=world.desk).state == "revocation_pending"
    world.alerts.down = False
    reap(desk=world.desk)
    assert world.alerts.standing() == []
    assert settle(granted.id, "unknown", desk=world.desk).state == "settled"
    assert kinds(world, granted.id).count("lease-revocation-pending") == 1, "the reaper tries each minute, and says it once"
    assert kinds(world, granted.id).count("lease-settled") == 1


@pytest.mark.parametrize("where", ["before it is sent", "after it was made", "the answer is lost"])
def test_a_death_in_the_middle_makes_no_second_silence(world, where):
    granted = leased(world)
    if where == "before it is sent":
        world.alerts.before = lambda what: crash(what) if what == "make" else None
    elif where == "after it was made":
        world.alerts.after = crash
    else:

        def lost(what):
            raise AlertmanagerUnavailable("no answer")

        world.alerts.after = lost
    with pytest.raises((Crash, AlertmanagerUnavailable)):
        perform(granted.id, "step-1", desk=world.desk)
    world.alerts.before = world.alerts.after = lambda what: None
    world.restart()
    result = perform(granted.id, "step-1", desk=world.desk)
    assert result.status == "performed", result
    assert len(world.alerts.silences) == 1
    assert settle(granted.id, "helped", desk=world.desk).state == "settled"


def test_a_silence_that_a_crash_left_is_ended_by_the_reaper(world):
    granted = leased(world)
    world.alerts.after = crash
    with pytest.raises(Crash):
        perform(granted.id, "step-1", desk=world.desk)
    world.alerts.after = lambda what: None
    world.restart()
    world.clock.advance(seconds=world.judge.lease_seconds + 1)
    reap(desk=world.desk)
    assert [one.state for one in world.alerts.silences.values()] == ["expired"]
    assert settle(granted.id, "unknown", desk=world.desk).state == "settled"


def test_nothing_is_silenced_under_a_stop_or_when_nothing_fires_any_more(world):
    granted = leased(world)
    world.alerts.alerts.clear()
    result = perform(granted.id, "step-1", desk=world.desk)
    assert (result.status, result.reason) == ("refused", "target-changed")
    settle(granted.id, "not-performed", desk=world.desk)
    world.alerts.alerts.append(dict(CRASHES))
    other = leased(world, silence(30), attempt=2)
    world.alerts.before = lambda what: stopped(world) if what == "firing" else None
    result = perform(other.id, "step-1", desk=world.desk)
    assert (result.status, result.reason) == ("refused", "lease-over")
    assert world.alerts.silences == {}


def test_what_alertmanager_does_not_take_is_failed_and_says_so(world):
    granted = leased(world)
    world.alerts.refuses = True
    result = perform(granted.id, "step-1", desk=world.desk)
    assert (result.status, result.reason) == ("failed", "invalid")
    assert "does not take" in result.message


@pytest.mark.parametrize("way", ["performed again", "undone"])
def test_one_that_was_sent_and_not_seen_is_ended_with_the_lease_whatever_its_step_came_to(world, way):
    granted = leased(world)

    def lost(what):
        raise AlertmanagerUnavailable("no answer")

    world.alerts.after = lost
    with pytest.raises(AlertmanagerUnavailable):
        perform(granted.id, "step-1", desk=world.desk)
    world.alerts.after = lambda what: None
    seen, world.alerts.made = world.alerts.made, lambda marker, identifier="": None  # by a replica that does not have it yet
    world.clock.advance(seconds=2)
    if way == "undone":
        undo(granted.id, desk=world.desk)
    else:
        assert perform(granted.id, "step-1", desk=world.desk).status == "refused"
    assert settle(granted.id, "undone", desk=world.desk).state == "revocation_pending", "it may be on its way"
    world.alerts.made = seen
    reap(desk=world.desk)
    assert world.alerts.standing() == []
    assert settle(granted.id, "undone", desk=world.desk).state == "settled"


def test_an_alertmanager_that_does_not_answer_is_asked_once_for_all_steps(world):
    world.alerts.alerts.append({"alertname": "Slow", "namespace": "shop"})
    slow = silence(alertname="Slow", namespace="shop")
    granted = leased(world, silence(), slow)
    for step in ("step-1", "step-2"):
        assert perform(granted.id, step, desk=world.desk).status == "performed"
    asked: list[str] = []
    world.alerts.before = asked.append
    world.alerts.down = True
    settle(granted.id, "did-not-help", desk=world.desk)
    assert asked == ["made", "made"], "once for what is to be ended, once for what is seen of it"
    asked.clear()
    looks = Looks(world.cluster, world.alerts)
    for step in plan(silence(), slow).steps:
        with pytest.raises(AlertmanagerUnavailable):
            looks.firing(step.action.matchers)
    assert asked == ["firing"]


@pytest.mark.parametrize(
    ("case", "rule"),
    [("down", "target-unreadable"), ("nothing fires", "nothing-to-do"), ("silenced already", "nothing-to-do")],
)
def test_what_cannot_be_silenced_is_denied_when_it_comes_in(world, case, rule):
    if case == "down":
        world.alerts.down = True
    elif case == "nothing fires":
        world.alerts.alerts = [{**CRASHES, "namespace": "payments"}]
    else:
        perform(leased(world).id, "step-1", desk=world.desk)
    status = submit(plan(silence(45), attempt=2), desk=world.desk)
    assert [reason.rule for reason in status.decision.reasons] == [rule]


def test_that_the_old_token_was_refused_is_not_forgotten_while_a_silence_is_pending(world):
    granted = leased(world, scale(5), silence())
    for step in ("step-1", "step-2"):
        assert perform(granted.id, step, desk=world.desk).status == "performed"
    world.alerts.down = True
    first = settle(granted.id, "unknown", desk=world.desk)
    assert (first.state, first.refusal) == ("revocation_pending", "403")
    world.alerts.down = False
    reap(desk=world.desk)
    last = settle(granted.id, "unknown", desk=world.desk)
    assert (last.state, last.refusal, last.refused_after_ms) == ("settled", "403", first.refused_after_ms)


def test_beside_a_repair_the_last_step_is_taken_back_first(world):
    granted = leased(world, scale(5), silence())
    for step in ("step-1", "step-2"):
        assert perform(granted.id, step, desk=world.desk).status == "performed"
    assert undo(granted.id, desk=world.desk).complete
    assert world.alerts.standing() == []
    assert world.cluster.objects[("apps", "deployments", "shop", "web")]["spec"]["replicas"] == 3


@pytest.mark.parametrize("late", [False, True])
def test_a_repair_is_taken_back_however_silent_alertmanager_is(world, late):
    granted = leased(world, scale(5), silence())
    for step in ("step-1", "step-2"):
        assert perform(granted.id, step, desk=world.desk).status == "performed"
    world.alerts.down = True
    if late:
        world.clock.advance(seconds=world.judge.lease_seconds + 1)
    came = undo(granted.id, desk=world.desk)
    assert [(one.step, one.status) for one in came.steps] == [("step-2", "failed"), ("step-1", "performed")]
    assert (came.complete, came.steps[0].reason) == (False, "alertmanager-unavailable")
    assert world.cluster.objects[("apps", "deployments", "shop", "web")]["spec"]["replicas"] == 3
    world.alerts.down = False
    settle(granted.id, "undone", desk=world.desk)
    assert world.alerts.standing() == []
