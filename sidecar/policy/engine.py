"""What an engine is: asked one document, gives the raw value of the one rule. It knows no plan and no decision."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from sidecar.contract import Json
from sidecar.errors import PolicyUnavailable
from sidecar.ports import nothing

RULE = "data.remediation.decision"
SECONDS = 1.5  # so that a denial leaves within two seconds, whatever the engine does
STUCK_AT_MOST = 4

Answer = TypeVar("Answer")


class Engine(Protocol):
    """`revision` is that of the bundle it answers by."""

    @property
    def revision(self) -> str: ...

    def ask(self, document: dict[str, Json], *, meanwhile: Callable[[], None] = nothing) -> Json:
        """The rule's value for `input = document`. Raises PolicyUnavailable for everything that is not a value. `meanwhile` as
        sidecar.ports.Judge has it."""
        ...

    def why_not(self) -> str:
        """Why it could not answer now, "" if it could."""
        ...


class Meanwhile:
    """What is done while the engine thinks. `seconds`: how long that took, which is not the engine's time."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.seconds = 0.0

    def __call__(self) -> None:
        began = time.monotonic()
        self._work()
        self.seconds += time.monotonic() - began


class Patience:
    """Runs a question in a thread of its own and gives up after `seconds`.

    A question that hangs keeps its thread (nothing can end it from outside); with STUCK_AT_MOST of them the answer is no
    at once, until one comes back. Threads are daemons, so that none of them holds up the end of the process.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._stuck = 0
        self._lock = threading.Lock()

    def run(self, question: Callable[[], Answer], *, until: float | None = None) -> Answer:
        """`until`: on the monotonic clock, when that is sooner. Raises PolicyUnavailable when time is up, and whatever the
        question raises."""
        seconds = self._seconds if until is None else max(0.0, min(self._seconds, until - time.monotonic()))
        with self._lock:
            if self._stuck >= STUCK_AT_MOST:
                raise PolicyUnavailable(f"the policy engine still holds {self._stuck} questions without an answer")
        answers: queue.SimpleQueue[tuple[Answer | None, BaseException | None]] = queue.SimpleQueue()
        state = {"given_up": False, "done": False}

        def work() -> None:
            answer: Answer | None = None
            failure: BaseException | None = None
            try:
                answer = question()
            except BaseException as exc:  # noqa: BLE001  handed to the one who asked, or dropped with the question
                failure = exc
            with self._lock:
                state["done"] = True
                if state["given_up"]:
                    self._stuck -= 1
            answers.put((answer, failure))

        threading.Thread(target=work, name="policy-question", daemon=True).start()
        try:
            answer, failure = answers.get(timeout=seconds)
        except queue.Empty:
            with self._lock:
                if not state["done"]:
                    state["given_up"] = True
                    self._stuck += 1
            raise PolicyUnavailable("the policy engine gave no verdict in time") from None
        if failure is not None:
            raise failure
        return answer  # type: ignore[return-value]
