"""Whether there are traces, as the settings and OpenTelemetry's own variables say. Imports no vendor until there are."""

import importlib
import importlib.metadata
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from agent.errors import InputError
from agent.ports import tracing
from agent.settings import Settings

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@contextmanager
def traces(settings: Settings, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Traces go out while this is entered, if somebody said where to. Raises InputError where the extra is not installed."""
    environment = os.environ if environ is None else environ
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield
        return
    if not settings.otlp_endpoint and not any(environment.get(name) for name in ENDPOINTS):
        yield
        return
    try:
        spans = importlib.import_module("agent.telemetry.spans")
    except ModuleNotFoundError as exc:
        raise InputError(f"traces need {exc.name}, which is not installed: pip install 'lestrade[telemetry]'") from None
    opened = spans.over_http(settings.otlp_endpoint, service="lestrade-agent", version=importlib.metadata.version("lestrade"))
    try:
        with tracing.use(opened):
            yield
    finally:
        opened.close()
