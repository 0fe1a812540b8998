"""Ask what the runbook's pages want to know before anything is done, and keep the answers as evidence. Decides nothing."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.domain.runbook import Lookup
from agent.ports import Runbooks
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
    for lookup in found.lookups:
        piece = _evidence(lookup, f"ev-{len(known) + len(fresh) + 1}")
        if piece.source not in have:
            have.add(piece.source)
            fresh.append(piece)
    return Asked(fresh=tuple(fresh), page=found.page, look=found.look)


def _evidence(lookup: Lookup, name: str) -> Evidence:
    tool = lookup.tool.replace("_", " ")
    return Evidence(
        id=name,
        source=f"runbook: {tool} of {lookup.about}, to settle {lookup.settles}",
        about=lookup.about,
        text=lookup.text,
        missing=lookup.missing,
        sha256=hashlib.sha256(lookup.text.encode()).hexdigest(),
    )
