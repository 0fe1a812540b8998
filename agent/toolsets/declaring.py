"""Questions that an operator declares beside a source, and what its answers mean: how they are written, and what is wrong with
them. Knows no source, and not how conditions are judged: that is passed in.

```yaml
asks:
  - settles: whether the payment provider is down    # the question, in words
    causes: [external-dependency-failing]            # of which findings it is asked; none: of any, and where no cause is known
    kinds: [Deployment]                              # of the object in question; none: of any
    when: 'has(finding.params.host)'                 # CEL over the finding, as runbook pages have it
    reads:                                           # tried in order: the first that fits is what the answer says
      - {when: 'answer.state == "down"', says: "the provider says: {answer.reason}", verdict: supports}
      - {matches: '^OPERATIONAL', says: "the provider says: {line}", verdict: excludes}
```
Places in arguments are those of PLACES and no others.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.domain.testimony import Suspect, Verdict
from agent.errors import InputError, ReadRefused
from agent.topology.fields import at
from sidecar.contract import Json

PLACES = ("namespace", "workload", "kind", "name", "pod", "node", "cause", "from", "to", "from_unix", "to_unix")
FINDING, ANSWER = ("finding",), ("answer", "text", "status", "finding")
MOST_LINES, LONGEST_WORD = 5000, 200
_PLACE = re.compile(r"\{([^{}]*)\}")
_LINES = "lines.filter(line, line.matches(pattern))"  # RE2: time grows with the text, whatever the pattern


class Valued(Protocol):
    """A compiled expression: its value as plain JSON, None where it cannot be worked out."""

    def value(self, data: Mapping[str, Json]) -> Json: ...


Compile = Callable[[str, tuple[str, ...]], Valued]


class Reading(BaseModel):
    """What an answer means if `when` holds for it (CEL over `answer`, which is the JSON, over `text`, and over `status`, that of
    HTTP), or if a line of it `matches` (RE2)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: Annotated[str, Field(max_length=2000)] = ""
    matches: Annotated[str, Field(max_length=500)] = ""
    says: Annotated[str, Field(min_length=3, max_length=300)]
    verdict: Verdict = "tells"

    @model_validator(mode="after")
    def _is_one_test(self) -> "Reading":
        if bool(self.when) == bool(self.matches):
            raise ValueError("give either when (CEL over answer, text, status) or matches (a regular expression for a line)")
        return self


class Ask(BaseModel):
    """What every declared question has, whatever its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settles: Annotated[str, Field(min_length=3, max_length=200)]
    causes: tuple[Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")], ...] = ()
    kinds: tuple[Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{0,62}$")], ...] = ()
    when: Annotated[str, Field(max_length=2000)] = ""
    reads: Annotated[tuple[Reading, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _names_what_it_speaks_of(self) -> "Ask":
        if not self.causes and any(one.verdict != "tells" for one in self.reads):
            raise ValueError("a reading with verdict supports or excludes needs the causes that it speaks of: add causes: [...]")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A declared question whose conditions are compiled. `of_statuses` are the places of the readings that look at the status."""

    ask: Ask
    condition: Valued | None
    readings: tuple[tuple[Reading, Valued], ...]
    of_statuses: frozenset[int] = frozenset()

    def fits(self, suspect: Suspect) -> bool:
        ask = self.ask
        if (ask.causes and suspect.cause not in ask.causes) or (ask.kinds and suspect.about.kind not in ask.kinds):
            return False
        return self.condition is None or self.condition.value({"finding": _document(suspect)}) is True

    def read(self, suspect: Suspect, text: str, answer: Json, status: int, *, failed: bool = False) -> tuple[Reading, str] | None:
        """The first reading that fits, and its sentence. None where none does. `failed`: the status is no success, and of
        interest only to a reading that looks at it. Raises ReadRefused where more lines would have to be looked at."""
        answer = _whole_json(answer) if "\\u0000" in text else answer
        text = _whole(text)
        data: dict[str, Json] = {"answer": answer, "text": text, "status": status, "finding": _document(suspect)}
        every = text.splitlines()
        lines: list[Json] = list(every[:MOST_LINES])
        for place, (reading, program) in enumerate(self.readings):
            if failed and place not in self.of_statuses:
                continue
            if reading.when:
                if program.value(data) is True:
                    return reading, _sentence(reading.says, suspect, answer, status, "")
            else:
                found = program.value({"lines": lines, "pattern": reading.matches})
                if isinstance(found, list) and found:
                    return reading, _sentence(reading.says, suspect, answer, status, str(found[0]))
                if len(every) > MOST_LINES:  # the next reading must not have what may be this one's
                    raise ReadRefused(f"it has more than {MOST_LINES} lines, and none of the first fits {reading.matches!r}")
        return None


def question(ask: Ask, where: str, compiled: Compile, known: Collection[str]) -> Question:
    """`where` is the key of the ask in its file, `known` the causes that there are (none: not looked at). Raises InputError."""
    for cause in ask.causes:
        if known and cause not in known:
            raise InputError(f"{where}.causes: {cause} is no cause that a runbook page is about (see `lestrade runbooks list`)")

    def program(source: str, variables: tuple[str, ...], key: str) -> Valued:
        try:
            return compiled(source, variables)
        except InputError as exc:
            raise InputError(f"{where}.{key}: {exc}") from None

    readings, of_statuses = [], set[int]()
    for place, one in enumerate(ask.reads):
        key = f"reads.{place}"
        if one.when:
            readings.append((one, program(one.when, ANSWER, f"{key}.when")))
            try:
                compiled(one.when, tuple(name for name in ANSWER if name != "status"))
            except InputError:  # it makes no sense without: `answer.status` does
                of_statuses.add(place)
        else:
            lines = program(_LINES, ("lines", "pattern"), f"{key}.matches")
            if not isinstance(lines.value({"lines": [""], "pattern": one.matches}), list):
                raise InputError(f"{where}.{key}.matches: {one.matches!r} is no regular expression (RE2 syntax)")
            readings.append((one, lines))
        for name in _PLACE.findall(one.says):
            if name not in (*PLACES, "line", "status") and not re.fullmatch(r"answer(\.\w+)*", name):
                raise InputError(f"{where}.{key}.says: {{{name}}} is no place; known are {_known()}, {{line}}, {{answer.field}}")
    condition = program(ask.when, FINDING, "when") if ask.when else None
    return Question(ask=ask, condition=condition, readings=tuple(readings), of_statuses=frozenset(of_statuses))


def unknown_places(template: Json) -> Iterator[str]:
    """What stands in braces in the texts of an argument and is no place, as a sentence of what to do."""
    for raw in _texts(template):
        for name in _PLACE.findall(raw):
            if name not in PLACES:
                yield f"{{{name}}} is no place; known are {_known()}"
        if re.search(r"[{}]", _PLACE.sub("", raw)):
            yield f"{raw!r} has a brace that belongs to no place"


def filled(template: Json, words: Mapping[str, str]) -> Json:
    """The argument with its places filled. Raises KeyError of a place that nothing is known for."""
    if isinstance(template, str):
        whole = _PLACE.fullmatch(template)
        if whole is not None and whole[1].endswith("_unix"):
            return int(words[whole[1]])
        return _PLACE.sub(lambda match: words[match[1]], template)
    if isinstance(template, dict):
        return {key: filled(one, words) for key, one in template.items()}
    if isinstance(template, list):
        return [filled(one, words) for one in template]
    return template


def one_line(raw: object) -> str:
    """A value of an answer as it may stand in a sentence."""
    words = "not known" if raw is None else str(raw).lower() if isinstance(raw, bool) else str(raw)
    return " ".join(words.split())[:LONGEST_WORD]


def _whole(text: str) -> str:
    """Zero bytes end a text for who judges it, and half characters cannot be judged at all."""
    return text.replace("\0", " ").encode(errors="replace").decode()


def _whole_json(raw: Json) -> Json:
    if isinstance(raw, str):
        return _whole(raw)
    if isinstance(raw, list):
        return [_whole_json(one) for one in raw]
    return {_whole(key): _whole_json(one) for key, one in raw.items()} if isinstance(raw, dict) else raw


def _sentence(template: str, suspect: Suspect, answer: Json, status: int, line: str) -> str:
    plain = {
        "namespace": suspect.namespace, "workload": suspect.workload, "kind": suspect.about.kind, "name": suspect.about.name,
        "pod": suspect.pod, "node": suspect.node, "cause": suspect.cause, "line": line, "status": str(status),
    }  # fmt: skip

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return one_line(_inside(answer, name.split(".")[1:])) if name.startswith("answer") else one_line(plain.get(name))

    return _PLACE.sub(fill, template)


def _inside(answer: Json, path: Sequence[str]) -> Json:
    """A field of the answer; a number is a place in a list. What is a whole object is not said."""
    found = answer
    for part in path:
        if isinstance(found, list):
            found = found[int(part)] if part.isdecimal() and int(part) < len(found) else None
        else:
            found = at(found, part) if isinstance(found, dict) else None
    return found if isinstance(found, str | int | float | bool) else None


def _document(suspect: Suspect) -> dict[str, Json]:
    """The finding as conditions of runbook pages see it; without what is empty, so that `has` means known."""
    about = suspect.about
    return {
        "cause": suspect.cause,
        "state": suspect.state,
        "subject": {"kind": about.kind, "namespace": about.namespace, "name": about.name},
        "params": {key: value for key, value in suspect.params.items() if value not in (None, "", [], {})},
    }


def _texts(template: Json) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, dict):
        for one in template.values():
            yield from _texts(one)
    elif isinstance(template, list):
        for one in template:
            yield from _texts(one)


def _known() -> str:
    return ", ".join(f"{{{one}}}" for one in PLACES)
