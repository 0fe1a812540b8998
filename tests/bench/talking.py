"""How soon a conversation says its first word, over HTTP."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.bench.measure import Row, p
from tests.fakes.agent_service import served
from tests.fakes.agent_world import Script

ROUNDS = 40


def chat() -> Row:
    times = asyncio.run(_first_events())
    return Row(
        what="chat over HTTP, question to first event",
        budget="100 ms",
        measured=f"{p(times, 50):.0f} ms, p99 {p(times, 99):.0f} ms",
        within=p(times, 50) <= 100,
    )


async def _first_events() -> list[float]:
    times = []
    with tempfile.TemporaryDirectory(prefix="lestrade-bench-") as folder:
        async with served(Path(folder), Script()) as url, httpx.AsyncClient(base_url=url) as http:
            for number in range(ROUNDS + 3):
                began = time.perf_counter()
                async with http.stream("POST", "/v1/chat", json={"message": "why does checkout restart?"}) as answer:
                    first = 0.0
                    async for line in answer.aiter_lines():
                        first = first or (time.perf_counter() - began) * 1000
                        if line.startswith("event: answer"):
                            break
                if number >= 3:
                    times.append(first)
    return times


ROWS: dict[str, Callable[[], Row | list[Row]]] = {"chat": chat}
