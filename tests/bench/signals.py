"""Rows of logs and metrics: a log of 100,000 lines diagnosed, and 1,000 series ranked. In this process."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.domain.incident import Incident
from agent.domain.objects import ContainerLog, Series
from agent.ports import Observed
from agent.reasoning.offline import OfflineReasoner
from agent.signals.metrics import anomalies
from tests.bench.measure import Row, milliseconds, p

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NEEDLE = "FATAL licence 0815 is not valid any more"


def log() -> list[Row]:
    """Both kinds of a long log: all ordinary but one line, and a flood of errors that one line began."""
    return [
        _diagnosed("log of 100,000 lines, one of them says why", _quiet()),
        _diagnosed("log of 100,000 lines, 60,000 of them errors, what began it named", _flooded()),
    ]


def _diagnosed(what: str, lines: list[str]) -> Row:
    text = "\n".join(lines)
    assert text.count("\n") == 99_999
    seen = Observed(now=NOW, objects=tuple(_objects()), logs=(_log(text),))
    incident = Incident(id="inc-bench", cluster="bench", opened_at=NOW, question="why does web in shop fail?")

    def once() -> None:
        statement = OfflineReasoner().diagnose(incident, seen).statement
        assert NEEDLE in statement, statement

    times = milliseconds(once, rounds=5, warm_up=1)
    return Row(what=what, budget="3 s", measured=f"{p(times, 50) / 1000:.2f} s", within=p(times, 50) <= 3000)


def rank() -> Row:
    dice = random.Random(4)
    start = NOW.timestamp() - 240 * 30
    series = [
        Series(
            labels={"__name__": f"metric_{number}"},
            samples=tuple((start + 30 * at, dice.gauss(10, 1) + (9 if number == 7 and at > 200 else 0)) for at in range(240)),
        )
        for number in range(1000)
    ]

    def once() -> None:
        assert [one.labels["__name__"] for one in anomalies(series)] == ["metric_7"]

    times = milliseconds(once, rounds=15)
    return Row(
        what="1,000 series of 240 samples ranked, onset of the odd one",
        budget="0.1 s",
        measured=f"{p(times, 50) / 1000:.3f} s",
        within=p(times, 50) <= 100,
    )


def _quiet() -> list[str]:
    lines = [f"{_at(100_000 - n)} INFO request {n} of /orders/{n % 97} served in {n % 40} ms" for n in range(99_999)]
    return [*lines, f"{_at(0)} {NEEDLE}"]


def _flooded() -> list[str]:
    dice = random.Random(3)
    quiet = [f"{_at(3600 - n / 20)} INFO request {n} of /orders/{n % 97} served in {n % 40} ms" for n in range(39_999)]
    flood = [
        f"{_at(1600 - n / 40)} ERROR [worker-{n % 8}] order {dice.randrange(10**6)} of customer c-{n % 977:x} failed after"
        f" {n % 50} ms trace={dice.randrange(16**12):012x}"
        for n in range(60_000)
    ]
    return [*quiet, f"{_at(1601)} {NEEDLE}", *flood]


def _at(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _log(text: str) -> ContainerLog:
    return ContainerLog(namespace="shop", pod="web-5d4-abcde", container="web", previous=False, text=text)


def _objects() -> list[dict[str, Any]]:
    """A Deployment of one pod that runs and is not ready."""
    made, labels = "2026-05-01T08:00:00Z", {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "registry.example.com/web:1"}]}}

    def one(kind: str, name: str, owner: tuple[str, str] | None, **rest: Any) -> dict[str, Any]:
        owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
        metadata = {"name": name, "namespace": "shop", "labels": labels, "creationTimestamp": made, "ownerReferences": owners}
        return {"apiVersion": "v1" if kind == "Pod" else "apps/v1", "kind": kind, "metadata": metadata, **rest}

    running = {"name": "web", "ready": False, "restartCount": 0, "state": {"running": {"startedAt": made}}}
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-05-04T11:50:00Z"}
    return [
        one("Deployment", "web", None, spec={"replicas": 1, "selector": {"matchLabels": labels}, "template": template}),
        one("ReplicaSet", "web-5d4", ("Deployment", "web"), spec={"replicas": 1, "template": template}, status={"replicas": 1}),
        one(
            "Pod", "web-5d4-abcde", ("ReplicaSet", "web-5d4"), spec={**template["spec"], "nodeName": "n"},
            status={"phase": "Running", "conditions": [unready], "containerStatuses": [running]},
        ),
    ]  # fmt: skip


ROWS: dict[str, Callable[[], Row | list[Row]]] = {"log": log, "rank": rank}
