"""Requests to the API server that need not wait for each other. Knows no request."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
# For the whole process: threads, and the connections that they keep alive, outlast a lease. No task waits for another of its
# own kind, and kinds share no threads: however slowly looks are answered, rights are taken back in time.
looking = ThreadPoolExecutor(16, thread_name_prefix="lease-look")
making = ThreadPoolExecutor(16, thread_name_prefix="lease-make")
taking_back = ThreadPoolExecutor(16, thread_name_prefix="lease-end")


def at_once(work: Callable[[T], R], wanted: Sequence[T], pool: ThreadPoolExecutor) -> list[R]:
    """Whatever one of them comes to, all have come to their end when this returns or raises: what is undone next stays so."""
    others = [pool.submit(work, one) for one in wanted[1:]]
    try:
        first = [work(one) for one in wanted[:1]]
    finally:
        wait(others)
    return [*first, *(task.result() for task in others)]
