"""Which ones: pods (or nodes, workloads ...) that are as the question says, counted and named; and which version of a workload
runs. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from agent.checks import weight_of
from agent.domain.answer import Answer
from agent.domain.finding import Diagnosis, Finding
from agent.domain.objects import Manifest, Ref
from agent.domain.question import Question
from agent.reasoning.answers.reply import answered, counted, inside, listed, moment, table, where
from agent.reasoning.focus import Focus
from agent.reasoning.vocabulary import KIND_WORDS
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.fields import at, condition, created_at, ref_of, text
from agent.topology.pods import container_states, containers, is_finished, is_ready, phase, unready_since
from agent.topology.workloads import CONTROLLED, images_of, live_pods, tag, wanted

LATELY = timedelta(hours=1)
NAMED = 6
_Test = Callable[[Manifest, Topology], str]  # the state in words, "" for what is not in it
_WORKLOADS = frozenset({"workload", "workloads", "app", "apps", "application", "applications"})


def which_ones(asked: Question, found: Diagnosis, focus: Focus, topology: Topology, findings: Sequence[Finding]) -> Diagnosis:
    """The same judgement, led by those that the question asks for."""
    kinds = tuple(dict.fromkeys(KIND_WORDS[word] for word in asked.words if KIND_WORDS.get(word) not in (None, "Namespace")))
    if _WORKLOADS & set(asked.words):
        kinds = CONTROLLED
    if len(kinds) > 1:  # "which pods on node node-1"
        kinds = tuple(one for one in kinds if one != "Node")
    kinds = kinds or ("Pod",)
    units = {topology.unit(one) for one in focus.objects if one.kind not in ("Node",)}
    nodes = {one.name for one in focus.objects if one.kind == "Node"}
    every = [
        one
        for one in topology.of_kind(*kinds)
        if inside(ref_of(one), focus.namespaces) or not ref_of(one).namespace
        if not units or topology.unit(ref_of(one)) in units or ref_of(one) in units
        if not nodes or text(one, "spec", "nodeName") in nodes or ref_of(one).name in nodes
    ]
    ill = _ill(topology, findings)
    state, test = _state(asked.text.lower())
    hit = []
    for one in every:
        words = test(one, topology) or ("" if state else ill.get(ref_of(one), ""))
        if not words and not state and topology.unit(ref_of(one)) in ill and ref_of(one).kind == "Pod":
            words = _restarts(one, topology)  # between two crashes it is ready
        if words:
            hit.append((ref_of(one), words))
    noun = {"Pod": "pod", "Node": "node"}.get(kinds[0], kinds[0]) if len(kinds) == 1 else "workload"
    scope = listed(focus.objects, most=2) if focus.objects else where(focus.namespaces)
    names = listed([str(ref) for ref, _ in hit], most=NAMED)
    is_so = state or "in trouble"
    said = (
        f"{len(hit)} of {counted(len(every), noun)} in {scope} {'is' if len(hit) == 1 else 'are'} {is_so}: {names}."
        if hit
        else f"No {noun} in {scope} is {is_so} ({counted(len(every), noun)} looked at)."
    )
    rows, left = table((str(ref), words, str(topology.unit(ref)) if topology.unit(ref) != ref else "") for ref, words in hit)
    answer = Answer(intent="which", columns=("what", "state", "of"), rows=rows, notes=left)
    return replace(found, statement=safe(f"{said} {found.statement}", limit=4000), answer=answer)


def _ill(topology: Topology, findings: Sequence[Finding]) -> dict[Ref, str]:
    """The most telling of what is wrong with each object."""
    told: dict[Ref, str] = {}
    for one in sorted(
        (one for one in findings if one.state == "active"), key=lambda one: (one.symptom_only, -weight_of(one), one.id)
    ):
        told.setdefault(one.subject, one.statement)
        told.setdefault(topology.unit(one.subject), one.statement)
    return told


def _state(low: str) -> tuple[str, _Test]:
    """The state that is asked for, in words ("": any trouble), and whether an object is in it."""
    for pattern, words, test in _STATES:
        if pattern.search(low):
            return words, test
    return "", _in_trouble


def _restarts(one: Manifest, topology: Topology) -> str:
    ends = [box for box in container_states(one) if box.restarts and (box.waiting == "CrashLoopBackOff"
            or (box.ended_at is not None and topology.now - box.ended_at <= LATELY))]  # fmt: skip
    if not ends:
        return ""
    last = max(ends, key=lambda box: (box.ended_at or topology.now, box.name))
    when = f", the last time {moment(last.ended_at)}" if last.ended_at else ""
    why = f" ({last.end_reason or 'ended'}, exit {last.exit_code})" if last.exit_code is not None else ""
    return f"{last.name} restarted {counted(last.restarts, 'time')}{when}{why}"


def _pending(one: Manifest, topology: Topology) -> str:
    made = created_at(one)
    return f"Pending{f' since {moment(made)}' if made else ''}" if phase(one) == "Pending" else ""


def _evicted(one: Manifest, topology: Topology) -> str:
    return safe(f"Evicted: {text(one, 'status', 'message')}", limit=200) if text(one, "status", "reason") == "Evicted" else ""


def _out_of_memory(one: Manifest, topology: Topology) -> str:
    hit = [box for box in container_states(one) if box.end_reason == "OOMKilled"]
    return f"{hit[0].name} OOMKilled{f' {moment(hit[0].ended_at)}' if hit[0].ended_at else ''}" if hit else ""


def _terminating(one: Manifest, topology: Topology) -> str:
    return "Terminating" if at(one, "metadata", "deletionTimestamp") else ""


def _cordoned(one: Manifest, topology: Topology) -> str:
    return "cordoned" if at(one, "spec", "unschedulable") is True else ""


def _suspended(one: Manifest, topology: Topology) -> str:
    return "suspended" if at(one, "spec", "suspend") is True else ""


def _at_zero(one: Manifest, topology: Topology) -> str:
    return "scaled to 0" if at(one, "spec", "replicas") == 0 else ""


def _in_trouble(one: Manifest, topology: Topology) -> str:
    """Not ready and not finished well; short of pods; not Ready; failed."""
    ref = ref_of(one)
    if ref.kind == "Pod":
        if phase(one) == "Succeeded" or is_ready(one) or (is_finished(one) and text(one, "status", "reason") == "Evicted"):
            return ""
        waits = [f"{box.name}: {box.waiting}" for box in container_states(one) if box.waiting]
        since = unready_since(one)
        return "; ".join((*(waits[:2] or [phase(one) or "not ready"]), *([f"not ready since {moment(since)}"] if since else [])))
    if ref.kind in CONTROLLED:
        have = sum(1 for pod in live_pods(topology, ref) if is_ready(pod))
        return f"{have} of {wanted(one)} pods ready" if have < wanted(one) else ""
    if ref.kind == "Node":
        said = text(condition(one, "Ready"), "status")
        return "" if said == "True" else f"Ready={said or 'not known'}"
    if ref.kind == "Job":
        return "failed" if text(condition(one, "Failed"), "status") == "True" else ""
    if ref.kind == "PersistentVolumeClaim":
        return "" if text(one, "status", "phase") == "Bound" else text(one, "status", "phase") or "not bound"
    return ""


_STATES: tuple[tuple[re.Pattern[str], str, _Test], ...] = (
    (re.compile(r"\boom|out of memory"), "killed for memory", _out_of_memory),
    (re.compile(r"\bevict"), "evicted", _evicted),
    (re.compile(r"\brestart|\bcrash|\bdying"), "restarting", _restarts),
    (re.compile(r"\bpending|\bunschedul|not scheduled"), "pending", _pending),
    (re.compile(r"\bterminating"), "terminating", _terminating),
    (re.compile(r"\bcordon"), "cordoned", _cordoned),
    (re.compile(r"\bsuspend"), "suspended", _suspended),
    (re.compile(r"\bscaled to (?:0|zero)"), "scaled to 0", _at_zero),
    (re.compile(r"\bnot ready|\bunready"), "not ready", _in_trouble),
)


def what_runs(focus: Focus, topology: Topology, missing: tuple[str, ...]) -> Diagnosis | None:
    """Which images, by pods; None where no workload is asked about."""
    asked = [one for one in dict.fromkeys(map(topology.unit, focus.objects)) if one.kind in (*CONTROLLED, "CronJob", "Job")]
    if not asked and focus.namespaces:
        asked = sorted(ref_of(one) for one in topology.of_kind(*CONTROLLED) if inside(ref_of(one), focus.namespaces))
    if not asked:
        return None
    told = [row for ref in asked for row in _running(ref, topology)]
    rows, left = table(
        (what, image, pods, "wanted" if is_wanted else "not what is wanted") for what, image, pods, is_wanted in told
    )
    said = "; ".join(f"{what} runs {image} ({pods})" for what, image, pods, _ in told[:NAMED])
    more = f"; {len(told) - NAMED} more stand in the table" if len(told) > NAMED else ""
    answer = Answer(intent="runs", columns=("what", "image", "pods", ""), rows=rows, notes=left)
    return answered(answer, f"{said or f'Nothing of {listed(asked, most=2)} runs'}{more}.", missing=missing)


def _running(ref: Ref, topology: Topology) -> Iterator[tuple[str, str, str, bool]]:
    manifest = topology.objects.get(ref, {})
    goal = images_of(manifest)
    have: Counter[tuple[str, ...]] = Counter()
    ready: Counter[tuple[str, ...]] = Counter()
    for pod in live_pods(topology, ref):
        images = tuple(text(one, "image") for one in containers(at(pod, "spec"), init=False))
        have[images] += 1
        ready[images] += is_ready(pod)
    for images, count in sorted(have.items(), key=lambda one: (-one[1], one[0])):
        shown = ", ".join(safe(tag(one), limit=80) for one in images[:3])
        yield str(ref), shown, f"{ready[images]} of {counted(count, 'pod')} ready", set(goal) <= set(images)
    if not have:
        yield str(ref), ", ".join(safe(tag(one), limit=80) for one in goal[:3]) or "nothing", "no pods", True
