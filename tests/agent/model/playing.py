"""One incident with a stand-in model, from question to report, over real HTTP and with everything else real."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.bootstrap import Source, workshop
from agent.domain.assessment import Assessment
from agent.domain.objects import ContainerLog
from agent.domain.report import Report
from agent.settings import Settings
from agent.toolsets.snapshot import Snapshot, SnapshotCluster
from tests.agent import builders
from tests.fakes.model_server import KEY, ModelServer, Script

QUESTION = "why does web in the namespace shop not come up?"
LOG = "\n".join(
    [
        *(f"2026-05-04T11:{minute:02}:00Z info request {minute} served" for minute in range(40)),
        "FATAL: required environment variable DATABASE_URL is not set",
    ]
)


@dataclass(frozen=True)
class Played:
    report: Report
    server: ModelServer
    told: list[str]

    @property
    def assessment(self) -> Assessment:
        assert self.report.diagnosis is not None
        assert self.report.diagnosis.assessment is not None
        return self.report.diagnosis.assessment

    @property
    def causes(self) -> list[str]:
        return [cause.finding.cause for cause in self.report.diagnosis.causes] if self.report.diagnosis else []


def crashing() -> Snapshot:
    """A Deployment whose pod ends at start for a variable that is not set."""
    web = builders.deployment("web", ready=0)
    replicas = builders.replica_set(web)
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": builders.ago(1)}}
    status = {
        "name": "app", "ready": False, "restartCount": 6, "lastState": ended, "containerID": "x://1",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}},
    }  # fmt: skip
    pod = builders.pod(replicas, ready=False, statuses=[status])
    name = pod["metadata"]["name"]
    logs = tuple(
        ContainerLog(namespace="shop", pod=name, container="app", previous=previous, text=LOG) for previous in (False, True)
    )
    node = builders.obj("Node", "node-1", namespace="", status={"conditions": [builders.told("Ready", "True")]})
    spaces = [builders.obj("Namespace", name, namespace="") for name in ("shop", "vault")]
    return Snapshot(name="c-1", now=builders.NOW, objects=(*spaces, node, web, replicas, pod), logs=logs)


async def played(
    folder: Path,
    script: Script,
    *,
    snapshot: Snapshot | None = None,
    question: str = QUESTION,
    server: ModelServer | None = None,
    during: Callable[[Any], None] | None = None,
    **settings: Any,
) -> Played:
    key = folder / "model.key"
    key.write_text(KEY)
    with ModelServer.running(script) as running:
        defaults: dict[str, Any] = {
            "model": "stand-in", "model_url": running.url, "model_key_file": key, "model_retries": 0,
            "database_url": f"sqlite:///{folder / 'runs.sqlite'}", "sidecar_url": "", "model_seconds": 20,
        }  # fmt: skip
        async with workshop(Settings(**{**defaults, **settings}), Source(opened=SnapshotCluster(snapshot or crashing()))) as shop:
            row, _ = await shop.take(question=question)
            await shop.work(row)
            report = await shop.report(row.id)
            finished = await shop.store.row(row.id)
            assert report is not None, finished
            told = [event.text async for event in shop.events.follow(row.id)]
    return Played(report=report, server=running, told=told)
