"""The row of the graph: what a step costs beside the stage's own work, checkpoints on disk included. In this process."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.measure import Row, p
from tests.fakes.agent_runs import opened, the_run
from tests.fakes.agent_world import Script, World

BUDGET_MS = 5.0
ROUNDS = 15


def graph() -> Row:
    """A whole repair on a world in memory: all the time that was spent outside of the stages, by the number of stages. Of the
    processor too, because a loaded machine has every checkpoint wait for its turn."""
    wall = [asyncio.run(_added(time.perf_counter)) for _ in range(ROUNDS)]
    processor = [asyncio.run(_added(time.process_time)) for _ in range(ROUNDS)]
    middle = p(wall, 50)
    return Row(
        what="time that the graph adds to a step (checkpoint on disk)",
        budget=f"{BUDGET_MS:g} ms",
        measured=f"{middle:.1f} ms ({p(processor, 50):.1f} ms of processor)",
        within=middle <= BUDGET_MS,
    )


async def _added(clock: Callable[[], float]) -> float:
    """Milliseconds a step."""
    inside, steps, entered = 0.0, 0, 0.0

    def bracket(place: str) -> None:
        nonlocal inside, steps, entered
        if place.endswith("!"):
            inside += clock() - entered
            steps += 1
        else:
            entered = clock()

    with tempfile.TemporaryDirectory(prefix="lestrade-bench-") as name:
        World.start(Path(name) / "world.json", Script())
        async with opened(Path(name), wrap=bracket) as (investigation, store, _):
            row = await the_run(store)
            began = clock()
            await investigation.run(row)
            whole = clock() - began
    return (whole - inside) * 1000 / steps


ROWS: dict[str, Callable[[], Row | list[Row]]] = {"graph": graph}
