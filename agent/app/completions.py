"""Chat Completions as OpenAI's API has them, so that chat programs that speak it can ask Lestrade.

The last message of the user is what is asked; the ones before it, with the answers given to them, find the conversation again,
so that follow-ups know what came before. Progress goes into `reasoning_content`, which chat programs show apart. What is asked
of a language model only (temperature, tools on offer) is ignored; what would change the answer's form (several answers, JSON,
forced tools, audio) is refused. `usage` counts pieces of four bytes, because nothing is counted in tokens here.
"""

import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from agent.app.body import bounded
from agent.app.chat import HEADERS, QUIET_SECONDS
from agent.app.identity import Identity
from agent.app.refusals import status_of
from agent.chat.conversation import Conversations
from agent.chat.exchange import Answered, Exchange, Failed, Stepped
from agent.errors import Busy, LestradeError, StoreUnavailable
from sidecar.contract import Json

MODEL = "lestrade"
MOST_BYTES = 1_048_576  # programs send the whole conversation each time


class Refused(Exception):
    """As OpenAI's errors are: https://platform.openai.com/docs/guides/error-codes"""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        kind = "server_error" if status >= 500 else "invalid_request_error"
        self.body: dict[str, Json] = {"message": message[:1000], "type": kind, "param": param, "code": code}


class _Part(BaseModel):
    type: str
    text: str = ""


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None

    @property
    def words(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if part.type in ("text", "refusal"))

    @property
    def is_text(self) -> bool:
        return not isinstance(self.content, list) or all(part.type in ("text", "refusal") for part in self.content)


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _Form(BaseModel):
    type: str


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    stream: bool = False
    stream_options: _StreamOptions | None = None
    n: int | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    response_format: _Form | None = None
    tool_choice: Json = None


def add_completions(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, exc: Refused) -> Response:
        headers = {"WWW-Authenticate": "Bearer"} if exc.status == 401 else {}
        return JSONResponse({"error": exc.body}, status_code=exc.status, headers=headers)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        await _asked_by(request)
        return JSONResponse({"object": "list", "data": [_model()]})

    @app.get("/v1/models/{model}")
    async def model_(request: Request, model: str) -> Response:
        await _asked_by(request)
        _must_be_ours(model)
        return JSONResponse(_model())

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> Response:
        asked_by = await _asked_by(request)
        asked = await _request(request)
        _must_be_answerable(asked)
        exchange = await _begun(request.app.state.conversations, asked, asked_by)
        answer = _Answer(request.app.state.conversations, asked, exchange)
        if asked.stream:
            return EventSourceResponse(request.app.state.closing.through(answer.chunks()), headers=HEADERS)
        return JSONResponse(await answer.whole())


async def _asked_by(request: Request) -> str:
    identity: Identity = request.app.state.identity
    try:
        return (await identity.session(request)).person.name
    except HTTPException as exc:
        raise Refused(exc.status_code, str(exc.detail), code="invalid_api_key" if exc.status_code == 401 else None) from None


async def _request(request: Request) -> _Request:
    try:
        return _Request.model_validate_json(await bounded(request, MOST_BYTES))
    except HTTPException as exc:
        raise Refused(exc.status_code, str(exc.detail)) from None
    except ValidationError as exc:
        fault = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"][:4])
        if not place:
            raise Refused(400, f"We could not parse the JSON body of your request: {fault['msg']}") from None
        raise Refused(400, f"Invalid value for '{place}': {fault['msg']}", param=place, code="invalid_value") from None


def _must_be_answerable(asked: _Request) -> None:
    """Raises Refused."""
    _must_be_ours(asked.model)
    unsupported = {
        "n": asked.n is not None and asked.n != 1,
        "logprobs": bool(asked.logprobs),
        "modalities": asked.modalities is not None and asked.modalities != ["text"],
        "response_format": asked.response_format is not None and asked.response_format.type != "text",
        "tool_choice": asked.tool_choice not in (None, "none", "auto"),
    }
    for name, is_unsupported in unsupported.items():
        if is_unsupported:
            raise Refused(400, f"'{name}' is not supported with this model as it was given", param=name, code="unsupported_value")
    if not any(message.role == "user" for message in asked.messages):
        raise Refused(400, "'messages' holds no message of the user, so nothing is asked", param="messages")
    last = _last(asked)
    if not asked.messages[last].is_text:
        raise Refused(400, "only text can be asked here", param=f"messages.{last}.content", code="unsupported_value")


def _must_be_ours(model: str) -> None:
    if model != MODEL:
        raise Refused(404, f"The model '{model[:80]}' does not exist; this is '{MODEL}'", param="model", code="model_not_found")


def _last(asked: _Request) -> int:
    return max(number for number, message in enumerate(asked.messages) if message.role == "user")


async def _begun(conversations: Conversations, asked: _Request, asked_by: str) -> Exchange:
    """In the conversation that these words were said in; a branch of it where it went on otherwise."""
    last = _last(asked)
    said = asked.messages[last].words
    before = _spoken(asked.messages[:last])
    try:
        found = await conversations.marked(_key(before), asked_by=asked_by) if before else None
        if found is not None and found.is_last:
            try:
                return await conversations.begin(said, session=found.session, asked_by=asked_by)
            except Busy:  # the same is asked a second time before it was answered
                pass
        return await conversations.begin(said, thread=found.thread if found else None, asked_by=asked_by)
    except LestradeError as exc:
        raise Refused(status_of(exc), str(exc), param="messages" if status_of(exc) == 400 else None) from None


def _spoken(messages: Sequence[_Message]) -> list[tuple[str, str]]:
    return [(one.role, " ".join(one.words.split())) for one in messages if one.role in ("user", "assistant")]


def _key(spoken: Sequence[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(list(spoken)).encode()).hexdigest()


def _model() -> dict[str, Json]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "lestrade"}


class _Answer:
    """One answer in OpenAI's forms."""

    def __init__(self, conversations: Conversations, asked: _Request, exchange: Exchange) -> None:
        self._conversations = conversations
        self._asked = asked
        self._exchange = exchange
        self._head: dict[str, Json] = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": MODEL,
        }

    async def whole(self) -> dict[str, Json]:
        try:
            reply = await self._exchange.answer()
        except LestradeError as exc:
            raise Refused(status_of(exc), str(exc)) from None
        await self._mark(reply.text)
        message: dict[str, Json] = {"role": "assistant", "content": reply.text, "refusal": None}
        choice: dict[str, Json] = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": self._usage(reply.text)}

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})
        async for told in self._exchange.hear(QUIET_SECONDS):
            match told:
                case None:
                    yield KEEPALIVE_COMMENT
                case Stepped(stage=stage, text=text):
                    yield self._chunk({"reasoning_content": f"{stage}: {text}\n"})
                case Answered(reply=reply):
                    await self._mark(reply.text)
                    for part in reply.text.splitlines(keepends=True):
                        yield self._chunk({"content": part})
                    yield self._chunk({}, finish="stop")
                    if self._asked.stream_options and self._asked.stream_options.include_usage:
                        yield _event({**self._chunk_head(), "choices": [], "usage": self._usage(reply.text)})
                case Failed(error=error):
                    yield _event({"error": Refused(status_of(error), str(error)).body})
        yield format_sse_event(data_str="[DONE]")

    async def _mark(self, answer: str) -> None:
        """An answer that is not found again later is an answer all the same."""
        last = _last(self._asked)
        spoken = [*_spoken(self._asked.messages[: last + 1]), ("assistant", " ".join(answer.split()))]
        with contextlib.suppress(StoreUnavailable):
            await self._conversations.mark(self._exchange, _key(spoken))

    def _chunk(self, delta: dict[str, Json], *, finish: str | None = None) -> bytes:
        choice: dict[str, Json] = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**self._chunk_head(), "choices": [choice]})

    def _chunk_head(self) -> dict[str, Json]:
        return {**self._head, "object": "chat.completion.chunk"}

    def _usage(self, answer: str) -> dict[str, Json]:
        asked = sum(_pieces(message.words) for message in self._asked.messages)
        return {"prompt_tokens": asked, "completion_tokens": _pieces(answer), "total_tokens": asked + _pieces(answer)}


def _event(document: dict[str, Json]) -> bytes:
    return format_sse_event(data_str=json.dumps(document, ensure_ascii=False))


def _pieces(words: str) -> int:
    return (len(words.encode()) + 3) // 4
