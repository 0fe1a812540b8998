"""The kill switch and the broken glass over HTTP: what people do when things go wrong. Knows the use cases only."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi import Path as InPath
from fastapi.responses import JSONResponse
from pydantic import Field

from sidecar.approvals import Person
from sidecar.approvals.reviews import Review
from sidecar.contract import ApprovalView, Json, Message, Problem
from sidecar.contract.refs import Line, Sha256
from sidecar.edge import answer, refuses, takes, whole_body
from sidecar.execution import escaped
from sidecar.gate.answer import answer as give_answer
from sidecar.gate.desk import Desk, problem
from sidecar.gate.glass import close_review, open_reviews
from sidecar.gate.stop import Stopped, lift, state_of_stop, stop

Digest = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]
Body = Annotated[bytes, Depends(whole_body)]


class StopRequest(Message):
    """Stop everything, or lift the stop (two people have to)."""

    lift: bool = False
    reason: Line = ""


class GlassRequest(Message):
    """A yes in an emergency, out of the usual roles. `plan` and `revision` repeat what was shown."""

    plan: Sha256
    revision: Annotated[str, Field(max_length=80)]
    reason: Line


class ReviewRequest(Message):
    """What came of looking at it afterwards."""

    note: Line


def control_routes(routes: APIRouter, desk: Desk, known: Any) -> None:
    """`known`: the dependency that gives the Person."""
    _stop(routes, desk, known)
    _glass(routes, desk, known)


def _stop(routes: APIRouter, desk: Desk, known: Any) -> None:
    @routes.get("/v1/stop", response_model=None, responses=refuses())
    def get_stop() -> Response:
        """Whether everything is stopped, by whom, and who wants it lifted."""
        return JSONResponse(stop_document(state_of_stop(desk=desk)))

    @routes.post("/v1/stop", response_model=None, responses=refuses(403, 413), openapi_extra=takes(StopRequest))
    def post_stop(body: Body, person: Annotated[Person, known]) -> Response:
        """The kill switch: every lease is revoked, nothing new is leased until two people lift it."""
        said = StopRequest.from_bytes(body or b"{}")
        came = lift(person, desk=desk) if said.lift else stop(person, reason=said.reason, desk=desk)
        return answer(came) if isinstance(came, Problem) else JSONResponse(stop_document(came))


def _glass(routes: APIRouter, desk: Desk, known: Any) -> None:
    @routes.post(
        "/v1/glass/{digest}",
        response_model=ApprovalView,
        responses=refuses(403, 404, 409, 413),
        openapi_extra=takes(GlassRequest),
    )
    def post_glass(digest: Digest, body: Body, person: Annotated[Person, known]) -> Response:
        """Break the glass for a plan that waits: two people of the role break-glass, for minutes, with a review to follow."""
        said = GlassRequest.from_bytes(body)
        if said.plan != digest:
            return answer(problem(409, "stale-plan", "the answer is about another plan than the address"))
        came = give_answer(
            digest,
            person=person,
            verdict="approve",
            plan=said.plan,
            revision=said.revision,
            via="people-api",
            reason=said.reason,
            glass=True,
            desk=desk,
        )
        return answer(came)

    @routes.get("/v1/reviews", response_model=None, responses=refuses())
    def get_reviews(state: Annotated[str, Query(pattern="^(open|all)$")] = "open") -> Response:
        """Emergencies that nobody has looked at yet; `all`: those that somebody has, too."""
        found = open_reviews(desk=desk, closed=state == "all")
        return JSONResponse({"reviews": [review_document(review) for review in found]})

    @routes.post(
        "/v1/reviews/{digest}", response_model=None, responses=refuses(403, 404, 409, 413), openapi_extra=takes(ReviewRequest)
    )
    def post_review(digest: Digest, body: Body, person: Annotated[Person, known]) -> Response:
        """Close a review; not for those who broke the glass."""
        came = close_review(digest, person=person, note=ReviewRequest.from_bytes(body).note, desk=desk)
        return answer(came) if isinstance(came, Problem) else JSONResponse(review_document(came))


def stop_document(found: Stopped) -> dict[str, Json]:
    return {
        "stopped": found.stopped,
        "by": escaped(found.by),
        "at": found.at.isoformat() if found.at else None,
        "reason": escaped(found.reason),
        "lifting": [escaped(name) for name in found.lifting],
        "lifting_until": found.lifting_until.isoformat() if found.lifting_until else None,
        "voided": [*found.voided],
        "settlements": [settlement.document() for settlement in found.settlements],
    }


def review_document(found: Review) -> dict[str, Json]:
    return {
        "plan": found.plan,
        "people": [escaped(name) for name in found.people],
        "reason": escaped(found.reason),
        "opened_at": found.opened_at.isoformat(),
        "closed_by": escaped(found.closed_by) if found.closed_by else None,
        "closed_at": found.closed_at.isoformat() if found.closed_at else None,
        "note": escaped(found.note),
    }
