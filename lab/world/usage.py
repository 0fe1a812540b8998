"""What running containers use: a smooth, repeatable curve around what their program says, and a climb to the limit for one
that is going to be killed for memory."""

import math
import zlib
from datetime import datetime

from lab.world.configuration import amounts
from lab.world.containers import ContainerRun

WITHOUT_LIMIT = 64 * 2.0**20


def memory_bytes(run: ContainerRun, now: datetime) -> float:
    if not run.running or run.program is None or run.since is None or run.began is None:
        return 0.0
    limit = amounts(run.spec, "limits").get("memory")
    program = run.program
    if program.oom:
        share = min((now - run.since).total_seconds() / max(program.after, 1.0), 1.0)
        return (limit or WITHOUT_LIMIT * 4) * (0.3 + 0.69 * share)
    level = program.memory if program.memory > 1 else (limit or WITHOUT_LIMIT) * program.memory
    if limit is not None:
        level = min(level, limit * 0.97)
    warm = min((now - run.began).total_seconds() / 60.0, 1.0)
    return level * (0.6 + 0.4 * warm) * (1 + 0.03 * _wave(run, now))


def cpu_cores(run: ContainerRun, now: datetime) -> float:
    if not run.running or run.program is None:
        return 0.0
    request = amounts(run.spec, "requests").get("cpu", 0.1)
    limit = amounts(run.spec, "limits").get("cpu")
    used = max(request * run.program.cpu * (1 + 0.1 * _wave(run, now)), 0.0)
    return min(used, limit) if limit is not None else used


def _wave(run: ContainerRun, now: datetime) -> float:
    phase = zlib.crc32(run.container.encode()) % 628 / 100
    return math.sin(now.timestamp() / 180 + phase)
