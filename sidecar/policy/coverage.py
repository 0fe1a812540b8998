"""Which guards and permits no case of the bundle is about. Pure: by what the rules say and what the cases expect."""

import re
from collections.abc import Iterator

from sidecar.policy.bundle import PolicyBundle
from sidecar.policy.cases import read
from sidecar.policy.tokens import tokens

_PACKAGE = re.compile(r"^package remediation\.(guards|permits)\.(\w+)\s*$", re.MULTILINE)
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def uncovered(bundle: PolicyBundle) -> Iterator[str]:
    """`guard x: rule y` for every rule name that a guard gives its reasons and no case expects; `permit x` for every permit
    beside which no case lies."""
    cases = list(read(bundle))
    expected = {rule for case in cases for rule in (case.expected.rule, *case.expected.rules) if rule}
    places = {path.rpartition("/")[0] for path, listed in bundle.cases if listed}
    for path, text in bundle.modules:
        package = _PACKAGE.search(text)
        if package is None:
            continue
        kind, name = package.groups()
        if kind == "permits" and path.rpartition("/")[0] not in places:
            yield f"permit {name}"
        if kind == "guards":
            yield from (f"guard {name}: rule {rule}" for rule in _named(path, text) if rule not in expected)


def _named(path: str, text: str) -> list[str]:
    """Every literal in `"rule": "..."`."""
    meaningful = [token for token in tokens(path, text) if token.kind not in {"space", "comment"}]
    found: dict[str, None] = {}
    for key, colon, value in zip(meaningful, meaningful[1:], meaningful[2:], strict=False):
        said = value.text.strip('"')
        if key.text == '"rule"' and colon.text == ":" and value.kind == "string" and _SLUG.fullmatch(said):
            found[said] = None
    return list(found)
