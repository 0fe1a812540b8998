"""An OpenAI-compatible server on loopback: real HTTP, Chat Completions plain and streamed, answers by script.

A script is a function of the conversation (`Talk`) that gives what the model says next: `Calls`, `Says` or `Broken`. It sees what
tools answered, so that it can react as a model does.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-0123456789abcdefghij"
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


@dataclass(frozen=True)
class Says:
    text: str


@dataclass(frozen=True)
class Calls:
    """(name, arguments); arguments that are a str go out as they are."""

    calls: Sequence[tuple[str, Any]]

    @classmethod
    def one(cls, name: str, /, **arguments: Any) -> "Calls":
        return cls([(name, arguments)])


@dataclass(frozen=True)
class Broken:
    """An answer of a broken server."""

    status: int = 500
    body: str = "{}"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Talk:
    """What the server was sent."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    model: str = ""

    @property
    def turn(self) -> int:
        """How often the model has spoken already."""
        return sum(one["role"] == "assistant" for one in self.messages)

    @property
    def opening(self) -> str:
        return str(self.messages[1]["content"])

    @property
    def tool_names(self) -> list[str]:
        return [one["function"]["name"] for one in self.tools]

    def results(self) -> list[str]:
        """What tools answered, in order."""
        return [str(one["content"]) for one in self.messages if one["role"] == "tool"]

    @property
    def last(self) -> str:
        return str(self.messages[-1]["content"])


Script = Callable[[Talk], Says | Calls | Broken]


class _Quiet(ThreadingHTTPServer):
    """A client that did not wait is no error of the server's; a script that breaks is, and is told."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class ModelServer:
    """`talks` are all requests that came in, as sent. `url` is the base URL for a client."""

    def __init__(self, script: Script, *, counts: bool = False) -> None:
        self.script = script
        self.counts = counts  # tokens by the letters that come and go; else the same number each time
        self.talks: list[Talk] = []
        self.keys: list[str] = []
        self.raw: list[str] = []
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @classmethod
    @contextmanager
    def running(cls, script: Script, *, counts: bool = False) -> "Iterator[ModelServer]":
        server = cls(script, counts=counts)
        thread = threading.Thread(target=server._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server._server.shutdown()
            server._server.server_close()


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            body = json.loads(raw)
            server.raw.append(raw)
            server.keys.append(self.headers.get("Authorization", ""))
            talk = Talk(messages=body["messages"], tools=body.get("tools", []), model=body.get("model", ""))
            server.talks.append(talk)
            said = server.script(talk)
            usage = _counted(raw, said) if server.counts and not isinstance(said, Broken) else USAGE
            if isinstance(said, Broken):
                self._send(said.status, said.body.encode(), said.content_type, said.headers)
            elif body.get("stream"):
                self._send(200, "".join(events(said, talk, usage)).encode(), "text/event-stream", {})
            else:
                self._send(200, json.dumps(completion(said, talk, usage)).encode(), "application/json", {})

        def _send(self, status: int, body: bytes, content_type: str, headers: dict[str, str]) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _counted(raw: str, said: Says | Calls) -> dict[str, int]:
    prompt, completion = len(raw) // 4, max(1, len(str(said)) // 4)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def completion(said: Says | Calls, talk: Talk | None = None, usage: Mapping[str, int] = USAGE) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text if isinstance(said, Says) else None}
    if isinstance(said, Calls):
        message["tool_calls"] = _calls(said, talk)
    finish = "tool_calls" if isinstance(said, Calls) else "stop"
    return {
        "id": "c-1", "object": "chat.completion", "created": 1, "model": "stand-in",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": dict(usage),
    }  # fmt: skip


def _calls(said: Calls, talk: Talk | None) -> list[dict[str, Any]]:
    turn = talk.turn if talk else 0
    return [
        {
            "id": f"call-{turn}-{number}",
            "type": "function",
            "function": {"name": name, "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments)},
        }
        for number, (name, arguments) in enumerate(said.calls)
    ]


def events(said: Says | Calls, talk: Talk, usage: Mapping[str, int] = USAGE) -> Iterator[str]:
    """Arguments and text in pieces, tool calls interleaved, usage in a last chunk without choices."""
    yield _chunk({"role": "assistant", "content": ""})
    if isinstance(said, Says):
        for start in range(0, len(said.text), 40):
            yield _chunk({"content": said.text[start : start + 40]})
    else:
        calls = _calls(said, talk)
        for index, call in enumerate(calls):
            function = {"name": call["function"]["name"], "arguments": ""}
            yield _chunk({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": function}]})
        rest = [call["function"]["arguments"] for call in calls]
        while any(rest):
            for index, text in enumerate(rest):
                if text:
                    yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": text[:30]}}]})
                    rest[index] = text[30:]
    yield _chunk({}, "tool_calls" if isinstance(said, Calls) else "stop")
    yield _event([], usage=dict(usage))
    yield "data: [DONE]\n\n"


def _chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    return _event([{"index": 0, "delta": delta, "finish_reason": finish}])


def _event(choices: list[dict[str, Any]], **more: Any) -> str:
    document = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "stand-in", "choices": choices, **more}
    return f"data: {json.dumps(document)}\n\n"
