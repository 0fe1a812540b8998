"""Who writes next: one at a time, what is waited for first, and nobody who went away holds up the rest."""

import asyncio

from agent.store.line import Line


async def through(line: Line, name: str, order: list[str], *, first: bool = False) -> None:
    async with line.turn(first=first):
        order.append(name)
        await asyncio.sleep(0)


async def test_what_is_waited_for_goes_before_what_came_earlier():
    line, order = Line(), []
    async with line.turn():
        tasks = [asyncio.create_task(through(line, name, order, first=name == "alert")) for name in ("a", "b", "alert")]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)

    assert order == ["alert", "a", "b"]


async def test_who_comes_again_waits_for_those_who_waited_meanwhile():
    line, order = Line(), []

    async def again_and_again() -> None:
        for _ in range(3):
            await through(line, "alert", order, first=True)

    await asyncio.gather(again_and_again(), through(line, "a", order), through(line, "b", order))

    assert order == ["alert", "a", "alert", "b", "alert"]


async def test_who_gives_up_waiting_holds_up_nobody():
    line, order = Line(), []
    async with line.turn():
        waits = asyncio.create_task(through(line, "gone", order))
        await asyncio.sleep(0)
    waits.cancel()  # its turn has come already
    await asyncio.gather(waits, return_exceptions=True)
    async with asyncio.timeout(5):
        await through(line, "next", order)

    assert order == ["next"]
