"""What people are shown of the cluster's own texts, and of those that a plan's author wrote. Pure; knows no credential's shape.

What stands in the cluster is shown without whatever looks like a credential. What the author adds is shown as it is, but for
what can be nothing else than one: under a mask that asks for little, a plan could hide what it does.
"""

import copy
from collections.abc import Iterator
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


def said_by_author(action: contract.Action, live: Live) -> frozenset[str]:
    """The texts that this plan would put there, and that are not there yet."""
    match action:
        case contract.ChangeFields(changes=changes):
            said = {text for change in changes for text in _texts(change.after)}
        case contract.CreateObject(manifest=manifest):
            said = set(_texts(manifest))
        case contract.SilenceAlert(comment=comment, matchers=matchers):
            said = {comment, *(f"{one.name}={one.value}" for one in matchers)}
        case _:  # the rest says what is to be done, and not what to write
            return frozenset()
    return frozenset(said.difference(_texts(live.target), _texts(live.made)))


def veiled(document: Json, said: frozenset[str], veil: Veil) -> Json:
    return _put_back(document, veil.clear(copy.deepcopy(document)), said, veil)


def _put_back(plain: Json, cleared: Json, said: frozenset[str], veil: Veil) -> Json:
    if isinstance(plain, str):
        return veil.certain(plain) if plain in said else cleared
    if isinstance(plain, dict) and isinstance(cleared, dict):
        return {name: _put_back(plain[name], value, said, veil) for name, value in cleared.items()}
    if isinstance(plain, list) and isinstance(cleared, list):
        return [_put_back(one, other, said, veil) for one, other in zip(plain, cleared, strict=True)]
    return cleared


def _texts(document: Json) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from _texts(value)
    elif isinstance(document, list):
        for value in document:
            yield from _texts(value)
