"""A storm of alerts over HTTP, the processes that take it, and the account of every alert afterwards."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import httpx
from sqlalchemy import select

from agent.store import Database
from agent.store.tables import alerts, events, runs
from tests.fakes.agent_fleet import CLUSTER
from tests.fakes.agent_world import World
from tests.forked import Forked

ROOT = Path(__file__).resolve().parents[2]
RATE = 100  # notifications a second
WORKLOADS = 16  # more than may wait at once (QUEUED)
QUEUED = 8


class Process:
    """`python -m tests.fakes.agent_fleet WHAT FOLDER ...`, to be killed and started again."""

    def __init__(self, what: str, folder: Path, *more: str, **settings: object) -> None:
        self._command = [sys.executable, "-m", "tests.fakes.agent_fleet", what, str(folder), *more]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LESTRADE_")}
        given = {f"LESTRADE_{name.upper()}": str(value) for name, value in settings.items()}
        self._environment = {**kept, **given, "PYTHONPATH": str(ROOT)}
        self._log = folder / f"{what}-{id(self)}.log"
        self.running: Forked | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.running = Forked(self._command, env=self._environment, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGKILL)
        self.running.wait()

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


@contextmanager
def processes(*wanted: Process) -> Iterator[None]:
    for process in wanted:
        process.start()
    try:
        yield
    finally:
        for process in wanted:
            process.kill()


def notification(number: int, *, alerts_each: int = 1, resolved: bool = False) -> dict[str, object]:
    """Of one of the workloads, in a group of its own."""
    workload = number % WORKLOADS
    severity = ("critical", "warning", "warning", "warning")[workload % 4]
    labels = {"alertname": "KubePodCrashLooping", "namespace": f"team-{workload}", "severity": severity}
    entries = [
        {
            "status": "resolved" if resolved else "firing",
            "labels": {**labels, "pod": f"app-{one}"},
            "startsAt": "2026-03-02T08:55:00Z",
            "fingerprint": f"{workload:08x}{one:08x}",
        }
        for one in range(alerts_each)
    ]
    return {"version": "4", "groupKey": f'{{}}:{{namespace="team-{workload}"}}', "status": "firing", "alerts": entries}


async def pour(port: int, seconds: float, sent: Counter[str], took: list[float]) -> None:
    """RATE notifications a second; `sent` counts by fingerprint what was answered with 2xx. What was not is sent again, as
    Alertmanager does."""
    url = f"http://127.0.0.1:{port}/webhooks/alertmanager"
    bodies = [json.dumps(notification(number)).encode() for number in range(WORKLOADS)]
    names = [str(notification(number)["alerts"][0]["fingerprint"]) for number in range(WORKLOADS)]  # type: ignore[index]
    timeout = aiohttp.ClientTimeout(total=20)
    # Sending must cost less than taking: both have the same cores.
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=50)) as http:

        async def send(number: int) -> None:
            while True:
                began = time.perf_counter()
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with http.post(url, data=bodies[number % WORKLOADS]) as answer:
                        await answer.read()
                        if answer.status < 300:
                            took.append(time.perf_counter() - began)
                            sent[names[number % WORKLOADS]] += 1
                            return
                await asyncio.sleep(0.2)

        began, tasks = time.monotonic(), []
        for number in range(int(seconds * RATE)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            tasks.append(asyncio.create_task(send(number)))
        await asyncio.gather(*tasks)


async def up(process: Process, port: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(600):
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                    return
            assert process.running is not None
            assert process.running.poll() is None, process.said()
            await asyncio.sleep(0.1)
    raise AssertionError(f"the service did not come up: {process.said()}")


async def drained(url: str, *, within: float) -> None:
    """Until no run is left unfinished."""
    database = await Database.open(url)
    try:
        left: list[object] = []
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            async with database.transaction() as connection:
                query = select(runs.c.id, runs.c.state, runs.c.owner, runs.c.claimed_until).where(runs.c.state != "finished")
                left = list(await connection.execute(query))
            if not left:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"{len(left)} runs are not finished: {left[:5]}")
    finally:
        await database.close()


async def assert_accounted_for(url: str, folder: Path, sent: Counter[str]) -> dict[str, object]:
    """Every alert is in the book as often as it was taken, with a run that has ended once and did its step once."""
    database = await Database.open(url)
    try:
        async with database.transaction() as connection:
            book = {row.fingerprint: row for row in await connection.execute(select(alerts).where(alerts.c.cluster == CLUSTER))}
            made = {row.id: row for row in await connection.execute(select(runs))}
            told = await connection.execute(select(events.c.run, events.c.data).where(events.c.stage == "conclude"))
            ends = {(row.run, row.data) for row in told if "outcome" in row.data}
    finally:
        await database.close()
    assert set(book) >= set(sent)
    lost = {name: (book[name].times, count) for name, count in sent.items() if book[name].times < count}
    assert lost == {}
    assert all(row.run in made for row in book.values())
    assert all(row.state == "finished" for row in made.values())
    assert sorted(run for run, _ in ends) == sorted(made)  # one killed at its end may say it again, and the same
    worlds = worlds_of(folder)
    twice = {world.path.name: world.writes for world in worlds if len(world.writes) != 1}
    assert twice == {}
    outcomes = Counter(row.outcome for row in made.values())
    assert len(worlds) == outcomes["repaired"]
    return {"runs": len(made), "outcomes": dict(outcomes), "done": dict(Counter(row.done for row in book.values()))}


def worlds_of(folder: Path) -> list[World]:
    return [World(path) for path in folder.glob("inc-*.json")]


def settings_of(url: str, **more: object) -> dict[str, object]:
    return {"database_url": url, "claim_seconds": 3, "log_level": "warning", "max_queued_runs": QUEUED, **more}
