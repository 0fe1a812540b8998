"""Facts that no rule of a bundle reads, as its data says: the engine is not told them, and has less to read. Knows no engine.

A guard that reads what it is not told never speaks. So the word is checked: where a rule names such a fact, even by a text or
by a name of its own, the bundle is refused.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from sidecar.contract import Json
from sidecar.errors import BundleRefused
from sidecar.policy.tokens import Token, tokens

SECTIONS = frozenset({"adds", "related", "silences", "workloads"})  # of the whole document; all others are of each target
# What says which object a target is, and whether it is there, is always told.
Unread = Literal[
    "adds",
    "annotations",
    "autoscalers",
    "deleting",
    "disruption_budgets",
    "gitops",
    "helm",
    "images",
    "labels",
    "live",
    "managers",
    "owners",
    "ready",
    "related",
    "replicas",
    "resource_version",
    "service_account",
    "services",
    "silences",
    "workload",
    "workloads",
]
_PARTS = re.compile(r"\W+")


def told(facts: dict[str, Json], unread: frozenset[str]) -> dict[str, Json]:
    """The facts without those that are not read. What is not of their shape stays as it is: the rules deny it."""
    if not unread:
        return facts
    kept = {name: value for name, value in facts.items() if name not in SECTIONS or name not in unread}
    targets = kept.get("targets")
    if isinstance(targets, dict):
        kept["targets"] = {key: _without(target, unread) for key, target in targets.items()}
    return kept


def check(modules: Sequence[tuple[str, str]], custom: Json, unread: frozenset[str]) -> None:
    """Raises BundleRefused, naming file and line, for the first rule that names a fact which nobody is said to read. `custom`:
    data for rules of one's own, which might hold such a name."""
    if not unread:
        return
    remedy = "take it off facts.unread in platform/data.yaml, or give what is meant here another name"
    for path, text in modules:
        for token in tokens(path, text):
            for name in _words(token):
                if name in unread:
                    raise BundleRefused(f"{path}:{token.line}: {name} is named here, and said to be read by no rule: {remedy}")
    for word in _texts(custom):
        if named := unread.intersection(_parts(word)):
            raise BundleRefused(f"platform/data.yaml: custom names {min(named)}, which is said to be read by no rule: {remedy}")


def _without(target: Json, unread: frozenset[str]) -> Json:
    if not isinstance(target, dict) or unread.isdisjoint(target):
        return target
    kept = target.copy()
    for name in unread:
        kept.pop(name, None)
    return kept


def _words(token: Token) -> Iterable[str]:
    match token.kind:
        case "path":
            return token.text.split(".")
        case "string" | "raw":
            return _parts(token.text[1:-1])
        case _:
            return ()


def _parts(text: str) -> list[str]:
    """Of a JSON Pointer, a pattern, names with commas between them; a sentence that holds such a word names nothing."""
    return _PARTS.split(text) if " " not in text else []


def _texts(value: Json) -> Iterator[str]:
    stack = [value]
    while stack:
        match stack.pop():
            case str() as text:
                yield text
            case dict() as mapping:
                stack.extend([*mapping, *mapping.values()])
            case list() as items:
                stack.extend(items)
            case _:
                continue
