"""What a question that is not "why" came to: a table for the person who asked, or what could be meant instead."""

from dataclasses import dataclass
from typing import Literal

from agent.domain.question import Intent


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`rows` have as many cells as `columns`; `choices` are full questions or names to ask again with; `notes` say what the
    answer does not cover. Every text is already masked and fit to show."""

    intent: Intent | Literal["clarify"]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    choices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
