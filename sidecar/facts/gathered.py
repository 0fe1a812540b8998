"""Facts whose last part is put together when somebody asks for the whole: that is while the engine thinks about the others."""

from collections.abc import Callable, Sequence, Set
from datetime import datetime
from functools import cached_property

from sidecar.facts.projection import Document
from sidecar.ports import Facts


class Gathered(Facts):
    """Implements Facts; nothing that it is asked for raises."""

    _first: Document
    _last: Set[str]
    _complete: Callable[[], Document]
    _noted: Sequence[str]

    def __init__(
        self, *, first: Document, last: Set[str], complete: Callable[[], Document], missing: Sequence[str], at: datetime
    ):
        """`first`: the document but for the facts named in `last`, with which `complete` gives it. `missing`: what could not be
        looked up; `complete` may add to it."""
        given = {"_first": first, "_last": last, "_complete": complete, "_noted": missing, "gathered_at": at}
        for name, value in given.items():
            object.__setattr__(self, name, value)  # frozen, as Facts is

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
            return self._complete(), tuple(sorted(set(self._noted)))
        except Exception as exc:  # noqa: BLE001  nothing is known then, and it says so
            return {}, (search_failed(exc),)


def search_failed(exc: Exception) -> str:
    """As what is missing says it."""
    return f"everything: the search failed ({type(exc).__name__})"
