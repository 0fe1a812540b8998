"""Conditions in CEL. Only a real bool true is true: an error is a value in this library, and a truthy one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from agent.errors import InputError
from sidecar.contract import Json

_PREFIX = re.compile(r"^INVALID_ARGUMENT: ERROR: <input>:1:(\d+): ")
# Conditions that many pages share, by the kind of the object that is looked at.
_ROLLED_OUT = (
    "has(object.status.observedGeneration) && object.status.observedGeneration >= object.metadata.generation"
    " && has(object.status.updatedReplicas) && object.status.updatedReplicas == object.spec.replicas"
    " && has(object.status.readyReplicas) && object.status.readyReplicas == object.spec.replicas"
    " && object.status.replicas == object.spec.replicas"
    " && (!has(object.status.unavailableReplicas) || object.status.unavailableReplicas == 0)"
)
_NAMED: Mapping[str, Mapping[str, str]] = {
    "workload-ready": {
        "Deployment": _ROLLED_OUT,
        "StatefulSet": "has(object.status.observedGeneration) && object.status.observedGeneration >= object.metadata.generation"
        " && has(object.status.readyReplicas) && object.status.readyReplicas == object.spec.replicas",
        "DaemonSet": "has(object.status.observedGeneration) && object.status.observedGeneration >= object.metadata.generation"
        " && has(object.status.numberReady) && object.status.numberReady == object.status.desiredNumberScheduled",
        "Job": "has(object.status.succeeded) && object.status.succeeded > 0",
        "Pod": 'has(object.status.conditions) && object.status.conditions.exists(c, c.type == "Ready" && c.status == "True")',
    },
    "endpoints-ready": {
        "EndpointSlice": "has(object.endpoints) && type(object.endpoints) == list"
        " && object.endpoints.exists(e, has(e.conditions) && has(e.conditions.ready) && e.conditions.ready == true)",
        "Endpoints": "has(object.subsets) && object.subsets.exists(s, has(s.addresses) && s.addresses.size() > 0)",
    },
    "endpoints-on-port": {
        "EndpointSlice": "has(object.ports) && type(object.ports) == list && object.ports.exists(p, p.port =="
        " {params.listens_on})",
        "Endpoints": "has(object.subsets) && object.subsets.exists(s, has(s.ports) && s.ports.exists(p, p.port =="
        " {params.listens_on}))",
    },
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression of any type."""

    source: str
    _program: Any = field(repr=False, compare=False)

    def value(self, data: Mapping[str, Any]) -> Json:
        """Plain JSON, or None when it cannot be worked out."""
        found = self._program.eval(data=dict(data))
        if found.type() == cel.Type.ERROR:
            return None
        plain = found.plain_value()
        return plain if isinstance(plain, str | int | float | bool | list | dict) else None


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    source: str
    _program: Any = field(repr=False, compare=False)

    def holds(self, data: Mapping[str, Any]) -> bool:
        """True only for a plain true; an error or any other value is no yes."""
        return self.look(data) is True

    def look(self, data: Mapping[str, Any]) -> bool | None:
        """True, False, or None when it cannot be said (an evaluation error, or no bool)."""
        value = self._program.eval(data=dict(data))
        return bool(value.plain_value()) if value.type() == cel.Type.BOOL else None


@lru_cache(maxsize=1024)
def compile_condition(source: str, variables: tuple[str, ...] = ("object",)) -> Condition:
    """Compile CEL over these variables. Raises InputError with the compiler's first line."""
    return Condition(source, _compiled(source, variables, "condition"))


@lru_cache(maxsize=1024)
def compile_expression(source: str, variables: tuple[str, ...] = ("object",)) -> Expression:
    """Like `compile_condition`, for a value of any type."""
    return Expression(source, _compiled(source, variables, "expression"))


def _compiled(source: str, variables: tuple[str, ...], what: str) -> Any:
    try:
        return _environment(variables).compile(source)
    except Exception as exc:  # noqa: BLE001  the binding raises bare exceptions
        words = str(exc).strip().splitlines()
        told = _PREFIX.sub(lambda match: f"at column {match[1]}: ", words[0]) if words else type(exc).__name__
        raise InputError(f"no CEL {what}: {told}") from None


@lru_cache(maxsize=16)
def _environment(variables: tuple[str, ...]) -> Any:
    return cel.NewEnv(
        variables=dict.fromkeys(variables, cel.Type.DYN), extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()]
    )


def spelled_out(condition: str, kind: str) -> str:
    """The CEL text of a condition, which may be the name of a shared one; "" if it has no meaning for that kind."""
    return _NAMED[condition].get(kind, "") if condition in _NAMED else condition


def is_named(condition: str) -> bool:
    return condition in _NAMED
