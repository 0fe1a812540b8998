"""The sidecar as the agent sees it. Every method raises GovernanceUnavailable when there is no trustworthy answer."""

from typing import Literal, Protocol

from sidecar.contract import Lease, Plan, PlanStatus, Problem, Settlement, StepResult, UndoResult


class Governance(Protocol):
    async def ready(self) -> None:
        """Whether the sidecar can work just now; why not is in the GovernanceUnavailable."""
        ...

    async def submit(self, plan: Plan) -> PlanStatus:
        """Ask for a verdict. Submitting the same plan again is safe and gives where it stands."""
        ...

    async def status(self, digest: str, *, wait_seconds: int = 0) -> PlanStatus:
        """Where the plan stands; waits up to `wait_seconds` for it to leave `waiting`."""
        ...

    async def lease(self, digest: str) -> Lease | Problem:
        """Rights for the plan. The same lease again while it lives; a Problem says why not."""
        ...

    async def perform(self, lease: str, step: str) -> StepResult: ...

    async def undo(self, lease: str) -> UndoResult: ...

    async def settle(
        self, lease: str, outcome: Literal["helped", "did-not-help", "undone", "not-performed", "unknown"]
    ) -> Settlement: ...
