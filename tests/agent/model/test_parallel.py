"""Eight investigations with a model at the same time: no more at work than may be, and none hears of another's cluster part."""

import asyncio
import json
import re
import threading
from dataclasses import replace

from agent.bootstrap import Source, workshop
from agent.settings import Settings
from agent.toolsets.snapshot import Snapshot, SnapshotCluster
from tests.agent import builders
from tests.agent.model.playing import crashing
from tests.fakes.model_minds import honest
from tests.fakes.model_server import ModelServer, Talk

WORDS = ("amber", "beryl", "coral", "dunes", "ember", "flint", "grove", "heron")
AT_ONCE = 3


def eight() -> Snapshot:
    """The same trouble in eight namespaces, each with names of its own."""
    one = crashing()
    apart = [found for found in one.objects if found["kind"] not in ("Node", "Namespace")]
    objects = [found for found in one.objects if found["kind"] == "Node"]
    logs = []
    for word in WORDS:
        objects.append(builders.obj("Namespace", word, namespace=""))
        renamed = json.dumps(apart).replace('"shop"', f'"{word}"').replace("web", f"{word}-web")
        objects += json.loads(renamed)
        logs += [replace(log, namespace=word, pod=log.pod.replace("web", f"{word}-web")) for log in one.logs]
    return replace(one, objects=tuple(objects), logs=tuple(logs))


class Crowd:
    """Answers like an honest model, and holds the first ones until as many as may are there at the same time."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.peak = 0
        self.changed = threading.Condition()

    def __call__(self, talk: Talk):
        with self.changed:
            self.inside.append(talk.opening)
            self.peak = max(self.peak, len(self.inside))
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.peak >= AT_ONCE, timeout=30)
        try:
            return honest(talk)
        finally:
            with self.changed:
                self.inside.remove(talk.opening)


async def test_eight_at_once_are_bounded_and_hear_nothing_of_each_other(tmp_path):
    crowd = Crowd()
    with ModelServer.running(crowd) as server:
        settings = Settings(
            model="stand-in", model_url=server.url, model_retries=0, cluster_runs=AT_ONCE, model_seconds=60, sidecar_url="",
            database_url=f"sqlite:///{tmp_path / 'runs.sqlite'}",
        )  # fmt: skip
        async with workshop(settings, Source(opened=SnapshotCluster(eight()))) as shop:
            taken = [await shop.take(question=f"why does {word}-web in the namespace {word} not come up?") for word in WORDS]

            async def worked(row):
                while not await shop.work(row):  # noqa: ASYNC110  as many as may be are at work already
                    await asyncio.sleep(0.02)

            await asyncio.gather(*(worked(row) for row, _ in taken))
            reports = [await shop.report(row.id) for row, _ in taken]
            known = [await shop.store.evidence(row.id) for row, _ in taken]

    assert crowd.peak == AT_ONCE
    for word, report, evidence in zip(WORDS, reports, known, strict=True):
        (cause,) = report.diagnosis.causes
        assert (cause.finding.cause, cause.finding.subject.name) == ("missing-env-var", f"{word}-web")
        assert (report.diagnosis.assessment.outcome, report.diagnosis.assessment.calls) == ("answered", 2)
        assert report.diagnosis.assessment.dropped == ()
        assert {piece.id for piece in evidence} >= set(cause.evidence)
        others = [other for other in WORDS if other != word]
        assert not re.search(rf"\b(?:{'|'.join(others)})-web", json.dumps([piece.text for piece in evidence]))
    for talk in server.talks:
        named = {word for word in WORDS if f"{word}-web" in json.dumps(talk.messages)}
        assert len(named) == 1, named
