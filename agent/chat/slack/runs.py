"""The runs of the workshop as threads show them."""

from collections.abc import Sequence

from agent.bootstrap import Workshop
from agent.domain.report import Report
from agent.ports import RunEvent, RunRow


class ShopRuns:
    def __init__(self, shop: Workshop) -> None:
        self._shop = shop

    async def row(self, run: str) -> RunRow | None:
        return await self._shop.store.row(run)

    async def told(self, run: str) -> Sequence[RunEvent]:
        return await self._shop.events.told(run)

    async def report(self, run: str) -> Report | None:
        return await self._shop.report(run)
