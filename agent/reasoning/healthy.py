"""The answer "no active fault", and how what was asked about stands: what is over, what is finished, what is held on purpose."""

from collections.abc import Sequence

from agent.domain.finding import Diagnosis, Finding
from agent.domain.objects import Ref
from agent.reasoning.answers import standing
from agent.reasoning.answers.reply import listed
from agent.reasoning.focus import Focus
from agent.reasoning.platform import held_on_purpose
from agent.reasoning.ranking import Ranking
from agent.topology import Topology
from agent.topology.fields import controller_of, name_of, namespace_of, text
from agent.topology.pods import is_finished, phase
from agent.topology.workloads import CONTROLLED, is_serving, wanted, workloads

_BESIDE = ("Service", "PodDisruptionBudget", "ServiceAccount")  # of the workload's own name: it speaks for them


def healthy(
    findings: Sequence[Finding],
    ranking: Ranking,
    topology: Topology,
    focus: Focus,
    missing: tuple[str, ...],
    wants: tuple[str, ...],
) -> Diagnosis:
    if focus.objects:
        return _one_is_healthy(findings, ranking, topology, focus, missing, wants)
    spaces = focus.namespaces
    asked = [one for one in workloads(topology) if (not spaces or namespace_of(one) in spaces) and wanted(one) > 0]
    up = [one for one in asked if is_serving(topology, Ref(text(one, "kind"), namespace_of(one), name_of(one)))]
    where = f" in {', '.join(spaces)}" if spaces else ""
    names = ", ".join(sorted(name_of(one) for one in up)[:6])
    sentences = [f"No active fault{where}: {len(up)} of {len(asked)} workloads are fully ready{f' ({names})' if names else ''}."]
    over = [
        one
        for one in findings
        if one.state == "recovered" and (not spaces or any(it.namespace in spaces for it in _of(one, topology)))
    ]
    sentences += [one.statement for one in over[:3]]
    finished = sorted({_runner(topology, pod) for pod in topology.of_kind("Pod") if is_finished(pod) and _in(pod, spaces)})
    if finished and all(phase(pod) == "Succeeded" for pod in topology.of_kind("Pod") if is_finished(pod) and _in(pod, spaces)):
        sentences.append(f"Pods that are not Running are finished runs (Completed, exit 0) of {', '.join(finished)}.")
    sentences += held_on_purpose(topology, spaces)
    if ranking.elsewhere:
        sentences.append(f"Not related to the question, but seen: {' '.join(one.statement for one in ranking.elsewhere[:2])}")
    return Diagnosis(outcome="healthy", statement=" ".join(sentences), ruled_out=ranking.ruled_out, missing=missing, wants=wants)


def _one_is_healthy(
    findings: Sequence[Finding],
    ranking: Ranking,
    topology: Topology,
    focus: Focus,
    missing: tuple[str, ...],
    wants: tuple[str, ...],
) -> Diagnosis:
    units = list(dict.fromkeys(topology.unit(one) for one in focus.objects))
    sentences = [f"No active fault. {how_it_stands(focus, topology)}"]
    near = {need for one in units for need in (one, *topology.depends_on(one))}
    over = [one for one in findings if one.state == "recovered" and near.intersection(_of(one, topology))]
    sentences += [one.statement for one in over[:3]]
    sentences += held_on_purpose(topology, tuple(sorted({one.namespace for one in units if one.namespace})))
    others = [*(one.finding for one in ranking.causes), *ranking.elsewhere]
    if others:
        sentences.append(f"Not related to the question, but seen: {' '.join(one.statement for one in others[:2])}")
    return Diagnosis(outcome="healthy", statement=" ".join(sentences), ruled_out=ranking.ruled_out, missing=missing, wants=wants)


def _of(finding: Finding, topology: Topology) -> set[Ref]:
    return {topology.unit(one) for one in (finding.subject, *finding.affects)}


def _in(pod: object, spaces: tuple[str, ...]) -> bool:
    return not spaces or text(pod, "metadata", "namespace") in spaces


def _runner(topology: Topology, pod: object) -> str:
    """Who made a finished pod: its CronJob, Job, or itself."""
    ref = Ref("Pod", text(pod, "metadata", "namespace"), text(pod, "metadata", "name"))
    unit = topology.unit(ref)
    manifest = topology.objects.get(unit)
    owner = controller_of(manifest) if manifest is not None and unit.kind == "Job" else None
    return str(owner or unit)


def how_it_stands(focus: Focus, topology: Topology) -> str:
    """What was asked about, and how it stands."""
    units = list(dict.fromkeys(topology.unit(one) for one in focus.objects))
    running = {(one.namespace, one.name) for one in units if one.kind in CONTROLLED}
    units = [one for one in units if one.kind not in _BESIDE or (one.namespace, one.name) not in running]
    told = [words for one in units[:3] for words in [standing(one, topology)] if words]
    return " ".join(
        (f"Nothing is wrong with {listed(units, most=3)} or with what {'it needs' if len(units) == 1 else 'they need'}.", *told)
    )
