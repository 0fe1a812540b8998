"""Whether the service lives, is ready, and what it counts."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent.app.crew import Crew
from agent.app.meters import Meters
from agent.errors import StoreUnavailable

# FastAPI would make spans of its own wherever a provider is set, with the query of each request: a log-in's code is in one.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def add_health(app: FastAPI, meters: Meters) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        """Ready when runs can be kept: nothing else is a reason to lose alerts. `runs` says how the process fares that works on
        them, where that is another."""
        await request.app.state.shop.store.rows(limit=1)
        workers = getattr(request.app.state, "workers", None)
        apart = {"runs": workers.state} if isinstance(workers, Crew) else {}
        return JSONResponse({"status": "ready", **apart})

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        """Also while the store is away: that it is, is what somebody wants to see."""
        try:
            meters.queue(await request.app.state.shop.store.queue())
            meters.store.set(1)
        except StoreUnavailable:
            meters.store.set(0)
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)
