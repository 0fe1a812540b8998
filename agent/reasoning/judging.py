"""One diagnosis from what the checks found: fault, healthy, or not known and why. By findings and focus; which words asked is not
known here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agent.checks.injected import FOR_SOME
from agent.domain.finding import Diagnosis, Finding, RankedCause
from agent.domain.incident import Incident
from agent.domain.objects import Ref
from agent.domain.question import Question
from agent.ports.cluster import BY_NATURE
from agent.reasoning.answers.reply import listed
from agent.reasoning.explaining import looked_at
from agent.reasoning.focus import Focus
from agent.reasoning.healthy import healthy, how_it_stands
from agent.reasoning.held import held_back
from agent.reasoning.platform import namespaces_beyond
from agent.reasoning.ranking import Ranking, rank, relevance, victims
from agent.reasoning.testifying import onset, spoken, told_beside
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.fields import name_of, ref_of
from agent.topology.workloads import CONTROLLED, workloads

CLOSE = 0.65  # relevance from which a finding is about what was asked or what it needs; below, about what needs it
# Without these nobody can say that all is well: what runs, and what was meant to run.
NEEDED_FOR_HEALTH = ("Pod", "Deployment", "StatefulSet", "DaemonSet")

_HEARD = frozenset({"unreachable", "slow", "rights", "config"})  # complaints of what a program says, and its objects may not show


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
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


def judge(case: Case) -> Diagnosis:
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
    direct = _unexplained(ranking, case)
    if direct:  # what is wrong with others that need it says nothing about its own trouble
        return _unknown(direct, ranking, topology, missing, wants)
    slight = case.asked.intent == "health" and _only_for_some(ranking, case)
    if ranking.causes and not slight and not (beside and case.asked.intent == "health"):
        found = _fault(ranking, topology, missing, wants)
        return led_by([how_it_stands(focus, topology)], found) if beside else found
    if ranking.symptoms and not ranking.causes:
        return _unknown(list(ranking.symptoms), ranking, topology, missing, wants)
    blind = [kind for kind in NEEDED_FOR_HEALTH if topology.unseen.get(kind, BY_NATURE) != BY_NATURE]
    if blind:
        return _blind(blind, ranking, topology, missing, wants)
    unheard = _unheard(case)
    if unheard:
        return _not_heard(unheard, ranking, case, wants)
    well = healthy(case.findings, ranking, topology, focus, missing, wants)
    held = held_back(case.asked, focus, topology) if not case.incident.alerts else None
    if held is not None:
        cause = RankedCause(finding=held, explains=(), because=("nothing else is wrong with it",), confidence=0.8, change=None)
        return replace(well, outcome="fault", statement=held.statement, causes=(cause,))
    told = told_beside(topology)
    if not told:
        return well
    words = f"{well.statement} Beside the cluster it says: {'; '.join(told[:2])}."
    return replace(well, statement=safe(words, limit=4000), looked_at=(*well.looked_at, *told))


def _unexplained(ranking: Ranking, case: Case) -> list[Finding]:
    """Symptoms of what was asked about, or of what it needs, that no cause accounts for, where all causes seen are with others
    that need it."""
    focus, topology = case.focus, case.topology
    if not ranking.causes or not focus.objects:
        return []
    if any(relevance(one.finding, topology, focus) >= CLOSE or one.explains for one in ranking.causes):
        return []
    return [one for one in ranking.symptoms if relevance(one, topology, focus) >= 0.9]


def _only_for_some(ranking: Ranking, case: Case) -> bool:
    """Whether all that is wrong meets certain requests only, such as a tester's: for the others it is well."""
    own = [one.finding.weight for one in ranking.causes]
    return bool(own) and not case.incident.alerts and all(one is not None and one <= FOR_SOME for one in own)


def _unheard(case: Case) -> list[Ref]:
    """Where somebody complains of what only logs show: the running workloads asked about, if none of their logs could be read."""
    if case.asked.intent not in ("why", "health") or not _HEARD & set(case.asked.symptoms):
        return []
    topology, spaces = case.topology, case.focus.namespaces
    asked = [topology.unit(one) for one in case.focus.objects]
    if not asked:
        asked = [one for one in map(ref_of, workloads(topology)) if not spaces or one.namespace in spaces]
    units = [one for one in dict.fromkeys(asked) if one.kind in CONTROLLED and topology.pods_of(one)]
    told = [words for words in case.missing if words.startswith("logs of Pod ")]
    lost = [one for one in units if any(f" {one.namespace}/{one.name}-" in words for words in told)]
    return lost if lost and not any(topology.logs_of(one) for one in units) else []


def _not_heard(unheard: list[Ref], ranking: Ranking, case: Case, wants: tuple[str, ...]) -> Diagnosis:
    near = [one for one in ranking.elsewhere if one.subject.namespace in {unit.namespace for unit in unheard}]
    beside = f" What is wrong in the same namespace: {' '.join(one.statement for one in near[:2])}" if near else ""
    words = (
        f"Nothing wrong can be seen in the objects of {listed(unheard, most=3)}, but none of their logs could be read, and what a"
        f" program fails at stands there.{beside}"
    )
    return Diagnosis(
        outcome="unknown", statement=words, ruled_out=ranking.ruled_out, missing=case.missing, wants=wants, victims=tuple(unheard)
    )


def _is_well_itself(ranking: Ranking, case: Case) -> bool:
    """Whether what was asked about has nothing wrong with it, nor has what it needs: all causes are with others that need it."""
    focus = case.focus
    if not ranking.causes or not focus.objects or case.incident.alerts:
        return False
    return all(relevance(one.finding, case.topology, focus) < CLOSE for one in ranking.causes) and not any(
        relevance(one.finding, case.topology, focus) >= CLOSE for one in ranking.ruled_out if one.finding.state == "active"
    )


def led_by(notes: Sequence[str], diagnosis: Diagnosis) -> Diagnosis:
    return replace(diagnosis, statement=safe(" ".join((*notes, diagnosis.statement)), limit=4000)) if notes else diagnosis


def _fault(ranking: Ranking, topology: Topology, missing: tuple[str, ...], wants: tuple[str, ...]) -> Diagnosis:
    causes = ranking.causes
    hit = victims(causes, topology)
    first = causes[0].finding
    sentences = [cause.finding.statement for cause in causes]
    others = [one for one in hit if one.kind != "Pod" and one not in {cause.finding.subject for cause in causes}]
    unsaid = [one for one in others if one.name not in first.statement]
    sentences += [
        f"Against it speaks {one.source}: {one.text.rstrip('.')}."
        for one in spoken(first, "excludes", topology)[:2]
    ]  # fmt: skip
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
