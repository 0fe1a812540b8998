"""Eyes on HTTP endpoints that an operator declares in YAML: host, methods and paths are allow-listed, nothing else can be asked.

```yaml
endpoints:
  - name: checkout
    url: https://checkout.example.com     # scheme and host; a path in front of all others may follow
    paths: [/healthz, /status/*]          # * stands for one segment
    methods: [GET, HEAD]                  # these two are all that is offered
    description: health of the checkout
    token_file: /run/secrets/checkout     # a bearer token, where one is wanted
    asks:                                 # what its answers mean to the checks (`declaring` has the rest of it)
      - settles: whether the checkout is well
        path: /status/{workload}
        query: {since: "{from}"}
        reads: [{when: 'answer.state != "ok"', says: "it calls itself {answer.state}"}]
```
"""

import asyncio
import re
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import httpx
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from agent.errors import InputError, ReadRefused, ToolRefused
from agent.ports.toolset import Arguments, Sighting, Tool, View, tool
from agent.toolsets.declared_witness import SECONDS, Answered, Declared, DeclaredWitness, Reach, Request
from agent.toolsets.declaring import Ask, Compile, question, unknown_places
from agent.toolsets.http_reading import HttpSource

MOST_BYTES = 200_000
_PATH = re.compile(r"^/[A-Za-z0-9._~!$&'()+,;=:@/-]*$")  # no escapes, no query, nothing that means another place elsewhere


class EndpointAsk(Ask):
    path: Annotated[str, Field(max_length=300)]
    query: Annotated[dict[str, str], Field(default_factory=dict, max_length=10)]

    @model_validator(mode="after")
    def _has_places_that_are_known(self) -> "EndpointAsk":
        if fault := next(unknown_places([self.path, dict(self.query)]), ""):
            raise ValueError(fault)
        return self


class Endpoint(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
    url: str
    paths: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    methods: Annotated[tuple[Literal["GET", "HEAD"], ...], Field(min_length=1)] = ("GET",)
    description: str = ""
    token_file: Path | None = None
    asks: Annotated[tuple[EndpointAsk, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _asks_only_what_is_allowed(self) -> "Endpoint":
        for place, one in enumerate(self.asks):
            path = re.sub(r"\{[a-z_]+\}", "1", one.path)
            if "GET" not in self.methods or not self.allows(path):
                raise ValueError(
                    f"asks.{place}.path: GET {one.path} is not allowed: add it to paths (* is one segment) and methods"
                )
        return self

    @field_validator("url")
    @classmethod
    def _is_a_host(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("expected http(s)://host, without user, query or fragment")
        return url

    @field_validator("paths")
    @classmethod
    def _are_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not _PATH.match(path.replace("*", "x")) or ".." in path or "//" in path:
                raise ValueError(f"{path!r} is no path")
        return paths

    def allows(self, path: str) -> bool:
        if not _PATH.fullmatch(path) or ".." in path or "//" in path or "." in path.split("/"):  # /a/. is asked for as /a
            return False
        return any(re.fullmatch(re.escape(one).replace(r"\*", "[^/]+"), path) for one in self.paths)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoints: tuple[Endpoint, ...] = ()


class Wanted(Arguments):
    path: str = Field(max_length=500, description="one of the paths that are allowed")
    method: Literal["GET", "HEAD"] = "GET"


class EndpointEyes:
    name = "endpoints"

    def __init__(self, declared: Sequence[tuple[Endpoint, HttpSource]]) -> None:
        self._declared = declared

    @property
    def why_off(self) -> str:
        return "" if self._declared else "no endpoints are declared (LESTRADE_ENDPOINTS_FILE)"

    def tools(self, view: View) -> Sequence[Tool]:
        return tuple(_tool(endpoint, source) for endpoint, source in self._declared)


def _tool(endpoint: Endpoint, source: HttpSource) -> Tool:
    async def work(asked: Wanted) -> Sighting:
        if asked.method not in endpoint.methods or not endpoint.allows(asked.path):
            allowed = f"{', '.join(endpoint.methods)} of {', '.join(endpoint.paths)}"
            raise ToolRefused(f"http_{endpoint.name}: {asked.method} {asked.path} is not allowed; allowed: {allowed}")
        text = await source.text(asked.path, method=asked.method, most_bytes=MOST_BYTES)
        missing = "" if text.strip() else "it answers with nothing, and a status that is a success"
        return Sighting(source=f"http: {asked.method} {endpoint.name} {asked.path}", text=text, missing=missing)

    told = f"{endpoint.description or endpoint.url} Paths: {', '.join(endpoint.paths)} (* is one segment)"
    if endpoint.asks:
        told += f" Good for: {'; '.join(f'{one.settles} ({one.path})' for one in endpoint.asks)}"
    return tool(f"http_{endpoint.name}", told, Wanted, work)


def read_endpoints(path: Path | None, stack: AsyncExitStack, *, client: httpx.AsyncClient | None = None) -> EndpointEyes:
    """Raises InputError that names the file and what is wrong in it."""
    if path is None:
        return EndpointEyes(())
    declared = []
    for one in _read(path).endpoints:
        source = HttpSource(f"endpoint {one.name}", one.url, token_file=one.token_file, client=client)
        stack.push_async_callback(source.close)
        declared.append((one, source))
    return EndpointEyes(declared)


def endpoint_witnesses(
    path: Path | None,
    stack: AsyncExitStack,
    *,
    compiled: Compile,
    causes: Collection[str] = (),
    client: httpx.AsyncClient | None = None,
    seconds: float = SECONDS,
) -> tuple[DeclaredWitness, ...]:
    """Those endpoints that something is declared to be asked of. Raises InputError that names the file and what is wrong."""
    found = []
    for place, one in enumerate(_read(path).endpoints if path is not None else ()):
        if not one.asks:
            continue
        try:
            questions = [
                question(ask, f"endpoints.{place}.asks.{number}", compiled, causes) for number, ask in enumerate(one.asks)
            ]
        except InputError as exc:
            raise InputError(f"endpoints file {path}: {exc}") from None
        declared = [
            Declared(question=asked, what=ask.path, arguments=dict(ask.query))
            for asked, ask in zip(questions, one.asks, strict=True)
        ]
        source = HttpSource(f"endpoint {one.name}", one.url, token_file=one.token_file, client=client)
        stack.push_async_callback(source.close)
        found.append(DeclaredWitness("http", one.name, declared, _reach(one, source, seconds)))
    return tuple(found)


def _reach(endpoint: Endpoint, source: HttpSource, seconds: float) -> Reach:
    async def one(request: Request) -> Answered:
        if not endpoint.allows(request.what):
            return Answered(refused=f"GET {request.what} is not allowed; allowed: {', '.join(endpoint.paths)}")
        try:
            async with asyncio.timeout(seconds):
                params = {key: str(value) for key, value in request.arguments.items()}
                status, text = await source.answer(request.what, params, most_bytes=MOST_BYTES)
        except ReadRefused as exc:
            return Answered(refused=str(exc))
        except TimeoutError:
            return Answered(refused=f"no answer within {seconds:g} s")
        return Answered(text=text, status=status, refused="" if 200 <= status < 300 else f"it answers HTTP {status}")

    async def reach(requests: Sequence[Request]) -> Sequence[Answered]:
        return await asyncio.gather(*(one(request) for request in requests))

    return reach


def _read(path: Path) -> _File:
    try:
        found = _File.model_validate(_document(path))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InputError(
            f"endpoints file {path}: {'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        ) from None
    names = [one.name for one in found.endpoints]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"endpoints file {path}: {twice[0]} is there twice")
    return found


def _document(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as exc:
        raise InputError(f"endpoints file {path}: {exc.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # a date such as 2026-13-01 is a ValueError
        raise InputError(f"endpoints file {path}: not YAML: {str(exc).splitlines()[0]}") from None
