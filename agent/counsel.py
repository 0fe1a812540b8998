"""Who is asked besides the checks, and with which eyes: the language model and the toolsets, as the settings say.

Names adapters, as `bootstrap` does. Where no model is set, nothing of `openai` is imported.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from agent.errors import InputError, ModelUnavailable
from agent.ports import ClusterReader, Metrics
from agent.ports.model import ChatModel, Message, ModelBook, Progress, Reply, ToolSpec
from agent.ports.toolset import Tool, Toolset, View
from agent.reasoning.model.case import Investigator
from agent.reasoning.model.leash import Leash, Price, read_prices
from agent.runbooks import Library, RunbookEyes
from agent.settings import Settings
from agent.telemetry import WatchedModel
from agent.toolsets.alertmanager_eyes import AlertmanagerEyes
from agent.toolsets.delivered import DeliveredEyes
from agent.toolsets.endpoints import read_endpoints
from agent.toolsets.grafana import GrafanaEyes
from agent.toolsets.http_reading import HttpSource
from agent.toolsets.loki import LokiLogs
from agent.toolsets.loki_eyes import LokiEyes
from agent.toolsets.mcp_servers import read_servers
from agent.toolsets.measurements import MetricEyes
from agent.toolsets.objects import ObjectEyes
from agent.toolsets.prometheus_eyes import PrometheusEyes
from agent.toolsets.traces import JaegerEyes, TempoEyes


async def investigator(
    settings: Settings, reader: ClusterReader, metrics: Metrics | None, library: Library, book: ModelBook, stack: AsyncExitStack
) -> Investigator | None:
    """None where no model is set. Raises InputError for prices that are none."""
    if not settings.model:
        return None
    return Investigator(
        chat=_chat(settings, stack),
        book=book,
        toolsets=await toolsets(settings, reader, metrics, library, stack),
        leash=_leash(settings),
        pages=tuple(sorted(page.cause for page in library.pages.values() if not page.is_investigation)),
    )


async def toolsets(
    settings: Settings, reader: ClusterReader | None, metrics: Metrics | None, library: Library, stack: AsyncExitStack
) -> tuple[Toolset, ...]:
    """All of them, those that are off included: each says why. `reader` None: no cluster. Raises InputError for files that
    cannot be used."""

    def source(name: str, url: str, token_file: Path | None = None) -> HttpSource | None:
        if not url:
            return None
        found = HttpSource(name, url, token_file=token_file)
        stack.push_async_callback(found.close)
        return found

    loki = LokiLogs(settings.loki_url) if settings.loki_url else None
    if loki is not None:
        stack.push_async_callback(loki.close)
    return (
        *((ObjectEyes(reader), DeliveredEyes()) if reader is not None else ()),
        MetricEyes(metrics),
        RunbookEyes(library),
        PrometheusEyes(source("Prometheus", settings.prometheus_url)),
        AlertmanagerEyes(source("Alertmanager", settings.alertmanager_url)),
        LokiEyes(loki, source("Loki", settings.loki_url)),
        TempoEyes(source("Tempo", settings.tempo_url)),
        JaegerEyes(source("Jaeger", settings.jaeger_url)),
        GrafanaEyes(source("Grafana", settings.grafana_url, settings.grafana_token_file)),
        read_endpoints(settings.endpoints_file, stack),
        *await _mcp(settings.mcp_file),
    )


class _Off:
    """A toolset that cannot be had, and why."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.why_off = why

    def tools(self, view: View) -> Sequence[Tool]:
        return ()


async def _mcp(path: Path | None) -> tuple[Toolset, ...]:
    if path is None:
        return (_Off("mcp", "no MCP servers are declared (LESTRADE_MCP_FILE)"),)
    try:
        from agent.toolsets.mcp import McpEyes  # noqa: PLC0415  an extra that not every installation has
    except ImportError:
        return (_Off("mcp", "the MCP library is not installed: pip install 'lestrade[mcp]'"),)
    return tuple(await asyncio.gather(*(McpEyes.look(server) for server in read_servers(path))))


def _chat(settings: Settings, stack: AsyncExitStack) -> ChatModel:
    try:
        key = _key(settings.model_key_file)
    except InputError as exc:  # the run is not lost for that: the checks answer, and the report says why
        return _Unreachable(settings.model, str(exc))
    from agent.reasoning.model.client import OpenAIChat  # noqa: PLC0415  nobody who asks no model waits for it

    chat = OpenAIChat.connect(
        model=settings.model,
        url=settings.model_url,
        key=key,
        seconds=settings.model_seconds,
        retries=settings.model_retries,
        stream=settings.model_stream,
    )
    stack.push_async_callback(chat.close)
    return WatchedModel(chat)


class _Unreachable:
    """A model that cannot be asked at all, and why."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self._why = why

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], *, most_tokens: int, progress: Progress | None = None
    ) -> Reply:
        raise ModelUnavailable("no-key", self._why)


def _key(path: Path | None) -> str:
    """Raises InputError, which names the file and never its content."""
    if path is None:
        return ""
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"model key file {path}: {getattr(exc, 'strerror', None) or 'not plain text'}") from None
    if not key or not key.isprintable() or " " in key:
        raise InputError(f"model key file {path}: holds no key")
    return key


def _leash(settings: Settings) -> Leash:
    return Leash(
        run_calls=settings.model_run_calls,
        run_tokens=settings.model_run_tokens,
        run_cost=settings.model_run_cost,
        run_seconds=settings.model_run_seconds,
        day_tokens=settings.model_day_tokens,
        day_cost=settings.model_day_cost,
        price=read_prices(settings.model_prices).get(settings.model, Price()),
        context_tokens=settings.model_context_tokens,
        answer_tokens=settings.model_answer_tokens,
        parallel=settings.model_parallel,
        cache_minutes=settings.model_cache_minutes,
        hide_names=settings.model_hide_names,
    )
