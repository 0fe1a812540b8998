"""What a worker shows of itself over HTTP: that it lives, that it can keep runs, what it counts. Takes nothing in."""

from fastapi import FastAPI

from agent.app.health import NO_TELEMETRY, add_health
from agent.app.meters import Meters
from agent.app.refusals import add_refusals
from agent.bootstrap import Workshop


def worker_pages(shop: Workshop, meters: Meters) -> FastAPI:
    app = FastAPI(title="Lestrade's worker", docs_url=None, redoc_url=None, openapi_url=None, telemetry=NO_TELEMETRY)
    app.state.shop = shop
    add_refusals(app)
    add_health(app, meters)
    return app
