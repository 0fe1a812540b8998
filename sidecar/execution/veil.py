"""What people are shown of the cluster's own texts, and of those that a plan's author wrote. Pure; knows no credential's shape.

What stands in the cluster is shown without whatever looks like a credential. What the author adds is shown as it is, but for
what can be nothing else than one: under a mask that asks for little, a plan could hide what it does.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sidecar import contract
from sidecar.contract import Json
from sidecar.execution.live import Live


class Veil(Protocol):
    def may_hide(self, text: str) -> bool:
        """Whether there may be anything to take out; cheap."""
        ...

    def clear(self, document: Json) -> Json:
        """The object without credentials, changed in place."""
        ...

    def certain(self, text: str) -> str:
        """Without what is a credential by its own shape, whatever stands around it."""
        ...


def veiled(document: Json, action: contract.Action, live: Live, veil: Veil) -> Json:
    """`live`: as it was before the step. Whatever the author adds stays in it, of whatever form it is."""
    standing = frozenset(said for there in (live.target, live.made) for said in _texts(there, ""))
    said = _said_by_author(action)
    return _Putting(said=said, standing=standing, veil=veil).back(document, veil.clear(copy.deepcopy(document)), "")


def _said_by_author(action: contract.Action) -> frozenset[str]:
    """The texts that this plan would have there; most of a long list may be there already."""
    match action:
        case contract.ChangeFields(changes=changes):
            return frozenset(text for change in changes for _, text in _texts(change.after, ""))
        case contract.CreateObject(manifest=manifest):
            return frozenset(text for _, text in _texts(manifest, ""))
        case contract.SilenceAlert(comment=comment, matchers=matchers):
            return frozenset({comment, *(f"{one.name}={one.value}" for one in matchers)})
        case _:  # the rest says what is to be done, and not what to write
            return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Putting:
    """`standing`: what is there already, with its place: a text that is shown as an annotation is none that may stand as a
    command unseen."""

    said: frozenset[str]
    standing: frozenset[tuple[str, str]]
    veil: Veil

    def back(self, plain: Json, cleared: Json, place: str) -> Json:
        if isinstance(plain, str):
            added = plain in self.said and (place, plain) not in self.standing
            return self.veil.certain(plain) if added else cleared
        if isinstance(plain, dict):
            shown = cleared if isinstance(cleared, dict) else {}
            return {name: self.back(value, shown.get(name, ""), _within(place, name, plain)) for name, value in plain.items()}
        if isinstance(plain, list):
            others = cleared if isinstance(cleared, list) else [""] * len(plain)
            return [self.back(one, other, place) for one, other in zip(plain, others, strict=True)]
        return plain if cleared == "" else cleared


def _texts(document: Json, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(document, str):
        yield place, document
    elif isinstance(document, dict):
        for name, value in document.items():
            yield from _texts(value, _within(place, name, document))
    elif isinstance(document, list):
        for value in document:
            yield from _texts(value, place)


def _within(place: str, name: str, holder: dict[str, Json]) -> str:
    """Where in a list it stands does not count, its neighbours come and go; what it is called there does."""
    return f"{place}/{holder.get('name', '')}/{name}"
