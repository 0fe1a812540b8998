"""The book of alerts over HTTP: what came in and what was done with it."""

from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse

from agent.app.identity import known
from agent.bootstrap import Workshop
from agent.domain.document import to_document


def add_book(app: FastAPI) -> None:
    @app.get("/v1/alerts", dependencies=[known])
    async def alerts(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        """The latest first, one entry a fingerprint."""
        shop: Workshop = request.app.state.shop
        return JSONResponse({"alerts": [to_document(row) for row in await shop.book.latest(shop.reader.name, limit=limit)]})

    @app.get("/v1/runs/{run}/alerts", dependencies=[known])
    async def of_run(request: Request, run: str) -> Response:
        """All of one run, also those that its incident does not carry because they are too many."""
        shop: Workshop = request.app.state.shop
        return JSONResponse({"alerts": [to_document(row) for row in await shop.book.of_run(run)]})
