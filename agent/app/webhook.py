"""Alerts in: what Alertmanager sends is stored before it is answered."""

import asyncio

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from agent.app.body import bounded
from agent.app.callers import Callers
from agent.app.meters import Meters
from agent.bootstrap import Workshop
from agent.domain.alerting import Taken
from agent.errors import InputError
from agent.stages.receive import receive

LARGE = 200_000  # bytes that are not read between two other requests


def add_webhook(app: FastAPI, meters: Meters) -> None:
    @app.post("/webhooks/alertmanager", status_code=202)
    async def alertmanager(request: Request) -> Response:
        """Stored before it is answered; Alertmanager sends again what got no 2xx."""
        shop: Workshop = request.app.state.shop
        callers: Callers = request.app.state.callers
        try:
            _refuse_browsers(request)
            callers.admit(request.headers.get("authorization", ""))
            body = await bounded(request, shop.settings.webhook_max_bytes)
            notification = receive(body) if len(body) < LARGE else await asyncio.to_thread(receive, body)
        except (InputError, HTTPException):
            meters.webhooks.labels("refused").inc()
            raise
        taken = await shop.intake(notification)
        meters.webhooks.labels(_word(taken)).inc()
        for done, count in taken.counts.items():
            meters.alerts.labels(done).inc(count)
        if taken.opened:
            request.app.state.workers.wake()
        answer = {"run": taken.run or None, "new": taken.is_new, "alerts": taken.counts, "reason": "; ".join(taken.why)}
        if taken.run and shop.settings.public_url:
            answer["url"] = f"{shop.settings.public_url.rstrip('/')}/runs/{taken.run}"
        return JSONResponse(answer, status_code=202 if taken.run else 200)


def _refuse_browsers(request: Request) -> None:
    """Where no token is wanted, whatever this machine's browser shows could send alerts here: it says so of itself, and
    Alertmanager does not. Raises a 403."""
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        raise HTTPException(403, "alerts are taken from Alertmanager, and not from a page in a browser")


def _word(taken: Taken) -> str:
    if taken.opened:
        return "opened"
    if taken.run:
        return "resolved" if set(taken.counts) == {"resolved"} else "joined"
    return "kept"
