"""One incident answered as the product answers it: question or alerts in, report out, in this process and without a sidecar."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.bootstrap import PageRunbooks, Source, workshop
from agent.domain.incident import Alert
from agent.domain.objects import Ref
from agent.domain.report import Report
from agent.errors import LestradeError
from agent.ports import Candidate, Observed
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks import Library
from agent.settings import Settings
from agent.toolsets.snapshot import Snapshot, SnapshotCluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """On a model, for one answer; `reason` says why it gave none that counts."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`named` are causes with their subjects, the first the most likely. `said` is everything that was asserted: what was
    only ruled out is not in it. `remedies` in the order in which they would be proposed."""

    outcome: str
    named: tuple[tuple[str, Ref], ...]
    statement: str
    said: str
    remedies: tuple[Candidate, ...]
    seconds: float
    spent: Spending = field(default_factory=Spending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What sets an investigation off: a question, or alerts."""

    question: str = ""
    alerts: tuple[Alert, ...] = ()


OFFLINE: Mapping[str, object] = {"model": ""}  # whatever the environment says


def with_model(settings: Settings, model: str) -> Mapping[str, object]:
    """The settings of a model, as `answers` takes them; nothing that was concluded before counts."""
    told = {name: value for name, value in settings if name.startswith("model_")}
    return {**told, "model": model, "model_cache_minutes": 0}


def spending(report: Report) -> Spending:
    told = report.diagnosis.assessment if report.diagnosis else None
    if told is None:
        return Spending()
    reason = told.reason if told.outcome == "unavailable" else ""
    return Spending(calls=told.calls, tokens=told.tokens, cost=told.cost, reason=reason)


async def answers(
    snapshot: Snapshot, asked: Sequence[Asked], *, library: Library, model: Mapping[str, object] = OFFLINE
) -> list[Answer]:
    """One answer for each, from one process over this snapshot. Raises LestradeError when a run leaves no report."""
    cluster = SnapshotCluster(snapshot)
    with tempfile.TemporaryDirectory(prefix="lestrade-eval-") as folder:
        plain = Settings(database_url=f"sqlite:///{Path(folder) / 'eval.sqlite'}", sidecar_url="", runbooks=None)
        settings = plain.model_copy(update=dict(model))
        async with workshop(settings, Source(opened=cluster)) as shop:
            found = []
            for one in asked:
                began = time.perf_counter()
                row, _ = await shop.take(question=one.question, alerts=one.alerts)
                await shop.work(row)
                seconds = time.perf_counter() - began
                report = await shop.report(row.id)
                if report is None:
                    raise LestradeError(f"run {row.id} left no report")
                found.append(_answer(report, snapshot, library, seconds))
    return found


def _answer(report: Report, snapshot: Snapshot, library: Library, seconds: float) -> Answer:
    diagnosis = report.diagnosis
    causes = diagnosis.causes if diagnosis else ()
    asserted = [report.headline, *(follow_up.text for follow_up in report.follow_ups)]
    asserted += [diagnosis.statement] if diagnosis else []
    if diagnosis and diagnosis.assessment:  # shown as the model's words, and judged like any other
        asserted += [diagnosis.assessment.said, *diagnosis.assessment.inference]
    for cause in causes:
        asserted += [cause.finding.statement, *cause.because]
    runbooks = PageRunbooks(library, OfflineReasoner())
    seen = Observed(now=snapshot.now, objects=snapshot.objects, logs=snapshot.logs)
    return Answer(
        outcome=diagnosis.outcome if diagnosis else report.outcome,
        named=tuple((cause.finding.cause, cause.finding.subject) for cause in causes),
        statement=diagnosis.statement if diagnosis else report.headline,
        said="\n".join(asserted),
        remedies=tuple(candidate for cause in causes for candidate in runbooks.candidates(cause, seen)),
        seconds=seconds,
        spent=spending(report),
    )
