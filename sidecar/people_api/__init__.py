"""The people's side over HTTP, on a listener of its own: who it is comes from the token, never from a body.

Knows the use cases, no agent: the agent's token opens nothing here.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from identity import IdentityUnavailable
from sidecar.approvals import Person
from sidecar.approvals import store as approvals
from sidecar.contract import ApprovalRequest, ApprovalView, Lease, Message, Plan, Settlement
from sidecar.credentials import store as leases
from sidecar.edge import answer, bearer, known_as, make_app, refuses, takes, unauthorized, whole_body
from sidecar.errors import SidecarError
from sidecar.gate.answer import answer as give_answer
from sidecar.gate.desk import Desk, problem
from sidecar.gate.standing import standing
from sidecar.people_api.control import GlassRequest, ReviewRequest, StopRequest, control_routes
from sidecar.people_api.counting import Counts
from sidecar.people_api.pages import Pages
from sidecar.people_api.policy import PolicyMetrics, Standing, none_known, policy_routes
from sidecar.people_api.reading import ReadMetrics

log = structlog.get_logger("sidecar.people")
Digest = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]
Body = Annotated[bytes, Depends(whole_body)]


class Approvals(Message):
    approvals: tuple[ApprovalView, ...]


class Leases(Message):
    leases: tuple[Lease, ...]
    settlements: tuple[Settlement, ...]


def people_api(
    desk: Desk, *, ready: Callable[[], str], version: str, policy: Standing = none_known, pages: Pages | None = None
) -> FastAPI:
    """`ready` says why the sidecar cannot work just now, "" when it can."""
    app = make_app(
        "Lestrade sidecar, the people's side",
        version=version,
        taken=(ApprovalRequest, StopRequest, GlassRequest, ReviewRequest, Plan),
        side="people",
        noted=desk.ledger.refusals.note,
    )

    def who(request: Request) -> Person:
        person = desk.people.by_token(bearer(request))
        if person is None:
            raise unauthorized()
        known_as(request, person.name)
        return person

    routes = APIRouter(dependencies=[Depends(who)])
    known = Depends(who)
    _approvals(routes, desk, known)
    _records(routes, desk)
    control_routes(routes, desk, known)
    policy_routes(routes, desk, policy)
    if pages is not None:
        app.router.routes.extend(pages.routes())  # first: a browser is answered by a page, everybody else by what follows
    app.include_router(routes)
    _health(app, desk, ready, policy, who)
    return app


def _approvals(routes: APIRouter, desk: Desk, known: Any) -> None:
    @routes.get("/approvals", response_model=Approvals, responses=refuses())
    def list_approvals(state: Literal["waiting", "all"] = "waiting") -> Response:
        """What waits for people, the newest first."""
        with desk.ledger.read() as connection:
            found = [entry.plan.digest for entry in approvals.listed(connection, ("waiting",) if state == "waiting" else ())]
        current = [standing(digest, desk=desk) for digest in found]
        views = [status.approval for status in current if status is not None and status.approval is not None]
        return answer(Approvals(approvals=tuple(view for view in views if state == "all" or view.state == "waiting")))

    @routes.get("/approvals/{digest}", response_model=ApprovalView, responses=refuses(404))
    def show_approval(digest: Digest) -> Response:
        """What would be changed, as a diff of the live objects."""
        status = standing(digest, desk=desk)
        if status is None or status.approval is None:
            return answer(problem(404, "unknown-plan", "no plan with this digest waits for people"))
        return answer(status.approval)

    @routes.post(
        "/approvals/{digest}",
        response_model=ApprovalView,
        responses=refuses(403, 404, 409, 413),
        openapi_extra=takes(ApprovalRequest),
    )
    def post_answer(digest: Digest, body: Body, person: Annotated[Person, known]) -> Response:
        """Yes or no, to exactly what was shown."""
        said = ApprovalRequest.from_bytes(body)
        if said.plan != digest:
            return answer(problem(409, "stale-plan", "the answer is about another plan than the address"))
        return answer(
            give_answer(
                digest,
                person=person,
                verdict=said.verdict,
                plan=said.plan,
                revision=said.revision,
                via="people-api",
                reason=said.reason,
                desk=desk,
            )
        )


def _records(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/v1/leases", response_model=Leases, responses=refuses())
    def list_leases() -> Response:
        """Every lease, the newest first, and how they ended."""
        with desk.ledger.read() as connection:
            found = list(leases.listed(connection))
        settlements = tuple(entry.settlement for entry in found if entry.settlement is not None)
        return answer(Leases(leases=tuple(entry.lease for entry in found), settlements=settlements))

    @routes.get("/v1/audit", response_model=None, responses=refuses())
    def audit(
        after: Annotated[int, Query(ge=0, le=2**53)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        about: Annotated[str, Query(max_length=128, pattern=r"^[\x20-\x7e]*$")] = "",
    ) -> Response:
        """Records of the journal, in order; `about` is a plan's digest or a lease's id."""
        return JSONResponse({"records": desk.ledger.documents(after=after, limit=limit, about=about)})


def _health(app: FastAPI, desk: Desk, ready: Callable[[], str], policy: Standing, who: Callable[[Request], Person]) -> None:
    registry = CollectorRegistry()
    registry.register(Counts(desk))
    registry.register(PolicyMetrics(policy))
    registry.register(ReadMetrics(desk))

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Counts of plans, leases and steps by state, and the head of the journal."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/healthz", response_model=dict[str, str])
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", response_model=dict[str, str], responses=refuses())
    def readyz(request: Request) -> Any:
        """The database, the cluster and the policy can be used. Why not is said to whom is known, and in the log."""
        why_not = ready()
        if not why_not:
            return {"status": "ready"}
        log.warning("not ready", reason=why_not)
        return answer(problem(503, "not-ready", why_not if _is_known(request, who) else "ask with a token, or look into the log"))


def _is_known(request: Request, who: Callable[[Request], Person]) -> bool:
    try:
        who(request)
    except (HTTPException, SidecarError, IdentityUnavailable):
        return False
    return True


__all__ = ["StopRequest", "people_api"]
