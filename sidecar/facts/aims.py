"""What a plan writes to, each thing once, and what has to be looked at because of it. Pure; knows no live object and no rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.contract import (
    ChangeFields,
    CreateObject,
    DeletePod,
    DrainNode,
    EvictPod,
    ObjectRef,
    Plan,
    ScaleWorkload,
    Step,
    target_of,
)
from sidecar.facts.naming import RUNS_PODS, WORKLOADS
from sidecar.facts.projection import key_of

SCALER = "HorizontalPodAutoscaler"
BUDGETS = ("policy/v1", "PodDisruptionBudget")
SERVICES = ("v1", "Service")
AUTOSCALERS = ("autoscaling/v2", SCALER)
_COUNTS = "/spec/replicas"
_TAKES_PODS = (DeletePod, EvictPod, DrainNode)
_BUDGETED = RUNS_PODS - {"CronJob"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """`steps`: those about this very object, by its uid too. `created`: what the first of them makes. `lists`: the kinds of
    which all in its namespace are asked for, to see which of them are about it."""

    ref: ObjectRef
    steps: Sequence[Step]
    created: CreateObject | None
    lists: Sequence[tuple[str, str]]


def aims_of(plan: Plan) -> dict[str, Aim]:
    """By key (see key_of). Of two of one key and different uid the last one counts."""
    written = [(step, target_of(step.action)) for step in plan.steps]
    refs = {key_of(ref): ref for _, targets in written for ref in targets}
    steps: dict[str, list[Step]] = {key: [] for key in refs}
    emptied: set[str] = set()  # namespaces that the plan takes pods from
    counted: set[str] = set()  # what it sets a number of replicas of
    for step, targets in written:
        target = step.action.target
        key = key_of(target)
        sets_count = _sets_count(step)
        if refs[key] is target or refs[key] == target:
            steps[key].append(step)
            if sets_count:
                counted.add(key)
        if sets_count or isinstance(step.action, _TAKES_PODS):
            emptied.update([ref.namespace for ref in targets])
    return {key: _aim(ref, steps[key], emptied=ref.namespace in emptied, counted=key in counted) for key, ref in refs.items()}


def _aim(ref: ObjectRef, steps: Sequence[Step], *, emptied: bool, counted: bool) -> Aim:
    lists: list[tuple[str, str]] = []
    if ref.kind in _BUDGETED:
        lists.append(BUDGETS)
    if emptied and ref.kind in RUNS_PODS:
        lists.append(SERVICES)
    if counted and ref.kind in WORKLOADS:
        lists.append(AUTOSCALERS)
    first = steps[0].action if steps else None
    return Aim(ref=ref, steps=steps, created=first if isinstance(first, CreateObject) else None, lists=lists)


def _sets_count(step: Step) -> bool:
    match step.action:
        case ScaleWorkload():
            return True
        case ChangeFields(changes=changes):
            return any(change.path == _COUNTS for change in changes)
        case _:
            return False
