"""What one turn of an investigation works on and with. Types, and what is worked out of them; no vendor, no store."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.domain.incident import Incident
from agent.domain.objects import Ref
from agent.domain.outcome import Round
from agent.ports.model import ChatModel, ModelBook
from agent.ports.toolset import Tool, Toolset, View
from agent.reasoning.model.aliases import NEUTRAL_LABELS, Aliases
from agent.reasoning.model.faithfulness import Known, Piece
from agent.reasoning.model.fencing import harmless
from agent.reasoning.model.inquiry import Inquiry, Texts
from agent.reasoning.model.leash import Leash
from agent.reasoning.model.prompt import VERSION, again, opening
from agent.topology.fields import ref_of
from agent.topology.naming import names_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Investigator:
    """`pages` are the slugs of the causes that have a runbook page."""

    chat: ChatModel
    book: ModelBook
    toolsets: tuple[Toolset, ...]
    leash: Leash = field(default_factory=Leash)
    pages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`remedies` are the runbooks' candidates, one line each, their id in front."""

    run: str
    incident: Incident
    diagnosis: Diagnosis
    evidence: Sequence[Evidence]
    view: View
    rounds: Sequence[Round] = ()
    remedies: Sequence[str] = ()


def tools_of(investigator: Investigator, view: View) -> dict[str, Tool]:
    """Every tool of the toolsets that are on, by name; of two with one name the first."""
    found: dict[str, Tool] = {}
    for toolset in investigator.toolsets:
        for tool in () if toolset.why_off else toolset.tools(view):
            found.setdefault(tool.name, tool)
    return found


def aliases_of(inquiry: Inquiry, case: Case, investigator: Investigator, texts: Texts) -> Aliases:
    """Names of what was read, and those that were met since."""
    spared = frozenset({*investigator.pages, *(one.finding.cause for one in case.diagnosis.causes)})
    aliases = Aliases(secret=inquiry.fence, is_on=investigator.leash.hide_names, spared=spared)
    if aliases.is_on:
        aliases.learn(_names_of(case.view))
        aliases.learn([case.incident.cluster, *case.view.namespaces])
        aliases.learn(value for one in case.incident.alerts for key, value in one.labels.items() if key not in NEUTRAL_LABELS)
        if inquiry.names and texts[inquiry.names].startswith("["):  # else it is no longer kept
            aliases.resume(texts[inquiry.names])
    return aliases


def _names_of(view: View) -> tuple[str, ...]:
    """Worked out once of a view, however many turns are taken over it."""
    known = view.derived.get("names")
    if not isinstance(known, tuple):
        labels = (value for one in view.series for key, value in one.labels.items() if key not in NEUTRAL_LABELS)
        known = tuple({*names_in(view.observed.objects), *labels, *(log.pod for log in view.observed.logs)})
        view.derived["names"] = known
    return known


def known(case: Case, inquiry_looks: Mapping[str, Piece]) -> Known:
    """What claims are held against: evidence, looks, objects, and what findings name though it is missing."""
    pieces = {one.id: Piece(source=one.source, text=one.text) for one in case.evidence if one.text}
    diagnosis = case.diagnosis
    findings = [*(one.finding for one in diagnosis.causes), *(one.finding for one in diagnosis.ruled_out)]
    named: set[Ref] = {ref_of(one) for one in case.view.observed.objects}
    named |= {ref for finding in findings for ref in (finding.subject, *finding.affects)}
    told = opening(case.incident, diagnosis, case.evidence, case.view, fence="\0", pages=(), remedies=case.remedies)
    told += again(case.rounds, "\0") if case.rounds else ""
    return Known(pieces={**pieces, **inquiry_looks}, objects=named, findings={finding.id for finding in findings}, told=told)


def fingerprint(case: Case, model: str) -> str:
    """The same model asked the same thing about the same findings on the same evidence."""
    incident, diagnosis = case.incident, case.diagnosis
    document = {
        "version": VERSION,
        "model": model,
        "cluster": incident.cluster,
        "question": incident.question,
        "alerts": sorted(f"{one.name} {sorted(one.labels.items())}" for one in incident.alerts),
        "outcome": diagnosis.outcome,
        "causes": [[one.finding.id, one.confidence] for one in diagnosis.causes],
        "ruled_out": sorted(one.finding.id for one in diagnosis.ruled_out),
        "evidence": [[one.id, one.source, one.sha256] for one in case.evidence],
        "remedies": list(case.remedies),
    }
    return hashlib.sha256(orjson.dumps(document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def as_kept(raw: str) -> str:
    """A tool's text as it is stored: everything that is sent or cited comes from here."""
    return harmless(raw)
