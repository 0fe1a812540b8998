"""ValidatingAdmissionPolicies before they are stored: names and expressions. The compiler's words are not a real server's.

Rules as in kubernetes pkg/apis/admissionregistration/validation (v1.36).
"""

import re
from collections.abc import Iterator

from lab.api.cel import Expression, ExpressionError
from lab.api.status import Cause, invalid_value, required
from lab.api.validation.metadata import quoted
from lab.store import Object

_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)


def policy(obj: Object) -> list[Cause]:
    return list(_policy(obj.get("spec") or {}))


def _policy(spec: Object) -> Iterator[Cause]:
    for i, condition in enumerate(spec.get("matchConditions") or []):
        yield from _compiled(condition, f"spec.matchConditions[{i}]")
    for i, variable in enumerate(spec.get("variables") or []):
        name = variable.get("name", "")
        if not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
            yield invalid_value(f"spec.variables[{i}].name", quoted(name), "name is not a valid CEL identifier")
        yield from _compiled(variable, f"spec.variables[{i}]")
    for i, rule in enumerate(spec.get("validations") or []):
        yield from _compiled(rule, f"spec.validations[{i}]")
        message = str(rule.get("message") or "").strip()
        if "\n" in message:
            yield invalid_value(f"spec.validations[{i}].message", quoted(message), "message must not contain line breaks")
        if "\n" in str(rule.get("expression") or "").strip() and not message:
            yield required(f"spec.validations[{i}].message", "message must be specified if expression contains line breaks")


def _compiled(holder: Object, path: str) -> Iterator[Cause]:
    for field in ("expression", "messageExpression"):
        source = holder.get(field, "")
        if field == "messageExpression" and not source:
            continue
        try:
            Expression(source).compile()
        except ExpressionError as exc:
            yield invalid_value(f"{path}.{field}", quoted(source), f"compilation failed: {exc}")
