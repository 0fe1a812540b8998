"""Rows of the scan: a large snapshot in a process of its own, and a cluster of that size over HTTP, from the laboratory."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.laboratory import Laboratory
from lab.world.kinds import key_of
from tests.bench import clusters
from tests.bench.measure import Row, p
from tests.bench.members import NOW

LESTRADE = str(Path(sys.executable).parent / "lestrade")
SIZE: dict[str, int] = {"nodes": 500, "spaces": 50, "workloads": 20, "replicas": 5, "faults": 6}
# Prints the seconds of a command, those of them on a core, its peak memory (ru_maxrss is in KiB on Linux) and its answer.
MEASURE = """
import resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
took, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
print(took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done.returncode)
print(done.stdout or done.stderr)
"""


def scanned(*arguments: str) -> tuple[float, float, float, dict[str, Any]]:
    """(seconds, of them on a core, peak MB, answer) of one `lestrade scan`."""
    command = [sys.executable, "-c", MEASURE, LESTRADE, "scan", *arguments, "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LESTRADE_")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    figures, _, answer = done.stdout.partition("\n")
    seconds, on_core, megabytes, code = figures.split()
    assert code == "1", answer[:300]
    found = json.loads(answer)
    assert found["summary"]["causes"] == ["configmap-key-missing"], found["summary"]
    assert len(found["summary"]["resources"]) == SIZE["faults"]
    return float(seconds), float(on_core), float(megabytes), found


def snapshot() -> Row:
    with tempfile.TemporaryDirectory(prefix="lestrade-bench-") as name:
        path = clusters.write(Path(name) / "large.json", **SIZE)
        size = path.stat().st_size / 1e6
        runs = [scanned("--snapshot", str(path)) for _ in range(5)]
    seconds, on_core, peak = p([run[0] for run in runs], 50), p([run[1] for run in runs], 50), max(run[2] for run in runs)
    return Row(
        what=f"5,000 pods / 500 nodes snapshot ({size:.0f} MB), whole-cluster scan, start of the program included",
        budget="5 s, 400 MB",
        measured=f"{seconds:.1f} s ({on_core:.1f} s on a core), {peak:.0f} MB",
        within=seconds <= 5 and peak <= 400,
    )


@contextmanager
def served() -> Iterator[Laboratory]:
    """The same cluster behind the laboratory's API server; its own time stands still."""
    lab = Laboratory(None, speed=1.0, seed=1)
    lab.server.start()
    try:
        lab.clock.advance((datetime.fromisoformat(NOW) - lab.clock.now()).total_seconds())
        for one in clusters.objects(**SIZE):
            metadata = one["metadata"]
            lab.store.create(key_of(one["kind"], metadata.get("namespace", ""), metadata["name"]), one)
        yield lab
    finally:
        lab.server.stop()


def live() -> Row:
    """In pages of 500 over HTTPS. The laboratory is in Python and needs most of the time; it is in this process."""
    with served() as lab:
        lab.server.requests.clear()
        seconds, on_core, peak, found = scanned_live(lab)
        asked = len(lab.requests)
    return Row(
        what=f"the same cluster over HTTPS from the laboratory: {asked} requests for {sum(found['seen'].values()):,} objects",
        budget="400 MB",
        measured=f"{seconds:.1f} s, {on_core:.1f} s of it on a core, the rest the laboratory's; {peak:.0f} MB",
        within=peak <= 400,
    )


def scanned_live(lab: Laboratory) -> tuple[float, float, float, dict[str, Any]]:
    os.environ["KUBECONFIG"] = str(lab.kubeconfig())
    try:
        return scanned()
    finally:
        del os.environ["KUBECONFIG"]


ROWS: dict[str, Callable[[], Row | list[Row]]] = {"scan": snapshot, "scan-live": live}
