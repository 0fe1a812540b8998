"""The straight way of a plan: the same use case with the same answer as the route for it, without the framework between.

It answers where a plan stands, and that nothing can be said now, which nobody gains by asking again at once. Whatever is
refused or fails otherwise goes the ordinary way again: that puts it on record, and says it.
"""

import hmac
from functools import partial
from http import HTTPStatus

import structlog

from sidecar.contract import Plan, Problem
from sidecar.contract.problem import MEDIA_TYPE
from sidecar.edge import CANNOT, unable
from sidecar.gate.desk import Desk
from sidecar.gate.laps import Laps
from sidecar.gate.submit import submit
from sidecar.straight import Headers, Ways, Work, ok, whole
from sidecar.telemetry import told_by

TRACED = b"traceparent"  # spans are made on the ordinary way


def plans_straight(desk: Desk, token: str) -> Ways:
    """`token`: of the agent; who presents another one is refused the ordinary way."""
    expected = b"Bearer " + token.encode()

    def put(headers: Headers, body: bytes) -> Work | None:
        if TRACED in headers or not hmac.compare_digest(headers.get(b"authorization", b""), expected):
            return None
        return partial(_answer, body, told_by(headers.items()), desk)

    return {b"POST /v1/plans HTTP/1.1": put}


def _answer(body: bytes, told: dict[str, str], desk: Desk) -> bytes | None:
    laps = Laps()
    with structlog.contextvars.bound_contextvars(**told):
        with laps.of("parse"):
            plan = Plan.from_bytes(body)
        try:
            status = submit(plan, desk=desk, laps=laps)
        except CANNOT as exc:
            said = unable(exc)
            return whole(HTTPStatus(said.status), said.model_dump_json().encode(), media_type=MEDIA_TYPE)
    if isinstance(status, Problem):
        return None
    return ok(status.model_dump_json(by_alias=True).encode(), timing=laps.header())
