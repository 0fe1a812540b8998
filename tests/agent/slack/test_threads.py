"""Incidents in Slack: one thread each, edited as they go on, ended with chart and report; a storm shares one message."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given

from agent.chat.slack.threads import Standing, storm, thread, waits_for
from agent.domain.document import to_document
from agent.ports import RunEvent, RunRow
from agent.store.slack import SqlSlackBook
from agent.store.tables import events, runs
from tests.agent.slack.conftest import CHANNEL, until
from tests.agent.slack.limits import is_harmless, is_within_limits
from tests.agent.slack.reports import AT, TEXTS, hostile, incident, report
from tests.agent.slack.test_messages import QUICK
from tests.fakes.slack import words_of

PLAN = "3f9a0c1d2e4b" + "5" * 52
WAITING = {"plan": PLAN, "roles": ["sre"], "count": 1, "expires_at": "2026-03-01T03:32:00+00:00"}


def row(**over) -> RunRow:
    usual = {"id": "run-1", "incident": incident(), "state": "running", "outcome": "", "headline": "", "created_at": AT}
    return RunRow(**{**usual, "updated_at": AT, **over})


def told(*lines: tuple[str, str, dict]) -> tuple[RunEvent, ...]:
    return tuple(
        RunEvent(seq=n, at=AT, stage=stage, text=text, data=data) for n, (stage, text, data) in enumerate(lines, start=1)
    )


async def shows(slack, words: str):
    def look():
        found = [message for message in slack.messages.values() if words in words_of(message)]
        return found[-1] if found else None

    return await until(look, f"a message says {words!r}")


@pytest.mark.usefixtures("font")
async def test_one_message_for_an_incident_from_the_alert_over_the_approval_to_the_outcome(world):
    await world.switched_on()
    world.app()
    opened, _ = await world.runs.store.open(incident())
    await world.runs.events.append(opened.id, "intake", "taken in")
    first = await shows(world.slack, "KubePodCrashLooping in shop")
    assert first["channel"] == CHANNEL

    await world.runs.events.append(
        opened.id, "diagnose", "Container app is killed for memory", {"outcome": "fault", "causes": []}
    )
    await world.runs.events.append(opened.id, "propose", "plan 1: change fields Deployment shop/checkout", {"plan": PLAN})
    await world.runs.events.append(opened.id, "authorize", "waiting for 1 approval by sre until 03:32:00 UTC", WAITING)
    waiting = await shows(world.slack, "Waiting for approval")
    assert "is killed for memory" in words_of(waiting)
    assert f"https://approvals.example/approvals/{PLAN}" in str(waiting["blocks"])

    found = report(outcome="repaired", headline="Repaired: the limit is 256Mi again", run=opened.id)
    await world.runs.events.append(opened.id, "conclude", found.headline)
    await world.runs.store.finish(opened.id, "repaired", found.headline, to_document(found))
    done = await shows(world.slack, "Repaired and verified: KubePodCrashLooping in shop")
    await until(lambda: sum(file.get("complete", False) for file in world.slack.files.values()) == 2, "chart and report")
    assert done["ts"] == waiting["ts"] == first["ts"]
    assert {file["thread_ts"] for file in world.slack.files.values()} == {first["ts"]}

    over = replace(opened.incident, alerts=tuple(replace(alert, resolved=True) for alert in opened.incident.alerts))
    async with world.database.transaction() as connection:
        await connection.execute(runs.update().values(incident=json.dumps(to_document(over))))
    await world.runs.events.append(opened.id, "intake", "resolved after the run had ended: KubePodCrashLooping")
    await shows(world.slack, "Resolved · Repaired and verified")
    assert len(world.slack.asked("chat.postMessage")) == 1


async def test_a_mention_in_an_incidents_thread_is_about_that_incident(world):
    await world.switched_on()
    app = world.app()
    opened, _ = await world.runs.store.open(incident())
    await world.runs.events.append(opened.id, "intake", "taken in")
    first = await shows(world.slack, "KubePodCrashLooping")
    from tests.agent.slack.test_questions import answer_in, hear

    asked = world.slack.said("why?", "UADA", thread=first["ts"])
    await hear(app, asked)
    await answer_in(world.slack, asked, "All is well.")
    assert world.answers.asked == [("why?", "UADA", opened.id, "")]


async def test_questions_have_no_thread_and_what_was_there_before_slack_neither(world):
    old, _ = await world.runs.store.open(incident(group_key="old"))
    await world.switched_on()
    world.app()
    question, _ = await world.runs.store.open(incident(alerts=(), question="why?", group_key=""))
    await asyncio.sleep(0.15)
    assert world.slack.asked("chat.postMessage") == []
    assert (await world.book.thread(question.id)).kind == "none"
    assert await world.book.thread(old.id) is None


async def test_what_was_said_of_an_incident_stands_when_its_timeline_is_kept_no_longer(world):
    await world.switched_on()
    world.app()
    opened, _ = await world.runs.store.open(incident())
    await world.runs.events.append(
        opened.id, "diagnose", "Container app is killed for memory", {"outcome": "fault", "causes": []}
    )
    await world.runs.store.finish(opened.id, "diagnosed", "done", {})
    first = await shows(world.slack, "is killed for memory")
    book = SqlSlackBook(world.database)
    week = world.database.now() - timedelta(days=7)

    async def quiet() -> None:
        for _ in range(3000):
            if not await book.changed(week):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it is told again and again")

    await quiet()
    said = words_of(world.slack.messages.get(first["ts"], first))
    async with world.database.transaction() as connection:
        await connection.execute(events.delete())
    await quiet()

    assert words_of(await shows(world.slack, "is killed for memory")) == said


async def test_a_storm_is_a_few_threads_and_one_summary(world):
    await world.switched_on()
    world.app(threads_a_minute=2)
    for number in range(30):
        await world.runs.store.open(incident(id=f"inc-{number}", group_key=f"g{number}"))
    shown = await shows(world.slack, "28 more incidents")
    assert "28 × KubePodCrashLooping in shop" in words_of(shown)
    assert len(world.slack.asked("chat.postMessage")) == 3


async def test_a_storm_that_is_told_costs_no_reading(world):
    await world.switched_on()
    world.app(threads_a_minute=1)
    for number in range(6):
        opened, _ = await world.runs.store.open(incident(id=f"inc-{number}", group_key=f"g{number}"))
    await shows(world.slack, "5 more incidents")
    read = []
    row = world.runs.row
    world.runs.row = lambda run: read.append(run) or row(run)
    await asyncio.sleep(0.3)
    assert read == []

    await world.runs.store.finish(opened.id, "failed", "The run broke", {})
    await shows(world.slack, "Looked into: 1 of 5")


async def test_a_thread_that_cannot_be_shown_keeps_no_other_from_it(world):
    await world.switched_on()
    broken, _ = await world.runs.store.open(incident())
    told = world.runs.told

    async def breaks(run):
        if run == broken.id:
            raise KeyError(run)
        return await told(run)

    world.runs.told = breaks
    world.app()
    await world.runs.store.open(incident(id="inc-2", group_key="other", alerts=()))
    later, _ = await world.runs.store.open(incident(id="inc-3", group_key="later"))

    async def is_kept() -> bool:
        thread = await world.book.thread(later.id)
        return thread is not None and bool(thread.ts)

    await until(is_kept, "the later one is there, and kept")
    assert world.slack.messages


async def test_while_slack_is_down_threads_wait_and_two_processes_post_each_once(world, monkeypatch):
    monkeypatch.setattr("agent.chat.slack.announcer.LONGEST_PAUSE", 0.05)
    await world.switched_on()
    world.app()
    world.app()
    world.slack.down = True
    for number in range(3):
        await world.runs.store.open(incident(id=f"inc-{number}", group_key=f"g{number}"))
    await until(lambda: world.slack.asked("chat.postMessage"), "it was tried")
    assert world.slack.messages == {}
    world.slack.down = False
    await until(lambda: len(world.slack.messages) == 3, "all three are there")
    await asyncio.sleep(0.2)
    assert len(world.slack.messages) == 3


async def test_a_run_that_broke_is_told_once(world):
    await world.switched_on()
    world.app()
    opened, _ = await world.runs.store.open(incident())
    await world.runs.store.finish(opened.id, "failed", "The run broke: stage gather broke", {})
    await shows(world.slack, "The run broke: stage gather broke")
    await asyncio.sleep(0.1)
    assert await world.book.changed(opened.created_at.replace(year=2020)) == []


@QUICK
@given(found=hostile(), text=TEXTS)
@example(found=report(headline="\U0001f600" * 3000), text="\U0001f600" * 5000)
@example(found=report(headline="&" * 3000), text="<" * 5000)
def test_no_incident_makes_a_message_that_slack_refuses(found, text):
    alert = replace(
        found.incident.alerts[0], name=text, labels={"namespace": text, "severity": text}, annotations={"summary": text}
    )
    hostile_row = row(incident=replace(found.incident, alerts=(alert,) * 9), headline=text)
    lines = told(
        *[("gather", text, {})] * 9, ("diagnose", text, {"outcome": "fault"}), ("authorize", f"waiting for {text}", WAITING)
    )
    for shown in (Standing(row=hostile_row, told=lines, report=None), Standing(row=hostile_row, told=lines, report=found)):
        made = thread(shown, public_url="https://lestrade.example", approvals_url="https://lestrade.example")
        is_within_limits(made.blocks)
        is_harmless(made.text)
    made = storm([hostile_row] * 60, public_url="https://lestrade.example")
    is_within_limits(made.blocks)


def test_only_the_last_line_says_that_a_plan_waits():
    line = ("authorize", "waiting for 1 approval by sre until 03:32:00 UTC", WAITING)
    assert waits_for(told(line)) == PLAN
    assert waits_for(told(line, ("authorize", "a person said no", {"plan": PLAN, "end": "refused"}))) == ""
    assert waits_for(told(("authorize", line[1], {"plan": "../../evil"}))) == ""
