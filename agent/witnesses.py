"""Which sources beside the cluster are asked about what a first diagnosis found, as the settings say. Names adapters, as
`bootstrap` does; those that are not configured stand in the list too, and say why they are off."""

import importlib
from collections.abc import Collection
from contextlib import AsyncExitStack
from pathlib import Path

from agent.ports import ClusterReader
from agent.ports.witnesses import Witness
from agent.runbooks import compile_expression
from agent.settings import Settings
from agent.toolsets.declared_witness import SECONDS, DeclaredWitness, Reach, silent
from agent.toolsets.endpoints import endpoint_witnesses
from agent.toolsets.http_reading import HttpSource
from agent.toolsets.loki import LokiLogs
from agent.toolsets.mcp_servers import Server, declared_of, read_servers
from agent.toolsets.traced_requests import JaegerWitness, TempoWitness, UntracedWitness
from agent.toolsets.witnesses import AlertWitness, LogWitness, MarkWitness, RuleWitness, UsageWitness


def witnesses(
    settings: Settings, reader: ClusterReader, stack: AsyncExitStack, *, causes: Collection[str] = (), seconds: float = SECONDS
) -> tuple[Witness, ...]:
    """Of a living cluster: about a moment that is past none of them can be asked. Sends nothing yet. `causes` are those that
    declared questions may name (none: any), `seconds` what one answer to such a question may take. Raises InputError for a file
    that cannot be used."""

    def source(name: str, url: str, token_file: Path | None = None) -> HttpSource | None:
        if not url:
            return None
        found = HttpSource(name, url, token_file=token_file)
        stack.push_async_callback(found.close)
        return found

    loki = LokiLogs(settings.loki_url) if settings.loki_url else None
    if loki is not None:
        stack.push_async_callback(loki.close)
    tempo, jaeger = source("Tempo", settings.tempo_url), source("Jaeger", settings.jaeger_url)
    traced: tuple[Witness, ...] = (
        *((TempoWitness(tempo),) if tempo is not None else ()),
        *((JaegerWitness(jaeger),) if jaeger is not None else ()),
    )
    return (
        *_alerts(source("Alertmanager", settings.alertmanager_url), source("Prometheus", settings.prometheus_url)),
        LogWitness(loki),
        *(traced or (UntracedWitness(),)),
        MarkWitness(source("Grafana", settings.grafana_url, settings.grafana_token_file)),
        UsageWitness(reader),
        *declared(settings, stack, causes=causes, seconds=seconds),
    )


def _alerts(alertmanager: HttpSource | None, prometheus: HttpSource | None) -> tuple[Witness, ...]:
    """One of them: Alertmanager knows of every Prometheus."""
    return (RuleWitness(prometheus) if alertmanager is None and prometheus is not None else AlertWitness(alertmanager),)


def declared(
    settings: Settings, stack: AsyncExitStack, *, causes: Collection[str] = (), seconds: float = SECONDS
) -> tuple[DeclaredWitness, ...]:
    """The endpoints and MCP servers that an operator has declared questions for. Raises InputError."""
    found = endpoint_witnesses(
        settings.endpoints_file, stack, compiled=compile_expression, causes=causes, seconds=seconds
    )  # fmt: skip
    return (*found, *_mcp(settings.mcp_file, causes, seconds))


def _mcp(path: Path | None, causes: Collection[str], seconds: float) -> tuple[DeclaredWitness, ...]:
    found = []
    for place, one in enumerate(read_servers(path)):
        if path is not None and one.asks:
            asks = declared_of(path, place, one, compile_expression, causes)
            reach, why = _reach(one, seconds)
            found.append(DeclaredWitness("mcp", one.name, asks, reach, why_off=why))
    return tuple(found)


def _reach(server: Server, seconds: float) -> tuple[Reach, str]:
    """How it is asked, and why it cannot be: the library is an extra that not every installation has."""
    if not server.digest:
        return silent, "it is not pinned: `lestrade toolsets` says how"
    try:
        library = importlib.import_module("agent.toolsets.mcp")
    except ImportError:
        return silent, "the MCP library is not installed: pip install 'lestrade[mcp]'"
    reach: Reach = library.reach_of(server, seconds)
    return reach, ""
