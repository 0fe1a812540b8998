"""What the service says of its own end."""

import asyncio
import logging

import httpx
import pytest
import uvicorn

from agent.app import create_app
from agent.cli.serve import Server, bind, is_news
from agent.settings import Settings
from tests.fakes.agent_shop import crowd, fake_shop
from tests.fakes.agent_world import Script


@pytest.mark.parametrize(("error", "news"), [(asyncio.CancelledError(), False), (RuntimeError(), True), (None, True)])
def test_a_stream_that_is_open_when_the_service_ends_is_no_error_and_whatever_else_breaks_is(error, news):
    about = (type(error), error, None) if error is not None else None
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "Exception in ASGI application\n", (), about)

    assert is_news(record) is news


async def test_streams_that_are_open_when_the_service_is_told_to_end_end_by_themselves_and_call_no_run_finished(tmp_path):
    app = create_app(lambda: fake_shop(tmp_path, Script(), settings=Settings(cluster_runs=1)))
    bound = bind("127.0.0.1:0")
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    server = Server(uvicorn.Config(app, log_config=None, lifespan="on"), app.state.closing)  # which waits for what is open
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    begun: list[asyncio.Event] = []

    async def heard(http: httpx.AsyncClient, method: str, path: str, **rest) -> str:
        begun.append(first := asyncio.Event())
        text = ""
        async with http.stream(method, path, **rest) as answer:
            async for part in answer.aiter_text():
                text += part
                if "event: " in text or "data: " in text:
                    first.set()
        return text

    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        async with asyncio.timeout(30):
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await crowd(app.state.shop.store)
        row, _ = await app.state.shop.take(question="why does checkout restart?", look_only=True)
        asked = {"message": "why does checkout restart?"}
        words = {"model": "lestrade", "stream": True, "messages": [{"role": "user", "content": asked["message"]}]}
        streams = [
            asyncio.create_task(heard(http, "GET", f"/v1/runs/{row.id}/events")),
            asyncio.create_task(heard(http, "GET", f"/runs/{row.id}/live")),
            asyncio.create_task(heard(http, "POST", "/v1/chat", json=asked)),
            asyncio.create_task(heard(http, "POST", "/v1/chat/completions", json=words)),
        ]
        await asyncio.sleep(0)
        for one in begun:
            await asyncio.wait_for(one.wait(), 30)
        server.should_exit = True
        told = await asyncio.wait_for(asyncio.gather(*streams), 30)
        await asyncio.wait_for(serving, 30)

    assert all(told)
    assert not any("ended" in one or "[DONE]" in one or "event: answer" in one for one in told)
