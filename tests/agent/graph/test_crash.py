"""Killed anywhere and started again, a run ends as it would have, and nothing is done twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.graph import GRAPH_VERSION, NODES
from agent.store import Database, SqlRunStore
from tests.fakes.agent_runs import opened, played, the_run
from tests.fakes.agent_world import HEALS, Script, World
from tests.forked import run

REPOSITORY = Path(__file__).parents[3]
PLACES = [place for node in NODES for place in (node, f"{node}!")]
PLACES_OF_DEEDS = ["propose!", "authorize", "authorize!", "execute!", "verify!"]  # where more may be done twice than a reading


class Died(BaseException):
    """Not an Exception: nothing in the product may catch it, as nothing catches kill -9."""


def scripts() -> dict[str, tuple[Script, str, list[str]]]:
    """name -> (script, outcome, what was done to the cluster)."""
    repair = ["lease-1 step-1 64Mi->256Mi"]
    second = ["lease-1 step-1 64Mi->96Mi", "lease-1 undo step-1 96Mi->64Mi", "lease-2 step-1 64Mi->256Mi"]
    fix = {"op": "replace", "text": "smaller", "path": "/steps/0/action/changes/0/after", "value": HEALS}
    denied = {1: [{"rule": "bounds", "step": "step-1", "message": "too much", "fix": fix}]}
    return {
        "repair": (Script(), "repaired", repair),
        "second remedy": (Script(remedies=("96Mi", HEALS)), "repaired", second),
        "denied with a fix": (Script(remedies=("9Gi",), deny=denied), "repaired", repair),
        "target changed": (Script(changed_at_step=(1,)), "repaired", ["lease-2 step-1 64Mi->256Mi"]),
        "refused": (Script(answer="deny"), "refused", []),
    }


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name in scripts() for place in (PLACES if name == "repair" else PLACES_OF_DEEDS)]
)
async def test_a_run_that_dies_at_a_stage_boundary_ends_the_same(tmp_path, name, place):
    script, outcome, writes = scripts()[name]
    world = World.start(tmp_path / "world.json", script)
    deaths = [place]

    def die(where: str) -> None:
        if where in deaths:
            deaths.remove(where)
            raise Died

    async with opened(tmp_path, wrap=die) as (investigation, store, _):
        row = await the_run(store)
        if deaths_are_met(script, place):
            with pytest.raises(Died):
                await investigation.run(row)
        else:
            await investigation.run(row)
    async with opened(tmp_path) as (investigation, store, events):
        if (await the_run(store)).state != "finished":
            await investigation.run(await the_run(store))
        run = await played(world, store, events)

    assert run.report.outcome == outcome
    assert world.writes == writes
    assert world.open_leases == []


def deaths_are_met(script: Script, place: str) -> bool:
    """A refused plan is neither executed nor verified."""
    return not (script.answer == "deny" and place.rstrip("!") in ("execute", "verify"))


@pytest.mark.parametrize("place", ["diagnose", "propose!", "authorize!", "execute!", "verify!", "conclude!"])
def test_kill_minus_nine_and_start_again(tmp_path, place):
    world = World.start(tmp_path / "world.json", Script(remedies=("96Mi", HEALS)))

    killed = start(tmp_path, die_at=place)
    again = start(tmp_path)

    assert killed.returncode == -signal.SIGKILL
    assert again.returncode == 0, again.stderr
    assert world.writes == ["lease-1 step-1 64Mi->96Mi", "lease-1 undo step-1 96Mi->64Mi", "lease-2 step-1 64Mi->256Mi"]
    assert world.open_leases == []


def start(folder: Path, *, die_at: str = "") -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "tests.fakes.agent_runs", str(folder)]
    return run(program, cwd=REPOSITORY, env={**os.environ, "DIE_AT": die_at}, timeout=100)


async def test_a_plan_keeps_its_digest_when_its_stage_runs_again(tmp_path):
    world = World.start(tmp_path / "world.json", Script())
    deaths = ["authorize", "authorize!"]

    def die(where: str) -> None:
        if where in deaths:
            deaths.remove(where)
            raise Died

    for _ in range(2):
        async with opened(tmp_path, wrap=die) as (investigation, store, _events):
            with pytest.raises(Died):
                await investigation.run(await the_run(store))
    async with opened(tmp_path) as (investigation, store, events):
        await investigation.run(await the_run(store))
        run = await played(world, store, events)

    assert list(world.load()["plans"]) == [run.report.rounds[0].plan.digest]


async def test_a_waiting_run_goes_on_waiting_after_a_restart(tmp_path):
    world = World.start(tmp_path / "world.json", Script(polls_before_answer=3))
    waits = 0

    def die(where: str) -> None:
        if where == "authorize!":
            raise Died

    async with opened(tmp_path, wrap=die) as (investigation, store, _):
        with pytest.raises(Died):
            await investigation.run(await the_run(store))
    waits = world.calls.count("status")
    async with opened(tmp_path) as (investigation, store, events):
        await investigation.run(await the_run(store))
        run = await played(world, store, events)

    assert waits == 4
    assert run.report.outcome == "repaired"
    assert len(world.writes) == 1


async def test_a_checkpoint_of_another_version_is_not_resumed_blindly(tmp_path, monkeypatch):
    World.start(tmp_path / "world.json", Script())

    def die(where: str) -> None:
        if where == "authorize":
            raise Died

    async with opened(tmp_path, wrap=die) as (investigation, store, _):
        with pytest.raises(Died):
            await investigation.run(await the_run(store))
    monkeypatch.setattr("agent.graph.investigation.GRAPH_VERSION", GRAPH_VERSION + 1)
    async with opened(tmp_path) as (investigation, store, _):
        await investigation.run(await the_run(store))
        row = await the_run(store)

    assert row.outcome == "failed"
    assert "another version" in row.headline


async def test_an_unexpected_error_of_a_stage_ends_the_run_and_gives_the_rights_back(tmp_path):
    world = World.start(tmp_path / "world.json", Script())

    def break_(where: str) -> None:
        if where == "verify":
            raise RuntimeError("a bug")

    async with opened(tmp_path, wrap=break_) as (investigation, store, events):
        await investigation.run(await the_run(store))
        run = await played(world, store, events)

    assert run.report.outcome == "failed"
    assert "a bug" not in run.report.headline
    assert world.open_leases == []


async def test_two_processes_cannot_both_claim_a_run(tmp_path):
    database = await Database.open(f"sqlite:///{tmp_path / 'runs.sqlite'}")
    store = SqlRunStore(database)
    row = await the_run(store)

    first = await store.claim(row.id, "a", lease_seconds=60)
    second = await store.claim(row.id, "b", lease_seconds=60)
    again = await store.claim(row.id, "a", lease_seconds=60)
    await database.close()

    assert (first, second, again) == (True, False, True)
