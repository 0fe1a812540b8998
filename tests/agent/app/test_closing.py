"""Answers that go on for as long as somebody listens, and those who leave."""

import asyncio

import anyio

from agent.app.closing import Closing


async def test_whoever_leaves_while_something_is_read_for_them_is_no_error_and_it_is_put_down_in_order():
    put_down = []

    async def stream():
        try:
            await asyncio.Event().wait()
            yield 1
        finally:
            for _ in range(5):  # as a transaction takes some turns to be rolled back
                await asyncio.sleep(0)
            put_down.append(True)

    async def listen():
        async for _ in Closing().through(stream()):
            pass

    async with anyio.create_task_group() as answering:  # as the server does it
        answering.start_soon(listen)
        await anyio.sleep(0.01)
        answering.cancel_scope.cancel()

    assert put_down
