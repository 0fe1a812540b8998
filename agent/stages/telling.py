"""How a stage tells what happens while it works: one line, and plain data for machines."""

from collections.abc import Awaitable, Mapping
from typing import Protocol

from sidecar.contract import Json


class Tell(Protocol):
    def __call__(self, text: str, data: Mapping[str, Json] | None = None, /) -> Awaitable[None]: ...
