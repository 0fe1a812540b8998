"""What the service is connected to, and whether it answers just now: asked at once, each for a moment only."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from agent.bootstrap import Workshop
from agent.errors import LestradeError

SECONDS = 3.0
_USER = re.compile(r"(://)[^/\s]*@")  # a password may hold an @ itself, and a token may stand where the user does
_QUERY = re.compile(r"\?.*", re.DOTALL)
State = Literal["good", "bad", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """`where`: its address, without user, password and query, any of which may be a secret. `state` off: none
    is configured, which is no fault."""

    name: str
    where: str
    state: State
    said: str


async def connections(shop: Workshop) -> tuple[Connection, ...]:
    means, settings = shop.means, shop.settings

    async def cluster() -> str:
        now = await means.reader.now()
        return f"answers; its clock says {now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

    async def metrics() -> str:
        assert means.metrics is not None
        await means.metrics.instant("vector(1)", datetime.now(UTC))
        return "answers"

    async def sidecar() -> str:
        assert means.governance is not None
        await means.governance.ready()
        return "ready: plans are judged, and people are asked"

    async def store() -> str:
        await shop.store.rows(limit=1)
        return "answers"

    through = "" if settings.kubeconfig else " (through the sidecar)" if settings.sidecar_url else ""
    nothing = "not configured"
    return tuple(
        await asyncio.gather(
            _looked("Cluster", f"{means.reader.name}{through}", cluster),
            _looked(
                "Prometheus", settings.prometheus_url, metrics if means.metrics else None, f"{nothing}: no metrics, no charts"
            ),
            _looked("Loki", settings.loki_url, None, "asked when logs are wanted" if settings.loki_url else nothing),
            _looked("Sidecar", settings.sidecar_url, sidecar if means.governance else None, f"{nothing}: diagnosis only"),
            _looked("Store", settings.database(), store),
        )
    )


async def _looked(name: str, where: str, look: Callable[[], Awaitable[str]] | None, without: str = "") -> Connection:
    shown = _QUERY.sub("?***", _USER.sub(r"\1***@", where))
    if look is None:
        return Connection(name=name, where=shown, state="off", said=without)
    try:
        async with asyncio.timeout(SECONDS):
            return Connection(name=name, where=shown, state="good", said=await look())
    except TimeoutError:
        return Connection(name=name, where=shown, state="bad", said=f"no answer within {SECONDS:.0f} s")
    except LestradeError as exc:
        return Connection(name=name, where=shown, state="bad", said=str(exc))
