"""MCP servers as toolsets: each pinned by a digest of its tools' schemas, and only tools that read, unless others are listed.

A connection lives for one question, or for the declared questions of one run: what the tools are is looked at each time, so that
they cannot change behind the pin.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import httpx2
import orjson
from mcp import Client, MCPError
from mcp.client import Transport
from mcp.client._transport import TransportStreams
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp.types import CallToolResult, TextContent, jsonrpc_message_adapter
from mcp.types import Tool as Offered

from agent.errors import ReadRefused, ToolRefused
from agent.ports.toolset import Sighting, Tool, View
from agent.signals.masking import mask
from agent.toolsets.declared_witness import SECONDS as SECONDS_UNASKED
from agent.toolsets.declared_witness import Answered, Reach, Request
from agent.toolsets.mcp_servers import Server
from agent.toolsets.programs import spoken_with
from sidecar.contract import Json

SECONDS = 15.0
MOST_LETTERS = 400_000
MOST_UNASKED = 200_000  # letters: of what is longer the rest might say otherwise
MOST_BYTES = 8_000_000  # of one answer, with its wrapping: the library reads to the end whatever comes
_UNSAID = re.compile(r"[^A-Za-z0-9_-]")  # models refuse every tool of a request where one has such a name


class McpEyes:
    """One server. Opened by `look`, which asks once what it offers."""

    def __init__(self, server: Server, offered: Sequence[Offered], why_off: str) -> None:
        self._server = server
        self._offered = [one for one in offered if _reads(one) or one.name in server.tools]
        self.name = f"mcp {server.name}"
        self.why_off = why_off or ("" if self._offered else "it offers no tool that says of itself that it only reads")

    @classmethod
    async def look(cls, server: Server) -> "McpEyes":
        try:
            offered = await _offered(server)
        except ReadRefused as exc:
            return cls(server, (), str(exc))
        try:
            found = digest_of(offered)
        except (TypeError, ValueError) as exc:
            return cls(server, (), f"its tools are declared in a way that cannot be pinned: {exc}")
        if not server.digest:
            return cls(server, (), f"it is not pinned: look at its tools, then set digest: {found}")
        if found != server.digest:
            return cls(server, (), f"its tools are not those that were pinned: look at them, then set digest: {found}")
        return cls(server, offered, "")

    @property
    def usable(self) -> tuple[str, ...]:
        """Names of the tools that may be called, as the server calls them."""
        return tuple(one.name for one in self._offered)

    def tools(self, view: View) -> Sequence[Tool]:
        return tuple(self._tool(one) for one in self._offered)

    def _tool(self, offered: Offered) -> Tool:
        name = _UNSAID.sub("_", f"{self._server.name}_{offered.name}")[:64]

        async def run(text: str) -> Sighting:
            try:
                arguments = orjson.loads(text or "{}")
            except orjson.JSONDecodeError as exc:
                raise ToolRefused(f"{name}: the arguments are no JSON: {exc}") from None
            if not isinstance(arguments, dict):
                raise ToolRefused(f"{name}: the arguments are no JSON object")
            said = await _called(self._server, offered.name, arguments)
            return Sighting(
                source=f"mcp: {self._server.name} {offered.name}", text=said, missing="" if said else "it says nothing"
            )

        good_for = "; ".join(one.settles for one in self._server.asks if one.tool == offered.name)
        told = " ".join(filter(None, ((offered.description or "")[:800], good_for and f"Good for: {good_for}")))
        return Tool(name=name, description=told, schema=offered.input_schema, run=run)


def digest_of(offered: Sequence[Offered]) -> str:
    """SHA-256 over names, descriptions, schemas and what the tools say of themselves, in order of name."""
    document = [
        [one.name, one.description or "", one.input_schema, one.annotations.model_dump() if one.annotations else {}]
        for one in sorted(offered, key=lambda one: one.name)
    ]
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _reads(offered: Offered) -> bool:
    return offered.annotations is not None and offered.annotations.read_only_hint is True


def reach_of(server: Server, seconds: float = SECONDS_UNASKED) -> Reach:
    """The declared questions of one run, over one connection."""

    async def reach(requests: Sequence[Request]) -> Sequence[Answered]:
        found = dict[int, Answered]()
        why = f"no answer within {seconds:g} s"
        try:
            async with asyncio.timeout(seconds), Client(_place(server), read_timeout_seconds=seconds) as client:
                offered = await _all(client)
                is_pinned = bool(server.digest) and digest_of(offered) == server.digest
                if not is_pinned:
                    why = "its tools are not those that were pinned (`lestrade toolsets` says which they are)"
                usable = {one.name for one in offered if _reads(one) or one.name in server.tools}
                for place, one in enumerate(requests if is_pinned else ()):
                    found[place] = await _heard(client, one, usable)
        except Exception as exc:  # noqa: BLE001  the transports raise what they like, in groups; what was heard is kept
            why = why if _first(exc) in ("TimeoutError", "CancelledError") else f"it does not answer ({_first(exc)})"
        return [found.get(place, Answered(refused=why)) for place in range(len(requests))]

    return reach


async def _heard(client: Client, request: Request, usable: Collection[str]) -> Answered:
    if request.what not in usable:
        return Answered(refused=f"it offers no tool {request.what} that only reads (or that `tools` lists)")
    try:
        result = await client.call_tool(request.what, dict(request.arguments))
    except MCPError as exc:
        return Answered(refused=mask(str(exc))[:200])
    said = _said(result)
    if result.is_error:
        return Answered(refused=f"the tool says that it failed: {mask(said)[:200]}")
    return (
        Answered(text=said)
        if len(said) <= MOST_UNASKED
        else Answered(refused=f"it answers with more than {MOST_UNASKED} letters")
    )


async def _offered(server: Server) -> list[Offered]:
    try:
        async with asyncio.timeout(SECONDS), Client(_place(server), read_timeout_seconds=SECONDS) as client:
            return await _all(client)
    except Exception as exc:  # noqa: BLE001  the transports raise what they like, in groups
        raise ReadRefused(f"MCP server {server.name} at {_where(server)} does not answer ({_first(exc)})") from None


async def _called(server: Server, name: str, arguments: dict[str, Json]) -> str:
    try:
        async with asyncio.timeout(2 * SECONDS), Client(_place(server), read_timeout_seconds=SECONDS) as client:
            if digest_of(await _all(client)) == server.digest:
                result = await client.call_tool(name, arguments)
                said = _said(result)
                return f"the tool says that it failed: {said}" if result.is_error else said
    except MCPError as exc:
        raise ReadRefused(f"MCP server {server.name}: {mask(str(exc))[:200]}") from None
    except Exception as exc:  # noqa: BLE001  the transports raise what they like, in groups
        raise ReadRefused(f"MCP server {server.name} does not answer ({_first(exc)})") from None
    raise ReadRefused(f"MCP server {server.name}: its tools are not those that were pinned")


def _said(result: CallToolResult) -> str:
    """Its text; where there is none, what it gives as JSON beside it."""
    words = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if not words and result.structured_content is not None:
        words = orjson.dumps(result.structured_content).decode()
    return words[:MOST_LETTERS]


def _place(server: Server) -> Transport:
    return _over_http(server.url) if server.url else _over_stdio(server.command)


@asynccontextmanager
async def _over_stdio(command: Sequence[str]) -> AsyncIterator[TransportStreams]:
    """As the library does it, which would hold a line of any length. A program of the operator's: it gets none of our environment
    beyond what the library would pass on."""
    hears, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    says, said = anyio.create_memory_object_stream[SessionMessage](0)

    async def hear() -> None:
        async with hears:
            with suppress(anyio.BrokenResourceError):  # nobody wants to hear it any more
                async for line in program.lines():
                    await hears.send(_message(line))

    async def say() -> None:
        async with said:
            with suppress(OSError):  # that it is gone is seen where it is heard
                async for one in said:
                    await program.say(one.message.model_dump_json(by_alias=True, exclude_unset=True).encode())

    async with spoken_with(command, get_default_environment(), most=MOST_BYTES) as program, anyio.create_task_group() as group:
        group.start_soon(hear)
        group.start_soon(say)
        with heard, says:
            yield heard, says
        group.cancel_scope.cancel()


def _message(line: bytes) -> SessionMessage | Exception:
    """What is no message is told as what is wrong with it."""
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as exc:
        return exc


@asynccontextmanager
async def _over_http(url: str) -> AsyncIterator[TransportStreams]:
    http = httpx2.AsyncClient(
        timeout=2 * SECONDS, headers={"Accept-Encoding": "identity"}, event_hooks={"response": [_bound]}
    )  # fmt: skip
    async with http, streamable_http_client(url, http_client=http) as streams:
        yield streams


async def _bound(response: httpx2.Response) -> None:
    if response.headers.get("Content-Encoding", "identity") not in ("", "identity"):
        raise httpx2.DecodingError("it packs what it answers, though it was asked not to")
    response.stream = _Counted(response.stream)


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream | httpx2.AsyncByteStream) -> None:
        assert isinstance(stream, httpx2.AsyncByteStream)
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._stream:
            seen += len(chunk)
            if seen > MOST_BYTES:
                raise httpx2.ReadError(f"more than {MOST_BYTES // 1_000_000} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _all(client: Client) -> list[Offered]:
    page = await client.list_tools(cache_mode="bypass")
    found = list(page.tools)
    while page.next_cursor and len(found) < 1000:
        page = await client.list_tools(cursor=page.next_cursor, cache_mode="bypass")
        found += page.tools
    return found


def _where(server: Server) -> str:
    return mask(server.url) or server.command[0]


def _first(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup) and exc.exceptions:
        exc = exc.exceptions[0]
    return type(exc).__name__
