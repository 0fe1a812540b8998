"""Rows, timers and the table. Knows nothing of what is measured."""

import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `within` None: not measured, and `measured` says why."""

    what: str
    budget: str
    measured: str
    within: bool | None


class NotYet(Exception):
    """The row cannot be measured here; the text says why."""


def not_yet(what: str, budget: str, why: str) -> Row:
    return Row(what=what, budget=budget, measured=why, within=None)


def milliseconds(work: Callable[[], object], *, rounds: int, warm_up: int = 3) -> list[float]:
    """Wall time of each call."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


def p(times: Sequence[float], percent: int) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[percent - 1] if len(times) > 1 else times[0]


def peak_megabytes(command: Sequence[str]) -> float:
    """Peak resident memory of a command and its children, in MB (ru_maxrss is in KiB on Linux)."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


def own_peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _interpreter() -> str:
    """Which Python it was: one built without profile-guided optimisation takes a quarter longer for everything."""
    return f"{platform.python_implementation()} {platform.python_version()}, {sys.base_prefix}"


def show(rows: Sequence[Row]) -> None:
    table = Table("what", "budget", "measured", "", title=f"Budgets; medians unless said otherwise; {_interpreter()}")
    marks = {True: "[green]within[/]", False: "[red]over[/]", None: "[dim]-[/]"}
    for row in rows:
        table.add_row(row.what, row.budget, row.measured, marks[row.within])
    Console(width=150).print(table)
