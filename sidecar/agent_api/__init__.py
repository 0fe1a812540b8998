"""The agent's side over HTTP: a Unix socket or loopback, one bearer token. Every call is safe to repeat.

Knows the use cases, no people: no token of a person opens anything here.
"""

import asyncio
import hmac
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool

from sidecar.agent_api.handing import Handed
from sidecar.agent_api.refusing import NOBODY_ELSE, TOLD, impersonates, told
from sidecar.contract import Lease, Message, Plan, PlanStatus, Settlement, StepResult, UndoResult
from sidecar.edge import answer, bearer, known_as, make_app, no_body, refuses, takes, unauthorized, whole_body
from sidecar.gate.desk import Desk, problem
from sidecar.gate.laps import Laps
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.settle import settle
from sidecar.gate.standing import standing
from sidecar.gate.submit import submit
from sidecar.gate.undo import undo
from sidecar.reading import MOST_STREAMS, Forbidden, Gateway, ReadingRules

Digest = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]
LeaseId = Annotated[str, InPath(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
StepId = Annotated[str, InPath(pattern=r"^step-[1-9][0-9]?$")]
Body = Annotated[bytes, Depends(whole_body)]
Nothing = Annotated[None, Depends(no_body)]
Wait = Annotated[int, Query(ge=0, le=60)]
LOOK_SECONDS = 0.2
READERS = 16  # threads for reads that have an end; plans and steps have theirs
RUN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$|^$"
ANY_READ: dict[str, Any] = {"description": "the API server's answer, whatever its status", "content": {"application/json": {}}}


class SettleRequest(Message):
    """What the agent saw of the effect."""

    outcome: Literal["helped", "did-not-help", "undone", "not-performed", "unknown"]


def agent_api(
    desk: Desk, *, token: str, ready: Callable[[], str], version: str, rules: Callable[[], ReadingRules] = ReadingRules
) -> FastAPI:
    """`ready` says why the sidecar cannot work just now, "" when it can; `rules` what may be read."""
    app = make_app(
        "Lestrade sidecar, the agent's side",
        version=version,
        taken=(Plan, SettleRequest),
        side="agent",
        noted=desk.ledger.refusals.note,
    )

    async def known(request: Request) -> None:  # async: it waits for nothing, and a thread of its own would cost more
        if not hmac.compare_digest(bearer(request).encode("utf-8", "surrogateescape"), token.encode()):
            raise unauthorized()
        known_as(request, "agent")

    routes = APIRouter(dependencies=[Depends(known)])
    _plans(routes, desk)
    _leases(routes, desk)
    _reading(routes, desk, rules)
    app.include_router(routes)
    add_health(app, ready)
    return app


def _plans(routes: APIRouter, desk: Desk) -> None:
    @routes.post("/v1/plans", response_model=PlanStatus, responses=refuses(413, 429), openapi_extra=takes(Plan))
    def post_plan(body: Body) -> Response:
        """Judge a plan; the same plan again gives where it stands. Where the time went is in the Server-Timing header."""
        laps = Laps()
        with laps.of("parse"):
            plan = Plan.from_bytes(body)
        response = answer(submit(plan, desk=desk, laps=laps))
        response.headers["Server-Timing"] = laps.header()
        return response

    @routes.get("/v1/plans/{digest}", response_model=PlanStatus, responses=refuses(404))
    async def get_plan(digest: Digest, wait: Wait = 0) -> Response:
        """Where a plan stands; with `wait`, when it no longer waits for people, or after so many seconds."""
        deadline = time.monotonic() + wait
        while True:
            status = await run_in_threadpool(standing, digest, desk=desk)
            if status is None:
                return answer(problem(404, "unknown-plan", "no plan with this digest was submitted here"))
            if status.state != "waiting" or time.monotonic() >= deadline:
                return answer(status)
            await asyncio.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))

    @routes.post("/v1/plans/{digest}/lease", response_model=Lease, responses=refuses(403, 404, 409, 413))
    def post_lease(digest: Digest, _: Nothing) -> Response:
        """Rights for an approved plan; the same lease again while it lives."""
        return answer(lease(digest, desk=desk))


def _leases(routes: APIRouter, desk: Desk) -> None:
    @routes.post("/v1/leases/{lease_id}/steps/{step}", response_model=StepResult, responses=refuses(404, 413))
    def post_step(lease_id: LeaseId, step: StepId, _: Nothing) -> Response:
        """Carry out one step, once; again gives the stored result."""
        return answer(perform(lease_id, step, desk=desk))

    @routes.post("/v1/leases/{lease_id}/undo", response_model=UndoResult, responses=refuses(404, 413))
    def post_undo(lease_id: LeaseId, _: Nothing) -> Response:
        """The inverse of every performed step, the last first."""
        return answer(undo(lease_id, desk=desk))

    @routes.post(
        "/v1/leases/{lease_id}/settle", response_model=Settlement, responses=refuses(404, 413), openapi_extra=takes(SettleRequest)
    )
    def post_settle(lease_id: LeaseId, body: Body) -> Response:
        """Take the rights back, and prove it."""
        return answer(settle(lease_id, SettleRequest.from_bytes(body).outcome, desk=desk))


def _reading(routes: APIRouter, desk: Desk, rules: Callable[[], ReadingRules]) -> None:
    gateway = Gateway(cluster=desk.cluster, rules=rules, runs=desk.runs, streams=desk.streams)
    threads, stream_threads = anyio.CapacityLimiter(READERS), anyio.CapacityLimiter(MOST_STREAMS)

    @routes.get("/v1/read/{cluster}/{path:path}", response_model=None, responses={200: ANY_READ, **refuses(), **TOLD})
    async def read_cluster(
        cluster: str, path: str, request: Request, lestrade_run: Annotated[str, Header(pattern=RUN)] = ""
    ) -> Response:
        """The Kubernetes API, reads only, without the values of Secrets and other credentials: a base path for any
        Kubernetes client. `Lestrade-Run` names the run that reads: its budget is its own, its streams end with its lease."""
        if cluster != desk.cluster.name:
            return told(Forbidden("no cluster of this name is read here", status=404, code="unknown-cluster"))
        if impersonates(request.headers.keys()):
            return told(NOBODY_ELSE)
        raw = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        before, _, below = raw.partition(f"/v1/read/{cluster}/")
        query, accept = request.query_params.multi_items(), request.headers.get("accept", "application/json")
        opened = partial(gateway.open, "" if before else f"/{below}", query, accept, run=lestrade_run)
        reading = await anyio.to_thread.run_sync(opened, limiter=threads)
        if isinstance(reading, Forbidden):
            return told(reading)
        return Handed(reading, stream_threads if reading.streamed else threads)


def add_health(app: FastAPI, ready: Callable[[], str]) -> None:
    @app.get("/healthz", response_model=dict[str, str])
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", response_model=dict[str, str], responses=refuses())
    def readyz() -> Any:
        """The database, the cluster and the policy can be used."""
        why_not = ready()
        return answer(problem(503, "not-ready", why_not)) if why_not else {"status": "ready"}
