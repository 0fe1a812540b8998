"""What is delivered: the report of a run, or a summary of a week, in any of its forms. Knows no place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.domain.report import Report
from agent.rendering import Format
from sidecar.contract import Json


class Undeliverable(Exception):
    """Why a place did not take it, in one line without secrets. `final`: it never will; `again_in`: seconds it asked for."""

    def __init__(self, reason: str, *, final: bool = False, again_in: float = 0.0) -> None:
        super().__init__(reason)
        self.final = final
        self.again_in = again_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """`name` is stable: the run's id, or summary-YYYY-MM-DD. `facts` are for a front matter and an index. `form` renders."""

    name: str
    kind: Literal["report", "summary"]
    title: str
    at: datetime
    facts: Mapping[str, Json]
    form: Callable[[Format], str]
    report: Report | None = None
    url: str = ""
