"""A workshop on the fake world: the real store, graph and service around fake ports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.bootstrap import Workshop
from agent.settings import Settings
from tests.fakes.agent_runs import opened
from tests.fakes.agent_world import Script, World, WorldReader


@asynccontextmanager
async def fake_shop(folder: Path, script: Script | None = None, *, settings: Settings | None = None) -> AsyncIterator[Workshop]:
    path = folder / "world.json"
    world = World(path) if path.exists() and script is None else World.start(path, script)
    async with opened(folder) as (investigation, store, events):
        yield Workshop(settings or Settings(), investigation=investigation, store=store, events=events, reader=WorldReader(world))
