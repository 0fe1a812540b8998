"""Metrics from Prometheus by prometheus-api-client, in a thread, with a time limit and our own retry.

The client's own default waits for ever and retries out of sight; both are switched off here. Times go in as aware UTC.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.util.retry import Retry

from agent.domain.incident import Window
from agent.domain.objects import Series
from agent.errors import MetricsUnavailable
from agent.signals.masking import mask

TIMEOUT = 15  # seconds for one request
TRIES = 2
_T = TypeVar("_T")


class PrometheusMetrics:
    """The Metrics port over one Prometheus (or Thanos, Mimir, VictoriaMetrics) URL."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client: Any = PrometheusConnect(
            url=self._url, disable_ssl=False, retry=Retry(total=0, raise_on_status=False), timeout=TIMEOUT
        )

    async def range(self, promql: str, window: Window, step_seconds: int) -> tuple[Series, ...]:
        start, end, step = window.start.astimezone(UTC), window.end.astimezone(UTC), str(step_seconds)
        answer = await self._ask(lambda: self._client.custom_query_range(query=promql, start_time=start, end_time=end, step=step))
        return self._read(lambda: tuple(_series(one, one.get("values")) for one in answer))

    async def instant(self, promql: str, at: datetime | None = None) -> tuple[Series, ...]:
        params = {"time": at.astimezone(UTC).timestamp()} if at is not None else None
        answer = await self._ask(lambda: self._client.custom_query(query=promql, params=params))
        if answer and not isinstance(answer[0], dict):  # a scalar: [seconds, "value"]
            return self._read(lambda: (Series(labels={}, samples=_samples([answer])),))
        return self._read(lambda: tuple(_series(one, [one.get("value")]) for one in answer))

    def _read(self, work: Callable[[], tuple[Series, ...]]) -> tuple[Series, ...]:
        try:
            return work()
        except (ValueError, TypeError, AttributeError, LookupError):
            words = "answers with something that is no vector or matrix of numbers"
            raise MetricsUnavailable(f"Prometheus at {mask(self._url)} {words}") from None

    async def _ask(self, work: Callable[[], list[Any]]) -> list[Any]:
        last = "no answer"
        for _ in range(TRIES):
            try:
                found = await asyncio.to_thread(work)
            except PrometheusApiClientException as exc:
                raise MetricsUnavailable(f"Prometheus at {mask(self._url)} refuses the query: {_first_line(exc)}") from exc
            except (requests.RequestException, ValueError) as exc:
                last = type(exc).__name__ if isinstance(exc, requests.ConnectionError) else _first_line(exc)
            else:
                return found if isinstance(found, list) else []
        raise MetricsUnavailable(f"Prometheus at {mask(self._url)} does not answer: {last}")


def _series(one: dict[str, Any], values: Any) -> Series:
    return Series(labels={str(key): str(value) for key, value in (one.get("metric") or {}).items()}, samples=_samples(values))


def _samples(values: Any) -> tuple[tuple[float, float], ...]:
    """Pairs of (unix seconds, value); NaN and infinities are no samples."""
    pairs = [(float(pair[0]), float(pair[1])) for pair in values or [] if pair]
    return tuple(pair for pair in pairs if math.isfinite(pair[1]))


def _first_line(exc: Exception) -> str:
    words = str(exc).strip().splitlines()
    return words[0][:200] if words else type(exc).__name__
