"""Logs from Loki, where the kubelet has none any more: pods that are gone, runs before the last one."""

import re
from collections.abc import Sequence
from datetime import datetime

import httpx

from agent.domain.incident import Window
from agent.domain.objects import ContainerLog
from agent.errors import ReadRefused
from agent.signals.masking import mask
from agent.topology.fields import items, mapping, text

TIMEOUT = 15.0  # seconds
LIMIT = 5000  # lines of one answer


class LokiLogs:
    """Reads by LogQL. Raises ReadRefused, one line, when there is no answer that can be used."""

    def __init__(self, url: str, *, client: httpx.AsyncClient | None = None) -> None:
        self._url = url.rstrip("/")
        self._http = client or httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)

    async def of_namespaces(self, namespaces: Sequence[str], window: Window) -> tuple[ContainerLog, ...]:
        """What the containers of these namespaces wrote in the window, oldest line first, one entry a container."""
        chosen = "|".join(re.escape(name).replace("\\", "\\\\") for name in namespaces)
        return await self.query(f'{{namespace=~"{chosen}"}}', window)

    async def query(self, logql: str, window: Window) -> tuple[ContainerLog, ...]:
        params = {
            "query": logql, "start": _nanoseconds(window.start), "end": _nanoseconds(window.end), "limit": str(LIMIT),
            "direction": "forward",
        }  # fmt: skip
        try:
            answer = await self._http.get(f"{self._url}/loki/api/v1/query_range", params=params)
            answer.raise_for_status()
            document = answer.json()
        except httpx.HTTPStatusError as exc:
            raise ReadRefused(f"Loki at {mask(self._url)} answers HTTP {exc.response.status_code}") from exc
        except (httpx.HTTPError, ValueError) as exc:
            raise ReadRefused(f"Loki at {mask(self._url)} does not answer: {type(exc).__name__}") from exc
        found: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
        for stream in items(document, "data", "result"):
            labels = mapping(stream, "stream")
            key = (text(labels, "namespace"), text(labels, "pod"), text(labels, "container"))
            found.setdefault(key, []).extend((pair[0], pair[1]) for pair in items(stream, "values") if len(pair) >= 2)
        return tuple(
            ContainerLog(
                namespace=namespace, pod=pod, container=container, previous=False,
                text="\n".join(line for _, line in sorted(lines, key=lambda pair: int(pair[0]))),
            )
            for (namespace, pod, container), lines in sorted(found.items())
        )  # fmt: skip

    async def close(self) -> None:
        await self._http.aclose()


def _nanoseconds(when: datetime) -> str:
    return str(int(when.timestamp() * 1_000_000_000))
