"""Alerts in: what Alertmanager sends is stored before it is answered."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from agent.app.body import bounded
from agent.app.meters import Meters
from agent.bootstrap import Workshop
from agent.errors import InputError
from agent.stages.receive import receive


def add_webhook(app: FastAPI, meters: Meters) -> None:
    @app.post("/webhooks/alertmanager", status_code=202)
    async def alertmanager(request: Request) -> Response:
        """Stored before it is answered; Alertmanager sends again what got no 2xx."""
        shop: Workshop = request.app.state.shop
        try:
            notification = receive(await bounded(request, shop.settings.webhook_max_bytes))
        except (InputError, HTTPException):
            meters.webhooks.labels("refused").inc()
            raise
        if not notification.firing:
            meters.webhooks.labels("resolved").inc()
            return JSONResponse({"run": None, "new": False, "reason": "every alert of it is resolved"})
        row, is_new = await shop.take(alerts=notification.alerts, group_key=notification.group_key)
        meters.webhooks.labels("opened" if is_new else "joined").inc()
        request.app.state.workers.wake()
        return JSONResponse({"run": row.id, "new": is_new}, status_code=202)
