"""CEL as API servers use it: compile once, evaluate on plain data; an error is an exception, never a truthy value."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

NAMES = ("self", "object", "oldObject", "request", "namespaceObject", "params", "variables")
_WORD, _VARIABLE = re.compile(r"[A-Za-z_]\w*"), re.compile(r"\bvariables\.([A-Za-z_]\w*)")


class ExpressionError(ValueError):
    """It does not compile, or evaluating it failed; the message is the library's."""


@lru_cache(maxsize=512)
def _compiled(source: str) -> Any:
    environment = cel.NewEnv(
        variables=dict.fromkeys(NAMES, cel.Type.DYN), extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()]
    )
    try:
        return environment.compile(source)
    except (ValueError, RuntimeError, TypeError) as exc:
        raise ExpressionError(str(exc)) from exc


class Expression:
    def __init__(self, source: str) -> None:
        self._source = source
        words = set(_WORD.findall(source))
        self._names = [name for name in NAMES if name in words]

    def variables(self) -> set[str]:
        """The names of `variables.x` in it."""
        return set(_VARIABLE.findall(self._source))

    def compile(self) -> None:
        """ExpressionError when it does not compile."""
        _compiled(self._source)

    def evaluate(self, data: Mapping[str, Any]) -> Any:
        """The plain value. ExpressionError."""
        try:
            value = _compiled(self._source).eval(data={name: data.get(name) for name in self._names})
        except (ValueError, RuntimeError, TypeError) as exc:
            raise ExpressionError(str(exc)) from exc
        if value.type() == cel.Type.ERROR:
            raise ExpressionError(_reason(str(value.plain_value())))
        return value.plain_value()


def _reason(text: str) -> str:
    """What cel-go would say: the C++ library says the same with other wrapping."""
    for line in text.splitlines():
        if "Key not found in map" in line:
            return "no such key: " + line.rsplit(":", 1)[-1].strip().strip("'\"")
        if "no such key" in line.lower():
            return "no such key: " + line.rsplit(":", 1)[-1].strip().strip("'\"")
    return text
