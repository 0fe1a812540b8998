"""Who writes next: one at a time, what is waited for first, and nobody who went away holds up the rest."""

import asyncio
import sys

from agent.store.line import Doorway, Line


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


HOLDING = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 1)
print("held", flush=True)
sys.stdin.read()
"""


async def test_another_process_is_waited_for_until_it_has_written_or_has_died(tmp_path):
    path = tmp_path / "runs.sqlite-line"
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", HOLDING, path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert await other.stdout.readline() == b"held\n"
    doorway, order = Doorway(path), []
    waits = asyncio.create_task(through(Line(doorway), "ours", order))
    await asyncio.sleep(0.05)
    before = list(order)
    other.kill()
    async with asyncio.timeout(30):
        await waits
    await other.wait()
    doorway.close()

    assert before == []
    assert order == ["ours"]


async def test_a_process_that_was_stopped_in_the_middle_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.store.line.PATIENCE", 0.01)
    path = tmp_path / "runs.sqlite-line"
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", HOLDING, path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert await other.stdout.readline() == b"held\n"
    doorway, order = Doorway(path), []
    async with asyncio.timeout(30):
        await through(Line(doorway), "ours", order)
    other.kill()
    await other.wait()
    doorway.close()

    assert order == ["ours"]


async def test_where_no_lock_file_can_be_made_nobody_is_held_up(tmp_path):
    order: list[str] = []
    await through(Line(Doorway(tmp_path / "none" / "runs.sqlite-line")), "ours", order)

    assert order == ["ours"]
