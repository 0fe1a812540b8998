"""The agent as a process that kills itself (SIGKILL) at one boundary between stages: `mortal_agent RUN BOUNDARY`.

The boundaries are counted over this process's life: 0 is before the first stage that runs, 1 after its work and before that is
kept, 2 before the next stage, and so on. A boundary that is not reached kills nothing. Settings come from the environment.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from agent.bootstrap import workshop
from agent.graph import Investigation
from agent.settings import Settings

NOT_CLAIMED = 75  # EX_TEMPFAIL: another process has the run


def mortal(boundary: int) -> None:
    """Wrap every node of the graph, so that this process dies at the boundary."""
    passed = 0
    make = Investigation._node

    def die_at_boundary(what: str) -> None:
        nonlocal passed
        if passed == boundary:
            print(f"killed {what}", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    def wrapped(self: Investigation, name: str, work: Callable[..., Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        inner = make(self, name, work)

        async def node(state: Any) -> Any:
            die_at_boundary(f"before {name}")
            update = await inner(state)
            die_at_boundary(f"after {name}")
            return update

        return node

    Investigation._node = wrapped  # type: ignore[method-assign, assignment]


async def work(run: str) -> int:
    async with workshop(Settings()) as shop:
        row = await shop.store.row(run)
        assert row is not None
        if row.state == "finished":
            return 0
        return 0 if await shop.work(row) else NOT_CLAIMED


if __name__ == "__main__":
    mortal(int(sys.argv[2]))
    sys.exit(asyncio.run(work(sys.argv[1])))
