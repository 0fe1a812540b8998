"""The sidecar with a clock that a test sets: `python -m tests.sidecar.process.timed FILE`.

FILE holds two numbers of seconds: how much time passed more than really did, and how far the wall clock was set besides.
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sidecar.app import serve
from sidecar.gate.ledger import Ledger
from sidecar.gate.opening import WallClock
from sidecar.settings import load


class TimedClock(WallClock):
    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        passed, moved = self._read()
        return super().now() + timedelta(seconds=passed + moved)

    def elapsed(self) -> float:
        return super().elapsed() + self._read()[0]

    def _read(self) -> tuple[float, float]:
        if not self._file.exists():
            return 0.0, 0.0
        passed, moved = self._file.read_text().split()
        return float(passed), float(moved)


if __name__ == "__main__":
    clock = TimedClock(Path(sys.argv[1]))

    def make(engine: Any, **ports: Any) -> Ledger:
        return Ledger(engine, **{**ports, "clock": clock})

    serve(load(), make)
