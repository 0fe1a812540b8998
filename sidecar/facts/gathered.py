"""Facts whose last part is put together when somebody asks for the whole: that is while the engine thinks about the others.
Everything was looked at by then: whoever waits for the engine waits for nobody else. It must know no cluster and no rule.
"""

from collections.abc import Callable, Sequence, Set
from datetime import datetime
from functools import cached_property

from sidecar.facts.projection import Document
from sidecar.ports import Facts


class Gathered(Facts):
    """Neither its document nor what is missing of it raises. It is no copy of anything, and equal to itself alone."""

    def __init__(
        self, *, first: Document, last: Set[str], complete: Callable[[], Document], missing: Sequence[str], at: datetime
    ):
        """`first`: the document but for the facts named in `last`, with which `complete` gives it. `missing`: what could not be
        looked up."""
        object.__setattr__(self, "gathered_at", at)  # a field of Facts, which are frozen
        self._first, self._last, self._complete, self._noted = first, last, complete, tuple(missing)

    __eq__, __hash__, __repr__ = object.__eq__, object.__hash__, object.__repr__

    def but_for(self, names: Set[str]) -> Document:
        return self._first if self._last <= names else self.document

    @property
    def document(self) -> Document:
        return self._whole[0]

    @property
    def missing(self) -> tuple[str, ...]:
        return self._whole[1]

    @cached_property
    def _whole(self) -> tuple[Document, tuple[str, ...]]:
        try:
            return self._complete(), self._noted
        except Exception as exc:  # noqa: BLE001  nothing is known then, and it says so
            return {}, (search_failed(exc),)


def search_failed(exc: Exception) -> str:
    """As what is missing says it."""
    return f"everything: the search failed ({type(exc).__name__})"
