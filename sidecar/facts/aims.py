"""What a plan writes to, each thing once, and what has to be looked at because of it. Pure; knows no live object and no rule."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from sidecar.contract import (
    Action,
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


class Aim(NamedTuple):
    """`steps`: those about this very object, by its uid too. `created`: what the first of them makes. `lists`: the kinds of
    which all in its namespace are asked for, to see which of them are about it."""

    ref: ObjectRef
    steps: Sequence[Step]
    created: CreateObject | None
    lists: Sequence[tuple[str, str]]


def aims_of(plan: Plan) -> dict[str, Aim]:
    """By key (see key_of). Of two of one key and different uid the last one counts."""
    refs = {key_of(ref): ref for step in plan.steps for ref in target_of(step.action)}
    steps: dict[str, list[Step]] = {key: [] for key in refs}
    emptied: set[str] = set()  # namespaces that the plan takes pods from
    counted: set[str] = set()  # what it sets a number of replicas of
    for step in plan.steps:
        action = step.action
        key = key_of(action.target)
        mine = refs[key] is action.target or refs[key] == action.target
        if mine:
            steps[key].append(step)
        sets_count = _sets_count(action)
        if sets_count and mine:
            counted.add(key)
        if sets_count or isinstance(action, _TAKES_PODS):
            emptied.update([ref.namespace for ref in target_of(action)])
    return {key: _aim(ref, steps[key], emptied=ref.namespace in emptied, counted=key in counted) for key, ref in refs.items()}


def _aim(ref: ObjectRef, steps: Sequence[Step], *, emptied: bool, counted: bool) -> Aim:
    first = steps[0].action if steps else None
    created = first if isinstance(first, CreateObject) else None
    return Aim(ref=ref, steps=steps, created=created, lists=_lists(ref.kind, emptied, counted))


@lru_cache(maxsize=256)
def _lists(kind: str, emptied: bool, counted: bool) -> Sequence[tuple[str, str]]:
    budgets = (BUDGETS,) if kind in _BUDGETED else ()
    services = (SERVICES,) if emptied and kind in RUNS_PODS else ()
    return *budgets, *services, *((AUTOSCALERS,) if counted and kind in WORKLOADS else ())


def _sets_count(action: Action) -> bool:
    if isinstance(action, ChangeFields):
        return _COUNTS in [change.path for change in action.changes]
    return isinstance(action, ScaleWorkload)
