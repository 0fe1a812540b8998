"""The reasoner that needs no model: focus, topology, checks, ranking, and an answer in plain sentences."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from agent.checks import run
from agent.domain.finding import Diagnosis, Finding
from agent.domain.incident import Incident
from agent.domain.objects import Ref, Series
from agent.domain.question import Question
from agent.ports.cluster import BY_NATURE, Gap, Observed
from agent.reasoning.answers import (
    at_that_time,
    how_it_is,
    is_ill,
    not_there,
    summary,
    what_changed,
    what_suffers,
    which_one,
    who_may,
)
from agent.reasoning.answers.manners import greeted, noted
from agent.reasoning.answers.needs import what_it_needs
from agent.reasoning.answers.reply import listed, where
from agent.reasoning.explaining import looked_at
from agent.reasoning.focus import Focus, focus_on
from agent.reasoning.healthy import healthy, how_it_stands
from agent.reasoning.platform import namespaces_beyond
from agent.reasoning.questions import understand
from agent.reasoning.ranking import Ranking, rank, relevance, victims
from agent.reasoning.spaces import namespaces_named
from agent.reasoning.testifying import onset, testified
from agent.reasoning.ties import ties
from agent.reasoning.topics import of_topic, unheard_of
from agent.signals.masking import mask, safe
from agent.topology import Topology, build
from agent.topology.fields import name_of
from sidecar.contract import Json

CLOSE = 0.65  # relevance from which a finding is about what was asked or what it needs; below, about what needs it
SYSTEM = ("kube-system", "kube-public", "kube-node-lease")
# Without these nobody can say that all is well: what runs, and what was meant to run.
NEEDED_FOR_HEALTH = ("Pod", "Deployment", "StatefulSet", "DaemonSet")


Look = Callable[[Topology], Iterable[Finding]]


class OfflineReasoner:
    """Implements agent.ports.Reasoner. Same input, same answer, whatever the order of the objects. `own`: causes that are
    looked for beside those of the checks, such as those of runbook pages."""

    def __init__(self, own: Look | None = None) -> None:
        self._own = own

    def namespaces_of(self, incident: Incident, known: tuple[str, ...]) -> tuple[str, ...]:
        return namespaces_named(incident, known) or known

    def topology(self, observed: Observed, series: tuple[Series, ...] = ()) -> Topology:
        unseen = {gap.what.split()[0]: gap.why for gap in observed.gaps}
        return build(observed.now, observed.objects, observed.logs, series, unseen, observed.testimony)

    def look(self, observed: Observed, series: tuple[Series, ...] = ()) -> tuple[Topology, tuple[Finding, ...]]:
        """Everything that the checks see, before anybody asks what it is about."""
        topology = self.topology(observed, series)
        found = {one.id: one for one in (self._own(topology) if self._own is not None else ())}
        found.update((one.id, one) for one in run(topology))
        return topology, tuple(_safe(one) for one in testified([found[name] for name in sorted(found)], topology))

    def diagnose(self, incident: Incident, observed: Observed, series: tuple[Series, ...] = ()) -> Diagnosis:
        topology, findings = self.look(observed, series)
        case = _Case(
            incident=incident,
            asked=understand(incident.question, topology.now),
            focus=focus_on(incident, topology),
            topology=topology,
            findings=findings,
            missing=_missing(observed.gaps),
        )
        judged = _of_question(case) if incident.question and not incident.alerts else _judged(case)
        return replace(judged, about=_about(case.focus), ties=ties(judged, topology))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What one diagnosis goes by."""

    incident: Incident
    asked: Question
    focus: Focus
    topology: Topology
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]

    @property
    def unread(self) -> tuple[str, ...]:
        """Namespaces that exist and were not read, as wants."""
        names = [name_of(one) for one in self.topology.of_kind("Namespace")]
        return tuple(f"ns:{name}" for name in sorted(names) if not self.topology.knows_namespace(name))


def _about(focus: Focus) -> tuple[Ref, ...]:
    """What a follow-up question may call "it", or "there"."""
    if focus.rivals:
        return ()
    return (focus.objects or focus.elsewhere or tuple(Ref("Namespace", "", one) for one in focus.namespaces))[:8]


def _of_question(case: _Case) -> Diagnosis:
    """Asks back or says what is not there, where that is all there is to say; else the answer to what is wanted."""
    focus, topology, asked = case.focus, case.topology, case.asked
    greeting = greeted(asked, case.missing)
    if greeting is not None:
        return greeting
    notes = noted(asked, found=bool(focus.objects or focus.namespaces or focus.elsewhere))
    notes += [f"{said} is taken for {ref}." for said, ref in focus.taken]
    if focus.rivals and asked.intent != "access":
        of_space = {one.namespace: [other for other in focus.objects if other.namespace == one.namespace] for one in focus.rivals}
        ill = [one for one in focus.rivals if any(is_ill(topology, it, case.findings) for it in of_space[one.namespace])]
        if asked.intent not in ("why", "health") or len(ill) > 1:
            return which_one(asked, focus, topology, case.findings, case.missing)
        if ill:  # whoever asks what is wrong means the one that has something wrong
            others = ", ".join(one.namespace for one in focus.rivals if one not in ill)
            notes.append(f"{ill[0]} is meant, as nothing is wrong with the one in {others}.")
            mine = tuple(one for one in focus.objects if one.namespace in ("", ill[0].namespace))
            case = replace(case, focus=replace(focus, objects=mine or tuple(ill), namespaces=(ill[0].namespace,)))
    if not (focus.objects or focus.elsewhere or focus.absent or focus.unknown_namespaces) and asked.intent in ("why", "health"):
        meant = tuple(
            one for one in of_topic(asked, topology) if not focus.namespaces or one.namespace in ("", *focus.namespaces)
        )
        word = unheard_of(asked)
        if meant:
            case = replace(case, focus=replace(focus, objects=meant))
        elif word and word not in focus.namespaces and not topology.unseen.get("Deployment"):
            notes.append(f"Nothing is called {word}; taken as a question about {where(focus.namespaces)}.")
    if not focus.objects and focus.elsewhere:
        found = listed(focus.elsewhere, most=3)
        notes.append(f"{focus.elsewhere[0].name} is not in {where(focus.namespaces)}; it is in another namespace: {found}.")
        case = replace(case, focus=replace(focus, objects=focus.elsewhere, namespaces=()))
    elif asked.intent == "access":
        pass  # accounts and resources are no objects that something can be wrong with
    elif not focus.objects and (focus.unknown_namespaces or focus.absent):
        sure = bool(focus.unknown_namespaces) or any(one.sure for one in focus.absent) or not focus.namespaces
        if sure or asked.intent in ("impact", "needs"):
            wants = () if focus.unknown_namespaces else case.unread
            ranking = rank(case.findings, topology, Focus(namespaces=focus.namespaces))
            wrong = [one.finding for one in ranking.causes] if asked.intent in ("why", "health") else []
            return not_there(focus, topology, wrong, case.missing, wants)
        notes.append(f"Nothing is called {focus.absent[0].name}; taken as a question about {where(focus.namespaces)}.")
        reply = _led_by(notes, _wanted_to_know(case))
        return replace(reply, wants=tuple(dict.fromkeys((*reply.wants, *case.unread))))  # it may be elsewhere
    elif focus.unknown_namespaces:
        notes.append(f"There is no namespace {focus.unknown_namespaces[0]}.")
    return _led_by(notes, _wanted_to_know(case))


def _wanted_to_know(case: _Case) -> Diagnosis:
    focus, topology, asked = case.focus, case.topology, case.asked
    match asked.intent:
        case "access":
            return who_may(asked, focus, topology, case.missing)
        case "impact":
            return replace(what_suffers(asked, focus, topology, case.missing), wants=case.unread)
        case "needs" if focus.objects:
            return what_it_needs(focus, topology, case.findings, case.missing)
        case "changed":
            ranking = rank(case.findings, topology, focus)
            return what_changed(asked, focus, topology, ranking.causes, case.missing)
        case "health" | "why" | "needs":
            judged = _judged(case)
            if judged.outcome == "healthy" or (judged.outcome == "fault" and asked.intent == "health"):
                told = how_it_is(focus, topology, case.findings)
                then = at_that_time(asked.period, focus, topology) if judged.outcome == "healthy" else ""
                more = " ".join(one for one in (summary(told) if judged.outcome == "healthy" else "", then) if one)
                return replace(judged, statement=f"{judged.statement} {more}".strip(), answer=told)
            return judged
        case _:
            assert_never(asked.intent)


def _led_by(notes: Sequence[str], diagnosis: Diagnosis) -> Diagnosis:
    return replace(diagnosis, statement=safe(" ".join((*notes, diagnosis.statement)), limit=4000)) if notes else diagnosis


def _judged(case: _Case) -> Diagnosis:
    """Fault, healthy or unknown."""
    focus, topology, missing = case.focus, case.topology, case.missing
    starts = [alert.starts_at for alert in case.incident.alerts if alert.starts_at is not None]
    if not starts and case.asked.period is not None and case.asked.period.begun is not None:
        starts = [case.asked.period.begun]
    if not starts and (fired := onset(focus, topology)) is not None:
        starts = [fired]
    ranking = rank(case.findings, topology, focus, gaps=len(missing), begun=min(starts, default=None))
    wants = tuple(f"ns:{name}" for name in namespaces_beyond(topology, focus.objects))
    beside = _is_well_itself(ranking, case)
    if ranking.causes and not (beside and case.asked.intent == "health"):
        found = _fault(ranking, topology, missing, wants)
        return _led_by([how_it_stands(focus, topology)], found) if beside else found
    if ranking.symptoms and not ranking.causes:
        return _unknown(list(ranking.symptoms), ranking, topology, missing, wants)
    blind = [kind for kind in NEEDED_FOR_HEALTH if topology.unseen.get(kind, BY_NATURE) != BY_NATURE]
    if blind:
        return _blind(blind, ranking, topology, missing, wants)
    return healthy(case.findings, ranking, topology, focus, missing, wants)


def _is_well_itself(ranking: Ranking, case: _Case) -> bool:
    """Whether what was asked about has nothing wrong with it, nor has what it needs: all causes are with others that need it."""
    focus = case.focus
    if not ranking.causes or not focus.objects or case.incident.alerts:
        return False
    return all(relevance(one.finding, case.topology, focus) < CLOSE for one in ranking.causes) and not any(
        relevance(one.finding, case.topology, focus) >= CLOSE for one in ranking.ruled_out if one.finding.state == "active"
    )


def _safe(finding: Finding) -> Finding:
    quotes = tuple(replace(quote, text=safe(quote.text), source=safe(quote.source, limit=300)) for quote in finding.quotes)
    params = {key: _safe_value(value) for key, value in finding.params.items()}
    return replace(finding, statement=safe(finding.statement, limit=900), quotes=quotes, params=params)


def _safe_value(value: Json) -> Json:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [_safe_value(one) for one in value]
    return {key: _safe_value(one) for key, one in value.items()} if isinstance(value, dict) else value


def _missing(gaps: Sequence[Gap]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{safe(gap.what, limit=200)}: {safe(gap.why, limit=200)}" for gap in gaps))


def _fault(ranking: Ranking, topology: Topology, missing: tuple[str, ...], wants: tuple[str, ...]) -> Diagnosis:
    causes = ranking.causes
    hit = victims(causes, topology)
    first = causes[0].finding
    sentences = [cause.finding.statement for cause in causes]
    others = [one for one in hit if one.kind != "Pod" and one not in {cause.finding.subject for cause in causes}]
    unsaid = [one for one in others if one.name not in first.statement]
    if unsaid:
        sentences.append(f"Also affected: {', '.join(str(one) for one in unsaid[:5])}.")
    return Diagnosis(
        outcome="fault",
        statement=" ".join(sentences),
        causes=causes,
        ruled_out=ranking.ruled_out,
        missing=missing,
        victims=hit,
        wants=wants,
        looked_at=looked_at(topology, [topology.unit(one.finding.subject) for one in causes], [one.finding for one in causes]),
    )


def _unknown(
    symptoms: list[Finding], ranking: Ranking, topology: Topology, missing: tuple[str, ...], wants: tuple[str, ...]
) -> Diagnosis:
    said = " ".join(one.statement for one in symptoms[:3])
    missing = (*missing, *_silent(symptoms, topology))
    unseen = f" Not seen: {'; '.join(missing[:5])}." if missing else ""
    return Diagnosis(
        outcome="unknown",
        statement=f"Something is wrong, and what was seen does not say why. {said}{unseen}",
        ruled_out=ranking.ruled_out,
        missing=missing,
        wants=wants,
        victims=tuple(dict.fromkeys(topology.unit(one.subject) for one in symptoms)),
        looked_at=looked_at(topology, [topology.unit(one.subject) for one in symptoms], symptoms),
    )


def _silent(symptoms: Sequence[Finding], topology: Topology) -> Iterator[str]:
    """Workloads in trouble of which no log was seen, whoever is to blame for that."""
    for unit in dict.fromkeys(topology.unit(one.subject) for one in symptoms):
        if topology.pods_of(unit) and not any(log.text.strip() for log in topology.logs_of(unit)):
            yield f"logs of {unit}: none were seen"


def _blind(
    kinds: Sequence[str], ranking: Ranking, topology: Topology, missing: tuple[str, ...], wants: tuple[str, ...]
) -> Diagnosis:
    """Nothing wrong was seen, but what would have to be seen for "all is well" was not."""
    why = safe(topology.unseen[kinds[0]], limit=200)
    words = f"Nothing can be said: {', '.join(kinds)} objects could not be read ({why})."
    return Diagnosis(outcome="unknown", statement=words, ruled_out=ranking.ruled_out, missing=missing, wants=wants)
