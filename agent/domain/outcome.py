"""What came of acting: rounds of plan, verdict, approval, steps, verification."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sidecar.contract import Decision, Lease, Plan, PlanStatus, Settlement, StepResult, UndoResult

RoundEnd = Literal[
    "helped",  # verified
    "did-not-help",  # performed, verification failed, undone
    "unverified",  # performed, but what would show the effect could not be seen
    "denied",  # by policy, and no fix could be applied
    "refused",  # a person said no
    "no-answer",  # nobody answered in time
    "target-changed",  # someone else was faster
    "failed",  # the cluster refused a step
    "void",  # approved once, no longer
    "unavailable",  # the sidecar could not be reached
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at one verification check. seen None: could not be read."""

    description: str
    seen: bool | None
    detail: str
    at: datetime
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One attempt to repair, from plan to settlement. What did not happen is None."""

    attempt: int
    plan: Plan
    remedy: str
    rests_on_model: bool = False  # its cause or its action is a model's word: never performed without a person's yes
    decision: Decision | None = None
    status: PlanStatus | None = None
    lease: Lease | None = None
    steps: tuple[StepResult, ...] = ()
    undo: UndoResult | None = None
    settlement: Settlement | None = None
    observations: tuple[Observation, ...] = ()
    end: RoundEnd | None = None
    note: str = ""


RunOutcome = Literal[
    "repaired",  # verified
    "not-repaired",  # remedies were tried and undone, or none passed
    "denied",
    "refused",
    "no-answer",
    "human-needed",  # a cause is known, and no remedy may or can be performed by a machine
    "diagnosed",  # nothing was to be done (read-only run, or no sidecar configured)
    "healthy",
    "unknown",
    "answered",  # what was asked is no matter of faults
    "unclear",  # more than one thing could be meant
    "absent",  # what was asked about is not there
    "stopped",  # by the person who asked
    "joined",  # another run works on the same cause: nothing is done twice
    "resolved",  # its alerts resolved before anybody looked
    "silenced",  # its alerts were silenced before anybody looked
    "ungoverned",  # the sidecar could not be reached: diagnosis only
    "failed",  # the run itself broke; what is known is reported
]
