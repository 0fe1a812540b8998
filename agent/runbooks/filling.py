"""Places in the templates of a page ({subject}, {params.x}) filled from a finding; how an object is written in one. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.topology import Topology
from agent.topology.fields import at
from sidecar.contract import Json

_PLACE = re.compile(r"\{([a-z_]+(?:\.[A-Za-z0-9_]+)*)\}")


class Unfillable(Exception):
    """A template names something that is not there; the text says what."""


class Words:
    """What templates may name: {subject} {name} {namespace} {affected} {params.x} {item}."""

    def __init__(self, finding: Finding, topology: Topology, item: Json = None) -> None:
        self._finding, self._topology, self._item = finding, topology, item

    def with_item(self, item: Json) -> "Words":
        return Words(self._finding, self._topology, item)

    def fill(self, template: Any) -> Any:
        """Text with places filled; a text that is one place becomes that value with its type. Raises Unfillable."""
        if isinstance(template, str):
            whole = _PLACE.fullmatch(template)
            if whole:
                return self._value(whole[1])
            return _PLACE.sub(lambda match: _said(self._value(match[1])), template)
        if isinstance(template, Mapping):
            return {key: self.fill(value) for key, value in template.items()}
        if isinstance(template, list | tuple):
            return [self.fill(value) for value in template]
        return template

    def _value(self, place: str) -> Any:
        finding = self._finding
        head, _, rest = place.partition(".")
        match head:
            case "subject":
                return spelled(finding.subject)
            case "name":
                return finding.subject.name
            case "namespace":
                return finding.subject.namespace
            case "affected":
                units = [self._topology.unit(one) for one in finding.affects]
                units = [one for one in units if one != finding.subject] or units or [finding.subject]
                return spelled(units[0])
            case "item":
                return self._item
            case "params":
                value = at(dict(finding.params), *rest.split("."))
                if value is None or value == "":
                    raise Unfillable(f"{rest} is not known")
                return value
            case _:
                raise Unfillable(f"{{{place}}} means nothing")


def spelled(ref: Ref) -> str:
    """Kind/namespace/name, as templates and params write an object."""
    return f"{ref.kind}/{ref.namespace}/{ref.name}"


def read_ref(words: str) -> Ref:
    kind, _, rest = words.partition("/")
    namespace, _, name = rest.rpartition("/")
    return Ref(kind, namespace.strip("/"), name)


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
