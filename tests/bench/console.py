"""The agent's pages with 1,000 runs stored: how long a run's page and the list take, and what the service holds in memory.

`python -m tests.bench.console FOLDER PORT` is the service that is measured, in a process of its own, on the snapshot and the
database of FOLDER.
"""

import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import uvicorn

from agent.app import create_app
from agent.app.apart import fork_apart
from agent.app.labour import labour
from agent.bootstrap import Source, workshop
from agent.domain.document import to_document
from agent.domain.incident import Alert, Incident
from agent.domain.objects import Series
from agent.domain.report import Chart, Report
from agent.settings import Settings
from agent.store import Database, SqlRunStore
from tests.bench.measure import Row, milliseconds, p
from tests.fakes.agent_runs import play
from tests.servers import free_port

RUNS = 1000
ROUNDS = 40


def _settings(base: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{base / 'agent.sqlite'}", workers=1)


def _charts() -> tuple[Chart, ...]:
    begin = datetime.now(UTC).timestamp() - 3600
    lines = tuple(
        Series(labels={"pod": f"web-{one}"}, samples=tuple((begin + 15 * n, 1e8 + one * n * 1e5) for n in range(240)))
        for one in range(5)
    )
    return tuple(Chart(title=title, unit="bytes", series=lines) for title in ("Memory in use", "Space left"))


async def _full_report(base: Path) -> Report:
    """A diagnosis of a cluster of some sixty objects, the rounds of a repair, two charts of five lines."""
    from tests.bench.worlds import snapshot_of_sixty

    path, question = await asyncio.to_thread(snapshot_of_sixty, base)
    played = base / "played"
    played.mkdir()
    rounds = (await play(played)).report.rounds
    async with workshop(_settings(played), Source(snapshot=path)) as shop:
        row, _ = await shop.take(question=question)
        await shop.work(row)
        found = await shop.report(row.id)
    assert found is not None
    return replace(found, rounds=rounds, charts=_charts(), outcome="repaired")


async def _fill(base: Path) -> str:
    """The last run's id."""
    report = await _full_report(base)
    database = await Database.open(_settings(base).database())
    store = SqlRunStore(database)
    began, run = datetime.now(UTC) - timedelta(days=7), ""
    for number in range(RUNS):
        alert = Alert(name="KubePodCrashLooping", labels={"namespace": f"team-{number % 40}", "severity": "critical"})
        incident = Incident(id=f"inc-{number}", cluster="bench", opened_at=began, alerts=(alert,), group_key=f"g{number}")
        run = (await store.open(incident))[0].id
        body = to_document(replace(report, run=run, incident=incident))
        assert isinstance(body, dict)
        await store.finish(run, "repaired", report.headline, body)
    await database.close()
    return run


def console() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="lestrade-bench-") as name:
        base, port = Path(name), free_port()
        run = asyncio.run(_fill(base))
        process = subprocess.Popen([sys.executable, "-m", "tests.bench.console", name, str(port)], stdout=subprocess.DEVNULL)
        try:
            return _measured(process, f"http://127.0.0.1:{port}", run)
        finally:
            process.terminate()
            process.wait(20)


def _measured(process: "subprocess.Popen[bytes]", url: str, run: str) -> list[Row]:
    with httpx.Client(base_url=url, headers={"Accept": "text/html"}, timeout=30) as http:

        def page(path: str) -> Callable[[], object]:
            return lambda: http.get(path).raise_for_status()

        for _ in range(300):
            try:
                page("/runs")()
                break
            except httpx.TransportError:
                time.sleep(0.1)
        size = len(http.get(f"/runs/{run}").content)
        one = milliseconds(page(f"/runs/{run}"), rounds=ROUNDS)
        listed = milliseconds(page("/runs"), rounds=ROUNDS)
        searched = milliseconds(page("/runs?ns=team-7&severity=critical&q=crashloop"), rounds=ROUNDS)
        for found in http.get(f"/v1/runs?limit={min(RUNS, 500)}").json()["runs"][:200]:
            page(f"/runs/{found['id']}")()
    memory = _megabytes(process.pid)
    row = _row
    return [
        row(f"console: page of one run, {size / 1024:.0f} KiB of HTML with picture, plan and charts", 50, one),
        row(f"console: list of incidents, {RUNS} stored", 50, listed),
        row(f"console: list searched by namespace, severity and word, {RUNS} stored", 50, searched),
        Row(
            what=f"service and its worker process with {RUNS} stored runs, after 200 of their pages",
            budget="250 MB",
            measured=f"{memory:.0f} MB",
            within=memory <= 250,
        ),
    ]


def _row(what: str, most: int, times: list[float]) -> Row:
    return Row(what=what, budget=f"p50 {most} ms", measured=f"p50 {p(times, 50):.1f} ms", within=p(times, 50) <= most)


def _megabytes(pid: int) -> float:
    """Resident now, of the service and what it has forked; what they share is counted once (Pss is in KiB)."""
    own = next(line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    forked = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(own.split()[1]) / 1024 + sum(_megabytes(int(child)) for child in forked)


def _serve(base: Path, port: int) -> None:
    gc.freeze()  # as agent.cli.serve does
    shop = partial(workshop, _settings(base), Source(snapshot=base / "snapshot.json"))
    uvicorn.run(create_app(shop, fork_apart(partial(labour, shop))), host="127.0.0.1", port=port, log_level="error")


ROWS: dict[str, Callable[[], Row | list[Row]]] = {"console": console}

if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
