"""What a module may call: a list of permitted built-ins, and nothing that is not on it.

Left out, each for a reason: what reaches outside (http.send, net.*, opa.runtime), what is not the same twice (rand, uuid,
time), what regopy has not or answers differently than OPA (time.parse_*, net.cidr_*, json.match_schema, io.jwt.*,
sprintf with anything but %s and %d), what hides a call (`with` can put one built-in in the place of another), and `print`.
"""

import re
from collections.abc import Iterator, Sequence

from sidecar.errors import BundleRefused
from sidecar.policy.form import KEYWORDS, Module, check_text, faults, named
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
# First names of built-ins that are not permitted: refused as any first name, called or not.
_RESERVED = frozenset(
    {
        "base64", "base64url", "bits", "crypto", "glob", "graph", "graphql", "hex", "http", "internal", "io", "json",
        "net", "numbers", "opa", "print", "providers", "rand", "rego", "semver", "strings", "time", "trace", "units",
        "uri", "urlquery", "uuid", "yaml",
    }
)  # fmt: skip
_DATA = ("data.platform", "data.remediation")
_NAMESPACES = frozenset({"array", "object", "regex"})
# Built-ins of one word that are not permitted: nor may anything be defined under their names, or the same call would be one
# thing to one engine and another to the other.
_OF_ONE_WORD = frozenset(
    {
        "all", "and", "any", "assign", "cast_array", "cast_boolean", "cast_null", "cast_object", "cast_set", "cast_string",
        "div", "eq", "equal", "gt", "gte", "indexof_n", "intersection", "lt", "lte", "max", "min", "minus", "mul", "neq", "or",
        "plus", "re_match", "rem", "set", "set_diff", "trim_left", "trim_right",
    }
)  # fmt: skip
_NEXT = frozenset({"and", "or"})
_TAKEN = PERMITTED | _RESERVED | _NAMESPACES | _OF_ONE_WORD
_INSTEAD = {word: f": data.remediation.plan.{name}(values)" for word, name in (("max", "largest"), ("min", "smallest"))}
_ELSEWHERE = ", and not defined in this file: what another file defines is called by its package, as data.remediation.plan.whole"
_FORMAT = re.compile(r"(?<!%)(?:%%)*%(?![sd%])")


def check(modules: Sequence[tuple[str, str]]) -> None:
    """Raises BundleRefused, naming file and line, for the first thing that is not permitted."""
    for path, text in modules:
        check_text(path, text)
        module = Module.of(tokens(path, text))
        for token, fault in sorted((*_not_permitted(module), *faults(module)), key=lambda found: found[0].line):
            raise BundleRefused(f"{path}:{token.line}: {fault}")


def _not_permitted(module: Module) -> Iterator[tuple[Token, str]]:
    own = list(named(module))
    for token in own:
        if token.text in _TAKEN:
            yield token, f"{token.text} is the name of a built-in: give what is defined here another"
    local = frozenset(token.text for token in own)
    for number, token in enumerate(module.tokens):
        for fault in _faults(token, module.tokens[number + 1 : number + 3], module.before(number), local):
            yield token, fault
        if token.text == "format_int" and not _in_tens(module, number):
            yield token, "format_int takes 10 as its base, written out: the embedded engine counts in tens whatever it is told"


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
        if not (_known_data(token.text) or token.text.startswith("input.") or token.text == "rego.v1"):
            known = ": its words are known without it" if token.text.startswith("future.") else ""
            yield f"the import of {token.text} is not permitted{known}"
        return
    if token.text == "with":
        yield "the keyword with is not permitted: it can put one built-in in the place of another"
    elif token.text in _NEXT:
        yield f"{token.text} is a keyword where a server reads the next version of Rego: give it another name"
    elif token.text in _RESERVED - {"print"} and follows not in {"[", "("}:
        yield f"{token.text} is how built-ins begin: give what is named here another name"
    elif first in _RESERVED:
        yield f"{token.text} is not permitted: it is no call that both engines answer alike, or it reaches outside"
    elif first == "data" and not _known_data(token.text):
        yield f"{token.text} is not permitted: rules read data.platform and data.remediation"
    elif first in _NAMESPACES and token.text not in PERMITTED:
        yield f"{token.text} is not a permitted built-in"
    elif follows == "(" and token.text not in KEYWORDS and not _is_empty_set(token, after):
        if first not in local and first != "data" and token.text not in PERMITTED:
            yield f"{token.text} is not a permitted built-in{_INSTEAD.get(token.text, _ELSEWHERE)}"
        elif token.text == "sprintf":
            yield from _format_faults(after)


def _is_empty_set(token: Token, after: Sequence[Token]) -> bool:
    """`set()`: what is written so is no call."""
    return token.text == "set" and [one.text for one in after] == ["(", ")"]


def _in_tens(module: Module, number: int) -> bool:
    depth = module.depths[number]
    ends = (place for place in range(number + 2, len(module.tokens)) if module.depths[place] == depth)
    closed = next(ends, 0)
    return [token.text for token in module.tokens[closed - 2 : closed]] == [",", "10"]


def _format_faults(after: Sequence[Token]) -> Iterator[str]:
    literal = after[1] if len(after) > 1 else None
    if literal is None or literal.kind not in {"string", "raw"} or _FORMAT.search(literal.text):
        yield "sprintf takes a written text with %s and %d only: regopy prints other verbs as they stand"


def _known_data(text: str) -> bool:
    return any(text == known or text.startswith(known + ".") for known in _DATA)
