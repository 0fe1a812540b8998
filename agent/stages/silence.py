"""Silences of an incident's alerts, where a person asks for them: a plan for each object that alerts are about, judged,
approved and carried out as every other. Must not speak to Alertmanager: the sidecar alone writes there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from agent.domain.incident import Alert
from agent.domain.objects import Ref
from agent.domain.outcome import Round
from agent.domain.report import Report
from agent.errors import GovernanceUnavailable
from agent.ports import Clock, ClusterReader, Governance
from agent.runbooks.remedies import api_version_of
from agent.stages.authorize import authorize
from agent.stages.execute import execute
from agent.stages.relate import measures
from agent.stages.telling import Tell
from sidecar.contract import Cause, Citation, Matcher, ObjectRef, Plan, SilenceAlert, Step

# Labels by which rules say what an alert is about, the most telling first; where a workload is named, the pod may be that of
# who measured.
_ABOUT = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "cronjob": "CronJob",
    "job_name": "Job",
    "horizontalpodautoscaler": "HorizontalPodAutoscaler",
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "ingress": "Ingress",
    "resourcequota": "ResourceQuota",
    "pod": "Pod",
    "node": "Node",
    "service": "Service",
}
_ALWAYS = ("alertname", "namespace", "severity")
_CLUSTER_WIDE = frozenset({"Node"})
_MEASURED = frozenset({"pod", "service"})
_MOST_STEPS, _MOST_CITED, _MOST_ATTEMPTS = 20, 20, 100
_USED_UP = frozenset({"settled", "void", "expired"})
# The cause is known, people have to see to it, and its alerts fire on meanwhile.
LEFT_TO_PEOPLE = frozenset({"human-needed", "denied", "refused", "no-answer", "not-repaired"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be silenced: every alert of the incident that fired, or those of one name. `proposed`: by the agent itself."""

    minutes: int
    comment: str = ""
    alert: str = ""
    asked_by: str = ""
    proposed: bool = False


async def silences(report: Report, wish: Wish, *, reader: ClusterReader) -> tuple[list[Plan], list[str]]:
    """The plans, and what cannot be silenced, in words. Raises ClusterUnreachable, ReadRefused."""
    wanted: dict[ObjectRef, dict[tuple[Matcher, ...], Alert]] = {}
    left: list[str] = []
    for alert in report.incident.alerts:
        if alert.resolved or wish.alert not in ("", alert.name):
            continue
        target = await _target(alert, report, reader)
        matchers = _matchers(alert, target) if target is not None else ()
        if target is None or not matchers:
            left.append(f"{alert.name}: it names no object that is there, so that it cannot be said whose alert it is")
        else:
            wanted.setdefault(target, {})[matchers] = alert
    return [_plan(target, steps, report, wish) for target, found in wanted.items() for steps in _by_plan(found)], left


async def silence(
    plan: Plan, *, governance: Governance, clock: Clock, wait_seconds: int, tell: Tell, is_begun: bool = False
) -> Round:
    """The plan's round to its end. A silence that is made is what was wanted: nothing else is there to be seen of it.

    `is_begun`: this very plan is gone on with, and none like it proposed."""
    try:
        plan = plan if is_begun else await fresh(plan, governance)
    except GovernanceUnavailable as exc:
        return Round(attempt=plan.attempt, plan=plan, remedy="silence", end="unavailable", note=str(exc))
    begun = Round(attempt=plan.attempt, plan=plan, remedy="silence", rests_on_model=plan.basis == "model")
    judged = await authorize(begun, governance=governance, clock=clock, wait_seconds=wait_seconds, tell=tell)
    if judged.end is not None or judged.lease is None:
        return judged
    done = await execute(judged, governance=governance, tell=tell)
    if done.end is not None:
        return done
    try:
        return replace(done, end="helped", settlement=await governance.settle(judged.lease.id, "helped"))
    except GovernanceUnavailable as exc:
        return replace(done, end="unavailable", note=f"silenced, but the lease could not be settled: {exc}")


async def fresh(plan: Plan, governance: Governance) -> Plan:
    """The same silence a second time is a plan of its own: one whose approval was used, or went unused, is not asked again.
    Raises GovernanceUnavailable."""
    while (await governance.submit(plan)).state in _USED_UP and plan.attempt < _MOST_ATTEMPTS:
        plan = plan.model_copy(update={"attempt": plan.attempt + 1})
    return plan


async def _target(alert: Alert, report: Report, reader: ClusterReader) -> ObjectRef | None:
    """What the alert names, if it is there; else what the diagnosis found at fault in its namespace (a pod is soon another)."""
    namespace = alert.labels.get("namespace", "")
    named = [
        Ref(_ABOUT[label], "" if _ABOUT[label] in _CLUSTER_WIDE else namespace, alert.labels[label])
        for label in _telling(alert.labels)
    ]
    causes = report.diagnosis.causes if report.diagnosis is not None else ()
    found = [cause.finding.subject for cause in causes if cause.finding.subject.namespace == namespace]
    for ref in (*named, *found):
        manifest = await reader.get(api_version_of(ref.kind), ref)
        uid = (manifest.get("metadata") or {}).get("uid") if manifest is not None else None
        if manifest is not None and uid:
            version = api_version_of(ref.kind, manifest)
            return ObjectRef(api_version=version, kind=ref.kind, namespace=ref.namespace, name=ref.name, uid=uid)
    return None


def _matchers(alert: Alert, target: ObjectRef) -> tuple[Matcher, ...]:
    """By its name, place and severity, and by what says which object it is about."""
    labels: Mapping[str, str] = {**alert.labels, "alertname": alert.name}
    own = next((label for label in _telling(labels) if (_ABOUT[label], labels[label]) == (target.kind, target.name)), "")
    names = [*_ALWAYS, own or next(iter(_telling(labels)), "")]
    try:
        return tuple(Matcher(name=name, value=labels[name]) for name in dict.fromkeys(names) if labels.get(name))
    except ValidationError:
        return ()


def _telling(labels: Mapping[str, str]) -> list[str]:
    """The labels that say what the alert is about, the most telling first, without those of whoever measured."""
    return [label for label in _ABOUT if labels.get(label) and not (label in _MEASURED and measures(labels[label]))]


def _by_plan(found: Mapping[tuple[Matcher, ...], Alert]) -> list[list[tuple[tuple[Matcher, ...], Alert]]]:
    """As many together as one plan holds."""
    alerts = [*found.items()]
    return [alerts[first : first + _MOST_STEPS] for first in range(0, len(alerts), _MOST_STEPS)]


def _plan(target: ObjectRef, found: Sequence[tuple[tuple[Matcher, ...], Alert]], report: Report, wish: Wish) -> Plan:
    causes = report.diagnosis.causes if report.diagnosis is not None else ()
    why = f"{wish.asked_by or 'somebody'} asks for {wish.minutes} minutes of silence"
    if wish.proposed:
        why = f"{wish.minutes} minutes of silence while people see to it"
    steps = [
        Step(
            id=f"step-{number}",
            action=SilenceAlert(target=target, matchers=matchers, minutes=wish.minutes, comment=wish.comment[:500]),
            why=why[:500],
            expect=f"{alert.name} notifies nobody for that long"[:500],
        )
        for number, (matchers, alert) in enumerate(found, start=1)
    ]
    by_model = any(cause.finding.by_model for cause in causes) or any(one.rests_on_model for one in report.rounds)
    return Plan(
        incident=report.incident.id,
        attempt=len(report.rounds) + 1,
        cluster=report.incident.cluster,
        requested_by=wish.asked_by[:200],
        basis="model" if by_model else "checks",
        cause=Cause(slug=causes[0].finding.cause if causes else "known-alert", subject=target),
        hypothesis=f"{why}: {wish.comment or report.headline}"[:2000],
        cited=_cited(report),
        steps=tuple(steps),
    )


def _cited(report: Report) -> tuple[Citation, ...]:
    seen: Sequence[Citation] = [
        Citation(id=piece.id, sha256=piece.sha256) for piece in report.evidence if piece.sha256 and not piece.missing
    ]
    return tuple(seen[:_MOST_CITED])
