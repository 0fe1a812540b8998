"""The expressions of the subset, as a tree."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lab.telemetry.series import Matcher

Kind = Literal["scalar", "string", "instant vector", "range vector"]


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Selector:
    """`range` in seconds makes it a range vector; `step` also a subquery's."""

    matchers: tuple[Matcher, ...]
    range: float | None = None
    offset: float = 0.0
    at: float | None = None


@dataclass(frozen=True)
class Subquery:
    inner: "Expr"
    range: float
    step: float
    offset: float = 0.0


@dataclass(frozen=True)
class Call:
    function: str
    arguments: "tuple[Expr, ...]"


@dataclass(frozen=True)
class Aggregate:
    operator: str
    inner: "Expr"
    parameter: "Expr | None" = None
    by: bool = False  # False with labels: without
    labels: tuple[str, ...] = ()
    grouped: bool = False


@dataclass(frozen=True)
class Matching:
    on: bool = False
    labels: tuple[str, ...] = ()
    group: Literal["", "left", "right"] = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binary:
    operator: str
    left: "Expr"
    right: "Expr"
    boolean: bool = False
    matching: Matching = Matching()


@dataclass(frozen=True)
class Negative:
    inner: "Expr"


Expr: TypeAlias = Number | Text | Selector | Subquery | Call | Aggregate | Binary | Negative


def kind_of(expr: Expr) -> Kind:
    match expr:
        case Number():
            return "scalar"
        case Text():
            return "string"
        case Selector(range=length):
            return "instant vector" if length is None else "range vector"
        case Subquery():
            return "range vector"
        case Call(function=name):
            return "scalar" if name in ("scalar", "time", "pi") else "instant vector"
        case Aggregate():
            return "instant vector"
        case Binary(left=left, right=right):
            both = kind_of(left) == kind_of(right) == "scalar"
            return "scalar" if both else "instant vector"
        case Negative(inner=inner):
            return kind_of(inner)
