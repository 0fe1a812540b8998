"""What a module has to look like, so that whoever reads it and both engines read the same. Knows tokens, and no engine.

OPA refuses most of this itself; the embedded engine takes it, and means something else, or something that no OPA would run:
rule bodies without `if`, `input` as a name of one's own, a function that has the name of a built-in, a call by brackets.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar.errors import BundleRefused
from sidecar.policy.tokens import Token

KEYWORDS = frozenset({"if", "in", "not", "some", "every", "else", "default", "contains", "import", "as", "package", "null"})
_DOCUMENTS = frozenset({"data", "input"})
_OPENS, _CLOSES = frozenset("([{"), frozenset(")]}")
# In a folder of files, and as a part of an address: a server would take ? or % for something else than a name.
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\.rego")
_ESCAPE = re.compile(r'\\(?:[^"\\nrtbf])')
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Module:
    """The tokens that count, and how many brackets are open before each."""

    tokens: Sequence[Token]
    depths: Sequence[int]

    @classmethod
    def of(cls, found: Iterator[Token]) -> "Module":
        meaningful = [token for token in found if token.kind not in {"space", "comment"}]
        depths, depth = [], 0
        for token in meaningful:
            depth -= token.text in _CLOSES
            depths.append(depth)
            depth += token.text in _OPENS
        return cls(meaningful, depths)

    def before(self, number: int) -> str:
        return self.tokens[number - 1].text if number else ""

    def begins(self, number: int) -> bool:
        """Whether a statement begins with this word: what stands before it ends one, or is `default`."""
        if self.tokens[number].kind != "path" or self.depths[number]:
            return False
        return number == 0 or self.before(number) == "default" or self.ends(number - 1)

    def ends(self, number: int) -> bool:
        """Whether a term may end here."""
        token = self.tokens[number]
        if token.kind == "mark":
            return token.text in _CLOSES
        return token.kind != "path" or token.text not in KEYWORDS - {"null"}


def check_text(path: str, text: str) -> None:
    """Raises BundleRefused for a name that is more than one, and for characters that nobody sees."""
    if not _PATH.fullmatch(path):
        raise BundleRefused(f"{path!r}: a module's name holds letters, digits, dots, hyphens and underscores only")
    for place, character in enumerate(text):
        if not character.isprintable() and character not in "\t\r\n":
            line = text.count("\n", 0, place) + 1
            raise BundleRefused(f"{path}:{line}: the character U+{ord(character):04X} is not seen: it has no place in a rule")


def named(module: Module) -> Iterator[Token]:
    """The names that a module gives: to its rules, functions and imports."""
    for number, token in enumerate(module.tokens):
        before = module.before(number)
        if before == "import":
            yield Token(token.kind, token.text.rpartition(".")[2], token.line)
        elif before == "as" or (module.begins(number) and (token.text not in KEYWORDS or _is_first(module, number))):
            yield token


def _is_first(module: Module, number: int) -> bool:
    """`contains` is a word between two others, unless a line begins with it."""
    first = not number or module.tokens[number - 1].line < module.tokens[number].line
    return first and module.tokens[number].text == "contains"


def faults(module: Module) -> Iterator[tuple[Token, str]]:
    """Everything that one engine reads otherwise than the other, or otherwise than a person would."""
    every = 0
    for number, token in enumerate(module.tokens):
        before = module.before(number)
        following = module.tokens[number + 1].text if number + 1 < len(module.tokens) else ""
        if token.kind == "number" and not _NUMBER.fullmatch(token.text):
            yield token, "a number of more than 15 digits or 6 decimals, or with an exponent: the engines keep different ones"
        elif token.kind == "string" and _ESCAPE.search(token.text.replace("\\\\", "")):
            yield token, f"an escape that the embedded engine does not read, in {token.text[:40]}: write the character itself"
        elif token.text == "(" and before == "]":
            yield token, "a call by brackets is not permitted: name what is called"
        elif before == "package" and following == "[":
            yield token, "a package is named by words and dots only"
        elif token.kind == "path" and token.text.partition(".")[0] in _DOCUMENTS and _is_bound(module, number):
            yield token, f"{token.text} is not a name to give: it would hide what the rules are asked about"
        elif not module.depths[number] and token.text == "every":
            every += 1
        elif not module.depths[number] and token.text == "{" and (before == "else" or (number and module.ends(number - 1))):
            if before == "else" or not every:
                yield token, "the keyword if is missing before a rule's body"
            every -= 1


def _is_bound(module: Module, number: int) -> bool:
    if module.begins(number):
        return True
    if "." in module.tokens[number].text:
        return False
    following = module.tokens[number + 1].text if number + 1 < len(module.tokens) else ""
    if following in {":=", "in"} or module.before(number) == "as":
        return True
    first = number
    while first > 1 and module.before(first) == "," and module.tokens[first - 2].kind == "path":
        first -= 2
    return module.before(first) in {"some", "every"} or _is_in_pattern(module, number) or _is_argument(module, number)


def _is_in_pattern(module: Module, number: int) -> bool:
    """Within a list or an object that takes another one apart: `[x, input] := pair`, `f([input]) := …`."""
    place = number
    while (opened := _opened(module, place)) is not None and module.tokens[opened].text in {"[", "{"}:
        place = opened
        beyond = range(number + 1, len(module.tokens) - 1)
        closed = next((one for one in beyond if module.depths[one] == module.depths[opened]), None)
        if closed is not None and module.tokens[closed + 1].text == ":=":
            return True
    return place != number and _is_argument(module, place)


def _opened(module: Module, number: int) -> int | None:
    """The bracket that this stands in."""
    return next((place for place in range(number - 1, -1, -1) if module.depths[place] < module.depths[number]), None)


def _is_argument(module: Module, number: int) -> bool:
    """Of a function that is defined here, and not called."""
    if module.depths[number] != 1:
        return False
    opened = next((place for place in range(number - 1, -1, -1) if not module.depths[place]), 0)
    return module.tokens[opened].text == "(" and opened > 0 and module.begins(opened - 1)
