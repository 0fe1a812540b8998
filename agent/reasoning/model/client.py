"""The one door of `openai`: Chat Completions of any server that speaks it. Whatever goes wrong comes out as ModelUnavailable.

An injected httpx client, so that tests and production share a transport; no redirects, because the key would go with them.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httpx
import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, omit
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolUnionParam,
)
from openai.types.completion_usage import CompletionUsage

from agent.errors import ModelUnavailable
from agent.ports.model import Message, Progress, Reply, ToolCall, ToolSpec, Usage
from agent.signals.masking import mask, safe

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_SECONDS = 5.0
LONGEST_ANSWER = 400_000  # characters; no answer of ours is that long
MOST_CALLS = 64  # of one message
MOST_TOKENS = 100_000_000  # that a server may say it counted for one answer
LETTERS_PER_TOKEN = 4  # a rule of thumb, where the server does not count
_OVERFLOW = re.compile(
    r"context.{0,20}(length|window|size)|maximum context|too many tokens|prompt is too long|exceeds?.{0,30}context", re.I
)
_NEW_LIMIT = ("openai.com", "azure.com")  # these want max_completion_tokens, others may know max_tokens only


class OpenAIChat:
    """ChatModel over one server. `key` may be empty for a server that asks for none."""

    def __init__(self, *, model: str, url: str, key: str, http: httpx.AsyncClient, retries: int = 2, stream: bool = True) -> None:
        self._model = model
        self._url = url or OPENAI_URL
        self._key = key
        self._stream = stream
        # httpx is taken as well as its successor, which is the only one that the library's types name.
        client = cast(DefaultAsyncHttpxClient, http)
        self._client = AsyncOpenAI(base_url=self._url, api_key=key or "none", http_client=client, max_retries=retries)
        host = urlsplit(self._url).hostname or ""
        self._new_limit = host.endswith(_NEW_LIMIT)

    @classmethod
    def connect(cls, *, model: str, url: str, key: str, seconds: float, retries: int, stream: bool) -> "OpenAIChat":
        http = httpx.AsyncClient(timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS), follow_redirects=False)
        return cls(model=model, url=url, key=key, http=http, retries=retries, stream=stream)

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
            return await self._asked([_wire(one) for one in messages], [_tool(one) for one in tools], most_tokens, progress)
        except openai.APIStatusError as exc:
            raise self._refused(exc) from None  # the cause would carry the request, and with it the key
        except openai.APITimeoutError:
            raise self._unavailable("timeout", "does not answer in time") from None
        except openai.APIConnectionError as exc:
            raise self._unavailable("unreachable", f"cannot be reached ({type(exc.__cause__ or exc).__name__})") from None
        except httpx.TimeoutException:  # in the middle of a stream
            raise self._unavailable("timeout", "stopped in the middle of an answer") from None
        except httpx.HTTPError as exc:
            raise self._unavailable("unreachable", f"broke off in the middle of an answer ({type(exc).__name__})") from None
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, KeyError, IndexError) as exc:
            raise self._unavailable("no-answer", f"answers with something that is no answer ({type(exc).__name__})") from None

    async def _asked(
        self,
        messages: list[ChatCompletionMessageParam],
        tools: list[ChatCompletionToolUnionParam],
        most_tokens: int,
        progress: Progress | None,
    ) -> Reply:
        new, old = (most_tokens, omit) if self._new_limit else (omit, most_tokens)
        sent = sum(len(json.dumps(one, default=str)) for one in messages)
        if not self._stream:
            whole = await self._client.chat.completions.create(
                model=self._model, messages=messages, tools=tools or omit, max_completion_tokens=new, max_tokens=old
            )
            return self._read(whole, sent)
        chunks = await self._client.chat.completions.create(
            model=self._model,
            messages=messages,
            tools=tools or omit,
            max_completion_tokens=new,
            max_tokens=old,
            stream=True,
            stream_options={"include_usage": True},
        )
        coming = _Coming()
        async for chunk in chunks:
            coming.take(chunk)
            if progress is not None and (line := coming.news()):
                await progress(line)
        return self._whole(coming, sent)

    def _read(self, whole: ChatCompletion, sent: int) -> Reply:
        # The library's types promise more than servers keep: HTML with status 200 comes out as a str.
        if not isinstance(whole, ChatCompletion):
            raise self._unavailable("no-answer", f"answers with {type(whole).__name__} where a completion is expected")
        if not whole.choices:
            raise self._unavailable("no-answer", f"answers without a choice{_error_in(whole.model_extra)}")
        choice = whole.choices[0]
        if choice.message is None:
            raise self._unavailable("no-answer", "answers with a choice that says nothing")
        calls = tuple(
            ToolCall(id=one.id or f"call-{number}", name=one.function.name or "", arguments=one.function.arguments or "")
            for number, one in enumerate(choice.message.tool_calls or (), start=1)
            if isinstance(one, ChatCompletionMessageFunctionToolCall)
        )
        return self._checked(choice.message.content or "", calls, _counted(whole.usage), choice.finish_reason or "", sent)

    def _whole(self, coming: "_Coming", sent: int) -> Reply:
        if not coming.saw_choice:
            raise self._unavailable("no-answer", f"answers without a choice{_error_in(coming.extra)}")
        if not coming.finish:
            raise self._unavailable("cut-off", "broke off in the middle of an answer")
        return self._checked(coming.text, coming.calls(), coming.usage, coming.finish, sent)

    def _checked(self, text: str, calls: tuple[ToolCall, ...], counted: Usage | None, finish: str, sent: int) -> Reply:
        if finish == "length":
            raise self._unavailable("cut-off", "had more to say than it may (finish_reason length)")
        if not text.strip() and not calls:
            raise self._unavailable("no-answer", "answers with nothing")
        said = len(text) + sum(len(one.name) + len(one.arguments) for one in calls)
        if said > LONGEST_ANSWER or len(calls) > MOST_CALLS:
            raise self._unavailable("no-answer", f"answers with {said} characters and {len(calls)} tool calls, which is too much")
        guessed = Usage(prompt=sent // LETTERS_PER_TOKEN + 1, completion=said // LETTERS_PER_TOKEN + 1)
        whole = tuple(ToolCall(id=_clean(one.id), name=_clean(one.name), arguments=_clean(one.arguments)) for one in calls)
        return Reply(text=_clean(text), calls=whole, usage=counted or guessed)

    def _refused(self, exc: openai.APIStatusError) -> ModelUnavailable:
        status, said = exc.status_code, self._words(exc)
        if status in (400, 413, 422) and _OVERFLOW.search(said):
            return self._unavailable("context-overflow", "cannot take that much text at once")
        match status:
            case 401:
                return self._unavailable("wrong-key", "does not accept the key (HTTP 401; see LESTRADE_MODEL_KEY_FILE)")
            case 403:
                return self._unavailable("forbidden", "does not let this key use it (HTTP 403)")
            case 404:
                return self._unavailable("no-such-model", f"knows no model {self._model} (HTTP 404; see LESTRADE_MODEL)")
            case 429:
                wait = exc.response.headers.get("retry-after", "")
                later = f", may be asked again in {safe(wait, limit=20)} s" if wait else ""
                return self._unavailable("rate-limited", f"is asked too often, or its quota is used up (HTTP 429{later})")
            case _ if status >= 500:
                return self._unavailable("server-error", f"is broken (HTTP {status})")
            case _:
                return self._unavailable("refused", f"refuses the request (HTTP {status}{f': {said}' if said else ''})")

    def _words(self, exc: openai.APIStatusError) -> str:
        body = exc.body if isinstance(exc.body, dict) else {}
        said = str(body.get("message") or body.get("code") or "")
        if self._key:
            said = said.replace(self._key, "[masked]")
        return safe(said, limit=200)

    def _unavailable(self, reason: str, what: str) -> ModelUnavailable:
        where = urlsplit(self._url)
        host = f"{where.scheme}://{where.hostname}{f':{where.port}' if where.port else ''}"
        return ModelUnavailable(reason, mask(f"the model at {host} {what}"))


@dataclass(slots=True)
class _Coming:
    """An answer as it comes, in pieces. Servers differ in how they number the pieces of tool calls."""

    text: str = ""
    finish: str = ""
    size: int = 0  # of all arguments
    saw_choice: bool = False
    usage: Usage | None = None
    extra: dict[str, object] | None = None
    _calls: list[dict[str, str]] = field(default_factory=list)
    _by_index: dict[int, int] = field(default_factory=dict)
    _told: int = 0

    def take(self, chunk: ChatCompletionChunk) -> None:
        if chunk.usage is not None:
            self.usage = _counted(chunk.usage)
        self.extra = chunk.model_extra or self.extra
        for choice in chunk.choices or ():
            if choice.index:
                continue
            self.saw_choice = True
            self.finish = choice.finish_reason or self.finish
            self.text += choice.delta.content or ""
            self.size += sum(len(one.function.arguments or "") for one in choice.delta.tool_calls or () if one.function)
            if len(self.text) + self.size > LONGEST_ANSWER or len(self._calls) > MOST_CALLS:
                raise ValueError("too long")
            for piece in choice.delta.tool_calls or ():
                place = self._by_index.get(piece.index)
                if place is None or (piece.id and self._calls[place]["id"] not in ("", piece.id)):
                    place = self._by_index[piece.index] = len(self._calls)
                    self._calls.append({"id": "", "name": "", "arguments": ""})
                call = self._calls[place]
                call["id"] = piece.id or call["id"]
                call["name"] += (piece.function.name or "") if piece.function else ""
                call["arguments"] += (piece.function.arguments or "") if piece.function else ""

    def news(self) -> str:
        """A line for who waits, each time that a tool call begins."""
        if len(self._calls) <= self._told or not self._calls[-1]["name"]:
            return ""
        self._told = len(self._calls)
        return f"asks for {safe(self._calls[-1]['name'], limit=60)}"

    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(
            ToolCall(id=one["id"] or f"call-{number}", name=one["name"], arguments=one["arguments"])
            for number, one in enumerate(self._calls, start=1)
        )


def _wire(message: Message) -> ChatCompletionMessageParam:
    document: dict[str, object] = {"role": message.role, "content": message.text}
    if message.calls:
        document["tool_calls"] = [
            {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.arguments}}
            for one in message.calls
        ]
    if message.role == "tool":
        document["tool_call_id"] = message.answers
    return cast(ChatCompletionMessageParam, document)


def _tool(spec: ToolSpec) -> ChatCompletionToolUnionParam:
    function: dict[str, object] = {"name": spec.name, "description": spec.description, "parameters": dict(spec.parameters)}
    return cast(ChatCompletionToolUnionParam, {"type": "function", "function": function})


def _counted(usage: CompletionUsage | None) -> Usage | None:
    """None for a count that is none: one below nothing would pay a budget back, and one beyond all bounds cannot be kept."""
    if usage is None:
        return None
    numbers = (usage.prompt_tokens, usage.completion_tokens)
    if not all(type(one) is int and 0 <= one <= MOST_TOKENS for one in numbers) or not usage.prompt_tokens:
        return None
    return Usage(prompt=usage.prompt_tokens, completion=usage.completion_tokens)


def _clean(raw: str) -> str:
    """Half characters (lone surrogates) can come in as JSON, and can be neither stored nor sent."""
    return raw.encode(errors="replace").decode()


def _error_in(extra: object) -> str:
    """Some servers say with status 200 that something went wrong."""
    found = extra.get("error") if isinstance(extra, dict) else None
    said = found.get("message") if isinstance(found, dict) else found
    return f": {safe(str(said), limit=160)}" if isinstance(said, Iterable) and said else ""
