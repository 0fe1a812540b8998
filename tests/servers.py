"""Real server programs for tests: where they are, and how one is started on a free loopback port and ended again."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def program(name: str) -> str:
    """LESTRADE_TEST_<NAME>, then .cache/bin (the version that the tests were written with), then PATH.

    Missing: a visible skip for a user, a failure where CI is set.
    """
    named = os.environ.get(f"LESTRADE_TEST_{name.upper()}")
    cached = ROOT / ".cache" / "bin" / name
    found = named or (str(cached) if os.access(cached, os.X_OK) else None) or shutil.which(name)
    if found is None:
        why = f"no {name} program: build it with .ci/servers, or name one with LESTRADE_TEST_{name.upper()}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass
class OpaServer:
    """A real OPA with nothing in it. `stop` and `start` are its end and its new beginning, at the same address."""

    binary: str
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        address = f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [self.binary, "run", "--server", "--addr", address, "--log-level", "error", "--disable-telemetry"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=1)
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        self.stop()
        pytest.fail("the OPA server did not come up")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def running_opa() -> Iterator[OpaServer]:
    server = OpaServer(program("opa"), free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
