"""A run goes on from wherever its process ended, also between the work of a stage and the checkpoint after it."""

import aiosqlite
import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agent.errors import StoreUnavailable
from tests.fakes.agent_runs import opened, played, the_run
from tests.fakes.agent_world import Script, World

STAGES = 8


class Lost:
    """A process that ends after it has kept so many checkpoints, and the work that was to go into the next one."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.put = AsyncSqliteSaver.aput

    async def __call__(self, *args, **named):
        if not self.left:
            raise aiosqlite.OperationalError("the process ends here")
        self.left -= 1
        return await self.put(*args, **named)


@pytest.mark.parametrize("number", range(2, STAGES + 1))
async def test_the_work_of_a_stage_is_kept_where_its_checkpoint_is_not(tmp_path, number, monkeypatch):
    world = World.start(tmp_path / "world.json", Script())
    lost = Lost(number)
    with monkeypatch.context() as patch:
        patch.setattr(AsyncSqliteSaver, "aput", lambda self, *args, **named: lost(self, *args, **named))
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
