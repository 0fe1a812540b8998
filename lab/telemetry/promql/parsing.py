"""From text to tree, refusing what the subset does not know with the parse errors Prometheus gives."""

import re
from dataclasses import replace
from typing import Any, Literal, NoReturn

from lab.telemetry.promql.functions import FUNCTIONS
from lab.telemetry.promql.syntax import (
    Aggregate,
    Binary,
    Call,
    Expr,
    Matching,
    Negative,
    Number,
    Selector,
    Subquery,
    Text,
    kind_of,
)
from lab.telemetry.series import Matcher

AGGREGATES = frozenset({"sum", "avg", "min", "max", "count", "topk", "bottomk", "quantile", "stddev", "group"})
PARAMETRIC = frozenset({"topk", "bottomk", "quantile"})
PRECEDENCE = (
    frozenset({"or"}),
    frozenset({"and", "unless"}),
    frozenset({"==", "!=", "<=", "<", ">=", ">"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
COMPARISONS, SETS = PRECEDENCE[2], PRECEDENCE[0] | PRECEDENCE[1]
TOKEN = re.compile(
    r"""\s*(?:(?P<comment>\#[^\n]*)
    |(?P<duration>\d+(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*)
    |(?P<number>0x[0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[a-zA-Z_][a-zA-Z0-9_:]*)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<op>=~|!~|==|!=|<=|>=|[-+*/%^=<>(){}\[\],:@]))""",
    re.VERBOSE,
)
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


class ParseError(ValueError):
    """The text is Prometheus's, with line and column: "1:5: parse error: ..."."""


def parse(text: str) -> Expr:
    return _Parser(text).whole()


def seconds(text: str) -> float:
    return sum(float(n) * UNITS[u] for n, u in re.findall(r"(\d+)(ms|[smhdwy])", text))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text.rstrip()):
            found = TOKEN.match(text, position)
            if found is None or found.end() == position:
                start = position + len(text[position:]) - len(text[position:].lstrip())
                self._fail(f"unexpected character: {text[start]!r}", start)
            kind = str(found.lastgroup)
            if kind != "comment":
                self.tokens.append((kind, found[kind], found.start(kind)))
            position = found.end()
        self.tokens.append(("end", "end of input", len(text)))
        self.index = 0

    def _fail(self, problem: str, at: int | None = None) -> NoReturn:
        offset = self.tokens[self.index][2] if at is None else at
        line = self.text.count("\n", 0, offset) + 1
        column = offset - (self.text.rfind("\n", 0, offset) + 1) + 1
        raise ParseError(f"{line}:{column}: parse error: {problem}")

    def _unexpected(self, context: str) -> NoReturn:
        kind, value, _ = self.tokens[self.index]
        shown = {
            "end": "end of input",
            "name": f"identifier {value!r}",
            "string": f"string {value}",
            "number": f"number {value!r}",
        }
        self._fail(f"unexpected {shown.get(kind, repr(value))}{context}".replace("'", '"'))

    def peek(self) -> str:
        return self.tokens[self.index][1] if self.tokens[self.index][0] != "string" else ""

    def kind(self) -> str:
        return self.tokens[self.index][0]

    def next(self) -> str:
        value = self.tokens[self.index][1]
        self.index += 1
        return value

    def accept(self, value: str) -> bool:
        if self.kind() in ("op", "name") and self.peek() == value:
            self.index += 1
            return True
        return False

    def expect(self, value: str, context: str) -> None:
        if not self.accept(value):
            self._unexpected(f" in {context}, expected {value!r}")

    # grammar

    def whole(self) -> Expr:
        if self.kind() == "end":
            self._fail("no expression found in input", 0)
        found = self.binary(0)
        if self.kind() != "end":
            self._unexpected("")
        return found

    def binary(self, level: int) -> Expr:
        if level == len(PRECEDENCE):
            return self.unary()
        left = self.binary(level + 1)
        while self.kind() in ("op", "name") and self.peek().lower() in PRECEDENCE[level]:
            operator = self.next().lower()
            boolean = self.accept("bool")
            matching = self.matching()
            left = self._checked(Binary(operator, left, self.binary(level + 1), boolean, matching))
        return left

    def _checked(self, expr: Binary) -> Expr:
        kinds = kind_of(expr.left), kind_of(expr.right)
        if any(k in ("range vector", "string") for k in kinds):
            self._fail("binary expression must contain only scalar and instant vector types")
        if expr.operator in SETS and "scalar" in kinds:
            self._fail(f'set operator "{expr.operator}" not allowed in binary scalar expression')
        if expr.operator in COMPARISONS and kinds == ("scalar", "scalar") and not expr.boolean:
            self._fail("comparisons between scalars must use BOOL modifier")
        return expr

    def matching(self) -> Matching:
        found = Matching()
        for word in ("on", "ignoring"):
            if self.accept(word):
                found = Matching(on=word == "on", labels=self.names())
        for word, side in (("group_left", "left"), ("group_right", "right")):
            if self.accept(word):
                group: Literal["left", "right"] = "left" if side == "left" else "right"
                include = self.names() if self.peek() == "(" else ()
                found = replace(found, group=group, include=include)
        return found

    def names(self) -> tuple[str, ...]:
        self.expect("(", "grouping opts")
        found: list[str] = []
        while not self.accept(")"):
            if self.kind() != "name":
                self._unexpected(" in grouping opts, expected label")
            found.append(self.next())
            if not self.accept(",") and self.peek() != ")":
                self._unexpected(' in grouping opts, expected "," or ")"')
        return tuple(found)

    def unary(self) -> Expr:
        if self.accept("-"):
            return Negative(self.unary())
        if self.accept("+"):
            return self.unary()
        base = self.postfix()
        if self.accept("^"):
            return self._checked(Binary("^", base, self.unary()))
        return base

    def postfix(self) -> Expr:
        found = self.primary()
        while True:
            if self.accept("["):
                found = self.ranged(found)
            elif self.kind() == "name" and self.peek() == "offset":
                self.next()
                sign = -1.0 if self.accept("-") else 1.0
                found = self._offset(found, sign * self.duration("offset"))
            else:
                return found

    def _offset(self, expr: Expr, by: float) -> Expr:
        if not isinstance(expr, Selector | Subquery):
            self._fail("offset modifier must be preceded by an instant vector selector or range vector selector or a subquery")
        return replace(expr, offset=by)

    def duration(self, context: str) -> float:
        if self.kind() != "duration":
            self._unexpected(f" in {context}, expected duration")
        return seconds(self.next())

    def ranged(self, inner: Expr) -> Expr:
        length = self.duration("subquery or range selector")
        if self.accept(":"):
            step = self.duration("subquery selector") if self.kind() == "duration" else 30.0
            self.expect("]", "subquery selector")
            if kind_of(inner) != "instant vector":
                self._fail(f"subquery is only allowed on instant vector, got {kind_of(inner)} instead")
            return Subquery(inner, length, step)
        self.expect("]", "matrix selector")
        if not isinstance(inner, Selector) or inner.range is not None:
            self._fail("ranges only allowed for vector selectors")
        return replace(inner, range=length)

    def primary(self) -> Expr:
        kind, value = self.kind(), self.peek()
        if kind == "number":
            return Number(float(int(self.next(), 16) if value.startswith("0x") else self.next()))
        if kind == "string":
            return Text(unquote(self.next()))
        if self.accept("("):
            inner = self.binary(0)
            self.expect(")", "paren expression")
            return inner
        if value == "{":
            return self.selector(None)
        if kind != "name":
            self._unexpected("")
        if value.lower() in ("inf", "nan") and self.tokens[self.index + 1][1] not in ("{", "("):
            return Number(float(self.next()))
        if value.lower() in AGGREGATES and self.tokens[self.index + 1][1] in ("(", "by", "without"):
            return self.aggregate(self.next().lower())
        if self.tokens[self.index + 1][1] == "(":
            return self.call()
        return self.selector(self.next())

    def call(self) -> Expr:
        start = self.tokens[self.index][2]
        name = self.next()
        if name not in FUNCTIONS:
            self._fail(f'unknown function with name "{name}"', start)
        self.expect("(", "function call")
        arguments: list[Expr] = []
        while not self.accept(")"):
            arguments.append(self.binary(0))
            if not self.accept(",") and self.peek() != ")":
                self._unexpected(' in function call, expected "," or ")"')
        wanted = FUNCTIONS[name].arguments
        least = len([w for w in wanted if not w.endswith("?")])
        if not least <= len(arguments) <= len(wanted):
            self._fail(f'expected {len(wanted)} argument(s) in call to "{name}", got {len(arguments)}', start)
        for argument, expected in zip(arguments, wanted, strict=False):
            if kind_of(argument) != expected.rstrip("?"):
                self._fail(f'expected type {expected.rstrip("?")} in call to function "{name}", got {kind_of(argument)}', start)
        return Call(name, tuple(arguments))

    def aggregate(self, operator: str) -> Expr:
        grouping = self._grouping()
        self.expect("(", "aggregation")
        first = self.binary(0)
        parameter: Expr | None = None
        if self.accept(","):
            parameter, first = first, self.binary(0)
        self.expect(")", "aggregation")
        grouping = grouping or self._grouping()
        by, names = grouping or (False, ())
        if (operator in PARAMETRIC) != (parameter is not None):
            wanted, got = 1 + (operator in PARAMETRIC), 1 + (parameter is not None)
            self._fail(f"wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}")
        if kind_of(first) != "instant vector":
            self._fail(f"expected type instant vector in aggregation expression, got {kind_of(first)}")
        return Aggregate(operator, first, parameter, by, names, grouping is not None)

    def _grouping(self) -> tuple[bool, tuple[str, ...]] | None:
        for word in ("by", "without"):
            if self.accept(word):
                return word == "by", self.names()
        return None

    def selector(self, name: str | None) -> Expr:
        matchers = [Matcher("__name__", "=", name)] if name is not None else []
        if self.accept("{"):
            while not self.accept("}"):
                if self.kind() == "string":
                    matchers.append(Matcher("__name__", "=", unquote(self.next())))
                else:
                    matchers.append(self.matcher())
                if not self.accept(",") and self.peek() != "}":
                    self._unexpected(' in label matching, expected "," or "}"')
        if all((m.operator in ("=", "=~") and m.accepts({})) or m.operator in ("!=", "!~") for m in matchers):
            self._fail("vector selector must contain at least one non-empty matcher")
        return Selector(tuple(matchers))

    def matcher(self) -> Matcher:
        if self.kind() != "name":
            self._unexpected(' in label matching, expected identifier or "}"')
        name = self.next()
        operator: Any = self.next()
        if operator not in ("=", "!=", "=~", "!~"):
            self.index -= 1
            self._unexpected(" in label matching, expected label matching operator")
        if self.kind() != "string":
            self._unexpected(" in label matching, expected string")
        value = unquote(self.next())
        if operator in ("=~", "!~"):
            try:
                re.compile(value)
            except re.error as exc:
                self._fail(f"error parsing regexp: {exc}")
        return Matcher(name, operator, value)


def unquote(text: str) -> str:
    body = text[1:-1]
    if text[0] == "`":
        return body
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "r": "\r"}.get(m[1], m[1]), body)
