"""What a module may call: a list of permitted built-ins, and nothing that is not on it.

Left out, each for a reason: what reaches outside (http.send, net.*, opa.runtime), what is not the same twice (rand, uuid,
time), what regopy has not or answers differently than OPA (time.parse_*, net.cidr_*, json.match_schema, io.jwt.*,
sprintf with anything but %s and %d), what hides a call (`with` can put one built-in in the place of another), and `print`.
"""

import re
from collections.abc import Iterator, Sequence

from sidecar.errors import BundleRefused
from sidecar.policy.tokens import Token, tokens

PERMITTED = frozenset(
    {
        "abs", "array.concat", "array.slice", "ceil", "concat", "contains", "count", "endswith", "floor", "format_int",
        "indexof", "is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "lower",
        "object.get", "object.keys", "object.union", "product", "regex.match", "replace", "round",
        "sort", "split", "sprintf", "startswith", "substring", "sum", "to_number", "trim", "trim_prefix", "trim_space",
        "trim_suffix", "type_name", "union", "upper", "walk",
    }
)  # fmt: skip
_KEYWORDS = frozenset({"if", "in", "not", "some", "every", "else", "default", "contains", "import", "as", "package", "null"})
# First names of built-ins that are not permitted: refused as any first name, called or not.
_RESERVED = frozenset(
    {
        "base64", "base64url", "bits", "crypto", "glob", "graph", "graphql", "hex", "http", "internal", "io", "json",
        "net", "numbers", "opa", "print", "providers", "rand", "rego", "semver", "strings", "time", "trace", "units",
        "urlquery", "uuid", "yaml",
    }
)  # fmt: skip
_DATA = ("data.platform", "data.remediation")
_NAMESPACES = frozenset({"array", "object", "regex"})
_FORMAT = re.compile(r"%(?!s|d|%)")


def check(modules: Sequence[tuple[str, str]]) -> None:
    """Raises BundleRefused, naming file and line, for the first thing that is not permitted."""
    for path, text in modules:
        meaningful = [token for token in tokens(path, text) if token.kind not in {"space", "comment"}]
        local = _heads(meaningful)
        for number, token in enumerate(meaningful):
            for fault in _faults(token, meaningful[number + 1 : number + 3], _before(meaningful, number), local):
                raise BundleRefused(f"{path}:{token.line}: {fault}")


def _faults(token: Token, after: Sequence[Token], before: str, local: frozenset[str]) -> Iterator[str]:
    if token.kind != "path":
        return
    follows = after[0].text if after else ""
    first = token.text.split(".")[0]
    if before == "package":
        if token.text != "remediation" and not token.text.startswith("remediation."):
            yield f"package {token.text} is outside of package remediation"
        return
    if before == "import":
        if not token.text.startswith(("data.platform", "data.remediation", "input.")) and token.text != "rego.v1":
            yield f"the import of {token.text} is not permitted"
        return
    if token.text == "with":
        yield "the keyword with is not permitted: it can put one built-in in the place of another"
    elif first in _RESERVED:
        yield f"{token.text} is not permitted: it is no call that both engines answer alike, or it reaches outside"
    elif first == "data" and not _known_data(token.text):
        yield f"{token.text} is not permitted: rules read data.platform and data.remediation"
    elif first in _NAMESPACES and token.text not in PERMITTED:
        yield f"{token.text} is not a permitted built-in"
    elif follows == "(" and token.text not in _KEYWORDS:
        if first not in local and first != "data" and token.text not in PERMITTED:
            yield f"{token.text} is not a permitted built-in"
        elif token.text == "sprintf":
            yield from _format_faults(after)


def _format_faults(after: Sequence[Token]) -> Iterator[str]:
    literal = after[1] if len(after) > 1 else None
    if literal is None or literal.kind not in {"string", "raw"} or _FORMAT.search(literal.text):
        yield "sprintf takes a written text with %s and %d only: regopy prints other verbs as they stand"


def _heads(meaningful: Sequence[Token]) -> frozenset[str]:
    """First names that the module gives itself: imported aliases, and what stands at the beginning of a line with "("."""
    names: set[str] = set()
    for number, token in enumerate(meaningful):
        before = _before(meaningful, number)
        if before == "import":
            names.add(token.text.rpartition(".")[2])
        elif before == "as" or (token.kind == "path" and "." not in token.text and _defines(meaningful, number)):
            names.add(token.text)
    return frozenset(names) - PERMITTED


def _defines(meaningful: Sequence[Token], number: int) -> bool:
    """`name(...)` followed, after its closing bracket, by := = if or contains: the head of a function."""
    if number + 1 >= len(meaningful) or meaningful[number + 1].text != "(":
        return False
    depth = 0
    for place in range(number + 1, len(meaningful)):
        text = meaningful[place].text
        depth += (text in "([{") - (text in ")]}") if len(text) == 1 else 0
        if depth == 0:
            return place + 1 < len(meaningful) and meaningful[place + 1].text in {":=", "=", "if"}
    return False


def _before(meaningful: Sequence[Token], number: int) -> str:
    return meaningful[number - 1].text if number else ""


def _known_data(text: str) -> bool:
    return any(text == known or text.startswith(known + ".") for known in _DATA)
