"""kill -9 of the agent and of the sidecar, at every boundary between stages: started again, the run ends as it would have."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.bootstrap import workshop
from agent.cli.demonstration import Demonstration
from agent.cli.governed import approve_everything
from agent.domain.report import Report
from agent.graph import Investigation
from lab.scenarios import load
from tests import forked
from tests.e2e.ledger import Write, by_leases, is_refused_after, strangers
from tests.e2e.mortal_agent import NOT_CLAIMED

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = "memory-limit"
STAGES = 8  # intake to conclude, each with a boundary before and one after
AFTER_WORK = (9, 11, 13)  # of authorize (the fifth) to verify (the seventh): done, and not yet kept that it is
pytestmark = pytest.mark.timeout(300)


class MortalDemonstration(Demonstration):
    """Its agent is to be found again soon after it died."""

    def settings(self):
        return super().settings().model_copy(update={"claim_seconds": 1, "sidecar_patience_seconds": 30})


@contextmanager
def people(demonstration: Demonstration) -> Iterator[None]:
    """Somebody approves, in a process of the real world that nobody kills."""
    import threading

    loop = asyncio.new_event_loop()
    task = loop.create_task(approve_everything(demonstration))

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)


def agent_environment(demonstration: Demonstration) -> dict[str, str]:
    settings = demonstration.settings().model_dump(mode="json", exclude_none=True, exclude_unset=True)
    ours = {f"LESTRADE_{name.upper()}": str(value) for name, value in settings.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LESTRADE_")}
    return {**kept, **ours, "PYTHONPATH": str(ROOT)}


def run_agent(demonstration: Demonstration, run: str, boundary: int) -> subprocess.CompletedProcess[str]:
    while True:
        program = [sys.executable, "-m", "tests.e2e.mortal_agent", run, str(boundary)]
        done = forked.run(program, env=agent_environment(demonstration), cwd=ROOT, timeout=120)
        if done.returncode != NOT_CLAIMED:
            return done
        time.sleep(0.2)  # the dead one's claim lapses


async def opened(demonstration: Demonstration) -> str:
    async with demonstration.shop() as shop:
        return (await demonstration.open_run(shop)).id


async def reported(demonstration: Demonstration, run: str) -> Report:
    async with demonstration.shop() as shop:
        report = await shop.report(run)
        assert report is not None
        return report


def assert_ended_as_ever(demonstration: Demonstration, report: Report) -> None:
    scenario = demonstration.scenario
    log = list(demonstration.lab.requests)
    assert report.outcome == scenario.truth.outcome, report.headline
    assert by_leases(log) == [Write(w.verb, w.resource, w.namespace, w.name) for w in scenario.truth.writes]
    assert strangers(log) == []
    assert is_refused_after(log)
    assert demonstration.leftovers() == []
    assert demonstration.lab.healed()
    assert demonstration.audit_verifies()


@pytest.mark.parametrize("boundary", AFTER_WORK)
def test_the_agent_is_killed_once_around_the_stages_that_lead_to_writes(tmp_path, boundary):
    with MortalDemonstration(load(SCENARIO), folder=tmp_path) as demonstration, people(demonstration):
        run = asyncio.run(opened(demonstration))
        first = run_agent(demonstration, run, boundary)
        assert first.returncode == -9, first.stderr  # it was there to be killed
        second = run_agent(demonstration, run, 10_000)
        assert second.returncode == 0, second.stderr

        assert_ended_as_ever(demonstration, asyncio.run(reported(demonstration, run)))


def test_the_agent_is_killed_at_every_boundary_of_one_run(tmp_path):
    with MortalDemonstration(load(SCENARIO), folder=tmp_path) as demonstration, people(demonstration):
        run = asyncio.run(opened(demonstration))
        deaths = []
        # By turns before the next stage (2), and after a stage's work (1), which repeats that stage once.
        for life in range(2 * STAGES):
            done = run_agent(demonstration, run, 1 if life % 2 else 2)
            if done.returncode == 0:
                break
            deaths.append(done.stdout.strip())
        else:
            pytest.fail(f"never ended: {deaths}")

        assert len(deaths) >= STAGES - 1
        assert_ended_as_ever(demonstration, asyncio.run(reported(demonstration, run)))


@pytest.mark.parametrize("turn", [1, 3])
def test_the_sidecar_is_killed_at_every_fourth_boundary_and_comes_back_a_moment_later(tmp_path, turn, monkeypatch):
    passed = 0
    killed = 0
    make = Investigation._node

    with MortalDemonstration(load(SCENARIO), folder=tmp_path) as demonstration, people(demonstration):
        coming_back: list[asyncio.Future[None]] = []

        async def murder() -> None:
            nonlocal passed, killed
            if passed >= turn and passed % 4 == turn % 4:  # not the first: one that never answered is not waited for long
                await asyncio.gather(*coming_back)  # one that is still starting is let up first
                demonstration.stop_sidecar(kill=True)
                coming_back[:] = [asyncio.get_running_loop().run_in_executor(None, demonstration.start_sidecar)]
                killed += 1
            passed += 1

        def wrapped(self, name, work):
            inner = make(self, name, work)

            async def node(state):
                await murder()
                update = await inner(state)
                await murder()
                return update

            return node

        monkeypatch.setattr(Investigation, "_node", wrapped)

        async def go() -> Report:
            async with workshop(demonstration.settings()) as shop:
                row = await demonstration.open_run(shop)
                await shop.work(row)
                report = await shop.report(row.id)
                await asyncio.gather(*coming_back)
                assert report is not None
                return report

        report = asyncio.run(go())

        assert killed >= STAGES // 2
        assert_ended_as_ever(demonstration, report)
