"""The form in which a model has to answer, and how it is read out of what it says."""

import re
from typing import Annotated, Any, Literal, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema

from agent.ports.model import ToolSpec
from agent.reasoning.model.leniency import shaped
from sidecar.contract import Json

CONCLUDE = "conclude"
_Line = Annotated[str, StringConstraints(min_length=1, max_length=800)]
_FENCED = re.compile(r"```(?:json)?[^\S\n]*\n(.*?)```", re.S)  # one way to read each line feed: time grows with the text


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, str_strip_whitespace=True)


class Cited(_Part):
    """Words that stand in a piece of evidence, letter by letter."""

    evidence: Annotated[str, StringConstraints(max_length=64)] = Field(description="id of the evidence, such as ev-2 or look-5")
    words: Annotated[str, StringConstraints(max_length=600)] = Field(description="a verbatim quote of it, at least 8 characters")


class Named(_Part):
    kind: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")] = Field(description="such as Deployment")
    namespace: Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")] = Field(
        "", description="empty for cluster-scoped kinds"
    )
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$", max_length=253)]


class CauseClaim(_Part):
    confirms: Annotated[str, StringConstraints(max_length=600)] = Field(
        "", description="id of the finding of Lestrade that this confirms; empty when it goes beyond them"
    )
    cause: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)] = Field(
        description="slug; one of the known causes where it fits"
    )
    subject: Named = Field(description="the object that would have to change")
    statement: _Line = Field(description="one sentence: what is wrong with what")
    evidence: Annotated[tuple[Cited, ...], Field(max_length=12)] = ()


class Refutation(_Part):
    finding: Annotated[str, StringConstraints(max_length=600)] = Field(description="id of the finding of Lestrade that is wrong")
    why: _Line
    evidence: Annotated[tuple[Cited, ...], Field(max_length=12)] = ()


# Said out as well as in the contract: not every server takes an object whose properties are not named.
_ANY = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}], "description": "the new value"}
_CHANGE = {"type": "object", "properties": {"path": {"type": "string", "description": "JSON pointer"}, "after": _ANY}}
_ACTION: dict[str, Any] = {
    "type": "object",
    "description": "restart_workload; rollback_workload (to_revision); scale_workload (replicas); change_fields (changes); "
    "delete_pod; evict_pod; cordon_node; uncordon_node; rerun_job (new_name)",
    "properties": {
        "kind": {"type": "string"},
        "target": {"type": "string", "description": "Kind/namespace/name"},
        "to_revision": {"type": "integer"},
        "replicas": {"type": "integer"},
        "new_name": {"type": "string"},
        "changes": {"type": "array", "items": _CHANGE},
    },
    "required": ["kind", "target"],
}


class OwnAction(_Part):
    """An action of Lestrade's closed list, against one of the causes named."""

    cause: Annotated[str, StringConstraints(max_length=600)] = Field(description="finding id, or slug of your own cause")
    action: Annotated[dict[str, Json], WithJsonSchema(_ACTION)]


class Proposal(_Part):
    outcome: Literal["fault", "healthy", "unknown"]
    summary: Annotated[str, StringConstraints(min_length=1, max_length=3000)] = Field(
        description="what happened, for a tired person; mention evidence ids"
    )
    causes: Annotated[tuple[CauseClaim, ...], Field(max_length=3)] = Field((), description="at most three, the likeliest first")
    refutes: Annotated[tuple[Refutation, ...], Field(max_length=10)] = ()
    inference: Annotated[tuple[_Line, ...], Field(max_length=10)] = Field((), description="impact and victims not seen directly")
    unknowns: Annotated[tuple[_Line, ...], Field(max_length=10)] = Field((), description="what you could not find out")
    remedies: Annotated[tuple[_Line, ...], Field(max_length=10)] = Field(
        (), description="ids of the listed remedies that you would try, best first"
    )
    own_actions: Annotated[tuple[OwnAction, ...], Field(max_length=5)] = ()


class NotInForm(ValueError):
    """The text tells the model what is wrong with its answer."""


def conclude_tool() -> ToolSpec:
    schema = cast("dict[str, Json]", Proposal.model_json_schema())
    return ToolSpec(name=CONCLUDE, description="Ends the investigation with your answer. Call it once, alone.", parameters=schema)


def read_proposal(said: str) -> Proposal:
    """From a tool call's arguments, or from text with JSON somewhere in it. Raises NotInForm."""
    document = _json_in(said)
    if not isinstance(document, dict):
        raise NotInForm(f"that is no answer: call {CONCLUDE}, or answer with one JSON object of its schema and nothing else")
    try:
        return Proposal.model_validate(shaped(document, CONCLUDE))
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_input=False)[:6]
        told = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'answer'}: {fault['msg']}" for fault in faults)
        raise NotInForm(f"the answer does not have the form of {CONCLUDE}: {told}") from None


def _json_in(said: str) -> Json:
    """The first JSON object in the text: bare, fenced, or with words around it."""
    for candidate in (
        said.strip(),
        *(match.strip() for match in _FENCED.findall(said)),
        said[said.find("{") : said.rfind("}") + 1],
    ):
        if candidate.startswith("{"):
            try:
                found = orjson.loads(candidate)
            except orjson.JSONDecodeError:
                continue
            return cast(Json, found)
    return None
