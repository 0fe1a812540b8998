"""What is old goes by itself, once an hour. Knows nothing of what hangs on what."""

import asyncio
import logging
from dataclasses import asdict
from datetime import datetime, timedelta

from agent.errors import StoreUnavailable
from agent.settings import Settings
from agent.store import Database, Pruned, SqlRetention

EVERY_SECONDS = 3600.0
FIRST_SECONDS = 60.0  # after the start, when there is more to do than this

logger = logging.getLogger(__name__)


async def keep_no_longer(database: Database, settings: Settings) -> None:
    """Until cancelled."""
    if not settings.keep_days and not settings.keep_raw_days:
        return
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        try:
            removed = await prune(database, settings)
            if told := ", ".join(f"{count} {name}" for name, count in asdict(removed).items() if count):
                logger.info("kept no longer: %s", told)
        except StoreUnavailable as exc:
            logger.error("what is old stays for now: %s", exc)
        except Exception:  # whatever it is: nobody is without alerts because old ones stay
            logger.exception("what is old stays for now")
        await asyncio.sleep(EVERY_SECONDS)


async def prune(database: Database, settings: Settings, *, only_count: bool = False) -> Pruned:
    """By the settings. Raises StoreUnavailable."""
    now = database.now()
    return await SqlRetention(database).prune(
        before=_days_ago(now, settings.keep_days), raw_before=_days_ago(now, settings.keep_raw_days), only_count=only_count
    )


def _days_ago(now: datetime, days: int) -> datetime | None:
    return now - timedelta(days=days) if days else None
