"""The service on the fake world, with a real server on a free port of this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from agent.app import create_app
from agent.cli.serve import Server, bind
from agent.settings import Settings
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script


@asynccontextmanager
async def served(folder: Path, script: Script | None = None, *, governed: bool = True, **settings: object) -> AsyncIterator[str]:
    """The root of its addresses."""
    app = create_app(lambda: fake_shop(folder, script, settings=Settings(**settings), governed=governed))
    bound = bind("127.0.0.1:0")
    server = Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1), app.state.closing)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        for _ in range(1000):
            if server.started:
                break
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
