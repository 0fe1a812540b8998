"""Name the cause, and give what it rests on an id, so that every claim can point at its evidence."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.ports import Reasoner
from agent.reasoning.evidence import collect
from agent.stages.gather import Sight

MOST_CAUSES = 3


async def diagnose(
    incident: Incident, sight: Sight, known: Sequence[Evidence], *, reasoner: Reasoner
) -> tuple[Diagnosis, tuple[Evidence, ...]]:
    """The diagnosis, its causes citing evidence ids; and the pieces that are new beside `known`."""
    diagnosis = await asyncio.to_thread(reasoner.diagnose, incident, sight.observed, sight.series)
    numbered, pieces = collect(diagnosis, sight.observed.gaps)
    return _renumbered(numbered, pieces, known)


def remembering(fresh: Diagnosis, earlier: Diagnosis | None) -> Diagnosis:
    """After a remedy was undone, the newest change is our own: what was known of the same finding before still holds."""
    known = {cause.finding.id: cause.finding for cause in earlier.causes} if earlier else {}
    reasons = {cause.finding.id: cause.because for cause in earlier.causes} if earlier else {}
    causes = []
    for cause in fresh.causes:
        before = known.get(cause.finding.id)
        if before is not None:
            finding = replace(
                cause.finding,
                params={**before.params, **cause.finding.params},
                since=before.since or cause.finding.since,
                statement=before.statement,
            )
            # Our own change and its undoing are no reason for what was there before them.
            cause = replace(cause, finding=finding, because=reasons[cause.finding.id])
        causes.append(cause)
    return replace(fresh, causes=tuple(causes))


def heeding(fresh: Diagnosis, earlier: Diagnosis, *, acted: bool) -> Diagnosis:
    """What a model made of it stays in the report; and until something was done, so do the causes that only it named."""
    ids = {cause.finding.id for cause in fresh.causes}
    own = [one for one in earlier.causes if one.finding.by_model and one.finding.id not in ids]
    heeded = replace(fresh, assessment=earlier.assessment)
    if acted or not own or fresh.outcome not in ("fault", "unknown"):
        return heeded
    statement = fresh.statement if fresh.outcome == "fault" else earlier.statement
    return replace(heeded, outcome="fault", statement=statement, causes=(*fresh.causes, *own)[:MOST_CAUSES])


def _renumbered(
    diagnosis: Diagnosis, pieces: Sequence[Evidence], known: Sequence[Evidence]
) -> tuple[Diagnosis, tuple[Evidence, ...]]:
    """Ids are stable within a run: the same words of the same source keep theirs, new ones get the next."""
    ids = {(piece.source, piece.sha256, piece.missing): piece.id for piece in known}
    renamed: dict[str, str] = {}
    fresh = []
    for piece in pieces:
        key = (piece.source, piece.sha256, piece.missing)
        if key not in ids:
            ids[key] = f"ev-{len(ids) + 1}"
            fresh.append(replace(piece, id=ids[key]))
        renamed[piece.id] = ids[key]
    causes = tuple(
        replace(cause, evidence=tuple(renamed[identifier] for identifier in cause.evidence)) for cause in diagnosis.causes
    )
    return replace(diagnosis, causes=causes), tuple(fresh)
