"""Rego text as tokens: enough to see what a module calls and to move it below another root. No parser, and no engine."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Literal

from sidecar.errors import BundleRefused

Kind = Literal["space", "comment", "string", "raw", "path", "number", "mark"]
_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\n]|\r\n)+)
      | (?P<comment>\#[^\r\n]*)
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<raw>`[^`]*`)
      | (?P<path>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
      | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (?P<mark>:=|==|!=|<=|>=|[-+*/%&|<>=:;,.(){}\[\]])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` path: an identifier with what is dotted to it, such as `data.platform.fenced`."""

    kind: Kind
    text: str
    line: int


def tokens(path: str, text: str) -> Iterator[Token]:
    """Every token, spaces and comments too. Raises BundleRefused for a character that Rego without surprises has not: `$`
    begins a template string in newer versions, a lone quote an unclosed text, a lone carriage return ends a comment for some."""
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise BundleRefused(f"{path}:{line}: {text[position]!r} is not expected here")
        kind: Kind = match.lastgroup  # type: ignore[assignment]  # the groups are named as the kinds are
        yield Token(kind, match.group(), line)
        line += match.group().count("\n")
        position = match.end()


def moved(path: str, text: str, root: str) -> str:
    """The same module with `package x` and `data.x` below `data.<root>`, so that revisions lie side by side in one server."""
    moved_text, after_package = [], False
    for token in tokens(path, text):
        said = token.text
        if token.kind == "path":
            if after_package:
                said = f"{root}.{said}"
            elif said.startswith("data."):
                said = f"data.{root}.{said.removeprefix('data.')}"
            after_package = token.text == "package"
        moved_text.append(said)
    return "".join(moved_text)


def in_order(modules: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each module after those whose functions it uses: a server takes one at a time and compiles each as it comes.
    Raises BundleRefused for packages that use each other in a circle."""
    package = {path: _package(path, text) for path, text in modules}
    places: dict[str, list[str]] = {}
    for path, name in package.items():
        places.setdefault(name, []).append(path)
    needs: TopologicalSorter[str] = TopologicalSorter()
    for path, text in modules:
        used = {
            _owner(token.text.removeprefix("data."), places) for token in tokens(path, text) if token.text.startswith("data.")
        }
        needs.add(path, *(other for name in used - {package[path], ""} for other in places[name]))
    texts = dict(modules)
    try:
        return [(path, texts[path]) for path in needs.static_order()]
    except CycleError as exc:
        raise BundleRefused(f"packages use each other in a circle: {', '.join(dict.fromkeys(exc.args[1]))}") from exc


def _package(path: str, text: str) -> str:
    said = [token.text for token in tokens(path, text) if token.kind == "path"]
    if len(said) < 2 or said[0] != "package":
        raise BundleRefused(f"{path}: a module begins with its package")
    return said[1]


def _owner(reference: str, packages: dict[str, list[str]]) -> str:
    """The innermost package that a reference lies in, "" for data."""
    while reference and reference not in packages:
        reference = reference.rpartition(".")[0]
    return reference
