"""The columns of the built-in kinds' Tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.clock import LabClock
from lab.store import Object


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    cell: Callable[[Object], Any]
    kind: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0

    def document(self) -> Object:
        return {
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


COLUMNS: dict[tuple[str, str], Callable[[Column, Column, LabClock], list[Column]]] = {}
