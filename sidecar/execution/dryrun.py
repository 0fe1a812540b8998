"""The API server's own dry run of a step: which request asks for it, and what its answer means. Pure.

A dry run goes through defaulting, validation, quotas and every admission plugin and webhook, and stores nothing. The request
is the one that the step will make, but for the version that it tests: what matters is tested by value, and a busy controller
would only get in between.
"""

import re
from dataclasses import replace
from fractions import Fraction
from typing import Literal

from sidecar import contract
from sidecar.contract import Json
from sidecar.execution.compile import calls_for
from sidecar.execution.effect import REPLICAS, Effect
from sidecar.execution.live import Live
from sidecar.execution.pointer import differences, parts, value_at, written
from sidecar.ports import ApiAnswer, ApiCall

MANAGER = "lestrade-dry-run"
_DRY: list[Json] = ["All"]
_VERSION = "/metadata/resourceVersion"
_MERGE = "application/merge-patch+json"
# What the API server keeps about an object itself; no step names it, and each answer has other values there.
_BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink")
# k8s.io/apiserver, pkg/admission/plugin/webhook/errors: a webhook with side effects refuses every dry run.
_UNSUPPORTED = "does not support dry run"

# apimachinery, pkg/api/resource: Quantity.
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(|[KMGTPE]i|[numkMGTPE])")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")


def dry_call(action: contract.Action, live: Live, effect: Effect) -> ApiCall | None:
    """None for an action that is more than one request, or none."""
    if isinstance(action, contract.DrainNode | contract.SilenceAlert):
        return None
    calls = calls_for(action, live, effect, manager=MANAGER)
    return _dry(calls[0]) if len(calls) == 1 else None


def idle_call(call: ApiCall) -> ApiCall:
    """The dry run of a change of nothing: what the API server does to this object whatever is asked for."""
    return replace(call, body={}, content_type=_MERGE)


def _dry(call: ApiCall) -> ApiCall:
    """With a body, an API server reads the options of a deletion from it alone: there, dryRun in the query would delete."""
    body = call.body
    if isinstance(body, list):
        body = [operation for operation in body if value_at(operation, ("path",)) != _VERSION]
    elif isinstance(body, dict):
        match body:
            case {"kind": "DeleteOptions", "preconditions": dict(wanted)}:
                body = {**body, "dryRun": _DRY, "preconditions": _without(wanted, "resourceVersion")}
            case {"kind": "Eviction", "deleteOptions": dict(options)}:
                body = {**body, "deleteOptions": {**options, "dryRun": _DRY}}
            case {"metadata": dict(metadata)} if call.method == "PATCH":
                body = {**body, "metadata": _without(metadata, "resourceVersion")}
            case _:
                pass
    return replace(call, body=body, query=(*call.query, ("dryRun", "All")))


def _without(document: dict[str, Json], name: str) -> dict[str, Json]:
    return {key: value for key, value in document.items() if key != name}


def outcome_of(answer: ApiAnswer) -> Literal["done", "unsupported", "refused", "unavailable"]:
    message = value_at(answer.body, ("message",))
    if 200 <= answer.status < 300:
        return "done"
    if answer.status == 400 and isinstance(message, str) and _UNSUPPORTED in message:
        return "unsupported"
    return "refused" if 400 <= answer.status < 500 and answer.status not in (401, 408) else "unavailable"


def seen_after(action: contract.Action, live: Live, computed: Live, answered: Json) -> Live:
    """The object as the API server says that it will be. `computed`: as the sidecar reckons it."""
    match action:
        case contract.ScaleWorkload():
            return replace(computed, target=written(live.target, parts(REPLICAS), _replicas(answered)))
        case contract.RerunJob():
            return replace(computed, made=answered)
        case contract.DeletePod() | contract.EvictPod():
            return computed
        case _:
            return replace(computed, target=answered)


def beyond(action: contract.Action, computed: Live, answered: Json) -> list[tuple[str, ...]]:
    """Where the API server's object is another one than the plan's, the object's own bookkeeping aside. What it only adds to
    a new object is its defaulting: the plan names no more of it than it has to."""
    if isinstance(action, contract.ScaleWorkload):
        return [("spec", "replicas")] if _replicas(answered) != action.replicas else []
    if isinstance(action, contract.RerunJob | contract.DeletePod | contract.EvictPod):
        return []
    planned, stored = _meant(computed.target), _meant(answered)
    places = [
        place for place in differences(planned, stored) if not same_amount(value_at(planned, place), value_at(stored, place))
    ]
    if isinstance(action, contract.CreateObject):
        return [place for place in places if value_at(planned, place) is not None]
    return places


def _replicas(scale: Json) -> Json:
    """Of a Scale, which does not write down a 0."""
    return value_at(scale, ("spec", "replicas")) or 0


def same_amount(one: Json, other: Json) -> bool:
    """Whether two texts are one quantity in other words: an API server writes 1000m as 1, 1024Mi as 1Gi."""
    amounts = _amount(one), _amount(other)
    return amounts[0] is not None and amounts[0] == amounts[1]


def _amount(value: Json) -> Fraction | None:
    found = _QUANTITY.fullmatch(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if found is None:
        return None
    suffix = found[2]
    factor = Fraction(1024) ** _BINARY.index(suffix) if suffix in _BINARY else Fraction(1000) ** (_DECIMAL.index(suffix) - 3)
    return Fraction(found[1]) * factor


def _meant(document: Json) -> Json:
    if not isinstance(document, dict):
        return document
    kept = {name: value for name, value in document.items() if name not in ("status", "apiVersion", "kind")}
    metadata = kept.get("metadata")
    if isinstance(metadata, dict):
        kept["metadata"] = {name: value for name, value in metadata.items() if name not in _BOOKKEEPING}
    return kept
