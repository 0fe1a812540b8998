"""Which sources beside the cluster are asked about what a first diagnosis found, as the settings say. Names adapters, as
`bootstrap` does; those that are not configured stand in the list too, and say why they are off."""

from contextlib import AsyncExitStack
from pathlib import Path

from agent.ports import ClusterReader
from agent.ports.witnesses import Witness
from agent.settings import Settings
from agent.toolsets.http_reading import HttpSource
from agent.toolsets.loki import LokiLogs
from agent.toolsets.traced_requests import JaegerWitness, TempoWitness, UntracedWitness
from agent.toolsets.witnesses import AlertWitness, LogWitness, MarkWitness, UsageWitness


def witnesses(settings: Settings, reader: ClusterReader, stack: AsyncExitStack) -> tuple[Witness, ...]:
    """Of a living cluster: about a moment that is past none of them can be asked. Sends nothing yet. Raises InputError for a
    token file that cannot be used."""

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
        AlertWitness(source("Alertmanager", settings.alertmanager_url)),
        LogWitness(loki),
        *(traced or (UntracedWitness(),)),
        MarkWitness(source("Grafana", settings.grafana_url, settings.grafana_token_file)),
        UsageWitness(reader),
    )
