"""Looking through the runs that are kept: by what they came to, what they are about, and words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from agent.ports.store import RunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Empty means any. `namespace`: an alert's label, or the namespace of the object in the headline. `severity`: a label of an
    alert. `words`: text of id, headline, question or alerts, in any case. `before`: only runs older than this place."""

    state: Literal["", "open", "finished"] = ""
    outcome: str = ""
    namespace: str = ""
    severity: str = ""
    words: str = ""
    before: tuple[datetime, str] | None = None


class RunList(Protocol):
    async def find(self, wanted: Wanted, *, limit: int) -> Sequence[RunRow]:
        """Newest first. Raises StoreUnavailable."""
        ...
