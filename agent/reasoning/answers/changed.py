"""What changed: a dated list, newest first, by whom, of what was asked about and what that needs. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis, RankedCause
from agent.domain.objects import Ref
from agent.domain.question import Period, Question
from agent.reasoning.answers.reply import answered, counted, inside, listed, moment, table, where
from agent.reasoning.focus import Focus
from agent.signals.changes import Change, changes
from agent.topology import Topology
from agent.topology.fields import created_at, ref_of

BACK = timedelta(days=1)  # where the question names no time
FROM_THE_START = timedelta(minutes=1)


def what_changed(
    question: Question, focus: Focus, topology: Topology, causes: Sequence[RankedCause], missing: tuple[str, ...]
) -> Diagnosis:
    period = _period(question, focus, topology)
    seen = _relevant(changes(topology, before=period.end, within=period.end - period.start), focus, topology)
    begun = min((one.finding.since for one in causes if one.finding.since is not None), default=None)
    rows, left = table(
        (moment(one.at).removesuffix("Z"), str(one.about), one.what, one.who, _beside(one, begun, focus, topology))
        for one in seen
    )
    span = f"between {moment(period.start)} and {moment(period.end)}"
    about = listed(focus.objects, most=3) if focus.objects else where(focus.namespaces)
    said = (
        f"{counted(len(seen), 'change')} to {about} {span}."
        if seen
        else f"Nothing changed in {about} {span}, as far as can be seen."
    )
    if seen:
        last = seen[0]
        said += f" The last: {last.about}, {last.what}, by {last.who}, at {moment(last.at)}."
    if causes:
        first = causes[0].finding
        since = f" (since {moment(first.since)})" if first.since else ""
        said += f" A fault is active{since}: {first.statement}"
    notes = [*left, "deletions leave no object behind, and events are kept for an hour or so: what is older may not be seen"]
    if focus.objects:
        notes.append("changes of what it needs (configuration, Services it calls, nodes) are in the list too")
    answer = Answer(intent="changed", columns=("when (UTC)", "what", "change", "by", ""), rows=rows, notes=tuple(notes))
    return answered(answer, said, missing=missing)


def _period(question: Question, focus: Focus, topology: Topology) -> Period:
    """The time asked about. "After the deploy" begins with the last revision of what is asked about."""
    known = question.period
    if known is None:
        return Period(start=topology.now - BACK, end=topology.now, said="the last day")
    if known.anchor == "change":
        units = {topology.unit(one) for one in focus.objects}
        rollouts = [
            when
            for one in topology.of_kind("ReplicaSet", "ControllerRevision")
            for when in (created_at(one),)
            if when is not None and known.start <= when and _is_asked(topology.unit(ref_of(one)), units, focus)
        ]
        start = max(rollouts, default=topology.now - BACK) - FROM_THE_START
        return Period(start=start, end=known.end, said=known.said)
    return known


def _is_asked(unit: Ref, units: set[Ref], focus: Focus) -> bool:
    return unit in units if units else inside(unit, focus.namespaces)


def _relevant(found: Sequence[Change], focus: Focus, topology: Topology) -> list[Change]:
    if focus.objects:
        wanted = set(focus.objects) | {topology.unit(one) for one in focus.objects}
        wanted |= {need for one in focus.objects for need in topology.depends_on(one)}
        return [one for one in found if one.about in wanted or topology.unit_of_name(one.about) in wanted]
    spaces = focus.namespaces
    return [one for one in found if inside(one.about, spaces) or not one.about.namespace]


def _beside(one: Change, begun: datetime | None, focus: Focus, topology: Topology) -> str:
    """How the change stands to the fault that is active, and to what was asked about."""
    told = []
    asked = {topology.unit(ref) for ref in focus.objects}
    if asked and topology.unit_of_name(one.about) not in asked:
        told.append("needed by it")
    if begun is not None:
        told.append("before the fault" if one.at <= begun + timedelta(seconds=60) else "after it began")
    return ", ".join(told)
