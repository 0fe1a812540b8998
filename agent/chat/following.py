"""What a conversation is about after a run: the thread that the next words may refer to. Pure."""

from dataclasses import replace

from agent.domain.finding import Diagnosis
from agent.domain.objects import Ref
from agent.domain.report import Report
from agent.domain.session import Thread
from agent.reasoning.questions import understand

_RUNS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Pod")  # what people mean by "it", nearest first
_LED_TO = (*_RUNS, "Service", "Ingress", "Node")


def thread_after(report: Report, before: Thread) -> Thread:
    """A question that was not understood, or led nowhere, leaves the subject as it was."""
    diagnosis, acts = report.diagnosis, not report.incident.look_only
    question = report.incident.question or before.question
    after = replace(
        before,
        question=question,
        intent=understand(question, report.started_at).intent if question else before.intent,
        choices=diagnosis.answer.choices if diagnosis and diagnosis.answer else (),
        run=report.run,
        repair=report.run if acts and report.rounds else before.repair,
    )
    if diagnosis is None or diagnosis.outcome in ("unclear", "absent"):
        return after
    subject = subject_of(diagnosis)
    spaces = [one.name for one in diagnosis.about if one.kind == "Namespace"]
    space = _space_of(subject) or (spaces[0] if len(spaces) == 1 else "")
    if subject is not None and subject.kind == "Namespace" and before.subject is not None and before.subject.namespace == space:
        subject = before.subject  # "what changed there?" does not change what "it" is
    return replace(
        after,
        subject=subject or before.subject,
        suspects=tuple(cause.finding.subject for cause in diagnosis.causes),
        namespace=space or before.namespace,
        faulty=_faulty(report.run, diagnosis, subject, before),
    )


def _faulty(run: str, diagnosis: Diagnosis, subject: Ref | None, before: Thread) -> str:
    """The run that "fix it" is about: never one about something that is not spoken of any more."""
    if diagnosis.causes:
        return run
    return before.faulty if diagnosis.outcome == "answered" and subject in (None, before.subject) else ""


def _space_of(subject: Ref | None) -> str:
    if subject is None:
        return ""
    return subject.name if subject.kind == "Namespace" else subject.namespace


def subject_of(diagnosis: Diagnosis) -> Ref | None:
    """What was asked about; where that was a namespace or nothing, what the first cause is about; None for the whole cluster."""
    objects = [one for one in diagnosis.about if one.kind != "Namespace"]
    if objects:
        return min(objects, key=lambda one: _RUNS.index(one.kind) if one.kind in _RUNS else len(_RUNS))
    if diagnosis.causes:
        first = diagnosis.causes[0].finding
        if first.subject.kind in _LED_TO:
            return first.subject
        return next((one for one in first.affects if one.kind in _RUNS[:5]), first.subject)
    spaces = [one for one in diagnosis.about if one.kind == "Namespace"]
    return spaces[0] if len(spaces) == 1 else None
