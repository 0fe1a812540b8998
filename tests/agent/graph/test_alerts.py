"""What happens around a run while it goes on: the cluster is away, another run has the same cause, its alerts resolve."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

from agent.domain.document import from_document
from agent.domain.incident import Alert
from agent.domain.report import Report
from agent.graph import Bounds
from tests.fakes.agent_runs import INCIDENT, opened
from tests.fakes.agent_world import START, Script, World

PATIENT = Bounds(poll_seconds=5, approval_wait_seconds=0, cluster_patience_seconds=60)


def change(world: World, **script: object) -> None:
    state = world.load()
    state["script"].update(script)
    world._save(state)


async def reported(store, run: str) -> Report:
    return from_document(Report, dict(await store.report(run)))


async def test_a_cluster_that_is_away_for_a_while_ends_no_run(tmp_path):
    world = World.start(tmp_path / "world.json", Script())
    looks = 0

    def away(where: str) -> None:
        nonlocal looks
        if where == "gather":
            looks += 1
            change(world, unreachable=looks < 4)

    async with opened(tmp_path, bounds=PATIENT, wrap=away) as (investigation, store, events):
        row, _ = await store.open(INCIDENT)
        await investigation.run(row)
        report = await reported(store, row.id)
        told = [event.text for event in await events.told(row.id)]

    assert report.outcome == "repaired"
    assert told.count("the cluster does not answer; it is waited for, 60 s at most") == 1


async def test_patience_with_a_cluster_ends_and_the_run_says_so(tmp_path):
    world = World.start(tmp_path / "world.json", Script(unreachable=True))
    before = world.tick(0)
    async with opened(tmp_path, bounds=PATIENT) as (investigation, store, _):
        row, _ = await store.open(INCIDENT)
        await investigation.run(row)
        ended = await store.row(row.id)

    assert ended.outcome == "failed"
    assert timedelta(seconds=60) <= world.tick(0) - before < timedelta(seconds=180)


async def test_a_second_run_with_the_same_cause_proposes_nothing(tmp_path):
    world = World.start(tmp_path / "world.json", Script())
    async with opened(tmp_path) as (investigation, store, _):
        first, _ = await store.open(INCIDENT)
        await store.same_cause(first.id, await cause_of(investigation, first))
        second, _ = await store.open(replace(INCIDENT, id="inc-2"))
        await investigation.run(second)
        report = await reported(store, second.id)

    assert report.outcome == "joined"
    assert first.id in report.headline
    assert report.diagnosis.causes[0].finding.cause == "oom-killed"
    assert world.writes == []


async def cause_of(investigation, row) -> str:
    """As the runs themselves name it."""
    diagnosis = investigation._means.reasoner.diagnose(row.incident, await investigation._means.reader.overview(["shop"]), ())
    return diagnosis.causes[0].finding.id


async def test_the_report_says_that_the_alerts_resolved_meanwhile(tmp_path):
    World.start(tmp_path / "world.json", Script())
    over = Alert(name="Down", labels={"namespace": "shop"}, starts_at=START, ends_at=START, resolved=True)
    async with opened(tmp_path) as (investigation, store, _):
        row, _ = await store.open(replace(INCIDENT, question="", alerts=(over,)))
        await investigation.run(row)
        report = await reported(store, row.id)

    assert report.headline.endswith("(its alert has resolved by now)")
    assert "alert Down is resolved" in [entry.text for entry in report.timeline]


async def test_a_run_of_alerts_notes_the_change_behind_its_cause_and_our_own_repair_is_none(tmp_path):
    World.start(tmp_path / "world.json", Script(remedies=("65Mi", "256Mi")))  # the first does not help: diagnosed again
    noted: list[str] = []

    def look(where: str) -> None:
        if where in ("propose", "conclude"):
            with closing(sqlite3.connect(tmp_path / "runs.sqlite")) as database:
                noted.append(database.execute("select change from runs").fetchone()[0])

    async with opened(tmp_path, wrap=look) as (investigation, store, _):
        row, _ = await store.open(replace(INCIDENT, group_key="g"))
        await investigation.run(row)

    assert "Deployment shop/checkout, revision 2, by rollout" in noted[0]
    assert "workload shop/checkout" in noted[0]
    assert set(noted) == {noted[0]}
