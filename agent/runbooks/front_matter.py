"""The front matter of a page with the line of every field, so that a fault can say where it is. Knows no page's meaning."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from agent.errors import InputError
from agent.runbooks.conditions import compile_condition, compile_expression

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def split(path: Path) -> tuple[str, str]:
    """Front matter and the text after it. Raises InputError."""
    try:
        whole = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: cannot be read: {exc}") from None
    parts = re.split(r"^---[ \t]*$", whole, maxsplit=2, flags=re.M)
    if len(parts) != 3 or parts[0].strip():
        raise InputError(f"{path}:1: no front matter between two lines of ---")
    return parts[1], parts[2]


class FrontMatter:
    """`document` is the mapping; every fault is an InputError of one line with file and line."""

    def __init__(self, path: Path, front: str) -> None:
        self.path = path
        self._front = front
        try:
            document = yaml.load(front, Loader=_LOADER)  # noqa: S506  a safe loader, the fast one where it is there
        except (yaml.YAMLError, ValueError, RecursionError) as exc:  # a date such as 2026-13-01 is a ValueError
            mark = getattr(exc, "problem_mark", None)
            line = mark.line + 1 if mark is not None else 1
            raise InputError(f"{path}:{line}: no YAML: {getattr(exc, 'problem', None) or exc}") from None
        if not isinstance(document, dict):
            raise InputError(f"{path}:1: the front matter is no mapping")
        self.document: dict[str, Any] = document

    def fault(self, words: str, *place: str | int) -> InputError:
        return InputError(f"{self.path}:{self._line(place)}: {words}")

    def _line(self, place: tuple[str | int, ...]) -> int:
        node, line = yaml.compose(self._front, Loader=_LOADER), 1
        for part in place:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == part), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
        return line

    def known(self, holder: Mapping[str, Any], fields: set[str], *place: str | int, of: str = "") -> None:
        unknown = sorted(set(map(str, holder)) - fields)
        if unknown:
            where = f" in {of}" if of else ""
            raise self.fault(f"unknown field {unknown[0]}{where} (known: {', '.join(sorted(fields))})", *place, unknown[0])

    def string(self, holder: Mapping[str, Any], field: str, *place: str | int, default: str | None = None) -> str:
        value = holder.get(field, default)
        if not isinstance(value, str):
            raise self.fault(f"{field} is missing or no text", *place, field)
        return value

    def sequence(self, holder: Mapping[str, Any], field: str, *place: str | int) -> list[Any]:
        value = holder.get(field, [])
        if not isinstance(value, list):
            raise self.fault(f"{field} is no list", *place, field)
        return value

    def strings(self, holder: Mapping[str, Any], field: str, *place: str | int) -> tuple[str, ...]:
        for index, one in enumerate(found := self.sequence(holder, field, *place)):
            if not isinstance(one, str) or not one:
                raise self.fault(f"{field} holds something that is no text", *place, field, index)
        return tuple(found)

    def mapping(self, holder: Mapping[str, Any], field: str, *place: str | int) -> dict[str, Any]:
        value = holder.get(field, {})
        if not isinstance(value, dict):
            raise self.fault(f"{field} is no mapping", *place, field)
        return value

    def condition(self, source: str, variables: tuple[str, ...], *place: str | int) -> None:
        try:
            compile_condition(source, variables)
        except InputError as exc:
            raise self.fault(str(exc), *place) from None

    def expression(self, source: str, variables: tuple[str, ...], *place: str | int) -> None:
        try:
            compile_expression(source, variables)
        except InputError as exc:
            raise self.fault(str(exc), *place) from None
