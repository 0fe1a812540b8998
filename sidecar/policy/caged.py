"""The embedded engine, kept in a process of its own: rego-cpp is native code that some rules bring down.

What a hostile or careless rule can do there is to end or stall that process: it has no environment, no credential, no open
file of the sidecar's, is the first to go when memory runs out, and is killed when a question takes too long. The next
question starts it anew.
"""

import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from sidecar.contract import Json
from sidecar.errors import BundleRefused, PolicyUnavailable
from sidecar.policy.bundle import PolicyBundle
from sidecar.policy.engine import RULE, SECONDS
from sidecar.ports import nothing

_PROGRAM = Path(__file__).with_name("embedded.py")
_START_SECONDS = 20.0
_MOST_ANSWER = 4_194_304


class EmbeddedEngine:
    """Implements Engine; safe to be asked from several threads, answers one question at a time."""

    def __init__(self, bundle: PolicyBundle, *, rule: str = RULE, seconds: float = SECONDS) -> None:
        """Raises BundleRefused when the modules do not compile."""
        if misread := _misread(bundle.data):
            raise BundleRefused(f"the bundle's data holds {misread}, which the embedded engine cannot read")
        self._revision = bundle.revision
        self._opening = _line({"modules": [list(module) for module in bundle.modules], "data": bundle.data, "query": rule})
        self._seconds = seconds
        self._one_at_a_time = threading.Lock()
        self._process: _Process | None = self._started(time.monotonic() + _START_SECONDS)

    @property
    def revision(self) -> str:
        return self._revision

    @property
    def pid(self) -> int | None:
        """Of the process that answers, None while there is none."""
        return self._process.pid if self._process is not None else None

    def ask(self, document: dict[str, Json], *, meanwhile: Callable[[], None] = nothing) -> Json:
        misread = _misread(document)
        if misread:
            raise PolicyUnavailable(f"the embedded engine cannot read {misread}")
        deadline = time.monotonic() + self._seconds
        if not self._one_at_a_time.acquire(timeout=self._seconds):
            raise PolicyUnavailable("the embedded engine is busy with another question")
        try:
            return self._asked(_line(document), deadline, meanwhile)
        finally:
            self._one_at_a_time.release()

    def why_not(self) -> str:
        return ""  # one that ended is started by the next question

    def close(self) -> None:
        with self._one_at_a_time:
            if self._process is not None:
                self._process.end()
                self._process = None

    def _asked(self, question: bytes, deadline: float, meanwhile: Callable[[], None]) -> Json:
        try:
            if self._process is None:
                self._process = self._started(deadline)
            answer = self._process.exchange(question, deadline, meanwhile)
        except BaseException as exc:  # what is left of its answer would be taken for that to the next question
            if self._process is not None:
                self._process.end()
                self._process = None
            if isinstance(exc, PolicyUnavailable | BundleRefused):
                raise PolicyUnavailable(str(exc)) from exc
            raise
        match answer:
            case {"answer": value}:
                return value
            case {"undefined": True}:
                raise PolicyUnavailable("the rule that is asked is undefined for this document")
            case {"failed": str(why)}:
                raise PolicyUnavailable(f"the embedded engine failed: {why}")
            case _:
                raise PolicyUnavailable("the embedded engine gave an answer of no known shape")

    def _started(self, deadline: float) -> "_Process":
        process = _Process()
        try:
            answer = process.exchange(self._opening, deadline)
        except PolicyUnavailable as exc:
            process.end()
            raise BundleRefused(f"the policy brings the embedded engine down: {exc}") from exc
        if answer == {"ready": True}:
            return process
        process.end()
        match answer:
            case {"missing": str(why)}:
                raise BundleRefused(f"the embedded engine cannot be loaded: {why}{_remedy(why)}")
            case {"refused": str(why)}:
                raise BundleRefused(f"the policy does not compile: {why}")
            case _:
                raise BundleRefused("the embedded engine gave an answer of no known shape")


class _Process:
    """One running engine; ends with the sidecar, whose end closes its standard input."""

    def __init__(self) -> None:
        spec = find_spec("regopy")
        if spec is None or spec.origin is None:
            raise PolicyUnavailable("regopy is not installed")
        self._child = subprocess.Popen(  # noqa: S603  our own program, by its path
            [sys.executable, "-I", str(_PROGRAM), str(Path(spec.origin).parents[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LANG": "C.UTF-8"},
            close_fds=True,
            bufsize=0,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._to, self._from = self._child.stdin.fileno(), self._child.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._end = weakref.finalize(self, _kill, self._child)

    @property
    def pid(self) -> int:
        return self._child.pid

    def exchange(self, line: bytes, deadline: float, meanwhile: Callable[[], None] = nothing) -> Json:
        """One line there, one line back. Raises PolicyUnavailable when the process ended, or time is up."""
        self._write(line, deadline)
        began = time.monotonic()
        meanwhile()
        deadline += time.monotonic() - began
        try:
            answer: Json = json.loads(self._read(deadline))
        except ValueError as exc:
            raise PolicyUnavailable("the embedded engine gave no JSON") from exc
        return answer

    def end(self) -> None:
        self._end()

    def _write(self, line: bytes, deadline: float) -> None:
        left = memoryview(line)
        while left:
            if not _ready(self._to, select.POLLOUT, deadline):
                raise PolicyUnavailable("the embedded engine took no question in time")
            try:
                left = left[os.write(self._to, left[:65_536]) :]
            except OSError as exc:
                raise PolicyUnavailable("the embedded engine ended") from exc

    def _read(self, deadline: float) -> bytes:
        got = bytearray()
        while not got.endswith(b"\n"):
            if not _ready(self._from, select.POLLIN, deadline):
                raise PolicyUnavailable("the embedded engine gave no verdict in time")
            some = os.read(self._from, 65_536)
            if not some:
                raise PolicyUnavailable("the embedded engine ended")
            got += some
            if len(got) > _MOST_ANSWER:
                raise PolicyUnavailable("the embedded engine's answer has no end")
        return bytes(got)


def _ready(descriptor: int, event: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))


def _kill(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()


def _remedy(why: str) -> str:
    return " (Debian, Ubuntu: apt-get install libatomic1; Fedora, RHEL: dnf install libatomic)" if "libatomic" in why else ""


def _line(value: Json) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _misread(value: Json) -> str:
    """What would be judged as something else: C strings end at NUL, and numbers are kept to six decimals."""
    stack: list[Json] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str) and "\0" in item:
            return "a text with a NUL character"
        if isinstance(item, float) and float(f"{item:.6f}") != item:
            return "a number of more than six decimals"
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
            stack.extend(item)
    return ""
