"""Quotes become evidence: numbered, masked, hashed, so that every claim can point at what it rests on. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis, Finding
from agent.domain.objects import Ref
from agent.ports.cluster import Gap
from agent.signals.masking import safe


def collect(diagnosis: Diagnosis, gaps: Sequence[Gap] = ()) -> tuple[Diagnosis, tuple[Evidence, ...]]:
    """The diagnosis with evidence ids filled in, and the evidence: ev-1.. of the causes first, then of what was ruled
    out, then one entry for each gap (no text, `missing` says why). The same diagnosis gives the same numbers."""
    kept: dict[tuple[str, str], Evidence] = {}

    def cite(finding: Finding) -> tuple[str, ...]:
        ids = []
        for quote in finding.quotes:
            text, source = safe(quote.text), safe(quote.source, limit=300)
            if (source, text) not in kept:
                kept[source, text] = _evidence(len(kept) + 1, source, quote.about, text, quote.at)
            ids.append(kept[source, text].id)
        return tuple(dict.fromkeys(ids))

    causes = tuple(replace(cause, evidence=cite(cause.finding)) for cause in diagnosis.causes)
    for one in diagnosis.ruled_out:
        cite(one.finding)
    seen = list(kept.values())
    for gap in dict.fromkeys(gaps):
        missing, source = safe(gap.why, limit=300), safe(gap.what, limit=300)
        seen.append(
            Evidence(id=f"ev-{len(seen) + 1}", source=source, about=None, missing=missing or "could not be read", sha256=_sha(""))
        )
    return replace(diagnosis, causes=causes), tuple(seen)


def _evidence(number: int, source: str, about: Ref, text: str, at: datetime | None) -> Evidence:
    return Evidence(id=f"ev-{number}", source=source, about=about, text=text, at=at, sha256=_sha(text))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
