"""Logs that only Loki still has: they fill what the cluster no longer gives, and nothing else."""

from datetime import UTC, datetime

from agent.domain.objects import ContainerLog, Ref
from agent.errors import ReadRefused
from agent.ports import Gap, Observed
from agent.toolsets.kept_logs import ReaderWithKeptLogs

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
POD = Ref("Pod", "shop", "cart-1")
GONE = Gap(what="logs of Pod shop/cart-1 container app (previous run)", why="the container is gone and its log with it")


def log(text: str, *, previous: bool = False) -> ContainerLog:
    return ContainerLog(namespace="shop", pod="cart-1", container="app", previous=previous, text=text)


class Cluster:
    """Has the present run's log only."""

    name = "toy"

    async def logs(self, pods, *, tail):
        return Observed(now=NOW, logs=(log("c"),), gaps=(GONE,) if len(pods) > 1 else ())


class Loki:
    def __init__(self, *kept: ContainerLog, broken: bool = False) -> None:
        self.kept, self.broken, self.asked = kept, broken, []

    async def of_pods(self, pods, window):
        self.asked.append(list(pods))
        if self.broken:
            raise ReadRefused("Loki at http://loki does not answer: ConnectError")
        return self.kept


async def test_the_run_before_comes_from_loki_without_the_lines_of_the_present_one():
    seen = await ReaderWithKeptLogs(Cluster(), Loki(log("a\nb\nc"))).logs([(POD, "app", False), (POD, "app", True)], tail=10)

    assert [(found.previous, found.text) for found in seen.logs] == [(False, "c"), (True, "a\nb")]
    assert seen.gaps == ()


async def test_what_loki_does_not_have_either_stays_a_gap():
    seen = await ReaderWithKeptLogs(Cluster(), Loki()).logs([(POD, "app", False), (POD, "app", True)], tail=10)

    assert seen.gaps == (GONE,)


async def test_loki_is_not_asked_where_the_cluster_has_everything():
    loki = Loki(log("a"))

    await ReaderWithKeptLogs(Cluster(), loki).logs([(POD, "app", False)], tail=10)

    assert loki.asked == []


async def test_a_loki_that_does_not_answer_is_told_beside_what_the_cluster_gave():
    seen = await ReaderWithKeptLogs(Cluster(), Loki(broken=True)).logs([(POD, "app", False), (POD, "app", True)], tail=10)

    assert [found.text for found in seen.logs] == ["c"]
    assert [gap.what for gap in seen.gaps] == [GONE.what, "logs in Loki"]
