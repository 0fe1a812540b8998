"""`POST /slack/interactions`: bounded, signed, and only then handed to slack-bolt. Never answers with a 5xx of its own."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import structlog
from slack_bolt.adapter.starlette.async_handler import to_starlette_response
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from starlette.requests import Request
from starlette.responses import Response

from sidecar.approvals.slack.ports import Approvals
from sidecar.approvals.slack.signature import objection
from sidecar.contract import Problem
from sidecar.contract.problem import MEDIA_TYPE
from sidecar.contract.wire import MAX_BYTES
from sidecar.errors import JournalUnavailable

log = structlog.get_logger("sidecar.slack")
RECORDED_A_MINUTE = 20  # a caller without the secret must not fill the journal


class Turned:
    """Refusals go on record; of a flood the first of each kind and minute do, and the next record says how many there were."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals
        self._minute = 0
        self._recorded: Counter[str] = Counter()
        self._unrecorded: Counter[str] = Counter()

    async def away(self, code: str) -> None:
        log.warning("slack request refused", code=code)
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._recorded.clear()
        if self._recorded[code] >= RECORDED_A_MINUTE:
            self._unrecorded[code] += 1
            return
        self._recorded[code] += 1
        missed = self._unrecorded.pop(code, 0)
        try:
            await asyncio.to_thread(self._approvals.refused, code, actor="unknown", body={"unrecorded_before": missed})
        except JournalUnavailable as exc:
            self._unrecorded[code] += 1 + missed
            log.error("a refusal is not on record", reason=str(exc))


def interactions(app: AsyncApp, secret: str, turned: Turned) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        body = await _bounded(request)
        if body is None:
            return _no(413, "too-large", f"at most {MAX_BYTES} bytes are taken")
        why = objection(
            secret,
            timestamp=request.headers.get("x-slack-request-timestamp"),
            signature=request.headers.get("x-slack-signature"),
            body=body,
            now=time.time(),
        )
        if why:
            await turned.away(f"slack-{why}")
            return _no(401, f"slack-{why}", "the request is not signed by Slack for this app, now")
        try:
            headers: dict[str, str | Sequence[str]] = dict(request.headers.items())
            came = await app.async_dispatch(AsyncBoltRequest(body=body.decode("utf-8"), headers=headers))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as exc:  # the library reads what it expects
            log.warning("slack request not understood", error=type(exc).__name__)
            came = None
        if came is None or came.status >= 500:
            await turned.away("slack-malformed")
            return _no(400, "slack-malformed", "the body is not what Slack sends")
        return to_starlette_response(came)

    return handle


async def _bounded(request: Request) -> bytes | None:
    """The raw body, None when it is longer than any message of the contract."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BYTES:
            return None
    return bytes(body)


def _no(status: int, code: str, detail: str) -> Response:
    said = Problem(title=code.replace("-", " "), status=status, detail=detail, code=code)
    return Response(said.model_dump_json(), status_code=status, media_type=MEDIA_TYPE)
