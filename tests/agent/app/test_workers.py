"""Which of the runs that wait are begun, where some of them have killed a process."""

import asyncio

from agent.app.meters import Meters
from agent.app.workers import Workers
from agent.settings import Settings
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script


async def test_of_runs_that_a_process_died_of_one_is_worked_on_at_a_time_beside_others(tmp_path):
    at_once, most, done = set(), [], set()
    async with fake_shop(tmp_path, Script(), settings=Settings(workers=4)) as shop:
        suspects = [(await shop.take(question=f"suspect {number}?"))[0].id for number in range(3)]
        for run in suspects:
            assert await shop.store.claim(run, "dead", lease_seconds=60)
        assert await shop.store.let_go("dead") == 3
        fresh = (await shop.take(question="fresh?"))[0].id
        finished = shop.work

        async def work(row):
            at_once.add(row.id)
            most.append(frozenset(at_once))
            try:
                return await finished(row)
            finally:
                at_once.discard(row.id)
                done.add(row.id)
                workers.wake()

        shop.work = work
        workers = Workers(shop, Meters())
        task = asyncio.create_task(workers.run())
        async with asyncio.timeout(30):
            while len(done) < 4:
                await asyncio.sleep(0.01)
                workers.wake()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert done == {*suspects, fresh}
    assert max(len(now & set(suspects)) for now in most) == 1
