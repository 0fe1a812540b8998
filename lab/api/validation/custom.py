"""Custom resources against the schema of their definition: types, required fields, enums, bounds, CEL rules; and their
defaults.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any

from lab.api.cel import Expression, ExpressionError
from lab.api.resources import Resource
from lab.api.status import Cause, invalid_value, required, unsupported_value
from lab.api.validation.metadata import quoted
from lab.store import Object

UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"
)
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def _schema(resource: Resource) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = ((resource.custom or {}).get("schema") or {}).get("openAPIV3Schema") or {}
    return schema


def fill(resource: Resource, obj: Object) -> None:
    """Lay the schema's defaults into an object."""
    for name, inner in (_schema(resource).get("properties") or {}).items():
        if name not in ("metadata", "apiVersion", "kind") and name in obj:
            _fill(obj[name], inner)


def _fill(value: Any, schema: Mapping[str, Any]) -> None:
    if isinstance(value, dict):
        for name, inner in (schema.get("properties") or {}).items():
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
            if name in value:
                _fill(value[name], inner)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            _fill(item, schema["items"])


def faults(resource: Resource, obj: Object) -> list[Cause]:
    """Faults of the schema first, then rules; rules are not checked while the schema does not hold."""
    properties = _schema(resource).get("properties") or {}
    found = [required(name) for name in _schema(resource).get("required") or () if name not in obj]
    for name, schema in properties.items():
        if name in obj and name not in ("metadata", "apiVersion", "kind"):
            found += _check(obj[name], schema, name)
    typed = [c for c in found if c.reason == "FieldValueTypeInvalid"]
    found = typed + [c for c in found if c not in typed]
    if found:
        return [*found, *_scale_faults(resource, obj), invalid_value("<nil>", "null", UNCHECKED)]
    rules = [c for name, schema in properties.items() if name in obj for c in _rules(obj[name], schema, name)]
    return rules + _rules_of(obj, _schema(resource), "")


def _check(value: Any, schema: Mapping[str, Any], path: str) -> list[Cause]:
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        kind = None
    if value is None:
        return []
    if kind and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        got = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}[type(value)]
        message = f'Invalid value: "{got}": {path} in body must be of type {kind}: "{got}"'
        return [Cause(reason="FieldValueTypeInvalid", message=message, field=path)]
    out = _bounds(value, schema, path)
    if isinstance(value, dict):
        out += [required(f"{path}.{name}") for name in schema.get("required") or () if name not in value]
        for name, inner in value.items():
            below = (schema.get("properties") or {}).get(name) or schema.get("additionalProperties")
            if isinstance(below, dict):
                out += _check(inner, below, f"{path}.{name}")
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for i, item in enumerate(value):
            out += _check(item, schema["items"], f"{path}[{i}]")
    return out


def _bounds(value: Any, schema: Mapping[str, Any], path: str) -> list[Cause]:
    out: list[Cause] = []
    if "enum" in schema and value not in schema["enum"]:
        out.append(unsupported_value(path, quoted(value), [str(v) for v in schema["enum"]]))
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            out.append(
                invalid_value(path, quoted(value), f"{path} in body should be greater than or equal to {schema['minimum']}")
            )
        if "maximum" in schema and value > schema["maximum"]:
            out.append(invalid_value(path, quoted(value), f"{path} in body should be less than or equal to {schema['maximum']}"))
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            out.append(invalid_value(path, quoted(value), f"{path} in body should match '{schema['pattern']}'"))
        if len(value) < schema.get("minLength", 0):
            out.append(invalid_value(path, quoted(value), f"{path} in body should be at least {schema['minLength']} chars long"))
        if len(value) > schema.get("maxLength", len(value)):
            message = f"Too long: may not be more than {schema['maxLength']} bytes"
            out.append(Cause(reason="FieldValueTooLong", message=message, field=path))
    if isinstance(value, list) and len(value) < schema.get("minItems", 0):
        out.append(invalid_value(path, quoted(len(value)), f"{path} in body should have at least {schema['minItems']} items"))
    return out


def _scale_faults(resource: Resource, obj: Object) -> list[Cause]:
    path = (((resource.custom or {}).get("subresources") or {}).get("scale") or {}).get("specReplicasPath")
    if not path:
        return []
    found: Any = obj
    for part in path.strip(".").split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if found is None or isinstance(found, int):
        return []
    return [
        invalid_value(
            path,
            "0",
            f"{path} accessor error: {found} is of the type {type(found).__name__.replace('str', 'string')}, expected int64",
        )
    ]


def _rules(value: Any, schema: Mapping[str, Any], path: str) -> list[Cause]:
    out = _rules_of(value, schema, path)
    if isinstance(value, dict):
        for name, inner in value.items():
            below = (schema.get("properties") or {}).get(name)
            if isinstance(below, dict):
                out += _rules(inner, below, f"{path}.{name}")
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for i, item in enumerate(value):
            out += _rules(item, schema["items"], f"{path}[{i}]")
    return out


def _rules_of(value: Any, schema: Mapping[str, Any], path: str) -> list[Cause]:
    out: list[Cause] = []
    for rule in schema.get("x-kubernetes-validations") or ():
        if "oldSelf" in rule["rule"]:
            continue  # transition rules need the object before; they are not evaluated
        try:
            holds = Expression(rule["rule"]).evaluate({"self": value}) is True
            why = rule.get("message") or f"failed rule: {rule['rule']}"
        except ExpressionError as exc:
            holds, why = False, f"rule evaluation error: {exc}"
        if not holds:
            out.append(Cause(reason="FieldValueInvalid", message=f"Invalid value: {why}", field=path))
    return out
