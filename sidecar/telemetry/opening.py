"""Whether there are traces, as the settings and OpenTelemetry's own variables say. Imports no vendor until there are."""

import importlib
import os
from collections.abc import Mapping
from typing import Protocol

from fastapi import FastAPI

from sidecar.errors import SettingsError
from sidecar.ports import Cluster
from sidecar.settings import Settings

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Tracing(Protocol):
    @property
    def active(self) -> bool: ...

    def watched(self, cluster: Cluster) -> Cluster:
        """The cluster, each request of a traced call a span."""
        ...

    def install(self, app: FastAPI) -> None:
        """Each call of a listener that the agent makes within a trace is a span there."""
        ...

    def close(self) -> None: ...


class _None:
    active = False

    def watched(self, cluster: Cluster) -> Cluster:
        return cluster

    def install(self, app: FastAPI) -> None: ...

    def close(self) -> None: ...


def open_tracing(settings: Settings, *, version: str, environ: Mapping[str, str] | None = None) -> Tracing:
    """Does nothing where nobody said where traces go. Raises SettingsError where the extra is not installed."""
    environment = os.environ if environ is None else environ
    wanted = settings.otlp_endpoint or any(environment.get(name) for name in ENDPOINTS)
    if not wanted or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return _None()
    try:
        spans = importlib.import_module("sidecar.telemetry.spans")
    except ModuleNotFoundError as exc:
        raise SettingsError(f"traces need {exc.name}, which is not installed: pip install 'lestrade[telemetry]'") from None
    opened: Tracing = spans.over_http(settings.otlp_endpoint, service="lestrade-sidecar", version=version)
    return opened
