"""The policy that judges, for people to read: what each rule file says of itself (its METADATA), and the platform's data. Pure.

Shape of the annotations: https://www.openpolicyagent.org/docs/policy-language#annotations.
"""

import re
from dataclasses import dataclass
from typing import Literal

from sidecar.contract import Json
from sidecar.errors import BundleRefused
from sidecar.policy import yaml_text
from sidecar.policy.bundle import PolicyBundle

_BLOCK = re.compile(r"(?m)^# METADATA *\n((?:^#.*\n)+)(?=^package )")
_PACKAGE = re.compile(r"(?m)^package +([\w.]+)")
Kind = Literal["guard", "permit", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """`package` names it; a file that says nothing of itself has no title."""

    path: str
    package: str
    kind: Kind
    title: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """`platform` is the data as the rules see it, defaults included, and which facts they do not see."""

    rules: tuple[RuleFile, ...]
    platform: dict[str, Json]


def portrait_of(bundle: PolicyBundle) -> Portrait:
    platform = bundle.data.get("platform")
    return Portrait(
        rules=tuple(_rule_file(path, text) for path, text in bundle.modules),
        platform={**(platform if isinstance(platform, dict) else {}), "facts": {"unread": [*sorted(bundle.unread)]}},
    )


def roles_of(bundle: PolicyBundle) -> frozenset[str]:
    """Every role that the platform's data asks for, or lets a namespace ask for."""
    approvals = portrait_of(bundle).platform.get("approvals")
    found: set[str] = set()
    stack: list[Json] = [approvals]
    while stack:
        match stack.pop():
            case dict() as section:
                for key, value in section.items():
                    if key in {"roles", "label_roles"} and isinstance(value, list):
                        found.update(role for role in value if isinstance(role, str))
                    else:
                        stack.append(value)
            case _:
                pass
    return frozenset(found)


def _rule_file(path: str, text: str) -> RuleFile:
    package = _PACKAGE.search(text)
    said = _said(text)
    return RuleFile(
        path=path,
        package=package[1] if package else "",
        kind="guard" if "/guards/" in path else "permit" if "/permits/" in path else "other",
        title=str(said.get("title") or ""),
        description=" ".join(str(said.get("description") or "").split()),
    )


def _said(text: str) -> dict[str, Json]:
    """What stands in the METADATA above the package; nothing where that is no YAML."""
    found = _BLOCK.search(text)
    if found is None:
        return {}
    try:
        said = yaml_text.read("METADATA", "\n".join(line.removeprefix("#") for line in found[1].splitlines()))
    except BundleRefused:
        return {}
    return said if isinstance(said, dict) else {}
