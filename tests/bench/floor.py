"""What a verdict cannot cost less than here and now: the machine's and OPA's own part, measured without the sidecar.

A document of the size of a plan of ten steps with its facts goes to OPA, which reads it and decides nothing; a record of that
size is committed by a bare SQLite, on disk before the next, and an anchor written over. Knows no sidecar.
"""

import json
import os
import socket
import sqlite3
import time
import urllib.request
from pathlib import Path

from tests.bench.measure import Row, p
from tests.servers import OpaServer

ROUNDS = 200
DOCUMENT, RECORD, ANCHOR = 13_000, 16_000, 256  # bytes, as seen


def floor(opa: OpaServer, folder: Path) -> Row:
    asked, kept = _asked(opa), _kept(folder)
    both = [one + other for one, other in zip(asked, kept, strict=True)]
    return Row(
        what=f"floor, without the sidecar: OPA reads {DOCUMENT // 1000} kB and decides nothing (p50 {p(asked, 50):.1f} ms); bare "
        f"SQLite commits {RECORD // 1000} kB, on disk, and a file is written over (p50 {p(kept, 50):.1f} ms)",
        budget="",
        measured=f"p50 {p(both, 50):.1f} ms, p99 {p(both, 99):.1f} ms",
        within=None,
    )


def _asked(opa: OpaServer) -> list[float]:
    rule = urllib.request.Request(f"{opa.url}/v1/policies/floor", b"package floor\n\nanswer := true\n", method="PUT")
    urllib.request.urlopen(rule).close()
    entries = {f"target-{index}": {"uid": f"{index:032d}", "labels": {"app": "web"}, "owners": []} for index in range(160)}
    body = json.dumps({"input": entries}).encode()[:-2].ljust(DOCUMENT - 2) + b"}}"
    head = f"POST /v1/data/floor/answer HTTP/1.1\r\nHost: opa\r\nContent-Length: {len(body)}\r\n\r\n"
    times = []
    with socket.create_connection(("127.0.0.1", opa.port), timeout=10) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            line.sendall(head.encode() + body)
            answer = line.recv(65_536)
            times.append((time.perf_counter() - began) * 1000)
            assert b'"result":true' in answer, answer
    return times


def _kept(folder: Path) -> list[float]:
    database = sqlite3.connect(folder / "floor.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, body TEXT)")
    anchor = os.open(folder / "floor.anchor", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(anchor, b"x" * ANCHOR, 0)
    os.fsync(anchor)
    times = []
    for seq in range(ROUNDS):
        began = time.perf_counter()
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO records VALUES (?, ?)", (seq, "x" * RECORD))
        database.execute("COMMIT")
        os.pwrite(anchor, f"{seq:{ANCHOR}d}".encode(), 0)
        times.append((time.perf_counter() - began) * 1000)
    os.close(anchor)
    database.close()
    return times
