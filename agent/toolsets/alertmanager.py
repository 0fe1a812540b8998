"""What people have silenced, and which alerts fire, from Alertmanager's API v2. A silence that cannot be read
silences nothing."""

import asyncio
import logging
import time
from collections.abc import Collection

import httpx
import orjson

from agent.errors import InputError
from agent.signals.masking import mask

TIMEOUT = 5.0  # seconds
STALE = 15.0  # seconds after which it is looked again
MOST_BYTES = 33_554_432

logger = logging.getLogger(__name__)


class AlertmanagerSilences:
    """The Silences port. `known` is what was read last, and has it read again behind the back of who asks."""

    def __init__(self, url: str, *, client: httpx.AsyncClient | None = None) -> None:
        self._url = url.rstrip("/")
        self._http = client or httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)
        self._found: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        self._reading: asyncio.Task[frozenset[str]] | None = None

    def known(self) -> frozenset[str]:
        if time.monotonic() - self._read_at > STALE and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self.look())
        return self._found

    async def look(self) -> frozenset[str]:
        self._read_at = time.monotonic()
        wanted = {"active": "false", "silenced": "true", "inhibited": "false", "unprocessed": "false"}
        try:
            answer = await self._http.get(f"{self._url}/api/v2/alerts", params=wanted)
            answer.raise_for_status()
            if len(answer.content) > MOST_BYTES:
                raise ValueError("the answer is too long")
            found = [one["fingerprint"] for one in orjson.loads(answer.content) if one["status"]["silencedBy"]]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as exc:
            logger.warning("Alertmanager at %s does not say what is silenced (%s)", mask(self._url), type(exc).__name__)
            self._found = frozenset()
            return self._found
        self._found = frozenset(str(one) for one in found)
        return self._found

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._http.aclose()


async def active_alerts(
    url: str, namespaces: Collection[str], *, client: httpx.AsyncClient | None = None
) -> list[dict[str, object]]:
    """The alerts that fire now, as the API gives them, of these namespaces or of none. Raises InputError, with why, when it
    does not say."""
    wanted = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "false"}
    http = client or httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)
    try:
        answer = await http.get(f"{url.rstrip('/')}/api/v2/alerts", params=wanted)
        answer.raise_for_status()
        if len(answer.content) > MOST_BYTES:
            raise ValueError("the answer is too long")
        found = orjson.loads(answer.content)
        return [one for one in found if one["labels"].get("namespace", "") in ("", *namespaces)]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(f"Alertmanager at {mask(url)} does not say which alerts fire ({type(exc).__name__})") from exc
    finally:
        if client is None:
            await http.aclose()
