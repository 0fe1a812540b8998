"""What is read of the cluster for whoever asks just now, without a run: the look over all of it, logs in a conversation. Over a
large cluster it computes for seconds, and so it is done where runs are worked on (agent.app.crew), and here where that is here.
"""

from typing import Protocol

from agent.bootstrap import Workshop
from agent.chat.looking import Seen, Wanted, look
from agent.domain.scan import Scan
from agent.scanning import Scanner


class Glances(Protocol):
    """Both raise LestradeError."""

    async def look(self, wanted: Wanted) -> Seen: ...

    async def scan(self) -> Scan: ...


class GlancesHere:
    """In this process."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._scanner: Scanner | None = None

    async def look(self, wanted: Wanted) -> Seen:
        return await look(self._shop, wanted)

    async def scan(self) -> Scan:
        if self._scanner is None:
            self._scanner = Scanner(self._shop.settings, reader=self._shop.reader, metrics=self._shop.means.metrics)
        return await self._scanner.scan()
