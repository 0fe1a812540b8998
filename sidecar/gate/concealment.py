"""Plans, effects and results without values that look secret: for the record, and for what is left of a plan that is over.

What an object, an incident or a file of evidence is called is never touched, or the record would not say what was done to
what. Pure; knows no store.
"""

import json
from collections.abc import Mapping

from pydantic import ValidationError

from sidecar.contract import Json, Plan
from sidecar.execution import masked, masked_at
from sidecar.reading.redaction import Redaction
from sidecar.reading.shapes import Mask

_MASK = Mask()
_NAMES = frozenset(
    {
        *("digest", "sha256", "uid", "id", "incident", "cluster", "slug", "apiVersion", "kind", "namespace", "name", "path"),
        *("new_name", "lease", "step", "status"),
    }
)
_FREE = ("manifest", "changes")  # values of any kind, by names of any kind
_HIDDEN = "*hidden*"


class Concealing:
    """Implements sidecar.execution.Veil: by what the read gateway hides, too."""

    def may_hide(self, text: str) -> bool:
        return _MASK.may_hide(text)

    def clear(self, document: Json) -> Json:
        cleared: Json = Redaction(_MASK).clear(document)
        return cleared

    def certain(self, text: str) -> str:
        return _MASK.certain(text)


def concealed(values: Json) -> Json:
    """Any JSON, such as the effects of steps: values under names that speak of secrets, and credentials in texts."""
    return masked(values, _MASK.text)


def discreet(document: Json, *, fitted: bool = False) -> Json:
    """A plan's document without values that look secret. `fitted`: no text gets longer than it was, as the contract bounds
    it; then the end of a text may be missing."""
    if not isinstance(document, dict):
        return document
    steps: list[Json] = [_step(step, fitted=fitted) for step in _list(document.get("steps"))]
    others = {name: value for name, value in document.items() if name != "steps"}
    return {**_dict(_named(others, fitted=fitted)), "steps": steps}


def left_of(document: Json) -> Json:
    """What is kept of a plan that is over: still a plan to whoever reads it."""
    left = discreet(document, fitted=True)
    try:
        Plan.model_validate_json(json.dumps(left))
    except ValidationError:
        return _bare(document)
    return left


def result_left(document: Mapping[str, Json]) -> Json:
    """Of the result of a step, which stays one."""
    shown = {name: concealed(document[name]) for name in ("before", "after") if name in document}
    return {**document, **shown, "message": _fitted(str(document.get("message", "")))}


def preview_left(document: Json) -> Json:
    """Of what people were shown."""
    return _named(document, fitted=True)


def _step(step: Json, *, fitted: bool) -> Json:
    action = step.get("action") if isinstance(step, dict) else None
    if not isinstance(step, dict) or not isinstance(action, dict):
        return _named(step, fitted=fitted)
    target = action.get("target")
    secret = isinstance(target, dict) and target.get("kind") == "Secret"
    shown = _dict(_named({name: value for name, value in action.items() if name not in _FREE}, fitted=fitted))
    if isinstance(action.get("manifest"), dict):
        shown["manifest"] = _manifest(_dict(action["manifest"]))
    if isinstance(action.get("changes"), list):
        shown["changes"] = [_change(change, secret=secret) for change in _list(action["changes"])]
    others = {name: value for name, value in step.items() if name != "action"}
    return {**_dict(_named(others, fitted=fitted)), "action": shown}


def _manifest(manifest: dict[str, Json]) -> dict[str, Json]:
    """Without its values; it is still of the same object."""
    shown = _dict(concealed(manifest))
    return {**shown, **_identity(manifest, _dict(shown.get("metadata")))}


def _identity(manifest: dict[str, Json], metadata: dict[str, Json]) -> dict[str, Json]:
    given = _dict(manifest.get("metadata"))
    names: dict[str, Json] = {name: given[name] for name in ("name", "namespace") if name in given}
    kind: dict[str, Json] = {name: manifest[name] for name in ("apiVersion", "kind") if name in manifest}
    return {**kind, "metadata": {**metadata, **names}}


def _change(change: Json, *, secret: bool) -> Json:
    if not isinstance(change, dict):
        return change
    path = "data" if secret else str(change.get("path"))
    if not secret and path.startswith("/"):
        return {**change, **{name: _value(path, change.get(name)) for name in ("before", "after")}}
    whole: dict[str, Json] = {"kind": "Secret"} if secret else {}
    hidden = {name: _dict(concealed({**whole, path: change.get(name)})).get(path) for name in ("before", "after")}
    return {**change, **hidden}


def _value(path: str, value: Json) -> Json:
    """What `concealed` leaves of a value that stands under a JSON Pointer, which alone says nothing of its kind."""
    if isinstance(value, str):
        hidden = masked_at(path, value)
        return _MASK.text(value) if hidden is None else hidden
    return _dict(concealed({path: value})).get(path) if isinstance(value, dict | list) else value


def _bare(document: Json) -> Json:
    """What is done to what, without any value or text: a plan of it can always be read."""
    steps: list[Json] = []
    for step in _list(_dict(document).get("steps")):
        action = {**_dict(_dict(step).get("action"))}
        if "manifest" in action:
            action["manifest"] = _identity(_dict(action["manifest"]), {})
        if "changes" in action:
            paths = [_dict(change).get("path") for change in _list(action["changes"])]
            action["changes"] = [{"path": path, "before": None, "after": _HIDDEN} for path in paths]
        if "matchers" in action:
            names = [_dict(matcher).get("name") for matcher in _list(action["matchers"])]
            action["matchers"] = [{"name": name, "value": _HIDDEN} for name in names]
        if "comment" in action:
            action["comment"] = ""
        steps.append({**_dict(step), "action": action, "why": "", "expect": ""})
    return {**_dict(document), "requested_by": "", "hypothesis": "", "verification": [], "steps": steps}


def _named(node: Json, *, fitted: bool) -> Json:
    """Texts of a message of the contract, but for what says which thing is meant."""
    if isinstance(node, str):
        return _fitted(node) if fitted else _MASK.text(node)
    if isinstance(node, dict):
        changed: dict[str, Json] = {}
        for name, value in node.items():
            if value and name not in _NAMES and (shown := _named(value, fitted=fitted)) is not value:
                changed[name] = shown
        return {**node, **changed} if changed else node
    if isinstance(node, list):
        return [_named(item, fitted=fitted) for item in node]
    return node


def _fitted(text: str) -> str:
    return _MASK.text(text)[: len(text)]


def _list(node: Json) -> list[Json]:
    return node if isinstance(node, list) else []


def _dict(node: Json) -> dict[str, Json]:
    return node if isinstance(node, dict) else {}
