"""What a model server answers, read as it comes: plain JSON or server-sent events, as leniently as servers differ. Pure.

Seen in the wild, and taken: no id, the same id or index for several calls (Ollama), a name or an id in every piece, arguments as
an object or as JSON within JSON, content in parts (Mistral) or null, a choice without a delta (Azure), `function_call`, thinking
in the text (`<think>`), calls in the text (Hermes, Qwen, Mistral), "stop" where calls were made (Gemini), no finish but [DONE].
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import orjson

from agent.ports.model import Usage
from sidecar.contract import Json

LONGEST_ANSWER = 400_000  # characters; no answer of ours is that long
MOST_CALLS = 64  # of one message
MOST_TOKENS = 100_000_000  # that a server may say it counted for one answer
LONGEST_THOUGHT = 200_000  # characters that are kept; more is let go
LONGEST_EXTRA = 60_000  # characters of what a server wants back with a call
_THOUGHT = re.compile(r"<(think|thinking|thought)>.*?(?:</\1>|\Z)", re.S)
_THOUGHT_END = re.compile(r"\A.*</(?:think|thinking|thought)>", re.S)  # the template itself may have opened it
_TAGGED = re.compile(r"<(?:tool_call|function_call)>(.*?)(?:</(?:tool_call|function_call)>|\Z)", re.S)
_NAMED = re.compile(r"<function=([\w.-]{1,64})>(.*?)(?:</function>|\Z)", re.S)
_PARAMETER = re.compile(r"<parameter=([\w.-]{1,64})>(.*?)(?:</parameter>|\Z)", re.S)
_MARKED = re.compile(r"\[TOOL_CALLS\]\s*(\[.*\])", re.S)
_FENCED = re.compile(r"\A```(?:json)?[^\S\n]*\n(.*?)```\Z", re.S)


class TooMuch(ValueError):
    """More than any answer may be."""


@dataclass(slots=True, kw_only=True)
class Called:
    """A call as it comes in. `extra` is JSON text of what the server wants to see again with it (Gemini's signatures)."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    extra: str = ""

    @property
    def is_whole(self) -> bool:
        return isinstance(_loaded(self.arguments), dict)


@dataclass(slots=True, kw_only=True)
class Answer:
    """`error` is what the server said went wrong, its HTTP status in `status` where it named one; `finish` "" when nothing said
    that the answer is complete. `thought` is what it thought aloud in a field of its own."""

    text: str = ""
    refusal: str = ""
    thought: str = ""
    finish: str = ""
    calls: list[Called] = field(default_factory=list)
    usage: Usage | None = None
    error: str = ""
    status: int = 0
    saw_choice: bool = False
    _by_index: dict[object, Called] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.text) + sum(len(one.name) + len(one.arguments) for one in self.calls)

    def take(self, document: Json) -> None:
        """A whole completion, or one piece of one. Raises TooMuch."""
        if not isinstance(document, dict):
            raise ValueError("not an object")
        self.usage = counted(document.get("usage")) or self.usage
        self._took_error(document.get("error"))
        choices = document.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or choice.get("index"):
                continue
            message = choice.get("delta") or choice.get("message")
            if not isinstance(message, dict):
                message = {}
            self.saw_choice = self.saw_choice or bool(message) or "text" in choice
            self._took_error(choice.get("error"))
            self.finish = _text(choice.get("finish_reason")) or self.finish
            self.text += _content(message.get("content"))
            self.refusal += _text(message.get("refusal"))
            thought = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
            self.thought += thought[: max(0, LONGEST_THOUGHT - len(self.thought))]
            calls = message.get("tool_calls")
            for number, piece in enumerate(calls if isinstance(calls, list) else ()):
                if isinstance(piece, dict):
                    self._took_call(piece, number if "message" in choice else None)
            if isinstance(old := message.get("function_call"), dict):
                self._took_call({"index": 0, "function": old}, None)
            if self.size + len(self.refusal) > LONGEST_ANSWER or len(self.calls) > MOST_CALLS:
                raise TooMuch(f"{self.size} characters and {len(self.calls)} tool calls")

    def settle(self, offered: Collection[str]) -> None:
        """Once it is all there: thinking goes out of the text, and calls written into it come out."""
        self.text = without_thought(self.text)
        if not self.calls:
            self.calls, self.text = calls_in(self.text, offered)

    def _took_call(self, piece: Mapping[str, Json], place: int | None) -> None:
        function = piece.get("function")
        if not isinstance(function, dict):
            function = {key: piece.get(key) for key in ("name", "arguments")}  # one level less: seen with small proxies
        name, arguments, id_ = _text(function.get("name")), _arguments(function.get("arguments")), _text(piece.get("id"))
        index = piece.get("index") if place is None else ("whole", place)
        key = index if isinstance(index, int | str | tuple) else None
        call = self._by_index.get(key) if key is not None else (self.calls[-1] if self.calls else None)
        is_other = call is not None and bool(id_ and call.id and id_ != call.id)
        is_after = call is not None and not (id_ and call.id) and bool(arguments) and call.is_whole
        is_new = call is None or bool(name and (is_other or is_after))
        if call is None or is_new:
            call = Called()
            self.calls.append(call)
            self._by_index[key] = call
        call.id = call.id or id_
        if name != call.name:
            call.name += name
        call.arguments += arguments
        extra = piece.get("extra_content")
        if isinstance(extra, dict) and extra:
            text = json.dumps(extra)
            call.extra = text if len(text) <= LONGEST_EXTRA else ""

    def _took_error(self, said: Json) -> None:
        if not said:
            return
        if isinstance(said, dict):
            code = said.get("code")
            self.status = code if type(code) is int else self.status
            said = said.get("message") or said.get("type") or "an error without words"
        self.error = str(said)


def without_thought(text: str) -> str:
    """What is left when thinking aloud is taken out; all of it may have been that."""
    if "<th" not in text and "</th" not in text:
        return text
    return _THOUGHT_END.sub("", _THOUGHT.sub("", text)).strip()


def calls_in(text: str, offered: Collection[str]) -> tuple[list[Called], str]:
    """Calls that a model wrote into its text because its server does not take them out, and the rest of the text. Only tools that
    it was offered: the text may be about anything."""
    found: list[Called] = []
    rest = text
    if marked := _MARKED.search(text):
        rest, whole = text[: marked.start()], _loaded(marked[1])
        found = [call for one in whole if (call := _called(one, offered))] if isinstance(whole, list) else []
    elif "<tool_call>" in text or "<function_call>" in text:
        rest = _TAGGED.sub("", text)
        for inside in _TAGGED.findall(text):
            call = _called(_loaded(inside.strip()), offered)
            found += [call] if call else _named(inside, offered)
    elif "<function=" in text:
        rest, found = _NAMED.sub("", text), _named(text, offered)
    elif text.lstrip()[:1] in ("{", "`"):
        bare = text.strip()
        fenced = _FENCED.match(bare)
        call = _called(_loaded(fenced[1] if fenced else bare), offered)
        found, rest = ([call], "") if call else ([], text)
    return (found[: MOST_CALLS + 1], rest.strip()) if found else ([], text)


def events_of(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The data of server-sent events: lines that begin with `data:`, those of one event joined; comments are skipped."""
    data: list[bytes] = []
    for line in lines:
        if line.startswith(b"data:"):
            data.append(line[5:].strip())
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


def counted(usage: Json) -> Usage | None:
    """None for a count that is none: one below nothing would pay a budget back, and one beyond all bounds cannot be kept."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
    if type(prompt) is not int or type(completion) is not int:
        return None
    if not 0 < prompt <= MOST_TOKENS or not 0 <= completion <= MOST_TOKENS:
        return None
    return Usage(prompt=prompt, completion=completion)


def _named(text: str, offered: Collection[str]) -> list[Called]:
    """`<function=events><parameter=namespace>shop</parameter></function>`, as Qwen's coders write it."""
    found = []
    for name, inside in _NAMED.findall(text):
        if name in offered:
            given = {key: _plain(words.strip()) for key, words in _PARAMETER.findall(inside)}
            found.append(Called(name=name, arguments=orjson.dumps(given).decode()))
    return found


def _plain(words: str) -> Json:
    """Numbers, lists and objects as they are meant; all else is text."""
    found = _loaded(words) if words[:1] in "{[-0123456789tf" else None
    return words if found is None else found


def _called(one: Json, offered: Collection[str]) -> Called | None:
    if not isinstance(one, dict):
        return None
    inner = one.get("function")
    if isinstance(inner, dict):
        one = inner
    arguments = one.get("arguments", one.get("parameters"))
    name = one.get("name")
    if not isinstance(name, str) or name not in offered or not isinstance(arguments, dict | str):
        return None
    return Called(id=_text(one.get("id")), name=name, arguments=_arguments(arguments))


def _arguments(given: Json) -> str:
    """As text of JSON: some servers send the object itself, some its text twice wrapped."""
    if given is None:
        return ""
    if not isinstance(given, str):
        return json.dumps(given)
    if given.startswith('"') and isinstance(inner := _loaded(given), str) and isinstance(_loaded(inner), dict):
        return inner
    return given


def _content(given: Json) -> str:
    """Text, or a list of parts of which only those of text are said aloud."""
    if isinstance(given, list):
        return "".join(_text(one.get("text")) for one in given if isinstance(one, dict) and one.get("type", "text") == "text")
    return _text(given)


def _text(given: Json) -> str:
    return given if isinstance(given, str) else ""


def _loaded(text: str) -> Json:
    try:
        return cast(Json, orjson.loads(text)) if text else None
    except orjson.JSONDecodeError:
        return None
