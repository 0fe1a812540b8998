"""Names in rules that stand for nothing: an OPA server refuses them, to the embedded engine whatever asks for one is undefined,
and a guard with a slip of the pen in it would never speak. Knows tokens, and no engine.

Finds less than a server does, and nothing that it would take: a name that is only ever read, `stpe.action` or `limt < 3`.
"""

from collections.abc import Iterator, Sequence

from sidecar.errors import BundleRefused
from sidecar.policy.builtins import PERMITTED
from sidecar.policy.form import KEYWORDS, Module, named
from sidecar.policy.tokens import tokens

_COMPARES = frozenset({"==", "!=", "<", ">", "<=", ">="})
_KNOWN = KEYWORDS | {"data", "input", "true", "false", "set"} | {name.partition(".")[0] for name in PERMITTED}


def check(modules: Sequence[tuple[str, str]]) -> None:
    """Raises BundleRefused, naming file and line, for the first name that is read and never given. A rule may be given in
    another file of the same package."""
    read = [(path, Module.of(tokens(path, text))) for path, text in modules]
    given: dict[str, set[str]] = {}
    for _, module in read:
        given.setdefault(_package(module), set()).update(token.text.partition(".")[0] for token in named(module))
    for path, module in read:
        known = _KNOWN | given[_package(module)] | set(_bound(module))
        for number, token in enumerate(module.tokens):
            name = token.text.partition(".")[0]
            if token.kind == "path" and name not in known and not _is_part(module, number):
                raise BundleRefused(f"{path}:{token.line}: {name} is no rule, import or variable here: a slip of the pen?")


def _bound(module: Module) -> Iterator[str]:
    """Whatever stands alone at a place where it might be given a value."""
    for number, token in enumerate(module.tokens):
        if token.kind != "path" or "." in token.text:
            continue
        following = module.tokens[number + 1].text if number + 1 < len(module.tokens) else ""
        if following not in _COMPARES and module.before(number) not in _COMPARES | {"not"}:
            yield token.text


def _is_part(module: Module, number: int) -> bool:
    """Of a name that begins before it, as in `steps[0].action`, or of what is no name of a value."""
    return module.before(number) in {".", "package", "import"}


def _package(module: Module) -> str:
    return module.tokens[1].text if len(module.tokens) > 1 else ""
