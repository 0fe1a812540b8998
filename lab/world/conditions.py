"""CEL conditions of the laboratory: compiled when a scenario is loaded, true only when they say a plain true."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings


class ConditionError(ValueError):
    """A condition that does not compile, or does not give the type it should."""


class _WorldFunctions(cel.CelExtension):  # type: ignore[misc] # the library ships no types for mypy
    """`world.reachable("db.shop.svc:5432")` and `world.resolves("db.shop.svc")`, answered by whoever asks."""

    def __init__(self, answer: Callable[[str, str], bool]) -> None:
        overloads = [
            cel.FunctionDecl(
                name,
                [
                    cel.Overload(
                        id=f"world_{name}",
                        return_type=cel.Type.BOOL,
                        parameters=[cel.Type.DYN, cel.Type.STRING],
                        is_member=True,
                        impl=lambda _world, address, name=name: answer(name, address),
                    )
                ],
            )
            for name in ("reachable", "resolves")
        ]
        super().__init__("lab.world", overloads)


@dataclass
class Conditions:
    """One compiler; `reachable` and `resolves` are answered by the functions put here."""

    reachable: Callable[[str], bool] = lambda address: False
    resolves: Callable[[str], bool] = lambda address: False

    def __post_init__(self) -> None:
        names = (
            "pod",
            "container",
            "env",
            "files",
            "limits",
            "requests",
            "image",
            "restarts",
            "uptime",
            "world",
            "objects",
            "now",
        )
        self._env = cel.NewEnv(
            variables=dict.fromkeys(names, cel.Type.DYN),
            extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional(), _WorldFunctions(self._answer)],
        )

    def _answer(self, name: str, address: str) -> bool:
        return self.reachable(address) if name == "reachable" else self.resolves(address)

    def compile(self, text: str) -> "Condition":
        """Raises ConditionError."""
        try:
            return Condition(text, self._env.compile(text))
        except Exception as exc:  # the library raises its own and plain RuntimeError
            raise ConditionError(f"condition {text!r} does not compile: {str(exc).splitlines()[0]}") from exc


@dataclass(frozen=True)
class Condition:
    text: str
    _compiled: Any

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """A missing key, an error or another type is a no."""
        value = self._compiled.eval(data=dict(variables))
        return bool(value.type() == cel.Type.BOOL and value.plain_value() is True)

    def value(self, variables: Mapping[str, Any]) -> str | float | int | bool | None:
        """A plain value, or None when it cannot be evaluated."""
        result = self._compiled.eval(data=dict(variables))
        if result.type() in (cel.Type.STRING, cel.Type.INT, cel.Type.UINT, cel.Type.DOUBLE, cel.Type.BOOL):
            plain: str | float | int | bool = result.plain_value()
            return plain
        return None
