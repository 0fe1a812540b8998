"""The fields that a plan is about: are they as it says, and who wrote them last. Pure."""

from collections.abc import Iterable

from sidecar.contract import (
    ChangeFields,
    CordonNode,
    DrainNode,
    Json,
    RollbackWorkload,
    ScaleWorkload,
    Step,
    UncordonNode,
    canonical,
)
from sidecar.facts.portrait import Portrait
from sidecar.facts.projection import Document, mapping


def as_planned(portrait: Portrait, steps: Iterable[Step]) -> Document:
    """For each field that the plan changes: is the value there, is it the one that the plan says is there, and whose is
    it? The value itself stays out: an environment variable may hold a secret. A step that names no value of its own
    (a scale, a rollback, a cordon) has its field without `as_planned`."""
    fields: Document = {}
    for step in steps:
        match step.action:
            case ChangeFields(changes=changes):
                for change in changes:
                    value, named = portrait.at(change.path)
                    fields[change.path] = {
                        "present": value is not None,
                        "as_planned": _alike(value, change.before),
                        "managers": portrait.managers(change.path),
                        "named": named,
                    }
            case ScaleWorkload():
                fields["/spec/replicas"] = {"managers": portrait.managers("/spec/replicas")}
            case RollbackWorkload():
                fields["/spec/template/spec"] = {"managers": portrait.managers("/spec/template/spec")}
            case CordonNode() | UncordonNode() | DrainNode():
                fields["/spec/unschedulable"] = {"managers": portrait.managers("/spec/unschedulable")}
            case _:
                continue
    return {"generation": mapping(portrait.live, "metadata").get("generation"), "fields": fields}


def _alike(one: Json, other: Json) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    return canonical(one) == canonical(other)
