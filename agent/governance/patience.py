"""Waiting for a sidecar that is being restarted: every call of these ports may be repeated, so it is."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal, TypeVar

from agent.domain.objects import Manifest, Ref
from agent.errors import ClusterUnreachable, GovernanceUnavailable
from agent.ports import Clock, ClusterReader, Governance, Observed
from sidecar.contract import Lease, Plan, PlanStatus, Problem, Settlement, StepResult, UndoResult

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0


class Patience:
    """Calls again for `seconds` before it gives up with the last error. One for all calls to one sidecar.

    From the first failure on, what the calls themselves take counts as well: one that hangs until its own time limit is not
    made twenty times.

    Until a first answer has come, `first_seconds` count instead: a sidecar that was never there is not waited for long.
    """

    def __init__(self, *, clock: Clock, seconds: float, first_seconds: float = 2.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._first_seconds = min(first_seconds, seconds)
        self._answered = False

    async def again(self, call: Callable[[], Awaitable[T]]) -> T:
        paused, pause = 0.0, FIRST_PAUSE
        failed_at: datetime | None = None
        while True:
            try:
                answer = await call()
            except (GovernanceUnavailable, ClusterUnreachable):
                failed_at = failed_at or self._clock.now()
                waited = max(paused, (self._clock.now() - failed_at).total_seconds())  # a clock may be set back
                if waited + pause > (self._seconds if self._answered else self._first_seconds):
                    raise
                await self._clock.sleep(pause)
                paused, pause = paused + pause, min(pause * 2, LONGEST_PAUSE)
            else:
                self._answered = True
                return answer


class PatientGovernance:
    """The Governance port, with patience."""

    def __init__(self, governance: Governance, patience: Patience) -> None:
        self._governance = governance
        self._again = patience.again

    async def ready(self) -> None:
        await self._governance.ready()  # whoever asks for now is not served by an answer of later

    async def submit(self, plan: Plan) -> PlanStatus:
        return await self._again(lambda: self._governance.submit(plan))

    async def status(self, digest: str, *, wait_seconds: int = 0) -> PlanStatus:
        return await self._again(lambda: self._governance.status(digest, wait_seconds=wait_seconds))

    async def lease(self, digest: str) -> Lease | Problem:
        return await self._again(lambda: self._governance.lease(digest))

    async def perform(self, lease: str, step: str) -> StepResult:
        return await self._again(lambda: self._governance.perform(lease, step))

    async def undo(self, lease: str) -> UndoResult:
        return await self._again(lambda: self._governance.undo(lease))

    async def settle(
        self, lease: str, outcome: Literal["helped", "did-not-help", "undone", "not-performed", "unknown"]
    ) -> Settlement:
        return await self._again(lambda: self._governance.settle(lease, outcome))


class PatientReader:
    """The ClusterReader port through the sidecar's gateway, with patience."""

    def __init__(self, reader: ClusterReader, patience: Patience) -> None:
        self._reader = reader
        self._again = patience.again

    @property
    def name(self) -> str:
        return self._reader.name

    async def namespaces(self) -> Observed:
        return await self._again(self._reader.namespaces)

    async def overview(self, namespaces: Sequence[str]) -> Observed:
        return await self._again(lambda: self._reader.overview(namespaces))

    async def logs(self, pods: Sequence[tuple[Ref, str, bool]], *, tail: int) -> Observed:
        return await self._again(lambda: self._reader.logs(pods, tail=tail))

    async def usage(self, namespaces: Sequence[str]) -> Observed:
        return await self._again(lambda: self._reader.usage(namespaces))

    async def get(self, api_version: str, ref: Ref) -> Manifest | None:
        return await self._again(lambda: self._reader.get(api_version, ref))

    async def now(self) -> datetime:
        return await self._again(self._reader.now)
