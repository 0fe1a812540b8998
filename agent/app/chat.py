"""Conversations over HTTP: what happens as server-sent events, or the answer alone as JSON.

`POST /v1/chat` takes `{"message": "...", "session": "chat-...", "run": "run-..."}`; the last two may be left out. Events are
`session`, `step`, `evidence`, and at the end `answer` or `error`. Who goes away ends their waiting, and nothing else;
nor does the end of the service, which leaves the turn to whoever looks at the session next.
"""

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from agent.app.body import bounded
from agent.app.closing import Closing
from agent.app.identity import Who
from agent.app.refusals import problem_of
from agent.chat.conversation import Conversations
from agent.chat.exchange import Answered, Exchange, Failed, Found, Opened, Stepped, Told
from agent.domain.document import to_document
from sidecar.contract import Json

MOST_BYTES = 32_768
QUIET_SECONDS = 15.0
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid")

    message: str
    session: Annotated[str, Field(max_length=80)] = ""
    run: Annotated[str, Field(max_length=80)] = ""


def add_chat(app: FastAPI) -> None:
    @app.post("/v1/chat")
    async def chat(request: Request, who: Who) -> Response:
        said = await _said(request)
        exchange = await _conversations(request).begin(said.message, session=said.session, run=said.run, asked_by=who.name)
        if _wants_events(request, otherwise=True):
            return EventSourceResponse(_closing(request).through(_events(exchange)), headers=HEADERS)
        reply = await exchange.answer()
        return JSONResponse({"session": exchange.session, "turn": exchange.turn.number, **_document(reply)})

    @app.get("/v1/chat")
    async def sessions(request: Request, who: Who, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
        found = await _conversations(request).sessions(asked_by=who.name, limit=limit)
        return JSONResponse({"sessions": [_without_turns(_document(one)) for one in found]})

    @app.get("/v1/chat/{session}")
    async def session_(request: Request, who: Who, session: str) -> Response:
        """The session with its turns; as events, the turn that is being answered here, from its beginning."""
        known = await _conversations(request).session(session, asked_by=who.name)
        if _wants_events(request, otherwise=False):
            live = _conversations(request).live(session)
            if live is None:
                raise HTTPException(409, f"nothing is being answered in session {session}")
            return EventSourceResponse(_closing(request).through(_events(live)), headers=HEADERS)
        return JSONResponse(_document(known))

    @app.delete("/v1/chat/{session}")
    async def stop(request: Request, who: Who, session: str, forget: bool = False) -> Response:
        """Stops what is being answered; with `forget=true` the session itself goes."""
        conversations = _conversations(request)
        stopped = await conversations.stop(session, asked_by=who.name, by=who.called or who.name)
        if forget:
            await conversations.forget(session, asked_by=who.name)
        elif not stopped:
            raise HTTPException(409, f"nothing is being answered in session {session}")
        return JSONResponse({"session": session, "stopped": stopped, "forgotten": forget})


def _conversations(request: Request) -> Conversations:
    found: Conversations = request.app.state.conversations
    return found


def _closing(request: Request) -> Closing:
    found: Closing = request.app.state.closing
    return found


async def _said(request: Request) -> _Said:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, 'expected application/json: {"message": "...", "session": "..."}')
    raw = await bounded(request, MOST_BYTES)
    try:
        return _Said.model_validate_json(raw)
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"][:2])
        raise HTTPException(400, f"{place or 'the body'}: {fault['msg']}") from None


def _wants_events(request: Request, *, otherwise: bool) -> bool:
    """Whichever of the two is accepted first by name."""
    accepted = request.headers.get("accept", "")
    events, plain = accepted.find("text/event-stream"), accepted.find("application/json")
    if events < 0 and plain < 0:
        return otherwise
    return plain < 0 or (0 <= events < plain)


async def _events(exchange: Exchange) -> AsyncIterator[bytes]:
    async for told in exchange.hear(QUIET_SECONDS):
        if told is None:
            yield KEEPALIVE_COMMENT
            continue
        name, data = event_of(told)
        yield format_sse_event(event=name, data_str=json.dumps(data, ensure_ascii=False))


def event_of(told: Told) -> tuple[str, dict[str, Json]]:
    """Name and data, as they go over the wire."""
    match told:
        case Opened():
            return "session", _document(told)
        case Stepped():
            return "step", _document(told)
        case Found(run=run, evidence=evidence):
            return "evidence", {"run": run, **_document(evidence)}
        case Answered(session=session, turn=turn, reply=reply):
            return "answer", {"session": session, "turn": turn, **_document(reply)}
        case Failed(session=session, turn=turn, error=error):
            return "error", {"session": session, "turn": turn, **problem_of(error).document()}


def _document(noun: object) -> dict[str, Json]:
    body = to_document(noun)
    assert isinstance(body, dict)
    return body


def _without_turns(session: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in session.items() if name not in ("turns", "thread")}
