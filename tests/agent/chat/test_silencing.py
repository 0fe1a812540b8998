"""A silence that waits for people is kept, goes on in whatever process there is, and is proposed where the settings want that."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from agent.chat.silencing import Silencings, proposed
from agent.domain.incident import Alert
from agent.errors import ClusterUnreachable, LestradeError
from agent.rendering.silences import silence_lines
from agent.settings import Settings
from agent.stages.silence import LEFT_TO_PEOPLE, Wish
from sidecar.contract import Cause, Matcher, ObjectRef, Plan, SilenceAlert, Step
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script

SILENCE = SilenceAlert(
    target=ObjectRef(api_version="v1", kind="Pod", namespace="shop", name="web", uid="u-1"),
    matchers=(Matcher(name="alertname", value="KubePodCrashLooping"), Matcher(name="namespace", value="shop")),
    minutes=60,
)
PLAN = Plan(
    incident="inc-1",
    attempt=1,
    cluster="lab",
    cause=Cause(slug="known-alert", subject=SILENCE.target),
    hypothesis="60 minutes of silence",
    steps=(Step(id="step-1", action=SILENCE, why="it is known", expect="nobody is notified"),),
)

WISH = Wish(minutes=60, comment="the disk is being replaced", asked_by="sam")
LEFT = ["KubePodCrashLooping: it names no object that is there"]


class Desk:
    """In place of the workshop's own silence: waits for people, and notes with which plans it was begun."""

    def __init__(self) -> None:
        self.approved = asyncio.Event()
        self.waiting = asyncio.Event()
        self.begun = []
        self.wishes = []
        self.cancelled = 0

    async def silence(self, report, wish, *, tell, begun=(), keep=None):
        self.begun.append([plan.digest for plan in begun])
        self.wishes.append(wish)
        if not begun:
            await keep([PLAN])
        await tell("waiting for 1 approval by sre")
        self.waiting.set()
        try:
            await self.approved.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [], LEFT


@asynccontextmanager
async def finished_shop(folder, desk, script=None, **settings):
    """A shop with one run that alerts opened and that has ended."""
    async with fake_shop(folder, script or Script(), settings=Settings(**settings)) as shop:
        alert = Alert(name="KubePodCrashLooping", labels={"namespace": "shop"}, fingerprint="ab")
        row, _ = await shop.take(alerts=[alert], group_key="g")
        await shop.work(row)
        shop.silence = desk.silence
        yield shop, await shop.store.row(row.id)


async def lines(shop, run: str) -> list[str]:
    return [event.text for event in await shop.events.told(run) if event.text.startswith("silence")]


async def until(true) -> None:
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_silence_waits_for_people_no_longer_than_a_turn_and_goes_on(tmp_path):
    desk = Desk()
    async with finished_shop(tmp_path, desk) as (shop, row):
        silencings = Silencings(shop)
        first = await silencings.ask(await shop.report(row.id), WISH, seconds=0.01)
        desk.approved.set()

        async def told() -> bool:
            return len(await lines(shop, row.id)) == 2

        await until(told)
        second = await silencings.ask(await shop.report(row.id), WISH, seconds=30)
        await silencings.close()

        assert first.ended is None
        assert (await lines(shop, row.id))[:2] == ["silence: waiting for 1 approval by sre", f"silence: not silenced: {LEFT[0]}"]
        assert silence_lines(*second.ended) == [f"not silenced: {LEFT[0]}"]


async def test_what_a_process_left_behind_another_goes_on_with_by_the_same_plan(tmp_path):
    desk = Desk()
    async with finished_shop(tmp_path, desk) as (shop, row):
        before, after, third = Silencings(shop), Silencings(shop), Silencings(shop)
        await before.ask(await shop.report(row.id), WISH, seconds=0.01)
        await asyncio.wait_for(desk.waiting.wait(), 30)
        await after.look()  # while another has it
        assert len(desk.begun) == 1
        await before.close()

        await after.look()
        desk.approved.set()

        async def done() -> bool:
            return not after._running

        await until(done)
        await third.look()

        assert desk.begun == [[], [PLAN.digest]]  # and nothing is left for the third
        assert desk.wishes[1] == WISH


async def test_one_whose_process_was_killed_is_free_when_its_claim_has_run_out(tmp_path):
    desk = Desk()
    async with finished_shop(tmp_path, desk) as (shop, row):
        clock = shop.database.now
        await Silencings(shop)._book.add(row.id, {"minutes": 60}, owner="killed", seconds=60)
        silencings = Silencings(shop)
        await silencings.look()
        assert desk.begun == []
        shop.database.now = lambda: clock() + timedelta(seconds=61)
        await silencings.look()
        await asyncio.wait_for(desk.waiting.wait(), 30)
        await silencings.close()

        assert desk.wishes == [Wish(minutes=60)]


async def test_what_was_asked_for_long_ago_and_left_is_forgotten(tmp_path):
    desk = Desk()
    async with finished_shop(tmp_path, desk) as (shop, row):
        clock = shop.database.now
        silencings = Silencings(shop)
        await silencings._book.add(row.id, {"minutes": 60})
        shop.database.now = lambda: clock() + timedelta(days=2)
        await silencings.look()
        shop.database.now = clock
        await silencings.look()

        assert (silencings._running, desk.begun) == (set(), [])


async def test_what_cannot_be_asked_for_is_said_in_the_run_and_not_tried_for_ever(tmp_path):
    async def silence(report, wish, *, tell, begun=(), keep=None):
        raise ClusterUnreachable("nothing answers")

    desk = Desk()
    async with finished_shop(tmp_path, desk) as (shop, row):
        shop.silence = silence
        silencings = Silencings(shop)
        with pytest.raises(ClusterUnreachable):
            await silencings.ask(await shop.report(row.id), WISH, seconds=30)
        await silencings.look()

        assert silencings._running == set()
        assert await lines(shop, row.id) == ["silence: not silenced: nothing answers"]


async def test_what_breaks_is_said_in_the_run_without_what_it_was_and_not_tried_again(tmp_path):
    async def silence(report, wish, *, tell, begun=(), keep=None):
        raise ValueError("secret words")

    async with finished_shop(tmp_path, Desk()) as (shop, row):
        shop.silence = silence
        silencings = Silencings(shop)
        with pytest.raises(LestradeError, match="ValueError"):
            await silencings.ask(await shop.report(row.id), WISH, seconds=30)
        await silencings.look()

        assert silencings._running == set()
        assert await lines(shop, row.id) == ["silence: not silenced: asking for it broke (ValueError); see the log"]


async def test_a_process_that_stood_still_stops_once_another_has_taken_its_silence_up(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.chat.silencing.CLAIM_SECONDS", 0.03)
    desk = Desk()
    async with finished_shop(tmp_path, desk) as (shop, row):
        still = Silencings(shop)
        await still.ask(await shop.report(row.id), WISH, seconds=0.01)
        await asyncio.wait_for(desk.waiting.wait(), 30)
        still.owner = "nobody any more"  # as if the claim were another's

        async def stopped() -> bool:
            return not still._running

        await until(stopped)

        async def free() -> bool:
            return [one.run for one in await still._book.take("another", seconds=60, most=9)] == [row.id]

        assert desk.cancelled == 1
        await until(free)


async def test_a_silence_is_proposed_where_a_known_cause_is_left_to_people_and_alerts_fire_on(tmp_path):
    async with finished_shop(tmp_path, Desk(), propose_silence_minutes=60) as (shop, row):
        left = replace(row, outcome="human-needed")
        over = tuple(replace(alert, resolved=True) for alert in row.incident.alerts)

        assert await proposed(shop, replace(left, outcome="repaired")) is None
        assert await proposed(shop, replace(left, incident=replace(row.incident, alerts=over))) is None
        assert await proposed(shop, replace(left, incident=replace(row.incident, group_key=""))) is None
        wish = await proposed(shop, left)
        assert wish is not None
        assert (wish.minutes, wish.proposed) == (60, True)
        shop.settings = Settings()
        assert await proposed(shop, left) is None


async def test_of_a_run_whose_process_died_at_its_end_a_silence_is_proposed_all_the_same_and_once(tmp_path):
    desk = Desk()
    desk.approved.set()
    script = Script(answer="deny")
    async with finished_shop(tmp_path, desk, script, propose_silence_minutes=60) as (shop, row):
        assert row.outcome in LEFT_TO_PEOPLE  # and nothing was done after that
        for silencings in (Silencings(shop), Silencings(shop)):
            await silencings.look()
            await until(lambda one=silencings: is_done(one))

        assert [(wish.minutes, wish.proposed) for wish in desk.wishes] == [(60, True)]


async def test_a_report_that_cannot_be_read_holds_up_no_silence_of_another(tmp_path):
    desk = Desk()
    desk.approved.set()
    script = Script(answer="deny")
    async with finished_shop(tmp_path, desk, script, propose_silence_minutes=60) as (shop, row):
        odd, _ = await shop.take(alerts=row.incident.alerts, group_key="odd")
        await shop.store.finish(odd.id, "denied", "h", {"written": "by another version"})
        silencings = Silencings(shop)
        await silencings.look()
        await until(lambda: is_done(silencings))
        await silencings.look()

        assert len(desk.wishes) == 1


async def is_done(silencings: Silencings) -> bool:
    return not silencings._running
