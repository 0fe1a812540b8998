"""Looks of the last two seconds: what may rest on them when a plan is judged, and what never does."""

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.contract import Lease, PlanStatus, Problem
from sidecar.execution import Looks, Recent
from sidecar.execution.recent import SECONDS
from sidecar.facts.gathered import Gathered
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.submit import submit
from sidecar.ports import ApiAnswer, ApiCall
from tests.fakes.sidecar_gate import FakeFacts, World, change, deployment, make_world, plan

CALL = ApiCall(method="GET", path="/apis/apps/v1/namespaces/shop/deployments/web")
QUESTION = (CALL.path, CALL.query)
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def world(tmp_path):
    world = make_world(tmp_path, verdict="allow")
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    return world


def looked(world: World) -> int:
    return sum(request.verb == "GET" and request.path == CALL.path for request in world.cluster.requests)


def submitted(world: World, before: int, after: int) -> PlanStatus:
    return submit(plan(change("/spec/replicas", before, after)), desk=world.desk)


def test_what_was_just_looked_at_is_not_asked_for_again_where_the_plan_is_allowed(world):
    assert submitted(world, 3, 4).state == "approved"
    before = looked(world)

    assert submitted(world, 3, 5).state == "approved"

    assert looked(world) == before


def test_a_denial_never_rests_on_an_earlier_look(world):
    submitted(world, 3, 4)
    world.cluster.edit("apps", "deployments", "shop", "web", replicas=6)

    assert submitted(world, 6, 7).state == "approved"  # by the earlier look it is not as the plan says


def test_people_are_shown_what_is_there_now(world):
    submitted(world, 3, 4)
    world.judge.verdict = "review"
    before = looked(world)
    world.cluster.edit("apps", "deployments", "shop", "web", replicas=6)

    assert submitted(world, 6, 7).state == "waiting"
    assert submitted(world, 3, 7).state == "denied"

    assert looked(world) > before


def test_nothing_is_lent_by_an_earlier_look(world):
    submitted(world, 3, 4)
    world.cluster.edit("apps", "deployments", "shop", "web", replicas=6)
    stale = submitted(world, 3, 5)
    assert stale.state == "approved"

    refused = lease(stale.plan, desk=world.desk)

    assert isinstance(refused, Problem)
    assert refused.code == "target-changed"
    assert world.cluster.writes() == []


def test_a_step_of_the_sidecar_makes_it_look_again(world):
    held = lease(submitted(world, 3, 4).plan, desk=world.desk)
    assert isinstance(held, Lease)
    submitted(world, 3, 5)
    perform(held.id, "step-1", desk=world.desk)
    before = looked(world)

    assert submitted(world, 4, 6).state == "approved"

    assert looked(world) > before


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_kept_look_says_the_clusters_time_as_it_is_by_now():
    clock = Clock()
    recent = Recent(now=clock)
    asked = recent.asking()
    clock.seconds += 0.5  # on its way
    recent.keep(QUESTION, ApiAnswer(status=200, body={}, date=NOON), asked)
    clock.seconds += 1.25

    _, by_now = recent.of([QUESTION])

    assert by_now == NOON + timedelta(seconds=1.25)


def test_of_several_kept_looks_the_latest_says_the_time():
    clock = Clock()
    recent = Recent(now=clock)
    questions = [(f"/api/v1/namespaces/{name}", ()) for name in ("early", "late", "silent")]
    for question, date in zip(questions, (NOON, NOON + timedelta(seconds=7), None), strict=True):
        recent.keep(question, ApiAnswer(status=200, body={}, date=date), recent.asking())
        clock.seconds += 0.25

    found, by_now = recent.of([*questions, QUESTION])

    assert [*found] == questions
    assert by_now == NOON + timedelta(seconds=7.5)
    assert recent.of([questions[2]])[1] is None


@pytest.mark.parametrize("under_way", [0.0, 1.5])
def test_a_look_is_kept_for_two_seconds_from_when_it_was_asked_for(under_way):
    clock = Clock()
    recent = Recent(now=clock)
    answer = ApiAnswer(status=200, body={})
    asked = recent.asking()
    clock.seconds += under_way
    recent.keep(QUESTION, answer, asked)

    clock.seconds += SECONDS - under_way
    assert recent.of([QUESTION]) == ({QUESTION: answer}, None)

    clock.seconds += 0.01
    assert recent.of([QUESTION]) == ({}, None)


def test_where_there_are_too_many_what_was_looked_at_anew_outlasts_what_was_not():
    clock = Clock()
    recent = Recent(now=clock)
    anew, once, *others = [(f"/api/v1/namespaces/{number}", ()) for number in range(2_000)]
    answer = ApiAnswer(status=200, body={})
    for question in (anew, once, anew):
        recent.keep(question, answer, recent.asking())

    for question in others:
        if once not in recent.of([once])[0]:
            break
        recent.keep(question, answer, recent.asking())

    assert [*recent.of([anew, once])[0]] == [anew]


def test_what_was_not_there_is_asked_for_again():
    recent = Recent()
    recent.keep(QUESTION, ApiAnswer(status=404, body={}), recent.asking())

    assert recent.of([QUESTION]) == ({}, None)


def test_a_look_that_was_under_way_during_a_write_is_not_kept(world):
    recent = Recent()

    def write_meanwhile(call: ApiCall, _: str) -> None:
        recent.forget()

    world.cluster.after = write_meanwhile
    Looks(world.cluster, recent=recent).send(CALL)

    assert recent.of([QUESTION]) == ({}, None)


def test_a_process_that_stood_still_while_a_look_was_kept_goes_on():
    seconds = itertools.count(step=SECONDS + 1)
    recent = Recent(now=lambda: float(next(seconds)))
    recent.keep(QUESTION, ApiAnswer(status=200, body={}), recent.asking())

    assert recent.of([QUESTION]) == ({}, None)


class Late(FakeFacts):
    """What no rule reads is there when somebody asks for the whole."""

    def __init__(self, judge):
        super().__init__()
        self.judge, self.completed = judge, []

    def gather(self, plan, history, **more):
        found = super().gather(plan, history, **more)

        def complete():
            self.completed.append(self.judge.thinking)
            return {**found.document, "adds": {"step-1": {}}}

        return Gathered(first=found.document, last=self.last[-1], complete=complete, missing=found.missing, at=found.gathered_at)


def test_what_no_rule_reads_comes_last_and_is_recorded_with_all_the_rest(world):
    late = Late(world.judge)
    world.judge.unread = frozenset({"adds"})
    world.desk = dataclasses.replace(world.desk, facts=late)

    digest = submitted(world, 3, 4).plan
    held = lease(digest, desk=world.desk)

    assert isinstance(held, Lease)
    assert late.last[0] == {"adds"}
    assert set(late.last[1:]) == {frozenset()}, "a lease looks at everything at once"
    assert late.completed[0], "while the engine thinks"
    assert len(late.completed) == len(late.last), "once each"
    (record,) = [each for each in world.desk.ledger.documents() if each["kind"] == "plan-decided"]
    assert record["body"]["facts"] == {"cluster": {"name": "lab"}, "adds": {"step-1": {}}}
