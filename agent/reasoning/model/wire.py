"""What is said to a model server: messages and tools as JSON, in the dialect that this server takes. Pure.

The first dialect is OpenAI's. What a server refuses by name is said otherwise the next time; nothing is guessed from its address
but for OpenAI and Azure.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import orjson

from agent.ports.model import Message, ToolSpec
from sidecar.contract import Json

MOST_DIALECTS = 5  # tried with one request
# What tells a model something. Bounds and patterns are ours to check, and grammars are made of these schemas by servers that know
# few of JSON Schema's words (llama.cpp: anchored patterns only, no long maxLength; Gemini: no $ref).
SHORTEST_ANSWER, SPARE = 400, 16  # tokens: less is no room for an answer; templates count a few more than they say
_NUMBER = r"(\d{2,7})"
# As OpenAI and Azure, Bedrock and Volcengine, Mistral and Groq say it: of the model, whatever the prompt.
_AT_MOST = (
    re.compile(rf"at most {_NUMBER} (?:completion|output) tokens"),
    re.compile(rf"max_(?:completion_)?tokens\b.{{0,120}}(?:<=|less than or equal to|maximum (?:value )?(?:is|of)) ?`?{_NUMBER}"),
)
# As vLLM says it, now and before, and OpenAI: of the context, beside this prompt.
_BESIDE = (
    re.compile(r"\(\d+ > (?P<all>\d{2,7}) - (?P<prompt>\d{1,7})\)"),
    re.compile(r"maximum context length is (?P<all>\d{2,7}) tokens.{0,80}\((?P<prompt>\d{1,7}) in (?:the messages|your prompt)"),
)
_NO_STREAM = re.compile(
    r"tools with stream|verified to stream|'stream' does not support"
    r"|stream(?:ing)?\b.{0,40}(?:not supported|unsupported|not allowed)|(?:not|n't) support.{0,20}\bstream(?:ing)?\b"
)
_NO_NULL = re.compile(
    r"\bcontent\b.{0,40}(?:must be a string|should be a valid string|was null|cannot be null|is none|non-?null)"
    r"|null.{0,20}\bcontent\b"
)
_SCHEMA_WORDS = ("type", "description", "enum", "const", "required")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`new_limit`: the limit is called max_completion_tokens. `folds`: no user may speak right after a tool, and nobody twice in
    a row. `most`: tokens that an answer may have at this server, `room`: in this one request; 0: what is asked for."""

    new_limit: bool = False
    counts: bool = True  # takes stream_options
    system: bool = True  # takes a system message
    tools: bool = True
    folds: bool = False
    thoughts: bool = False  # wants back what was thought aloud (DeepSeek); others refuse it
    streams: bool = True  # gives an answer in pieces (OpenAI: to verified organizations only; older llama.cpp: not with tools)
    nulls: bool = True  # takes null for the text beside calls (LM Studio does not)
    no_effort: bool = False  # calls tools only when told not to reason (OpenAI's newer models over Chat Completions)
    most: int = 0
    room: int = 0


def adapted(dialect: Dialect, said: str) -> Dialect | None:
    """How to say it so that this refusal does not come again; None where the words name nothing that can be said otherwise."""
    words = said.lower()
    if "reasoning_effort" in words:
        return None if dialect.no_effort else replace(dialect, no_effort=True)
    if dialect.streams and _NO_STREAM.search(words):
        return replace(dialect, streams=False)
    if shorter := _shorter(words, dialect):
        return shorter
    if "max_completion_tokens" in words or "max_tokens" in words:
        if re.search(r"context|at least|at most|too large|maximum value|less than|greater than", words):
            return None  # the number is wrong, not its name
        return replace(dialect, new_limit=not dialect.new_limit)
    if dialect.nulls and _NO_NULL.search(words):
        return replace(dialect, nulls=False)
    if "reasoning_content" in words:
        return replace(dialect, thoughts=not dialect.thoughts)
    if dialect.counts and "stream_options" in words:
        return replace(dialect, counts=False)
    if (
        dialect.system
        and "system" in words
        and re.search(r"system.{0,40}(not supported|unsupported|not allowed)|not support.{0,10}\bsystem\b", words)
    ):
        return replace(dialect, system=False)
    if not dialect.folds and re.search(r"roles? must alternate|unexpected role|after role|expected last role", words):
        return replace(dialect, folds=True)
    if dialect.tools and re.search(
        r"(not|n't) support(ed)?.{0,30}\b(tools?|functions?)\b|tools?\b.{0,40}(not|un)[- ]?support", words
    ):
        return replace(dialect, tools=False)
    if dialect.tools and re.search(r"--enable-auto-tool-choice|--jinja|no endpoints found that support tool", words):
        return replace(dialect, tools=False)
    return None


def _shorter(words: str, dialect: Dialect) -> Dialect | None:
    """With as many tokens for an answer as the refusal says that there may be: of this model, or beside a prompt of this length.
    None where it names no number, or there is no room for an answer."""
    for pattern in _AT_MOST:
        if found := pattern.search(words):
            most = int(found[1])
            return replace(dialect, most=most) if most >= SHORTEST_ANSWER else None
    for pattern in _BESIDE:
        if found := pattern.search(words):
            room = int(found["all"]) - int(found["prompt"]) - SPARE
            return replace(dialect, room=room) if room >= SHORTEST_ANSWER else None
    return None


def body_of(messages: Sequence[Message], tools: Sequence[ToolSpec], dialect: Dialect) -> list[dict[str, Json]]:
    """The messages as JSON objects."""
    if not dialect.tools:
        messages = _without_tools(messages, tools)
    if not dialect.system:
        messages = [replace(one, role="user") if one.role == "system" else one for one in messages]
    if dialect.folds or not dialect.system or not dialect.tools:
        messages = _folded(messages, after_tools=dialect.folds)
    told = [_message(one, nulls=dialect.nulls) for one in messages]
    if dialect.thoughts:
        for one, document in zip(messages, told, strict=True):
            if one.role == "assistant":
                document["reasoning_content"] = one.thought
    return told


def tool_of(spec: ToolSpec) -> dict[str, Json]:
    function: dict[str, Json] = {"name": spec.name, "description": spec.description, "parameters": simple(spec.parameters)}
    return {"type": "function", "function": function}


def simple(schema: Mapping[str, Json]) -> dict[str, Json]:
    """The schema in the few words that every server knows, references put in their place."""
    definitions = schema.get("$defs")
    found = _simple(dict(schema), definitions if isinstance(definitions, dict) else {}, 0)
    return {**found, "type": "object", "properties": found.get("properties", {})}


def _simple(schema: Json, definitions: Mapping[str, Json], depth: int) -> dict[str, Json]:
    if not isinstance(schema, dict) or depth > 12:
        return {}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        meant = definitions.get(reference.rpartition("/")[2])
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _simple({**meant, **beside} if isinstance(meant, dict) else beside, definitions, depth + 1)
    found: dict[str, Json] = {key: schema[key] for key in _SCHEMA_WORDS if key in schema}
    if isinstance(bounds := _bounds(schema), str):
        found["description"] = f"{found.get('description', '')} ({bounds})".strip()
    if isinstance(inside := schema.get("properties"), dict):
        found["properties"] = {name: _simple(one, definitions, depth + 1) for name, one in inside.items()}
    if "items" in schema:
        found["items"] = _simple(schema["items"], definitions, depth + 1) or {"type": "string"}
    for either in ("anyOf", "oneOf", "allOf"):
        if isinstance(choices := schema.get(either), list):
            kinds = [kind for one in choices if (kind := _simple(one, definitions, depth + 1)) and kind.get("type") != "null"]
            if len(kinds) == 1:
                found = {**kinds[0], **found}
            elif kinds:
                found["anyOf"] = cast(Json, kinds)
    return found


def _bounds(schema: Mapping[str, Json]) -> str | None:
    """Bounds of numbers and lists in words: they go out of the schema, and a model should know them."""
    low = schema.get("minimum", schema.get("minItems"))
    high = schema.get("maximum", schema.get("maxItems"))
    if high is None:
        return None
    return f"{low} to {high}" if low is not None else f"at most {high}"


def _message(message: Message, *, nulls: bool) -> dict[str, Json]:
    if not message.calls:
        document: dict[str, Json] = {"role": message.role, "content": message.text}
        if message.role == "tool":
            document["tool_call_id"] = message.answers
        return document
    calls: list[Json] = []
    for one in message.calls:
        call: dict[str, Json] = {
            "id": one.id,
            "type": "function",
            "function": {"name": one.name, "arguments": _as_object(one.arguments)},
        }
        if one.extra:
            call["extra_content"] = orjson.loads(one.extra)
        calls.append(call)
    # An empty text beside calls is refused by some, and null is what OpenAI itself says.
    return {"role": message.role, "content": message.text or (None if nulls else ""), "tool_calls": calls}


def _as_object(arguments: str) -> str:
    """Templates read the arguments of earlier calls, and break where they are no JSON object: what was wrong with them stands in
    the answer to the call."""
    try:
        return arguments if isinstance(orjson.loads(arguments), dict) else "{}"
    except orjson.JSONDecodeError:
        return "{}"


def _without_tools(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[Message]:
    """For a model that can call nothing: the form of the answer (the first tool's) in words, and no looking up."""
    told = [
        Message(role="user" if one.role == "tool" else one.role, text=one.text or " ".join(call.arguments for call in one.calls))
        for one in messages
    ]
    if tools:
        form = orjson.dumps(simple(tools[0].parameters)).decode()
        words = f"You can call no tools here. Answer with one JSON object of this schema, and nothing else:\n{form}"
        told.append(Message(role="user", text=words))
    return told


def _folded(messages: Sequence[Message], *, after_tools: bool) -> list[Message]:
    """Neighbours of one role made one; with `after_tools` what a user says after a tool stands in the tool's answer."""
    told: list[Message] = []
    for one in messages:
        before = told[-1] if told else None
        same = before is not None and before.role == one.role and one.role != "tool" and not before.calls and not one.calls
        joins = after_tools and before is not None and before.role == "tool" and one.role == "user"
        if before is not None and (same or joins):
            told[-1] = replace(before, text=f"{before.text}\n\n{one.text}")
        else:
            told.append(one)
    return told
