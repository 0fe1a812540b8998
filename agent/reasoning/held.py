"""What is held back on purpose, or waits for a restart, is no fault until somebody asks why it does not do what it should: then
it is the answer. Pure; nothing of it is found by whoever only looks around."""

import re
from collections.abc import Iterator
from datetime import datetime

from agent.checks.keda import rests_at_zero
from agent.checks.registry import quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.domain.question import Question
from agent.reasoning.focus import Focus
from agent.signals.configuration import config_edits, started
from agent.topology import Topology
from agent.topology.fields import at, field_writes, number
from agent.topology.workloads import live_pods, previous_size

_LACKS = re.compile(  # that something does not happen, or is not there
    r"\b(?:not|n't|never|no|nothing|without|down|stopped|missing|skipped|gone|zero|didn't|doesn't|isn't|hasn't|haven't|aren't|won't"
    r"|wasn't|old|stale|still)\b|n't\b",
    re.I,
)


def held_back(asked: Question, focus: Focus, topology: Topology) -> Finding | None:
    """Why what was asked about does not run, or does not follow its configuration, where somebody wills it so; None where
    nothing of it is asked, or nothing is held."""
    if asked.intent != "why" or not _LACKS.search(asked.text):
        return None
    units = list(dict.fromkeys(topology.unit(one) for one in focus.objects))
    return next((found for unit in units for found in (*_off(topology, unit), *_stale(asked, topology, unit))), None)


def _off(topology: Topology, unit: Ref) -> Iterator[Finding]:
    manifest = topology.objects.get(unit)
    if manifest is None:
        return
    if unit.kind in ("CronJob", "Job") and at(manifest, "spec", "suspend") is True:
        since, who = _written(manifest, "f:suspend")
        does = "starts no runs" if unit.kind == "CronJob" else "makes no pods"
        yield Finding(
            cause="cronjob-suspended" if unit.kind == "CronJob" else "job-suspended",
            subject=unit,
            since=since,
            params={"who": who},
            quotes=(quote_field(unit, "spec", "suspend: true", since),),
            statement=f"{unit} is suspended (spec.suspend: true{_by(since, who)}), so it {does}.",
        )
    elif unit.kind in ("Deployment", "StatefulSet") and number(manifest, "spec", "replicas", default=1) == 0:
        if live_pods(topology, unit) or rests_at_zero(topology, unit):
            return
        since, who = _written(manifest, "f:replicas")
        before = previous_size(topology, unit)
        yield Finding(
            cause="scaled-to-zero",
            subject=unit,
            since=since,
            params={} if before is None else {"last_replicas": before},
            quotes=(quote_field(unit, "spec", "replicas: 0", since),),
            statement=f"{unit} is scaled to 0 replicas{_by(since, who)}"
            f"{f'; it had {before} before' if before else ''}, so none of its pods runs.",
        )


def _stale(asked: Question, topology: Topology, unit: Ref) -> Iterator[Finding]:
    """New values that its containers have not read, where the question is about configuration."""
    begun = started(topology, unit) if "config" in asked.symptoms else None
    for edit in config_edits(topology, unit) if begun is not None else ():
        if edit.once and begun is not None and edit.at > begun:
            yield Finding(
                cause="config-stale",
                subject=unit,
                since=edit.at,
                params={"holder": str(edit.holder)},
                quotes=(quote_field(edit.holder, "metadata.managedFields", f"data written by {edit.who}", edit.at),),
                statement=f"{unit} runs with old configuration: {edit.holder} was edited by {edit.who} at"
                f" {edit.at:%Y-%m-%d %H:%M:%SZ}, its containers have run since {begun:%Y-%m-%d %H:%M:%SZ}, and they read it"
                " only when they start (environment or subPath).",
            )


def _written(manifest: Manifest, field: str) -> tuple[datetime | None, str]:
    """When a field of spec was written last, and by whom, by managedFields."""
    wrote = [(when, who) for who, when, fields in field_writes(manifest) if at(fields, "f:spec", field) is not None]
    return max(wrote, default=(None, ""))


def _by(since: datetime | None, who: str) -> str:
    return f", by {who} at {since:%Y-%m-%d %H:%M:%SZ}" if since is not None else ""
