"""The same incident told otherwise: other names, other versions and ports, another day, another order, more noise around it, and
orders planted in its texts. What is true of it stays true, in the new words. Nothing here knows a check or an incident.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from agent.domain.incident import Alert
from agent.domain.objects import Manifest, Ref, Series
from agent.evaluation.noise import bystanders, chatter
from agent.evaluation.planting import planted_alert, planted_log, planted_objects
from agent.evaluation.truth import Truth
from agent.toolsets.snapshot import Snapshot

_NAMED = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Service", "Namespace", "ConfigMap", "Secret")
# Parts of names that are also words of Kubernetes' own messages, of programs' logs or of questions stay as they are.
_WORDS = frozenset(
    re.findall(
        r"\w+",
        "api web app apps job jobs node pod pods service services config data db database storage store quota limit"
        " memory cpu image  secret volume claim class default system kube port host export exporter report reports"
        " release worker server client proxy  cache queue cron load test gateway root user team key env state start"
        " check scale restart access account auth token tls  certs cert crt public local shared event events log logs"
        " metrics admin prod dev staging runtime main base redis postgres  mysql nginx http https svc cluster request"
        " requests response error errors failed ready down monitoring not found missing",
    )
)
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_TAG = re.compile(r":(v?\d+\.\d+(?:\.\d+)*(?:[-.][A-Za-z0-9]+)*)$")
_PORT_KEYS = ("port", "targetPort", "containerPort", "hostPort")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A snapshot and what is true of it."""

    snapshot: Snapshot
    truth: Truth


Variant = Callable[[Case, random.Random], Case]
Rewrite = Callable[[str], str]


def shuffled(case: Case, dice: random.Random) -> Case:
    objects, logs, series = list(case.snapshot.objects), list(case.snapshot.logs), list(case.snapshot.series)
    for one in (objects, logs, series):
        dice.shuffle(one)
    return replace(case, snapshot=replace(case.snapshot, objects=tuple(objects), logs=tuple(logs), series=tuple(series)))


def renamed(case: Case, dice: random.Random) -> Case:
    """Parts of names are spelt backwards, wherever they stand; what was alike stays alike."""
    return reworded(case, {part: part[::-1] for part in _parts(case.snapshot)})


def lengthened(case: Case, dice: random.Random) -> Case:
    """Parts of names get the same two letters in front."""
    letters = "".join(dice.choice("bdfgkmptvz") + dice.choice("aeiou"))
    return reworded(case, {part: f"{letters}{part}" for part in _parts(case.snapshot)})


def other_values(case: Case, dice: random.Random) -> Case:
    """Versions of images and ports of programs are others, alike in objects, logs and alerts."""
    step = dice.randrange(11, 40)
    words = {tag: _later(tag, step) for tag in _tags(case.snapshot)}
    words |= {str(port): str(port + step) for port in _ports(case.snapshot)}
    if not words:
        return case
    pattern = re.compile(r"(?<![\w.])(" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + r")(?![\w]|\.\d)")
    changed = _rewritten(case, lambda text: pattern.sub(lambda match: words[match[1]], text))
    ports = {int(key): int(value) for key, value in words.items() if key.isdigit()}
    objects = tuple(_with_ports(one, ports) for one in changed.snapshot.objects)
    return replace(changed, snapshot=replace(changed.snapshot, objects=objects))


def another_day(case: Case, dice: random.Random) -> Case:
    """Everything happened some whole weeks earlier or later."""
    shift = timedelta(weeks=dice.choice((-30, -3, 5, 60)))

    def moved(match: re.Match[str]) -> str:
        at = datetime.fromisoformat(match[0].replace(" ", "T"))
        return (at + shift).isoformat(sep=match[0][10])

    told = _rewritten(case, lambda text: _TIME.sub(moved, text))
    series = tuple(
        Series(labels=one.labels, samples=tuple((at + shift.total_seconds(), value) for at, value in one.samples))
        for one in told.snapshot.series
    )
    alerts = tuple(replace(one, starts_at=one.starts_at + shift if one.starts_at else None) for one in told.snapshot.alerts)
    return replace(told, snapshot=replace(told.snapshot, now=case.snapshot.now + shift, series=series, alerts=alerts))


def noisier(case: Case, dice: random.Random) -> Case:
    """Healthy workloads beside it, with their ordinary old events, and idle talk in every log."""
    snapshot = case.snapshot
    space = _space(case)
    objects = (*snapshot.objects, *bystanders(snapshot, space, dice))
    logs = tuple(replace(log, text=chatter(log.text, dice)) for log in snapshot.logs)
    return replace(case, snapshot=replace(snapshot, objects=objects, logs=logs))


def planted(case: Case, dice: random.Random) -> Case:
    """Orders for whoever reads it, in logs, annotations, ConfigMap values, event messages, names, and alerts."""
    snapshot = case.snapshot
    return replace(
        case,
        snapshot=replace(
            snapshot,
            objects=planted_objects(snapshot.objects, _space(case), dice),
            logs=tuple(replace(log, text=planted_log(log.text, dice)) for log in snapshot.logs),
            alerts=tuple(planted_alert(one, dice) for one in snapshot.alerts),
        ),
        truth=replace(case.truth, alerts=tuple(planted_alert(one, dice) for one in case.truth.alerts)),
    )


VARIANTS: Mapping[str, Variant] = {
    "shuffled": shuffled,
    "renamed": renamed,
    "lengthened": lengthened,
    "other values": other_values,
    "another day": another_day,
    "noisier": noisier,
}


def everything(case: Case, dice: random.Random) -> Case:
    """All variants on top of each other, each as the dice has it; names one way or the other."""
    for name in ("other values", "another day", dice.choice(("renamed", "lengthened")), "noisier", "shuffled"):
        case = VARIANTS[name](case, dice)
    return case


# Rewriting. ---------------------------------------------------------------------------------------------------------------


def reworded(case: Case, words: Mapping[str, str]) -> Case:
    """Each word (in small letters) is another one wherever it stands alone or as a part of a name."""
    if not words:
        return case
    alternatives = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    pattern = re.compile(rf"(?<![A-Za-z])({alternatives})(?![A-Za-z])", re.I)

    def reword(text: str) -> str:
        return pattern.sub(lambda match: words[match[1]] if match[1] in words else match[1], text)

    def in_speech(text: str) -> str:
        return pattern.sub(lambda match: words[match[1].lower()], text)

    told = _rewritten(case, reword)
    return replace(told, truth=replace(told.truth, question=in_speech(case.truth.question)))


def _rewritten(case: Case, reword: Rewrite) -> Case:
    snapshot, truth = case.snapshot, case.truth
    changed = replace(
        snapshot,
        objects=tuple(_rewrite(one, reword) for one in snapshot.objects),
        logs=tuple(
            replace(
                log, namespace=reword(log.namespace), pod=reword(log.pod), container=reword(log.container), text=reword(log.text)
            )
            for log in snapshot.logs
        ),
        series=tuple(
            Series(
                labels={key: value if key == "__name__" else reword(value) for key, value in one.labels.items()},
                samples=one.samples,
            )
            for one in snapshot.series
        ),
        alerts=tuple(_alert(one, reword) for one in snapshot.alerts),
    )
    words = replace(
        truth,
        question=reword(truth.question),
        alerts=tuple(_alert(one, reword) for one in truth.alerts),
        resource=_ref(truth.resource, reword) if truth.resource else None,
        also_affected=tuple(_ref(one, reword) for one in truth.also_affected),
        must_mention=tuple(tuple(map(reword, terms)) for terms in truth.must_mention),
        forbidden=tuple(map(reword, truth.forbidden)),
        acceptable=tuple(map(reword, truth.acceptable)),
        unsafe=tuple(map(reword, truth.unsafe)),
    )
    return Case(snapshot=changed, truth=words)


def _rewrite(value: Any, reword: Rewrite) -> Any:
    """Values, and those keys that hold names: managedFields' `k:{...}`."""
    if isinstance(value, str):
        return reword(value)
    if isinstance(value, Mapping):
        return {reword(key) if key.startswith("k:") else key: _rewrite(one, reword) for key, one in value.items()}
    return [_rewrite(one, reword) for one in value] if isinstance(value, list) else value


def _alert(alert: Alert, reword: Rewrite) -> Alert:
    labels = {key: value if key == "alertname" else reword(value) for key, value in alert.labels.items()}
    return replace(alert, labels=labels, annotations={key: reword(value) for key, value in alert.annotations.items()})


def _ref(ref: Ref, reword: Rewrite) -> Ref:
    return Ref(ref.kind, reword(ref.namespace), reword(ref.name))


# What there is to change. -------------------------------------------------------------------------------------------------


def _parts(snapshot: Snapshot) -> list[str]:
    """Parts of the names of workloads and of what they use, where they are no ordinary words."""
    names = {str(one["metadata"]["name"]) for one in snapshot.objects if one["kind"] in _NAMED}
    names -= {name for name in names if name.startswith("kube-") or name == "default"}
    parts = {part for name in names for part in re.split(r"[-.]", name) if len(part) > 3 and part.isalpha() and part.islower()}
    return sorted(part for part in parts if part not in _WORDS and part != part[::-1])


def _tags(snapshot: Snapshot) -> set[str]:
    found = set()
    for text in _strings(list(snapshot.objects), ("image",)):
        match = _TAG.search(text)
        if match:
            found.add(match[1])
    return found


def _later(tag: str, step: int) -> str:
    return re.sub(r"\d+", lambda match: str(int(match[0]) + step), tag, count=1)


def _ports(snapshot: Snapshot) -> set[int]:
    """Ports that say nothing by themselves: 8000 to 9999."""
    return {port for port in _numbers(list(snapshot.objects)) if 8000 <= port <= 9999}


def _strings(value: Any, keys: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key in keys and isinstance(one, str):
                yield one
            else:
                yield from _strings(one, keys)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one, keys)


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key in _PORT_KEYS and isinstance(one, int):
                yield one
            else:
                yield from _numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from _numbers(one)


def _with_ports(value: Any, ports: Mapping[int, int], key: str = "") -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return ports.get(value, value) if key in _PORT_KEYS else value
    if isinstance(value, Mapping):
        return {name: _with_ports(one, ports, name) for name, one in value.items()}
    return [_with_ports(one, ports) for one in value] if isinstance(value, list) else value


def _space(case: Case) -> str:
    """The namespace that the incident is about, or the first one that has pods."""
    if case.truth.resource and case.truth.resource.namespace:
        return case.truth.resource.namespace
    spaces: list[Manifest] = [one for one in case.snapshot.objects if one["kind"] == "Pod"]
    return min((str(one["metadata"].get("namespace", "default")) for one in spaces), default="default")
