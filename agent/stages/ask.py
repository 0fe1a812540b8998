"""Ask what the runbook's pages want to know before anything is done, and keep the answers as evidence; so with what declared
sources said that no finding quotes. Decides nothing."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.domain.runbook import Lookup
from agent.domain.testimony import Statement
from agent.ports import Runbooks
from agent.signals.masking import safe
from agent.stages.gather import Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`fresh` is evidence beside what was known; `page` and `look` are for a person, where no cause is known."""

    fresh: tuple[Evidence, ...] = ()
    page: str = ""
    look: str = ""


async def ask(incident: Incident, diagnosis: Diagnosis, sight: Sight, known: Sequence[Evidence], *, runbooks: Runbooks) -> Asked:
    found = await asyncio.to_thread(runbooks.guidance, diagnosis, incident, sight.observed, sight.series)
    have = {piece.source for piece in known}  # once a run: after a repair the same question tells of the repair
    fresh: list[Evidence] = []
    named = [_evidence(lookup) for lookup in found.lookups]
    quoted = {(piece.source, piece.text) for piece in known}
    named += [
        _statement(one) for one in sight.observed.testimony.statements if (safe(one.source, limit=300), _said(one)) not in quoted
    ]
    for unnumbered in named:
        piece = replace(unnumbered, id=f"ev-{len(known) + len(fresh) + 1}")
        if piece.source not in have:
            have.add(piece.source)
            fresh.append(piece)
    return Asked(fresh=tuple(fresh), page=found.page, look=found.look)


def _evidence(lookup: Lookup) -> Evidence:
    tool = lookup.tool.replace("_", " ")
    return Evidence(
        id="",
        source=f"runbook: {tool} of {lookup.about}, to settle {lookup.settles}",
        about=lookup.about,
        text=lookup.text,
        missing=lookup.missing,
        sha256=hashlib.sha256(lookup.text.encode()).hexdigest(),
    )


def _statement(one: Statement) -> Evidence:
    said = _said(one)
    words = {"supports": "speaks for", "excludes": "speaks against", "tells": "tells of"}[one.verdict]
    return Evidence(
        id="",
        source=safe(f"{one.source}, which {words} {one.finding or one.about}, to settle {one.settles}", limit=300),
        about=one.about,
        text=said,
        sha256=hashlib.sha256(said.encode()).hexdigest(),
    )


def _said(one: Statement) -> str:
    return safe(f"{one.settles}: {one.text}")
