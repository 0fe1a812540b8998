"""`lestrade mcp`: the toolkit over the Model Context Protocol, on standard input and output, or over HTTP with a bearer token.

On standard output there is nothing but the protocol; whatever else is to be said goes to standard error.
"""

import contextlib
import hmac
import importlib.metadata
import importlib.util
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.app.people import PeopleFile
from agent.bootstrap import Source, Workshop, workshop
from agent.chat.toolkit import Toolkit
from agent.cli.person import person
from agent.cli.serve import bind
from agent.cli.terminal import console, run, settings_from
from agent.errors import InputError
from agent.settings import Settings

if TYPE_CHECKING:
    from agent.chat.mcp import AskedBy, Server

SHORTEST_TOKEN = 20
HOLDER = "mcp"  # who asks with the token of the settings, which is nobody's own


def mcp(*, http: str, snapshot: Path | None, context: str, config: Path | None) -> int:
    if snapshot and context:
        raise InputError("--snapshot and --context at once: choose one")
    settings, source = settings_from(config), Source(snapshot=snapshot, context=context)
    _must_be_installed()
    if not http:
        return run(_on_standard_input(settings, source), interrupted="")
    known = callers(settings)
    return run(_over_http(settings, source, _bound(http), known), interrupted="")


def _bound(listen: str) -> socket.socket:
    try:
        return bind(listen)
    except InputError as exc:
        raise InputError(f"--http: {exc}") from None


async def _on_standard_input(settings: Settings, source: Source) -> int:
    who = person()
    async with _served(settings, source, lambda _: who) as server:
        await server.run_stdio_async()
    return 0


async def _over_http(settings: Settings, source: Source, bound: socket.socket, known: "Callable[[str], str | None]") -> int:
    import uvicorn

    from agent.chat.mcp import PATH, asked_by, http_app

    async with _served(settings, source, asked_by) as server:
        service = uvicorn.Server(uvicorn.Config(http_app(server, known), log_config=None, timeout_graceful_shutdown=3))
        address = bound.getsockname()
        console().print(f"lestrade speaks MCP on http://{address[0]}:{address[1]}{PATH}", markup=False)
        await service.serve(sockets=[bound])
    return 0


@contextlib.asynccontextmanager
async def _served(settings: Settings, source: Source, who: "AskedBy") -> "AsyncIterator[Server]":
    from agent.chat.mcp import mcp_server

    async with workshop(settings, source) as shop:
        toolkit = await _opened(shop)
        try:
            yield mcp_server(toolkit, asked_by=who, version=importlib.metadata.version("lestrade"))
        finally:
            await toolkit.close()


async def _opened(shop: Workshop) -> Toolkit:
    await shop.reader.now()  # says at once that nothing answers
    return Toolkit(shop)


def callers(settings: Settings) -> Callable[[str], str | None]:
    """Whose a token is: a person's of the people file, or that of the settings. Raises InputError where there is neither."""
    people = PeopleFile(settings.people_file) if settings.people_file else None
    token = _token(settings.mcp_token_file)
    if people is None and not token:
        raise InputError(
            "whoever uses MCP over HTTP needs a token: set LESTRADE_MCP_TOKEN_FILE to a file that holds one, or "
            "LESTRADE_PEOPLE_FILE (lestrade people add NAME)"
        )

    def known(given: str) -> str | None:
        if token and hmac.compare_digest(given.encode(), token.encode()):
            return HOLDER
        found = people.by_token(given) if people is not None and given else None
        return found.name if found is not None else None

    return known


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"LESTRADE_MCP_TOKEN_FILE: {path}: {getattr(exc, 'strerror', None) or 'not plain text'}") from None
    if len(token) < SHORTEST_TOKEN:
        raise InputError(f"LESTRADE_MCP_TOKEN_FILE: {path}: shorter than {SHORTEST_TOKEN} characters is no token")
    return token


def _must_be_installed() -> None:
    if importlib.util.find_spec("mcp") is None:
        raise InputError("the Model Context Protocol is not installed: pip install 'lestrade[mcp]'")
