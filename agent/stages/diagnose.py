"""Name the cause, and give what it rests on an id, so that every claim can point at its evidence."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis, Finding, RankedCause
from agent.domain.incident import Incident
from agent.ports import Reasoner
from agent.stages.gather import Sight


async def diagnose(
    incident: Incident, sight: Sight, known: Sequence[Evidence], *, reasoner: Reasoner
) -> tuple[Diagnosis, tuple[Evidence, ...]]:
    """The diagnosis, its causes citing evidence ids; and the pieces that are new beside `known`."""
    diagnosis = await asyncio.to_thread(reasoner.diagnose, incident, sight.observed, sight.series)
    ids = {(piece.source, piece.sha256): piece.id for piece in known}
    fresh: list[Evidence] = []
    causes = tuple(replace(cause, evidence=_cited(cause, ids, fresh)) for cause in diagnosis.causes)
    for out in diagnosis.ruled_out:
        _number(out.finding, ids, fresh)
    return replace(diagnosis, causes=causes), tuple(fresh)


def _cited(cause: RankedCause, ids: dict[tuple[str, str], str], fresh: list[Evidence]) -> tuple[str, ...]:
    return _number(cause.finding, ids, fresh)


def _number(finding: Finding, ids: dict[tuple[str, str], str], fresh: list[Evidence]) -> tuple[str, ...]:
    """Ids of the finding's quotes; the same words of the same source keep the id that they have."""
    cited = []
    for quote in finding.quotes:
        digest = hashlib.sha256(quote.text.encode()).hexdigest()
        if (quote.source, digest) not in ids:
            identifier = f"ev-{len(ids) + 1}"
            ids[(quote.source, digest)] = identifier
            fresh.append(
                Evidence(id=identifier, source=quote.source, about=quote.about, text=quote.text, at=quote.at, sha256=digest)
            )
        cited.append(ids[(quote.source, digest)])
    return tuple(dict.fromkeys(cited))
