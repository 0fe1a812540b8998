"""JSON patch, merge patch and strategic merge patch. Pure: documents in, a document out; knows no storage and no validation."""

import copy
from typing import Any

import jsonpatch

from lab.api.status import ApiError, bad_request, internal
from lab.api.types import Json, ListShape, Types, scalar_name
from lab.api.verbatim import is_as_written

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def json_patch(document: dict[str, Any], operations: Json, sent: bytes = b"[]") -> dict[str, Any]:
    """ApiError 400 for no list, 422 without causes for anything that does not go through (a failed `test` included).

    `sent` is the body as it came: a `test` compares strings by how they are written, see lab/api/verbatim.py."""
    if not isinstance(operations, list):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {scalar_name(operations)} into Go value of type []handlers.jsonPatchOp"
        )
    try:
        patched = jsonpatch.apply_patch(document, operations, in_place=False)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, KeyError, TypeError, ValueError) as exc:
        raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request", details={}) from exc
    if not isinstance(patched, dict) or not is_as_written(sent):
        raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request", details={})
    return patched


def merge_patch(document: Json, patch: Json) -> Json:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    out = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(out.get(key), value)
    return out


class Strategic:
    """Merges by the patch strategies that the types declare (x-kubernetes-patch-*)."""

    def __init__(self, types: Types) -> None:
        self._types = types

    def patch(self, document: dict[str, Any], patch: Json, root: str) -> dict[str, Any]:
        """ApiError 500 for an unknown directive, 400 for a body that is no object."""
        if not isinstance(patch, dict):
            raise bad_request("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}")
        merged = self._map(document, patch, root)
        return merged if isinstance(merged, dict) else {}

    def _map(self, original: Json, patch: dict[str, Any], kind: str) -> Json:
        directive = patch.get("$patch")
        rest = {k: v for k, v in patch.items() if k != "$patch"}
        match directive:
            case None | "merge":
                pass
            case "replace":
                return self._clean(rest)
            case "delete":
                return {}
            case _:
                raise _unknown_directive(directive, patch)
        out = copy.deepcopy(original) if isinstance(original, dict) else {}
        retain = rest.pop("$retainKeys", None)
        if retain is not None:
            out = {k: v for k, v in out.items() if k in retain}
        for key, value in rest.items():
            if key.startswith("$setElementOrder/"):
                continue
            if key.startswith("$deleteFromPrimitiveList/"):
                name = key.split("/", 1)[1]
                out[name] = [item for item in out.get(name) or [] if item not in value]
                continue
            self._field(out, key, value, kind)
        for key, order in rest.items():
            if key.startswith("$setElementOrder/"):
                self._order(out, key.split("/", 1)[1], order, kind, original)
        return out

    def _field(self, out: dict[str, Any], key: str, value: Json, kind: str) -> None:
        if value is None:
            out.pop(key, None)
            return
        inner, shape = self._types.field(kind, key)
        if isinstance(value, dict):
            merged = self._map(out.get(key), value, inner)
            if value.get("$patch") == "delete":
                out.pop(key, None)
            else:
                out[key] = merged
        elif isinstance(value, list):
            out[key] = self._list(out.get(key) or [], value, inner.removeprefix("[]"), shape)
        else:
            out[key] = value

    def _list(self, original: list[Any], patch: list[Any], kind: str, shape: ListShape) -> list[Any]:
        if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
            return [self._clean(item) for item in patch if not (isinstance(item, dict) and set(item) == {"$patch"})]
        if "merge" not in shape.strategy.split(","):
            return [self._clean(item) for item in patch]
        if not shape.merge:  # a list of scalars: a set
            return original + [item for item in patch if item not in original]
        out = copy.deepcopy(original)
        for item in patch:
            self._item(out, item, kind, shape)
        order = [item[shape.merge] for item in patch if isinstance(item, dict) and item.get("$patch") != "delete"]
        return _interleaved(out, order, [have.get(shape.merge) for have in original], shape.merge)

    def _item(self, out: list[Any], item: Json, kind: str, shape: ListShape) -> None:
        if not isinstance(item, dict) or shape.merge not in item:
            raise internal(f"map: {_go_map(item)} does not contain declared merge key: {shape.merge}")
        index = next((i for i, have in enumerate(out) if have.get(shape.merge) == item[shape.merge]), None)
        directive = item.get("$patch")
        if directive == "delete":
            out[:] = [have for have in out if have.get(shape.merge) != item[shape.merge]]
        elif directive not in (None, "merge", "replace"):
            raise _unknown_directive(directive, item)
        elif index is None:
            out.append(self._map({}, item, kind))
        else:
            out[index] = self._map(out[index], item, kind)

    def _order(self, out: dict[str, Any], name: str, order: list[Any], kind: str, original: Json) -> None:
        """$setElementOrder: put items as the patch says."""
        items = out.get(name)
        if not isinstance(items, list):
            return
        _, shape = self._types.field(kind, name)
        before = (original or {}).get(name) or []
        out[name] = _interleaved(
            items, [_key(o, shape.merge) for o in order], [_key(o, shape.merge) for o in before], shape.merge
        )

    def _clean(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {k: self._clean(v) for k, v in value.items() if v is not None and not k.startswith("$")}
        return [self._clean(v) for v in value] if isinstance(value, list) else value


def _key(item: Json, merge: str) -> Json:
    return item.get(merge) if merge and isinstance(item, dict) else item


def _interleaved(items: list[Any], order: list[Any], before: list[Any], merge: str) -> list[Any]:
    """The items that `order` names, in that order; the others where they stood, as `mergeSortedSlice` of strategicpatch
    puts them.
    """
    named = sorted((i for i in items if _key(i, merge) in order), key=lambda i: order.index(_key(i, merge)))
    others = [i for i in items if _key(i, merge) not in order]
    out: list[Any] = []
    while named and others:
        left, right = _key(named[0], merge), _key(others[0], merge)
        first = left not in before or right not in before or before.index(left) < before.index(right)
        out.append((named if first else others).pop(0))
    return out + named + others


def _unknown_directive(directive: Json, where: dict[str, Any]) -> ApiError:
    return internal(f"unknown patch type: {directive} in map: {_go_map(where)}")


def _go_map(value: Json) -> str:
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{_go_map(v)}" for k, v in sorted(value.items())) + "]"
    return str(value)
