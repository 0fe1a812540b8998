"""The rows of the table, one function each. What later work brings says so instead of a figure."""

import asyncio
import gc
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench import console, governing, scanning, signals, stepping, talking
from tests.bench.measure import NotYet, Row, milliseconds, p, peak_megabytes

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lestrade-bench-") as name:
        yield Path(name)


def help_() -> Row:
    command = [str(BIN / "lestrade"), "--help"]
    times = milliseconds(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True), rounds=15)
    peak = peak_megabytes(command)
    return Row(
        what="lestrade --help",
        budget="0.3 s, 60 MB",
        measured=f"{p(times, 50) / 1000:.2f} s, {peak:.0f} MB",
        within=p(times, 50) <= 300 and peak <= 60,
    )


def installed() -> Row:
    with folder() as base:
        uv = shutil.which("uv") or str(ROOT / ".cache/uv/bin/uv")
        quiet: dict[str, Any] = {"check": True, "capture_output": True, "cwd": ROOT}
        try:
            subprocess.run([uv, "build", "--wheel", "--out-dir", base, "."], **quiet)
            subprocess.run([uv, "export", "--no-dev", "--no-emit-project", "--no-hashes", "-o", base / "all.txt"], **quiet)
            subprocess.run([uv, "venv", base / "venv", "--python", sys.executable], **quiet)
            install = [uv, "pip", "install", "--python", base / "venv/bin/python", "--link-mode", "copy"]
            subprocess.run([*install, "-r", base / "all.txt", *base.glob("*.whl")], **quiet)
        except subprocess.CalledProcessError as exc:
            raise NotYet(f"could not be installed: {exc.stderr.decode().strip().splitlines()[-1][:60]}") from None
        size = sum(path.stat().st_size for path in (base / "venv" / "lib").rglob("*") if path.is_file()) / 1e6
    what = "wheel with its dependencies (Slack, PostgreSQL, MCP and telemetry are extras)"
    return Row(what=what, budget="350 MB", measured=f"{size:.0f} MB", within=size <= 350)


def snapshot() -> Row:
    """A namespace of the laboratory with its fault, written as a snapshot, read and diagnosed in this process."""
    from tests.bench.worlds import incident_of, snapshot_of_sixty, whole_run

    with folder() as base:
        path, question = snapshot_of_sixty(base)
        count = len(json.loads(path.read_text())["objects"])
        incident = incident_of(question)

        async def once() -> None:
            await whole_run(path, incident)

        times = milliseconds(lambda: asyncio.run(once()), rounds=15)
    return Row(
        what=f"snapshot of {count} objects, offline, question to report",
        budget="0.5 s",
        measured=f"{p(times, 50) / 1000:.3f} s",
        within=p(times, 50) <= 500,
    )


def webhook() -> Row:
    """A service of its own on SQLite with workers that work meanwhile, killed once in the middle; what was taken while it was not
    there is sent again, as Alertmanager does, and not among the times."""
    from tests.e2e import storm
    from tests.servers import free_port

    with folder() as base:
        port, url = free_port(), f"sqlite:///{base / 'agent.sqlite'}"
        service = storm.Process("serve", base, str(port), **storm.settings_of(url, workers=2))
        sent: Counter[str] = Counter()
        took: list[float] = []

        gc.freeze()  # or the sender's own search for garbage is among the times

        async def whole() -> None:
            await storm.up(service, port)
            await storm.pour(port, 10, sent, took)
            service.kill()
            service.start()
            await storm.up(service, port)
            await storm.pour(port, 1, sent, [])
            await storm.drained(url, within=120)
            await storm.assert_accounted_for(url, base, sent)

        with storm.processes(service):
            asyncio.run(whole())
    gc.unfreeze()
    times = [second * 1000 for second in took]
    return Row(
        what="webhook accepted (stored, answered) at 100/s, none lost across kill -9",
        budget="p99 50 ms",
        measured=f"p50 {p(times, 50):.0f} ms, p99 {p(times, 99):.0f} ms",
        within=p(times, 99) <= 50,
    )


def demo() -> Row:
    with folder() as base:
        command = [str(BIN / "lestrade"), "demo", "memory-limit", "--yes", "--json"]
        began = time.perf_counter()
        done = subprocess.run(command, cwd=base, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        assert json.loads(done.stdout)["outcome"] == "repaired", done.stdout
    return Row(
        what="demo, alert to report, approval answered at once (start of everything included)",
        budget="15 s",
        measured=f"{seconds:.1f} s",
        within=seconds <= 15,
    )


ROWS: dict[str, Callable[[], Row | list[Row]]] = {
    "help": help_,
    "wheel": installed,
    "snapshot": snapshot,
    **scanning.ROWS,
    **signals.ROWS,
    **stepping.ROWS,
    **governing.ROWS,
    **talking.ROWS,
    **console.ROWS,
    "webhook": webhook,
    "demo": demo,
}
