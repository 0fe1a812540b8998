"""A run goes on from wherever its process ended, also between the work of a stage and the checkpoint after it."""

import aiosqlite
import pytest

from agent.errors import StoreUnavailable
from agent.graph.keeping import OneRowSaver
from tests.fakes.agent_runs import opened, played, the_run
from tests.fakes.agent_world import Script, World

STAGES = 8


class Lost:
    """A process that ends after it has kept so many checkpoints, and done the work that was to go into the next one."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.put = OneRowSaver.aput

    async def __call__(self, *args, **named):
        if not self.left:
            raise aiosqlite.OperationalError("the process ends here")
        self.left -= 1
        return await self.put(*args, **named)


@pytest.mark.parametrize("number", range(2, STAGES + 1))
async def test_work_whose_checkpoint_is_not_kept_is_done_again_and_nothing_happens_twice(tmp_path, number, monkeypatch):
    world = World.start(tmp_path / "world.json", Script())
    lost = Lost(number)
    with monkeypatch.context() as patch:
        patch.setattr(OneRowSaver, "aput", lambda self, *args, **named: lost(self, *args, **named))
        async with opened(tmp_path) as (investigation, store, _events):
            with pytest.raises(StoreUnavailable):
                await investigation.run(await the_run(store))

    async with opened(tmp_path) as (investigation, store, events):
        row = await the_run(store)
        if row.state != "finished":
            await investigation.run(row)
        done = await played(world, store, events)

    assert done.report.outcome == "repaired"
    assert len(world.writes) == 1


async def test_a_run_keeps_one_checkpoint_however_many_steps_it_takes(tmp_path):
    World.start(tmp_path / "world.json", Script())
    async with opened(tmp_path) as (investigation, store, _events):
        await investigation.run(await the_run(store))

    async with aiosqlite.connect(tmp_path / "runs.sqlite") as connection:
        rows = list(await connection.execute_fetchall("SELECT thread_id FROM checkpoints"))
        notes = list(await connection.execute_fetchall("SELECT thread_id FROM writes"))

    assert (len(rows), len(notes)) == (1, 0)
