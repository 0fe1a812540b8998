"""How answers are put: sentences, tables, times. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis
from agent.domain.objects import Ref
from agent.signals.masking import safe

MOST_ROWS = 60


def answered(answer: Answer, statement: str, *, missing: tuple[str, ...] = (), wants: tuple[str, ...] = ()) -> Diagnosis:
    return Diagnosis(outcome="answered", statement=safe(statement), missing=missing, wants=wants, answer=answer)


def table(rows: Iterable[Sequence[str]]) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """The first rows, safe to show, and a note about those that were left out."""
    every = [tuple(safe(cell, limit=300) for cell in row) for row in rows]
    left = len(every) - MOST_ROWS
    return tuple(every[:MOST_ROWS]), (f"{left} more are not shown",) if left > 0 else ()


def listed(names: Sequence[object], *, most: int = 6) -> str:
    """a, b and c; of many the first, and how many more."""
    shown = [str(one) for one in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else "nothing"


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def inside(ref: Ref, namespaces: Sequence[str]) -> bool:
    return not namespaces or ref.namespace in namespaces or (ref.kind == "Namespace" and ref.name in namespaces)


def where(namespaces: Sequence[str]) -> str:
    return f"namespace {listed(namespaces)}" if namespaces else "the cluster"
