"""YAML of a bundle, read as plain as it looks: no key twice, no dates, nothing without end. Knows no bundle.

The parser writes a tree by recursion in C and an alias stands for all that it names: a few hundred characters can bring a
process down, or become gigabytes. So the events are counted first.
"""

import math

import yaml

from sidecar.contract import Json
from sidecar.errors import BundleRefused

_DEEPEST = 100
_MOST_NODES = 500_000
_LARGEST = 2**53 - 1  # beyond it the engines keep different numbers
_DATE = "tag:yaml.org,2002:timestamp"


def read(path: str, text: str | bytes) -> Json:
    """Raises BundleRefused, in one line, for what is none, and for what JSON has not."""
    value = _loaded(path, text, _Strict)
    _check_json(path, value)
    return value


def read_as_signed(path: str, text: bytes) -> Json:
    """As `opa sign` reads it: of a key that is given twice, the second."""
    return _loaded(path, text, _Plain)


def _loaded(path: str, text: str | bytes, loader: "type[_Plain]") -> Json:
    try:
        _check_size(path, text)
        value: Json = yaml.load(text, Loader=loader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as exc:
        raise BundleRefused(f"{path}: not YAML: {' '.join(str(exc).split())[:200]}") from exc
    # A date that is none, a list as a key, a tag that its text does not fit.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as exc:
        raise BundleRefused(f"{path}: not plain YAML: {' '.join(str(exc).split())[:200]}") from exc
    return value


def _check_size(path: str, text: str | bytes) -> None:
    """`sizes`: of what an anchor names, with all that its aliases stand for; `open_nodes`: anchor and size so far."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        match event:
            case yaml.AliasEvent():
                if event.anchor not in sizes:  # of something that is not there, or of what it stands in itself
                    raise BundleRefused(f"{path}: the alias *{event.anchor} names nothing that is complete")
                total += sizes[event.anchor]
            case yaml.CollectionStartEvent():
                open_nodes.append((event.anchor, total))
                total += 1
            case yaml.ScalarEvent():
                total += 1
                if event.anchor is not None:
                    sizes[event.anchor] = 1
            case yaml.CollectionEndEvent():
                anchor, before = open_nodes.pop()
                if anchor is not None:
                    sizes[anchor] = total - before
        if len(open_nodes) > _DEEPEST:
            raise BundleRefused(f"{path}: nested deeper than {_DEEPEST}")
        if total > _MOST_NODES:
            raise BundleRefused(f"{path}: more than {_MOST_NODES} values, those that aliases stand for counted")


def _check_json(path: str, value: Json) -> None:
    """What YAML has beside it: bytes, sets, dates by a tag, keys that are no texts, numbers without end."""
    stack: list[object] = [value]
    while stack:
        match stack.pop():
            case dict() as section:
                if wrong := [key for key in section if not isinstance(key, str)]:
                    raise BundleRefused(f"{path}: the key {str(wrong[0])[:40]} is no text: put it in quotes")
                stack.extend(section.values())
            case list() as several:
                stack.extend(several)
            case None | str() | bool():
                pass
            case int() as number if abs(number) <= _LARGEST:
                pass
            case float() as number if math.isfinite(number):
                pass
            case int():  # too long to be written out, perhaps
                raise BundleRefused(f"{path}: a whole number beyond {_LARGEST}: put it in quotes")
            case other:
                raise BundleRefused(f"{path}: {str(other)[:40]} is nothing that JSON has: put it in quotes")


class _Plain(yaml.CSafeLoader):
    """Written in C, as PyYAML's wheels have it. No timestamps: they stay texts."""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _DATE]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Strict(_Plain):
    """No key twice: the second would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True) if key_node.tag != "tag:yaml.org,2002:merge" else None
            if key is not None and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return dict(super().construct_mapping(node, deep))
