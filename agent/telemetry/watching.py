"""The ports a run works with, each call told as what it is (agent.ports.tracing). Adds nothing, hides nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from agent.domain.incident import Window
from agent.domain.objects import Manifest, Ref, Series
from agent.ports import ClusterReader, Governance, Metrics, Observed
from agent.ports.model import ChatModel, Message, Progress, Reply, ToolSpec
from agent.ports.tracing import span
from sidecar.contract import Lease, Plan, PlanStatus, Problem, Settlement, StepResult, UndoResult


def watched(reader: ClusterReader, metrics: Metrics | None) -> tuple[ClusterReader, Metrics | None]:
    """The eyes of a run, each look told."""
    return WatchedReader(reader), None if metrics is None else WatchedMetrics(metrics)


class WatchedReader:
    def __init__(self, reader: ClusterReader) -> None:
        self._reader = reader

    @property
    def name(self) -> str:
        return self._reader.name

    async def namespaces(self) -> Observed:
        with span("tool", "cluster.namespaces", source="cluster", cluster=self.name) as noted:
            seen = await self._reader.namespaces()
            noted.note(objects=len(seen.objects), gaps=len(seen.gaps))
            return seen

    async def overview(self, namespaces: Sequence[str]) -> Observed:
        with span("tool", "cluster.overview", source="cluster", cluster=self.name, namespaces=len(namespaces)) as noted:
            seen = await self._reader.overview(namespaces)
            noted.note(objects=len(seen.objects), gaps=len(seen.gaps))
            return seen

    async def logs(self, pods: Sequence[tuple[Ref, str, bool]], *, tail: int) -> Observed:
        with span("tool", "cluster.logs", source="logs", cluster=self.name, streams=len(pods)) as noted:
            seen = await self._reader.logs(pods, tail=tail)
            noted.note(gaps=len(seen.gaps))
            return seen

    async def usage(self, namespaces: Sequence[str]) -> Observed:
        with span("tool", "cluster.usage", source="cluster", cluster=self.name, namespaces=len(namespaces)) as noted:
            seen = await self._reader.usage(namespaces)
            noted.note(objects=len(seen.objects), gaps=len(seen.gaps))
            return seen

    async def get(self, api_version: str, ref: Ref) -> Manifest | None:
        with span("tool", "cluster.get", source="cluster", cluster=self.name, kind=ref.kind):
            return await self._reader.get(api_version, ref)

    async def now(self) -> datetime:
        return await self._reader.now()


class WatchedMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def range(self, promql: str, window: Window, step_seconds: int) -> tuple[Series, ...]:
        with span("tool", "metrics.range", source="metrics") as noted:
            found = await self._metrics.range(promql, window, step_seconds)
            noted.note(series=len(found))
            return found

    async def instant(self, promql: str, at: datetime | None = None) -> tuple[Series, ...]:
        with span("tool", "metrics.instant", source="metrics") as noted:
            found = await self._metrics.instant(promql, at)
            noted.note(series=len(found))
            return found


class WatchedModel:
    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return self._model.name

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], *, most_tokens: int, progress: Progress | None = None
    ) -> Reply:
        with span("model", self.name, model=self.name) as noted:
            reply = await self._model.reply(messages, tools, most_tokens=most_tokens, progress=progress)
            noted.note(prompt_tokens=reply.usage.prompt, completion_tokens=reply.usage.completion, calls=len(reply.calls))
            return reply


class WatchedGovernance:
    """Without `status`: a plan that waits for people is asked after every few seconds, which would drown everything else."""

    def __init__(self, governance: Governance) -> None:
        self._governance = governance

    async def ready(self) -> None:
        await self._governance.ready()

    async def submit(self, plan: Plan) -> PlanStatus:
        with span("decision", plan=plan.digest, incident=plan.incident, steps=len(plan.steps)) as noted:
            status = await self._governance.submit(plan)
            noted.note(verdict=status.decision.verdict, revision=status.decision.revision, state=status.state)
            return status

    async def status(self, digest: str, *, wait_seconds: int = 0) -> PlanStatus:
        return await self._governance.status(digest, wait_seconds=wait_seconds)

    async def lease(self, digest: str) -> Lease | Problem:
        with span("lease", plan=digest) as noted:
            answer = await self._governance.lease(digest)
            if isinstance(answer, Problem):
                noted.failed = answer.code
            else:
                noted.note(lease=answer.id)
            return answer

    async def perform(self, lease: str, step: str) -> StepResult:
        with span("step", lease=lease, step=step) as noted:
            result = await self._governance.perform(lease, step)
            noted.note(status=result.status, repeated=result.repeated)
            if result.status != "performed":
                noted.failed = result.reason or result.status
            return result

    async def undo(self, lease: str) -> UndoResult:
        with span("undo", lease=lease):
            return await self._governance.undo(lease)

    async def settle(
        self, lease: str, outcome: Literal["helped", "did-not-help", "undone", "not-performed", "unknown"]
    ) -> Settlement:
        with span("settle", lease=lease, outcome=outcome) as noted:
            settlement = await self._governance.settle(lease, outcome)
            noted.note(state=settlement.state)
            return settlement
