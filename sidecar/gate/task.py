"""What has to be done for one step, and the two things that may be said of it before it is sent: it is ready, or no."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sidecar.contract import Json, Step
from sidecar.credentials import store as leases
from sidecar.execution import Effect
from sidecar.execution import store as steps
from sidecar.ports import ApiCall


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    status: Literal["refused", "failed"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The requests, compiled against `live`: the object (its main one) whose version they carry."""

    calls: tuple[ApiCall, ...]
    live: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What has to be done: `fitting` looks and compiles, and says no where the object is not as it has to be; it is told
    whether the step began earlier, and may be half done."""

    held: leases.Entry
    step: Step
    direction: steps.Direction
    effect: Effect
    fitting: Callable[[bool], Ready | No]

    @property
    def manager(self) -> str:
        """The field manager of this one write, by which it is known again."""
        undo = "-undo" if self.direction == "undo" else ""
        return f"lestrade-{self.held.lease.id}-{self.step.id}{undo}"
