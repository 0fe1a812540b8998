"""A source whose answers an operator has declared the meaning of, asked about what a first diagnosis found: without a model, in
few requests. What it says becomes statements; what it does not say becomes gaps. Its words are data: the sentences are the
operator's, and nothing of an answer chooses what is asked or done next.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import orjson

from agent.domain.incident import Window
from agent.domain.testimony import Matter, Statement, Suspect, Testimony
from agent.errors import ReadRefused
from agent.ports import Gap, Observed
from agent.signals.masking import safe
from agent.toolsets.declaring import Question, filled
from sidecar.contract import Json

MOST_REQUESTS = 6  # of one source in one run
SECONDS = 6.0  # that one answer may take: less than a run waits for all sources together
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")  # one segment of a path, and no part of another word


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`what` is what is asked, by its kind of source (a path, a tool), and `arguments` what goes with it."""

    what: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """`refused` says why there is no answer. `status` is that of HTTP, 0 where there is none; of a status that is no success,
    `refused` says so, and whoever reads statuses may read it all the same."""

    text: str = ""
    status: int = 0
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A question with the templates of its request."""

    question: Question
    what: str
    arguments: Mapping[str, Json]


Reach = Callable[[Sequence[Request]], Awaitable[Sequence[Answered]]]


async def silent(requests: Sequence[Request]) -> Sequence[Answered]:
    """Of a source that is off."""
    return [Answered(refused="it is off")] * len(requests)


class DeclaredWitness:
    """`kind` and `name` say where a statement is from, such as http and payments; `reach` asks everything at once, and never
    raises: it answers each request in its order."""

    def __init__(self, kind: str, name: str, declared: Sequence[Declared], reach: Reach, *, why_off: str = "") -> None:
        self._kind = kind
        self._source = name
        self._declared = declared
        self._reach = reach
        self.name = f"{kind} {name}"
        self.why_off = why_off

    @property
    def questions(self) -> tuple[Question, ...]:
        return tuple(one.question for one in self._declared)

    @property
    def asked(self) -> tuple[str, ...]:
        """Templates of paths, or names of tools."""
        return tuple(dict.fromkeys(one.what for one in self._declared))

    def wanted(self, matter: Matter) -> str:
        settled = dict.fromkeys(one.question.ask.settles for one, _, _ in self._planned(matter))
        return f"{self.name}: {'; '.join(settled)}" if settled else ""

    async def tell(self, matter: Matter) -> Observed:
        planned = self._planned(matter)
        requests = {_key(request): request for _, _, request in planned}
        asked = dict(list(requests.items())[:MOST_REQUESTS])
        answers = dict(zip(asked, await self._reach(list(asked.values())), strict=True))
        return await asyncio.to_thread(self._understood, matter, planned, answers)  # what is long takes long to judge

    def _understood(
        self, matter: Matter, planned: Sequence[tuple[Declared, Suspect, Request]], answers: Mapping[bytes, Answered]
    ) -> Observed:
        statements: list[Statement] = []
        gaps: list[Gap] = []
        for declared, suspect, request in planned:
            heard = answers.get(_key(request), Answered(refused=f"more than {MOST_REQUESTS} requests would be needed in one run"))
            try:
                said = self._read(declared, suspect, request, heard)
            except ReadRefused as exc:
                said = str(exc)
            except RecursionError:
                said = "its answer is nested too deeply"
            if isinstance(said, Statement):
                statements.append(said)
            else:
                gaps.append(Gap(what=f"{self.name}: {declared.question.ask.settles}", why=" ".join(said.split())))
        told = Testimony(statements=tuple(dict.fromkeys(statements)))
        return Observed(now=matter.window.end, gaps=tuple(dict.fromkeys(gaps)), testimony=told)

    def _planned(self, matter: Matter) -> list[tuple[Declared, Suspect, Request]]:
        """What is to be asked; a question that needs a place which is not known of the suspect is not asked of it."""
        found = []
        for suspect in matter.suspects:
            words = _words(suspect, matter.window)
            for one in self._declared:
                if not one.question.fits(suspect):
                    continue
                try:
                    request = Request(
                        what=str(filled(one.what, words)), arguments=cast("dict[str, Json]", filled(dict(one.arguments), words))
                    )
                except KeyError:
                    continue
                found.append((one, suspect, request))
        return found

    def _read(self, declared: Declared, suspect: Suspect, request: Request, heard: Answered) -> Statement | str:
        """The statement, or why there is none."""
        question = declared.question
        if heard.refused and not (heard.status and question.of_statuses):
            return heard.refused
        found = question.read(suspect, heard.text, _json(heard.text), heard.status, failed=bool(heard.refused))
        if found is None:
            return heard.refused or "its answer fits none of the readings that are declared"
        reading, sentence = found
        return Statement(
            source=f"{self._kind}: {self._source} {request.what}",
            about=suspect.about,
            settles=question.ask.settles,
            text=safe(sentence, limit=600),
            verdict=reading.verdict if suspect.finding else "tells",
            finding=suspect.finding,
        )


def _words(suspect: Suspect, window: Window) -> dict[str, str]:
    """What places stand for, those left out that nothing is known for or that are no plain word."""
    found = {
        "namespace": suspect.namespace, "workload": suspect.workload, "kind": suspect.about.kind, "name": suspect.about.name,
        "pod": suspect.pod, "node": suspect.node, "cause": suspect.cause,
        "from": _stamp(window.start), "to": _stamp(window.end),
        "from_unix": f"{window.start.timestamp():.0f}", "to_unix": f"{window.end.timestamp():.0f}",
    }  # fmt: skip
    return {key: word for key, word in found.items() if _PLAIN.fullmatch(word)}


def _stamp(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _key(request: Request) -> bytes:
    return orjson.dumps([request.what, dict(request.arguments)], option=orjson.OPT_SORT_KEYS)


def _json(text: str) -> Json:
    try:
        return cast(Json, orjson.loads(text))
    except orjson.JSONDecodeError:
        return None
