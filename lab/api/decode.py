"""From a parsed body to an object of a kind: wrong types are refused, unknown fields found and dropped. Knows no storage."""

import base64
import binascii
import re
from typing import Any

from lab.api.types import Json, Types, joined, scalar_name

QUANTITY = re.compile(r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$")
GO_NAMES = {"int32": "int32", "int64": "int64", "float": "float64", "bool": "bool", "string": "string", "bytes": "[]uint8"}


class WrongType(Exception):
    """The message of Go's decoder, without the frame around it."""


class Decoder:
    """`unknown` collects the paths of fields that the kind does not have, in the order of the document."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self.unknown: list[str] = []

    def decode(self, value: Json, root: str) -> Json:
        """A copy without unknown fields and nulls. WrongType."""
        return self._walk(value, root, "", root, "")

    def _walk(self, value: Json, kind: str, path: str, owner: str, go_path: str) -> Json:
        if value is None or kind == "json":
            return value
        if kind.startswith("[]"):
            if not isinstance(value, list):
                raise self._wrong(value, owner, go_path, "[]" + _go(kind[2:]))
            return [self._walk(item, kind[2:], f"{path}[{i}]", owner, go_path) for i, item in enumerate(value)]
        if kind.startswith("{}"):
            if not isinstance(value, dict):
                raise self._wrong(value, owner, go_path, f"map[string]{_go(kind[2:])}")
            return {
                k: self._walk(v, kind[2:], joined(path, k), owner, go_path)
                for k, v in value.items()
                if v is not None or kind == "{}json"
            }
        struct = self._types.struct(kind)
        if struct is not None:
            return self._struct(value, kind, path, owner, go_path)
        return self._scalar(value, kind, owner, go_path)

    def _struct(self, value: Json, kind: str, path: str, owner: str, go_path: str) -> Json:
        struct = self._types.struct(kind)
        assert struct is not None
        if not isinstance(value, dict):
            raise self._wrong(value, owner, go_path, _go(kind))
        out: dict[str, Any] = {}
        for name, inner in value.items():
            if name not in struct.fields:
                if struct.open:
                    out[name] = inner
                else:
                    self.unknown.append(joined(path, name))
                continue
            if inner is None:
                continue
            walked = self._walk(inner, struct.fields[name], joined(path, name), kind, joined(go_path, name))
            if walked not in ([], {}) or struct.custom or not self._omitted(name, struct.fields[name]):
                out[name] = walked
        return out

    @staticmethod
    def _omitted(name: str, kind: str) -> bool:
        """Empty lists and maps are left out (omitempty), but for the lists that Go always writes."""
        return kind.startswith(("[]", "{}")) and name not in ("rules", "items", "containers")

    def _scalar(self, value: Json, kind: str, owner: str, go_path: str) -> Json:
        match kind:
            case "string" | "time":
                if not isinstance(value, str):
                    raise self._wrong(value, owner, go_path, "string")
            case "bytes":
                if not isinstance(value, str):
                    raise self._wrong(value, owner, go_path, "[]uint8")
                try:
                    base64.b64decode(value, validate=True)
                except binascii.Error as exc:
                    raise WrongType("illegal base64 data at input byte 0") from exc
            case "bool":
                if not isinstance(value, bool):
                    raise self._wrong(value, owner, go_path, "bool")
            case "int32" | "int64":
                if isinstance(value, bool) or not isinstance(value, int):
                    shown = f"number {value}" if isinstance(value, float) else scalar_name(value)
                    raise WrongType(f"json: cannot unmarshal {shown} into Go struct field {_go(owner)}.{go_path} of type {kind}")
            case "float":
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise self._wrong(value, owner, go_path, "float64")
            case "quantity":
                return _quantity(value)
            case "intstr":
                if isinstance(value, bool) or not isinstance(value, int | str):
                    raise self._wrong(value, owner, go_path, "intstr.IntOrString")
        return value

    def _wrong(self, value: Json, owner: str, go_path: str, wanted: str) -> WrongType:
        return WrongType(
            f"json: cannot unmarshal {scalar_name(value)} into Go struct field {_go(owner)}.{go_path} of type {wanted}"
        )


def _go(kind: str) -> str:
    if kind in GO_NAMES:
        return GO_NAMES[kind]
    return kind.rsplit(".", 1)[-1]


def _quantity(value: Json) -> Json:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not QUANTITY.match(text):
        raise WrongType("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    return text
