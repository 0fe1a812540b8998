"""MCP servers as an operator declares them: where they are, what pins them, which of their tools may be used, and what is
asked of them without a model. Knows no MCP library.

```yaml
servers:
  - name: tickets
    url: http://127.0.0.1:9000/mcp        # Streamable HTTP; or command: [program, argument]
    digest: 4f0c...                       # `lestrade toolsets` says which; another one switches the server off
    tools: [create_comment]               # used although the server does not call them read-only
    asks:                                 # what its answers mean to the checks (`declaring` has the rest of it)
      - settles: whether somebody works on it already
        tool: search
        arguments: {words: "{workload}"}
        reads: [{matches: '^TICKET-', says: "there is {line}"}]
```
"""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.errors import InputError
from agent.toolsets.declared_witness import Declared
from agent.toolsets.declaring import Ask, Compile, question, unknown_places
from sidecar.contract import Json


class ServerAsk(Ask):
    tool: Annotated[str, Field(min_length=1, max_length=128)]
    arguments: Annotated[dict[str, Json], Field(default_factory=dict, max_length=20)]

    @model_validator(mode="after")
    def _has_places_that_are_known(self) -> "ServerAsk":
        if fault := next(unknown_places(self.arguments), ""):
            raise ValueError(fault)
        return self


class Server(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
    url: Annotated[str, Field(pattern=r"^(https?://.+)?$")] = ""
    command: tuple[str, ...] = ()
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]*$")] = ""
    tools: tuple[str, ...] = ()
    asks: Annotated[tuple[ServerAsk, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _is_one_place(self) -> "Server":
        if bool(self.url) == bool(self.command):
            raise ValueError("either url or command")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    servers: tuple[Server, ...] = ()


def read_servers(path: Path | None) -> tuple[Server, ...]:
    """Raises InputError that names the file and what is wrong in it."""
    if path is None:
        return ()
    try:
        found = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {}).servers
    except OSError as exc:
        raise InputError(f"MCP file {path}: {exc.strerror}") from None
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        raise InputError(
            f"MCP file {path}: {'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # a date such as 2026-13-01 is a ValueError
        raise InputError(f"MCP file {path}: not YAML: {str(exc).splitlines()[0]}") from None
    names = [one.name for one in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"MCP file {path}: {twice[0]} is there twice")
    return found


def declared_of(path: Path, place: int, server: Server, compiled: Compile, causes: Collection[str]) -> tuple[Declared, ...]:
    """What is asked of the server at that place of the file. Raises InputError that names the file and what is wrong in it."""
    try:
        return tuple(
            Declared(
                question=question(one, f"servers.{place}.asks.{number}", compiled, causes), what=one.tool, arguments=one.arguments
            )
            for number, one in enumerate(server.asks)
        )
    except InputError as exc:
        raise InputError(f"MCP file {path}: {exc}") from None
