"""The one door of `openai`: Chat Completions of any server that speaks it. Whatever goes wrong comes out as ModelUnavailable.

An injected httpx client, so that tests and production share a transport; no redirects, because the key would go with them. What
is said and what is read are plain JSON of our own (wire, answer): servers keep less than the library's types promise.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import cast
from urllib.parse import SplitResult, parse_qsl, urlsplit

import httpx
import openai
import orjson
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Omit, omit
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

from agent.errors import ModelUnavailable
from agent.ports.model import Message, Progress, Reply, ToolCall, ToolSpec, Usage
from agent.reasoning.model.answer import Answer, TooMuch, events_of
from agent.reasoning.model.bounded import bound, lines_of
from agent.reasoning.model.wire import MOST_DIALECTS, Dialect, adapted, body_of, tool_of
from agent.signals.masking import mask, safe

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 5.0
REMEMBERED_SECONDS = 3600.0
LETTERS_PER_TOKEN = 4  # a rule of thumb, where the server does not count
LONGEST_ID = 64
_OVERFLOW = re.compile(
    r"context.{0,20}(length|window|size)|maximum context|too many tokens|prompt is too long|exceeds?.{0,30}context"
    r"|input (token count|is too long)|too large for model",
    re.I,
)
_NEW_LIMIT = ("openai.com", "azure.com")  # these want max_completion_tokens, others may know max_tokens only


class OpenAIChat:
    """ChatModel over one server. `key` may be empty for a server that asks for none; `seconds` is how long one answer may take
    to come in."""

    def __init__(
        self,
        *,
        model: str,
        url: str,
        key: str,
        http: httpx.AsyncClient,
        seconds: float = 120.0,
        retries: int = 2,
        stream: bool = True,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._url = url or OPENAI_URL
        self._key = key
        self._seconds = seconds
        self._stream = stream
        http.headers["Accept-Encoding"] = "identity"
        http.event_hooks = {**http.event_hooks, "response": [*http.event_hooks["response"], bound]}
        # httpx is taken as well as its successor, which is the only one that the library's types name.
        client = cast(DefaultAsyncHttpxClient, http)
        where = urlsplit(self._url)
        host = where.hostname or ""
        self._client = AsyncOpenAI(
            base_url=where._replace(query="", fragment="").geturl(),
            api_key=key or "none",
            http_client=client,
            max_retries=retries,
            default_query=dict(parse_qsl(where.query)) or None,  # such as Azure's api-version
        )
        self._headers = _headers(where, key)
        self._first = self._dialect = Dialect(new_limit=host.endswith(_NEW_LIMIT))
        self._elapsed, self._learned_at = elapsed, 0.0

    @classmethod
    def connect(cls, *, model: str, url: str, key: str, seconds: float, retries: int, stream: bool) -> "OpenAIChat":
        http = httpx.AsyncClient(timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS), follow_redirects=False)
        return cls(model=model, url=url, key=key, http=http, seconds=seconds, retries=retries, stream=stream)

    @property
    def name(self) -> str:
        return self._model

    async def close(self) -> None:
        await self._client.close()

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], *, most_tokens: int, progress: Progress | None = None
    ) -> Reply:
        if not self._key and self._url == OPENAI_URL:
            raise ModelUnavailable("no-key", "there is no key for the model (set LESTRADE_MODEL_KEY_FILE)")
        try:
            return await self._understood(messages, tools, most_tokens, progress)
        except openai.APIStatusError as exc:
            raise self._refused(exc.status_code, self._words(exc), exc.response.headers.get("retry-after", "")) from None
        except TooMuch as exc:
            raise self._unavailable("no-answer", f"answers with {exc}, which is too much") from None
        except openai.APITimeoutError:
            raise self._unavailable("timeout", "does not answer in time") from None
        except openai.APIConnectionError as exc:
            if isinstance(exc.__cause__, TooMuch):
                raise self._unavailable("no-answer", f"answers with {exc.__cause__}, which is too much") from None
            raise self._unavailable("unreachable", f"cannot be reached ({type(exc.__cause__ or exc).__name__})") from None
        except (httpx.TimeoutException, TimeoutError):  # in the middle of an answer
            raise self._unavailable("timeout", "stopped in the middle of an answer, or takes too long for it") from None
        except httpx.HTTPError as exc:
            raise self._unavailable("unreachable", f"broke off in the middle of an answer ({type(exc).__name__})") from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as exc:
            raise self._unavailable("no-answer", f"answers with something that is no answer ({type(exc).__name__})") from None

    async def _understood(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], most_tokens: int, progress: Progress | None
    ) -> Reply:
        """The answer, asked for in the dialect that this server takes; what it refuses by name is remembered for a while: what it
        was taken for may have been mended, and a server that takes more does not say so."""
        if self._elapsed() - self._learned_at > REMEMBERED_SECONDS:
            self._dialect = self._first
        tried, stumbled = [self._dialect], False
        while True:
            try:
                answer, sent = await self._asked(messages, tools, most_tokens, progress, tried[-1])
            except openai.APIStatusError as exc:
                if exc.code == "tool_use_failed" and not stumbled:  # the model wrote no call that the server can read (Groq)
                    stumbled = True
                    continue
                other = adapted(tried[-1], _said(exc)) if exc.status_code in (400, 404, 405, 422, 500, 501) else None
                if other is None or other in tried or len(tried) >= MOST_DIALECTS:
                    raise
                tried.append(other)
                continue
            if (spoken := replace(tried[-1], room=0)) != self._dialect:
                self._dialect, self._learned_at = spoken, self._elapsed()
            return self._checked(answer, messages, tools, sent)

    async def _asked(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        most_tokens: int,
        progress: Progress | None,
        dialect: Dialect,
    ) -> tuple[Answer, int]:
        """What it answered, and how many letters it was sent."""
        told = body_of(messages, tools, dialect)
        offered = [tool_of(one) for one in tools] if dialect.tools else []
        most, streams = min([most_tokens, *filter(None, (dialect.most, dialect.room))]), self._stream and dialect.streams
        async with self._client.chat.completions.with_streaming_response.create(
            model=self._model,
            messages=[cast(ChatCompletionMessageParam, one) for one in told],
            tools=[cast(ChatCompletionToolUnionParam, one) for one in offered] or omit,
            max_completion_tokens=most if dialect.new_limit else omit,
            max_tokens=omit if dialect.new_limit else most,
            stream=streams,
            stream_options={"include_usage": True} if streams and dialect.counts else omit,
            extra_headers=self._headers,
            reasoning_effort="none" if dialect.no_effort and offered else omit,
        ) as response:
            kind = response.headers.get("content-type", "")
            async with asyncio.timeout(self._seconds):
                answer = await _read(response.iter_bytes(), progress, is_stream="event-stream" in kind)
        return answer, len(orjson.dumps(told)) + len(orjson.dumps(offered))

    def _checked(self, answer: Answer, messages: Sequence[Message], tools: Sequence[ToolSpec], sent: int) -> Reply:
        if answer.error:
            said = self._without_key(answer.error)
            if answer.status >= 400:
                raise self._refused(answer.status, said, "")
            raise self._unavailable("no-answer", f"answers with an error: {said}")
        if not answer.saw_choice:
            raise self._unavailable("no-answer", "answers without a choice")
        if not answer.finish:
            raise self._unavailable("cut-off", "broke off in the middle of an answer")
        if answer.finish == "length":
            words = "had more to say, or to think, than it may (finish_reason length; see LESTRADE_MODEL_ANSWER_TOKENS)"
            raise self._unavailable("cut-off", words)
        letters = answer.size + len(answer.thought)
        answer.settle([one.name for one in tools])
        if not answer.text.strip() and not answer.calls:
            if answer.refusal:
                raise self._unavailable("refused", f"declines to answer: {safe(answer.refusal, limit=160)}")
            if answer.finish == "content_filter":
                raise self._unavailable("refused", "was stopped by a content filter")
            raise self._unavailable("no-answer", "answers with nothing" if not letters else "thinks aloud and then says nothing")
        guessed = Usage(prompt=sent // LETTERS_PER_TOKEN + 1, completion=letters // LETTERS_PER_TOKEN + 1)
        thought = _clean(answer.thought)
        return Reply(text=_clean(answer.text), calls=_calls(answer, messages), usage=answer.usage or guessed, thought=thought)

    def _refused(self, status: int, said: str, later: str) -> ModelUnavailable:
        if status in (400, 413, 422, 500) and _OVERFLOW.search(said):
            return self._unavailable("context-overflow", "cannot take that much text at once")
        match status:
            case 401:
                return self._unavailable("wrong-key", "does not accept the key (HTTP 401; see LESTRADE_MODEL_KEY_FILE)")
            case 403:
                return self._unavailable("forbidden", "does not let this key use it (HTTP 403)")
            case 404:
                return self._unavailable("no-such-model", f"knows no model {self._model} (HTTP 404; see LESTRADE_MODEL)")
            case 429:
                wait = f", may be asked again in {safe(later, limit=20)} s" if later else ""
                return self._unavailable("rate-limited", f"is asked too often, or its quota is used up (HTTP 429{wait})")
            case _ if status >= 500:
                return self._unavailable("server-error", f"is broken (HTTP {status})")
            case _:
                return self._unavailable("refused", f"refuses the request (HTTP {status}{f': {said}' if said else ''})")

    def _words(self, exc: openai.APIStatusError) -> str:
        body = _told(exc)
        return self._without_key(str(body.get("message") or body.get("detail") or body.get("code") or ""))

    def _without_key(self, said: str) -> str:
        if self._key:
            said = said.replace(self._key, "[masked]")
        return safe(said, limit=200)

    def _unavailable(self, reason: str, what: str) -> ModelUnavailable:
        where = urlsplit(self._url)
        host = f"{where.scheme}://{where.hostname}{f':{where.port}' if where.port else ''}"
        return ModelUnavailable(reason, mask(f"the model at {host} {what}"))


def _headers(where: SplitResult, key: str) -> Mapping[str, str | Omit] | None:
    """Azure takes a key of its own for a bearer token where the deployment stands in the path (before its v1)."""
    if (where.hostname or "").endswith("azure.com") and "/openai/deployments/" in where.path and key:
        return {"api-key": key, "Authorization": Omit()}
    return None


def _told(exc: openai.APIStatusError) -> Mapping[str, object]:
    """An error is an object, or a text (LM Studio, older Ollama)."""
    if isinstance(exc.body, str):
        return {"message": exc.body}
    return exc.body if isinstance(exc.body, dict) else {}


def _said(exc: openai.APIStatusError) -> str:
    """All that a refusal says of itself, and nothing that it repeats of what it was sent: gateways put the words of the server
    behind them further in."""
    body = _told(exc)
    detail, metadata = body.get("detail"), body.get("metadata")
    told = [body.get("message"), body.get("code"), body.get("param")]
    told += [metadata.get("raw")] if isinstance(metadata, dict) else []
    if isinstance(detail, list):
        told += [f"{one.get('loc')} {one.get('msg')}".replace("'", "") for one in detail if isinstance(one, dict)]
    return " ".join(str(one) for one in (*told, detail if isinstance(detail, str) else None) if one)[:4000]


async def _read(pieces: AsyncIterator[bytes], progress: Progress | None, *, is_stream: bool) -> Answer:
    """Whole or in pieces, as it comes whatever was asked for: some servers do not stream, and some do nothing else."""
    answer = Answer()
    if not is_stream:
        body = b"".join([piece async for piece in pieces]).strip()
        if not body.startswith((b"data:", b"event:", b":")):
            answer.take(json.loads(body))
            answer.finish = answer.finish or "stop"  # it came whole
            return answer
        for event in events_of(iter(body.replace(b"\r\n", b"\n").split(b"\n"))):
            _taken(answer, event)
        return answer
    told, event_lines = 0, list[bytes]()
    async for line in lines_of(pieces):
        event_lines.append(line)
        if line:
            continue
        for event in events_of(iter(event_lines)):
            _taken(answer, event)
        event_lines = []
        if progress is not None and len(answer.calls) > told and answer.calls[-1].name:
            told = len(answer.calls)
            await progress(f"asks for {safe(answer.calls[-1].name, limit=60)}")
    for event in events_of(iter(event_lines)):
        _taken(answer, event)
    return answer


def _taken(answer: Answer, event: bytes) -> None:
    if event == b"[DONE]":
        answer.finish = answer.finish or "stop"
    else:
        answer.take(json.loads(event))


def _calls(answer: Answer, messages: Sequence[Message]) -> tuple[ToolCall, ...]:
    """Each with an id that no other call of the conversation has: some servers give none, or the same ones in every message.
    Ours are nine letters and digits, which is what Mistral's templates want."""
    used = {call.id for message in messages for call in message.calls}
    turn = sum(message.role == "assistant" for message in messages)
    ours = (f"c{turn:04}{number:04}" for number in count())
    found = []
    for one in answer.calls:
        name = _clean(one.id)
        if not name or name in used or len(name) > LONGEST_ID:
            name = next(own for own in ours if own not in used)
        used.add(name)
        found.append(ToolCall(id=name, name=_clean(one.name), arguments=_clean(one.arguments), extra=one.extra))
    return tuple(found)


def _clean(raw: str) -> str:
    """Half characters (lone surrogates) can come in as JSON, and can be neither stored nor sent."""
    return raw.encode(errors="replace").decode()
