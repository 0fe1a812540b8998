"""A run that kills whoever works on it is tried a few times and no more, and what was known of it is not lost."""

import pytest

from agent.graph.investigation import MOST_DEATHS
from tests.agent.graph.test_crash import Died
from tests.fakes.agent_runs import opened, played, the_run
from tests.fakes.agent_world import Script, World


async def die_of_it(folder, places: list[str], *, limit: int = 20) -> int:
    """How often a process died of the run at one of these places until it was at its end."""

    def die(place: str) -> None:
        if place in places:
            raise Died

    for deaths in range(limit):
        async with opened(folder, wrap=die) as (investigation, store, _events):
            row = await the_run(store)
            assert await store.claim(row.id, f"process-{deaths}", lease_seconds=60)
            try:
                await investigation.run(row)
            except Died:
                await store.let_go(f"process-{deaths}")
            else:
                return deaths
    raise AssertionError("it is tried without end")


@pytest.mark.parametrize("place", ["intake", "diagnose", "verify"])
async def test_what_is_known_is_reported_after_the_third_death_at_the_same_stage(tmp_path, place):
    world = World.start(tmp_path / "world.json", Script())
    deaths = await die_of_it(tmp_path, [place])

    async with opened(tmp_path) as (_, store, events):
        row = await the_run(store)
        done = await played(world, store, events)
    assert deaths == MOST_DEATHS
    assert (row.state, row.outcome) == ("finished", "failed")
    assert f"died {MOST_DEATHS} times in a row at stage {place}" in row.headline
    assert (done.report.diagnosis is not None) == (place == "verify")  # a fault was found before


async def test_a_run_that_kills_at_its_report_too_is_ended_without_one(tmp_path):
    World.start(tmp_path / "world.json", Script())
    deaths = await die_of_it(tmp_path, ["gather", "conclude"])

    async with opened(tmp_path) as (_, store, _events):
        row = await the_run(store)
    assert deaths == 2 * MOST_DEATHS
    assert (row.outcome, await store.report(row.id)) == ("failed", {})


async def test_who_waits_for_people_may_die_as_often_as_it_will(tmp_path):
    World.start(tmp_path / "world.json", Script())
    with pytest.raises(AssertionError, match="without end"):
        await die_of_it(tmp_path, ["authorize"], limit=MOST_DEATHS + 2)
