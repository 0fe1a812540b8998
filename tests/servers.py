"""Real server programs for tests: where they are, and how one is started on a free loopback port and ended again."""

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[1]


def program(name: str) -> str:
    """LESTRADE_TEST_<NAME>, then .cache/bin (the version that the tests were written with), then PATH.

    Missing: see lacking().
    """
    named = os.environ.get(f"LESTRADE_TEST_{name.upper().replace('-', '_')}")
    cached = ROOT / ".cache" / "bin" / name
    found = named or (str(cached) if os.access(cached, os.X_OK) else None) or shutil.which(name) or _debian_postgresql(name)
    if found is None:
        lacking(f"no {name} program: build it with .ci/servers, or name one with LESTRADE_TEST_{name.upper()}")
    return found


def lacking(why: str) -> NoReturn:
    """A visible skip for a user, a failure where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def _debian_postgresql(name: str) -> str | None:
    """Debian keeps PostgreSQL's programs off PATH; the newest version that is there."""
    found = [path for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}") if os.access(path, os.X_OK)]
    return str(max(found, key=lambda path: int(path.parts[4]) if path.parts[4].isdigit() else 0)) if found else None


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
        batch = ["chrt", "-b", "0"] if shutil.which("chrt") else []
        self.process = subprocess.Popen(  # as docs/policies.md advises
            [*batch, self.binary, "run", "--server", "--addr", address, "--log-level", "error", "--disable-telemetry"],
            env={**os.environ, "GOGC": "400", "GOMAXPROCS": "1"},
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


@dataclass
class PostgresServer:
    """A real PostgreSQL of its own: loopback only, no password, a temporary folder. Databases are made by name."""

    binary: str
    folder: Path
    port: int
    user: str | None  # PostgreSQL refuses to run as root: then this is who runs it
    process: subprocess.Popen[bytes] | None = None
    made: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        self.made.append(name)
        return self.url(name)

    def drop(self) -> None:
        """Every database made so far, whoever is connected to it."""
        while self.made:
            name = self.made.pop()
            self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        address = self.url(database).replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 100,
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "-D", str(self.folder / "data"), *options], stdout=log, stderr=log, user=self.user, cwd=self.folder
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.Error:
                time.sleep(0.05)
        self.stop()
        pytest.fail("PostgreSQL did not come up: " + (self.folder / "server.log").read_text()[-500:])

    def stop(self) -> None:
        """At once, connections are cut: what was committed is there after the next start."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(3)  # SIGQUIT: immediate shutdown, children included
            self.process.wait(20)
            self.process = None


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    binary, initdb = program("postgres"), program("initdb")
    user = _unprivileged() if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="lestrade-postgres-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        made = subprocess.run(
            [initdb, "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            capture_output=True,
            text=True,
            user=user,
            cwd=folder,
            check=False,
        )
        if made.returncode:
            pytest.fail(f"initdb: {made.stderr[-500:]}")
        server = PostgresServer(binary, Path(folder), free_port(), user)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _unprivileged() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.fail("PostgreSQL does not run as root, and there is no other user to run it as")


@contextmanager
def running(command: list[str], ready: str, log: Path) -> Iterator[None]:
    """A program of this user, on loopback, until `ready` answers; killed at the end."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=log.parent)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            try:
                urllib.request.urlopen(ready, timeout=1)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        else:
            pytest.fail(f"{command[0]} did not come up: {log.read_text()[-800:]}")
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def running_alertmanager(folder: Path, configuration: str) -> Iterator[str]:
    """A real Alertmanager; gives its URL."""
    (folder / "alertmanager.yml").write_text(configuration)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    ]
    with running(command, f"{url}/-/ready", folder / "alertmanager.log"):
        yield url


@contextmanager
def running_prometheus(folder: Path, configuration: str) -> Iterator[str]:
    """A real Prometheus; gives its URL."""
    (folder / "prometheus.yml").write_text(configuration)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--rules.alert.resend-delay=1s",  # what fired before an Alertmanager was found is sent again soon
    ]
    with running(command, f"{url}/-/ready", folder / "prometheus.log"):
        yield url
