"""Runs and reports out, and a run's events as they happen."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException

from agent.app.identity import known
from agent.bootstrap import Workshop
from agent.domain.document import to_document
from agent.ports import RunRow
from agent.rendering import MEDIA_TYPES, render


async def _row(request: Request, run: str) -> RunRow:
    row: RunRow | None = await request.app.state.shop.store.row(run)
    if row is None:
        raise HTTPException(404, "no such run")
    return row


Row = Annotated[RunRow, Depends(_row)]


def add_runs(app: FastAPI) -> None:
    @app.get("/v1/runs", dependencies=[known])
    async def runs(request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
        shop: Workshop = request.app.state.shop
        return JSONResponse({"runs": [to_document(row) for row in await shop.store.rows(limit=limit)]})

    @app.get("/v1/runs/{run}", dependencies=[known])
    async def run_(row: Row) -> Response:
        return JSONResponse(to_document(row))

    @app.get("/v1/runs/{run}/report", dependencies=[known])
    async def report(request: Request, row: Row, format: Literal["md", "html", "json"] = "json") -> Response:
        found = await request.app.state.shop.report(row.id)
        if found is None:
            raise HTTPException(409, f"run {row.id} has no report: it is {row.state}")
        headers = {"X-Content-Type-Options": "nosniff"}
        if format == "html":
            headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
        return Response(render(found, format), media_type=MEDIA_TYPES[format], headers=headers)

    @app.get("/v1/runs/{run}/events", response_class=EventSourceResponse, dependencies=[known])
    async def events(request: Request, row: Row, last_event_id: Annotated[str, Header()] = "") -> AsyncIterator[ServerSentEvent]:
        """From the beginning, or after Last-Event-ID; ends with the run, or with the service."""
        after = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 10 else 0
        async for event in request.app.state.closing.through(request.app.state.shop.events.follow(row.id, after=after)):
            yield ServerSentEvent(id=str(event.seq), event=event.stage, data=to_document(event))
