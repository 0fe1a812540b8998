"""MCP servers as toolsets: each pinned by a digest of its tools' schemas, and only tools that read, unless others are listed.

```yaml
servers:
  - name: tickets
    url: http://127.0.0.1:9000/mcp        # Streamable HTTP; or command: [program, argument]
    digest: 4f0c...                       # `lestrade toolsets` says which; another one switches the server off
    tools: [create_comment]               # used although the server does not call them read-only
```
A connection lives for one question: what the tools are is looked at each time, so that they cannot change behind the pin.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import yaml
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import TextContent
from mcp.types import Tool as Offered
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.errors import InputError, ReadRefused, ToolRefused
from agent.ports.toolset import Sighting, Tool, View
from agent.signals.masking import mask

SECONDS = 15.0
MOST_LETTERS = 400_000
_UNSAID = re.compile(r"[^A-Za-z0-9_-]")  # models refuse every tool of a request where one has such a name


class Server(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
    url: Annotated[str, Field(pattern=r"^(https?://.+)?$")] = ""
    command: tuple[str, ...] = ()
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]*$")] = ""
    tools: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_one_place(self) -> "Server":
        if bool(self.url) == bool(self.command):
            raise ValueError("either url or command")
        return self

    @property
    def place(self) -> str | StdioServerParameters:
        # A program of the operator's; it gets none of our environment beyond what the library passes on.
        return self.url or StdioServerParameters(command=self.command[0], args=list(self.command[1:]))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    servers: tuple[Server, ...] = ()


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

        return Tool(name=name, description=(offered.description or "")[:800], schema=offered.input_schema, run=run)


def read_servers(path: Path | None) -> tuple[Server, ...]:
    """Raises InputError that names the file and what is wrong in it."""
    if path is None:
        return ()
    try:
        return _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {}).servers
    except OSError as exc:
        raise InputError(f"MCP file {path}: {exc.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise InputError(f"MCP file {path}: not YAML: {str(exc).splitlines()[0]}") from None
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InputError(f"MCP file {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def digest_of(offered: Sequence[Offered]) -> str:
    """SHA-256 over names, descriptions, schemas and what the tools say of themselves, in order of name."""
    document = [
        [one.name, one.description or "", one.input_schema, one.annotations.model_dump() if one.annotations else {}]
        for one in sorted(offered, key=lambda one: one.name)
    ]
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _reads(offered: Offered) -> bool:
    return offered.annotations is not None and offered.annotations.read_only_hint is True


async def _offered(server: Server) -> list[Offered]:
    try:
        async with asyncio.timeout(SECONDS), Client(server.place, read_timeout_seconds=SECONDS) as client:
            return await _all(client)
    except Exception as exc:  # noqa: BLE001  the transports raise what they like, in groups
        raise ReadRefused(f"MCP server {server.name} at {_where(server)} does not answer ({_first(exc)})") from None


async def _called(server: Server, name: str, arguments: dict[str, Any]) -> str:
    try:
        async with asyncio.timeout(2 * SECONDS), Client(server.place, read_timeout_seconds=SECONDS) as client:
            if digest_of(await _all(client)) == server.digest:
                result = await client.call_tool(name, arguments)
                parts = [part.text for part in result.content if isinstance(part, TextContent)]
                said = "\n".join(parts)[:MOST_LETTERS]
                return f"the tool says that it failed: {said}" if result.is_error else said
    except MCPError as exc:
        raise ReadRefused(f"MCP server {server.name}: {mask(str(exc))[:200]}") from None
    except Exception as exc:  # noqa: BLE001  the transports raise what they like, in groups
        raise ReadRefused(f"MCP server {server.name} does not answer ({_first(exc)})") from None
    raise ReadRefused(f"MCP server {server.name}: its tools are not those that were pinned")


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
