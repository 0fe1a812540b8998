"""Eyes that a reasoner may ask by name: read only. Each toolset is one file in agent/toolsets."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from agent.domain.incident import Window
from agent.domain.objects import Ref, Series
from agent.errors import ToolRefused
from agent.ports.cluster import Observed
from sidecar.contract import Json

PAGE = "page: "  # how the source of a text begins that says what may be, and nothing of the cluster


class Arguments(BaseModel):
    """What a tool takes. Unknown names are refused: a misspelt one must not be silently dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a tool saw. `text` is raw: whoever keeps it masks it. `missing` says why there is nothing instead. `names` are
    names in it that tell whose cluster it is, beside those that were read before."""

    source: str
    text: str = ""
    about: Ref | None = None
    missing: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What was read already: most questions need no further request. `derived` is what toolsets work out of it once, by name."""

    observed: Observed
    series: tuple[Series, ...]
    window: Window
    namespaces: tuple[str, ...]
    derived: dict[str, object] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """`schema` is a JSON Schema. `run` takes the arguments as JSON text and raises ToolRefused when they do not fit, or what
    the toolset's own ports raise."""

    name: str
    description: str
    schema: Mapping[str, Json]
    run: Callable[[str], Awaitable[Sighting]]


class Toolset(Protocol):
    """One source. `why_off` is "" when it can be asked."""

    @property
    def name(self) -> str: ...

    @property
    def why_off(self) -> str: ...

    def tools(self, view: View) -> Sequence[Tool]: ...


Taken = TypeVar("Taken", bound=Arguments)


def tool(name: str, description: str, arguments: type[Taken], work: Callable[[Taken], Awaitable[Sighting]]) -> Tool:
    """A tool whose arguments are checked by their pydantic model before anything is done."""

    async def run(text: str) -> Sighting:
        return await work(_read(name, arguments, text))

    return Tool(name=name, description=description, schema=schema_of(arguments), run=run)


def schema_of(arguments: type[Arguments]) -> dict[str, Json]:
    schema = cast("dict[str, Json]", arguments.model_json_schema())
    return {key: value for key, value in schema.items() if key not in ("title", "description")}


def _read(name: str, arguments: type[Taken], text: str) -> Taken:
    try:
        return arguments.model_validate(orjson.loads(text or "{}"))
    except orjson.JSONDecodeError as exc:
        raise ToolRefused(f"{name}: the arguments are no JSON: {exc}") from None
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_input=False)[:4]
        told = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}" for fault in faults)
        raise ToolRefused(f"{name}: wrong arguments: {told}") from None
