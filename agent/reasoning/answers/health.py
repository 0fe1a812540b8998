"""Is it healthy: beside the verdict the figures that it rests on, one line for each thing asked about. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from agent.checks import weight_of
from agent.domain.answer import Answer
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.domain.question import Period
from agent.reasoning.answers.reply import counted, inside, moment, table
from agent.reasoning.focus import Focus
from agent.signals.changes import changes
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.fields import ref_of
from agent.topology.pods import container_states, is_finished, is_ready
from agent.topology.workloads import CONTROLLED, images_of, live_pods, revisions, tag, wanted, workloads

LATELY = timedelta(hours=1)
FEW = 12  # rows; of more only those in trouble are told
WELL = "nothing wrong"


def how_it_is(focus: Focus, topology: Topology, findings: Sequence[Finding]) -> Answer:
    """A row for each workload asked about (of a namespace: for each in it), unready ones first."""
    asked = list(dict.fromkeys(topology.unit(one) for one in focus.objects))
    if not asked:
        asked = [ref_of(one) for one in workloads(topology) if not focus.namespaces or ref_of(one).namespace in focus.namespaces]
    every = [row for ref in asked for row in _row(ref, topology, findings)]
    shown = every if len(every) <= FEW else [row for row in every if row[4] != WELL]
    rows, left = table(sorted(shown, key=lambda row: (row[4] == WELL, row[0])))
    quiet = (f"of {len(every) - len(shown)} others nothing is wrong",) if len(shown) < len(every) else ()
    columns = ("what", "pods ready", "restarts, last hour", "runs", "state")
    return Answer(intent="health", columns=columns, rows=rows, notes=(*quiet, *left))


def _row(ref: Ref, topology: Topology, findings: Sequence[Finding]) -> Iterator[tuple[str, str, str, str, str]]:
    manifest = topology.objects.get(ref)
    if manifest is None:
        return
    wrong = [one for one in findings if one.state == "active" and topology.unit(one.subject) == ref]
    wrong.sort(key=lambda one: (one.symptom_only, -weight_of(one), one.id))
    told = wrong[0].statement if wrong else WELL
    if ref.kind in CONTROLLED:
        pods = live_pods(topology, ref)
        ready = f"{sum(1 for pod in pods if is_ready(pod))} of {wanted(manifest)}"
        yield str(ref), ready, str(_restarts(ref, topology)), _runs(ref, topology), told
    elif ref.kind == "Service":
        behind = [pod for pod in topology.selected_by(manifest) if not is_finished(pod)]
        ready = f"{sum(1 for pod in behind if is_ready(pod))} of {len(behind)}"
        yield str(ref), ready, "", "", told
    else:
        yield str(ref), "", "", "", told


def _restarts(ref: Ref, topology: Topology) -> int:
    """Restarts whose last end is within the hour; a container that restarted often counts once for each that is known."""
    since = topology.now - LATELY
    return sum(
        1
        for pod in live_pods(topology, ref)
        for one in container_states(pod)
        if one.restarts and one.ended_at and one.ended_at >= since
    )


def _runs(ref: Ref, topology: Topology) -> str:
    manifest = topology.objects[ref]
    images = ", ".join(tag(one) for one in images_of(manifest)[:2])
    known = revisions(topology, ref) if ref.kind == "Deployment" else []
    since = f" since {moment(known[0].created)}" if known and known[0].created else ""
    return f"{images}{since}"


def summary(answer: Answer) -> str:
    """One sentence about the workload asked about, where it is one."""
    found = [row for row in answer.rows if row[3]]
    if len(found) != 1:
        return ""
    what, ready, restarts, runs, _ = found[0]
    told = [f"{ready} pods ready"]
    if restarts not in ("", "0"):
        told.append(f"{counted(int(restarts), 'container')} restarted in the last hour")
    return f"{what}: {', '.join([*told, f'runs {runs}'])}."


def at_that_time(period: Period | None, focus: Focus, topology: Topology) -> str:
    """What is still known of the time that the question names: warnings and changes. "" where it names none."""
    if period is None:
        return ""
    units = {topology.unit(one) for one in focus.objects}

    def is_asked(ref: Ref) -> bool:
        return topology.unit_of_name(ref) in units if units else inside(ref, focus.namespaces)

    warnings = [
        (one.count, f"{one.reason} on {about}: {one.message}")
        for about, ones in topology.events.items()
        if is_asked(about)
        for one in ones
        if one.kind == "Warning" and one.last is not None and one.first is not None
        and one.first <= period.end and one.last >= period.start
    ]  # fmt: skip
    made = [one for one in changes(topology, before=period.end, within=period.end - period.start) if is_asked(one.about)]
    told = [safe(words, limit=200) for _, words in sorted(warnings, key=lambda one: (-one[0], one[1]))[:2]]
    told += [safe(f"{one.about}: {one.what}, by {one.who}, at {moment(one.at)}", limit=200) for one in made[:2]]
    span = f"{period.said} ({moment(period.start)} to {moment(period.end)})"
    return (
        f"Of the time {span} is known: {'; '.join(told)}." if told else f"Of the time {span} no warning and no change is known."
    )
