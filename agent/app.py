"""The service: alerts in by webhook, runs and reports out, workers that take up what is queued or was left unfinished.

Knows HTTP and the workshop; every refusal is application/problem+json (RFC 9457), and bad input is never a 500.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException

from agent.bootstrap import Workshop
from agent.domain.document import to_document
from agent.errors import ClusterUnreachable, InputError, LestradeError, StoreUnavailable
from agent.ports import RunRow
from agent.rendering import MEDIA_TYPES, render
from agent.stages.receive import receive
from sidecar.contract import Problem
from sidecar.contract.problem import MEDIA_TYPE

LOOK_SECONDS = 5.0  # between two looks for runs that another process left behind
TITLES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    409: "Not finished",
    413: "Too large",
    415: "Unsupported media type",
    422: "Bad request",
    503: "Unavailable",
}

logger = logging.getLogger(__name__)


async def _row(request: Request, run: str) -> RunRow:
    row: RunRow | None = await request.app.state.shop.store.row(run)
    if row is None:
        raise HTTPException(404, "no such run")
    return row


Row = Annotated[RunRow, Depends(_row)]


@dataclass
class Meters:
    """What /metrics shows."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.webhooks = Counter("lestrade_webhooks", "Notifications taken", ["answer"], registry=self.registry)
        self.runs = Counter("lestrade_runs_finished", "Runs finished, by outcome", ["outcome"], registry=self.registry)
        self.working = Gauge("lestrade_runs_working", "Runs being worked on now", registry=self.registry)
        self.seconds = Histogram(
            "lestrade_run_seconds",
            "Time from start to end of a run",
            registry=self.registry,
            buckets=(1, 5, 15, 60, 300, 900, 3600),
        )


class Workers:
    """Bounded: at most `settings.workers` runs at a time. Unfinished runs are looked for at start and every few seconds."""

    def __init__(self, shop: Workshop, meters: Meters) -> None:
        self._shop = shop
        self._meters = meters
        self._wake = asyncio.Event()
        self._busy: dict[str, asyncio.Task[bool]] = {}

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        try:
            while True:
                self._wake.clear()
                try:
                    await self._start_what_fits()
                except StoreUnavailable as exc:
                    logger.error("looking for runs: %s", exc)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):  # wait_for of 3.11 can swallow a cancellation
                        await self._wake.wait()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _start_what_fits(self) -> None:
        for row in await self._shop.store.unfinished():
            if len(self._busy) >= self._shop.settings.workers:
                return
            if row.id not in self._busy:
                task = asyncio.create_task(self._work(row))
                self._busy[row.id] = task
                task.add_done_callback(partial(self._done, row.id))

    async def _work(self, row: RunRow) -> bool:
        """True when the run is finished."""
        try:
            began = time.monotonic()
            with self._meters.working.track_inprogress():
                worked = await self._shop.work(row)
            finished = await self._shop.store.row(row.id) if worked else None
            if finished and finished.state == "finished":
                self._meters.seconds.observe(time.monotonic() - began)
                self._meters.runs.labels(finished.outcome).inc()
                return True
        except LestradeError as exc:
            logger.error("run %s: %s", row.id, exc)
        except Exception:
            logger.exception("run %s broke outside its stages", row.id)
        return False

    def _done(self, run: str, task: "asyncio.Task[bool]") -> None:
        """Room for another. A run that another process holds, or that could not go on, is looked at again after a while."""
        self._busy.pop(run, None)
        if not task.cancelled() and task.result():
            self.wake()


def create_app(open_shop: Callable[[], contextlib.AbstractAsyncContextManager[Workshop]]) -> FastAPI:
    """`open_shop` is entered when the server starts, so that what cannot start says so then."""
    meters = Meters()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_shop() as shop:
            workers = Workers(shop, meters)
            app.state.shop, app.state.workers = shop, workers
            task = asyncio.create_task(workers.run())
            try:
                yield
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    app = FastAPI(title="Lestrade", lifespan=lifespan, docs_url=None, redoc_url=None)
    _refusals(app)
    _webhook(app, meters)
    _runs(app)
    _health(app, meters)
    return app


def _webhook(app: FastAPI, meters: Meters) -> None:
    @app.post("/webhooks/alertmanager", status_code=202)
    async def alertmanager(request: Request) -> Response:
        """Stored before it is answered; Alertmanager sends again what got no 2xx."""
        shop: Workshop = request.app.state.shop
        try:
            notification = receive(await _body(request, shop.settings.webhook_max_bytes))
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


def _runs(app: FastAPI) -> None:
    @app.get("/v1/runs")
    async def runs(request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
        shop: Workshop = request.app.state.shop
        return JSONResponse({"runs": [to_document(row) for row in await shop.store.rows(limit=limit)]})

    @app.get("/v1/runs/{run}")
    async def run_(row: Row) -> Response:
        return JSONResponse(to_document(row))

    @app.get("/v1/runs/{run}/report")
    async def report(request: Request, row: Row, format: Literal["md", "html", "json"] = "json") -> Response:
        found = await request.app.state.shop.report(row.id)
        if found is None:
            raise HTTPException(409, f"run {row.id} has no report: it is {row.state}")
        headers = {"X-Content-Type-Options": "nosniff"}
        if format == "html":
            headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
        return Response(render(found, format), media_type=MEDIA_TYPES[format], headers=headers)

    @app.get("/v1/runs/{run}/events", response_class=EventSourceResponse)
    async def events(request: Request, row: Row, last_event_id: Annotated[str, Header()] = "") -> AsyncIterator[ServerSentEvent]:
        """From the beginning, or after Last-Event-ID; ends with the run."""
        after = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 10 else 0
        async for event in request.app.state.shop.events.follow(row.id, after=after):
            yield ServerSentEvent(id=str(event.seq), event=event.stage, data=to_document(event))


def _health(app: FastAPI, meters: Meters) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        """Ready when runs can be kept; a cluster or sidecar that is away is told, and is no reason to lose alerts."""
        await request.app.state.shop.store.rows(limit=1)
        return JSONResponse({"status": "ready"})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)


def _refusals(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> Response:
        return problem(exc.status_code, str(exc.detail), exc.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError) -> Response:
        fault = exc.errors()[0]
        return problem(400, f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}")

    @app.exception_handler(LestradeError)
    async def cannot(request: Request, exc: LestradeError) -> Response:
        if isinstance(exc, InputError):
            return problem(400, str(exc))
        if isinstance(exc, StoreUnavailable | ClusterUnreachable):
            return problem(503, str(exc), {"Retry-After": "5"})
        return problem(503, str(exc))


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    title = TITLES.get(status, "Refused")
    document = Problem(title=title, status=status, detail=detail[:1000], code=title.lower().replace(" ", "-")).document()
    return Response(json.dumps(document), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


async def _body(request: Request, most: int) -> bytes:
    """The body, given up on as soon as it is too long, whatever its Content-Length said."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise HTTPException(413, f"the body is longer than {most} bytes")
        parts.append(part)
    return b"".join(parts)
