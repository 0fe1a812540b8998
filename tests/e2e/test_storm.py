"""A storm of alerts, processes killed in the middle of it: every alert is accounted for, no run and no step is made twice.

`LESTRADE_STORM_SECONDS=60 pytest tests/e2e/test_storm.py` makes the storm over PostgreSQL last a minute.
"""

import asyncio
import os
import random
from collections import Counter

import pytest

from tests.e2e.storm import RATE, Process, assert_accounted_for, drained, pour, processes, settings_of, up
from tests.servers import free_port, running_postgres

SECONDS = float(os.environ.get("LESTRADE_STORM_SECONDS", "3"))
pytestmark = pytest.mark.timeout(300 + SECONDS * 5)


async def test_two_of_three_workers_over_postgresql_are_killed_again_and_again(tmp_path, capsys):
    with running_postgres() as server:
        url, port = server.fresh(), free_port()
        service = Process("serve", tmp_path, str(port), **settings_of(url, workers=0))
        workers = [Process("worker", tmp_path, **settings_of(url, workers=2)) for _ in range(3)]
        sent: Counter[str] = Counter()
        took: list[float] = []
        kills = 0
        with processes(service, *workers):
            await up(service, port)
            pouring = asyncio.create_task(pour(port, SECONDS, sent, took))
            chance = random.Random(7)
            while not pouring.done() and kills < max(2, SECONDS / 2):  # where all is slow, there is no time for more
                await asyncio.wait([pouring], timeout=chance.uniform(1.0, 3.0))
                for worker in chance.sample(workers[:2], 1) if not pouring.done() else []:
                    await asyncio.to_thread(worker.kill)
                    worker.start()
                    kills += 1
            await pouring
            await drained(url, within=60 + 2 * SECONDS)
        told = await assert_accounted_for(url, tmp_path, sent)

    took.sort()
    with capsys.disabled():
        print(f"\n{sum(sent.values())} notifications, {kills} kills, {told}, p99 {took[int(len(took) * 0.99)] * 1000:.0f} ms")
    assert sum(sent.values()) == int(SECONDS * RATE)
    assert kills >= 1


async def test_a_service_that_is_killed_under_load_loses_nothing_that_it_answered(tmp_path):
    url, port = f"sqlite:///{tmp_path / 'agent.sqlite'}", free_port()
    service = Process("serve", tmp_path, str(port), **settings_of(url, workers=2))
    sent: Counter[str] = Counter()
    with processes(service):
        await up(service, port)
        pouring = asyncio.create_task(pour(port, 2, sent, []))
        await asyncio.sleep(0.8)
        await asyncio.to_thread(service.kill)
        service.start()
        await pouring
        await drained(url, within=60)
    await assert_accounted_for(url, tmp_path, sent)

    assert sum(sent.values()) == 2 * RATE
