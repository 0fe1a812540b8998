"""Asking back: what was named fits in several places, or nowhere. Says what there is instead, and never guesses. Pure."""

from collections.abc import Sequence

from agent.checks import weight_of
from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis, Finding
from agent.domain.objects import Ref
from agent.domain.question import Mention, Question
from agent.reasoning.answers.reply import listed, where
from agent.reasoning.focus import Focus
from agent.reasoning.names import nearest
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.fields import name_of
from agent.topology.pods import is_ready
from agent.topology.workloads import CONTROLLED, live_pods, wanted

MOST = 8
_FEW = ("Node", "StorageClass", "Namespace")  # kinds of which a cluster has so few that all can be named
_ASKED_FOR = (*CONTROLLED, "Job", "CronJob", "Service", "Pod", "Node", "Ingress", "ConfigMap", "Secret", "PersistentVolumeClaim")


def which_one(
    question: Question, focus: Focus, topology: Topology, findings: Sequence[Finding], missing: tuple[str, ...]
) -> Diagnosis:
    """One name in several namespaces: each with the state it is in, so that the answer may already be among them."""
    told = [f"{one}: {state(topology, one, findings)}" for one in focus.rivals[:MOST]]
    more = f" and {len(focus.rivals) - MOST} more" if len(focus.rivals) > MOST else ""
    said = f"Which one is meant? {focus.rivals[0].name} is in {len(focus.rivals)} namespaces. {'; '.join(told)}{more}."
    choices = tuple(f"{question.text.rstrip('?!. ')} in namespace {one.namespace}?" for one in focus.rivals[:MOST])
    answer = Answer(
        intent="clarify",
        columns=("what", "state"),
        rows=tuple((str(one), safe(state(topology, one, findings), limit=300)) for one in focus.rivals[:MOST]),
        choices=choices,
    )
    return Diagnosis(outcome="unclear", statement=safe(said), missing=missing, answer=answer)


def is_ill(topology: Topology, ref: Ref, findings: Sequence[Finding]) -> bool:
    """Whether something is wrong with it now, or with what it needs."""
    unit = topology.unit(ref)
    near = {unit, *topology.depends_on(unit)}
    return any(one.state == "active" and not near.isdisjoint(map(topology.unit, (one.subject, *one.affects))) for one in findings)


def state(topology: Topology, ref: Ref, findings: Sequence[Finding]) -> str:
    """Ready pods of those wanted, and the most telling finding about it, in a line."""
    active = [one for one in findings if one.state == "active" and topology.unit(one.subject) == topology.unit(ref)]
    active.sort(key=lambda one: (one.symptom_only, -weight_of(one), one.id))
    manifest = topology.objects.get(ref)
    told = []
    if manifest is not None and ref.kind in CONTROLLED:
        have = sum(1 for pod in live_pods(topology, ref) if is_ready(pod))
        told.append(f"{have} of {wanted(manifest)} pods ready")
    elif manifest is not None and ref.kind == "Service":
        told.append(f"{sum(1 for pod in topology.selected_by(manifest) if is_ready(pod))} ready pods behind it")
    told.append(active[0].statement.rstrip(".") if active else "nothing wrong with it")
    return ", ".join(told)


def not_there(
    focus: Focus, topology: Topology, seen_elsewhere: Sequence[Finding], missing: tuple[str, ...], wants: tuple[str, ...]
) -> Diagnosis:
    """What was named is in no namespace that could be read."""
    if focus.unknown_namespaces:
        return _no_namespace(focus, topology, missing)
    named = focus.absent[0]
    unread = [kind for kind in ("Deployment", "StatefulSet", "Pod") if not topology.saw(kind)]
    if unread:
        why = f"{listed(unread)} objects could not be read ({topology.unseen[unread[0]]})"
        return Diagnosis(
            outcome="unknown",
            statement=safe(f"{_words(named)} was not found, but {why}, so it cannot be said that it is not there."),
            missing=missing,
            wants=wants,
        )
    near = _near(named, focus, topology)
    said = f"There is no {_words(named)} in {where(focus.namespaces)}."
    if near:
        said += f" Is {listed(near, most=3)} meant?"
    elif named.kind in _FEW:
        there = sorted(map(name_of, topology.of_kind(named.kind)))
        said += f" There {'is' if len(there) == 1 else 'are'} {listed(there)}." if there else ""
    if seen_elsewhere:
        said += f" What is wrong there now, whatever was meant: {' '.join(one.statement for one in seen_elsewhere[:2])}"
    answer = Answer(intent="clarify", choices=tuple(str(one) for one in near))
    return Diagnosis(outcome="absent", statement=safe(said), missing=missing, wants=wants, answer=answer)


def _words(named: Mention) -> str:
    return f"{named.kind} {named.name}" if named.kind else f"object called {named.name}"


def _near(named: Mention, focus: Focus, topology: Topology) -> list[Ref]:
    """What is called almost so, in the namespaces asked about first; the likeliest first."""
    by_name: dict[str, list[Ref]] = {}
    for ref in topology.objects:
        if ref.kind in _ASKED_FOR and topology.unit(ref) == ref:
            by_name.setdefault(ref.name, []).append(ref)
    close = [name for name, _ in nearest(named.name, by_name.keys(), least=0.6, most=5)]
    close += [name for name in sorted(by_name) if len(named.name) > 3 and named.name in name and name not in close]
    found = [
        min(by_name[name], key=lambda ref: (ref.namespace not in focus.namespaces, _ASKED_FOR.index(ref.kind))) for name in close
    ]
    return list(dict.fromkeys(found))[:3]


def _no_namespace(focus: Focus, topology: Topology, missing: tuple[str, ...]) -> Diagnosis:
    name = focus.unknown_namespaces[0]
    known = sorted(name_of(one) for one in topology.of_kind("Namespace"))
    near = [found for found, _ in nearest(name, known, least=0.6, most=3)]
    said = f"There is no namespace {name} in the cluster."
    said += f" Is {listed(near)} meant?" if near else f" It has: {listed(known, most=12)}."
    answer = Answer(intent="clarify", choices=tuple(near))
    return Diagnosis(outcome="absent", statement=safe(said), missing=missing, answer=answer)
