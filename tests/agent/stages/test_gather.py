"""What is read: deeper where trouble fills all that was read of a log, metrics once, and no more than can be held."""

from dataclasses import replace

from agent.domain.incident import Window
from agent.errors import MetricsUnavailable
from agent.ports import Observed
from agent.stages.gather import OF_PLATFORM, Limits, gather, read_metrics
from tests.agent.builders import NOW, app, log, measured, observed

WINDOW = Window(start=NOW, end=NOW)


class Reader:
    """A ClusterReader of one world, with logs longer than one reading."""

    name = "test"

    def __init__(self, *objects, logs):
        self.seen = observed(*objects)
        self.kept = logs
        self.asked = []

    async def overview(self, namespaces):
        return self.seen

    async def logs(self, pods, *, tail):
        self.asked.append(tail)
        wanted = {(pod.name, container, previous) for pod, container, previous in pods}
        found = [one for one in self.kept if (one.pod, one.container, one.previous) in wanted]
        return Observed(now=NOW, logs=tuple(replace(one, text="\n".join(one.text.splitlines()[-tail:])) for one in found))


class Counted:
    """Metrics: one series of whatever is asked for; `count` of what a namespace has."""

    def __init__(self, count=10):
        self.count = count
        self.asked = []

    async def range(self, promql, window, step_seconds):
        self.asked.append(promql)
        return (measured("http_requests_total", [1, 2], pod="a"),)

    async def instant(self, promql, at=None):
        if self.count is None:
            raise MetricsUnavailable("no PromQL here")
        return (measured("", [self.count]),)


async def test_a_log_that_is_trouble_from_its_first_line_is_read_again_from_further_back():
    objects = app("web")
    flood = [f"ERROR order {n} failed" for n in range(1000)]
    text = "\n".join(["INFO all is well", "FATAL licence expired", *flood])
    reader = Reader(*objects, logs=[log(objects[2], text), log(objects[3], "\n".join(["INFO fine"] * 500))])

    sight = await gather(["shop"], reader=reader, metrics=None, limits=Limits(log_tail=100))

    assert reader.asked == [100, 100_000]
    assert sorted(len(one.text.splitlines()) for one in sight.observed.logs) == [100, 1002]
    assert any("licence expired" in one.text for one in sight.observed.logs)


async def test_a_log_with_a_quiet_stretch_before_the_trouble_is_not_read_again():
    objects = app("web")
    text = "\n".join([*["INFO fine"] * 90, *["ERROR order failed"] * 30])
    reader = Reader(*objects, logs=[log(objects[2], text)])

    await gather(["shop"], reader=reader, metrics=None, limits=Limits(log_tail=100))

    assert reader.asked == [100]


async def test_a_series_that_two_queries_ask_for_counts_once():
    series, gaps = await read_metrics(["shop"], WINDOW, metrics=Counted())

    assert len(series) == 1
    assert gaps == ()


async def test_more_series_than_can_be_held_are_a_gap_and_not_asked_for():
    metrics = Counted(count=123_456)

    _, gaps = await read_metrics(["shop"], WINDOW, metrics=metrics)

    assert [(gap.what, gap.why) for gap in gaps] == [
        (what, "123456 series are more than are read at once")
        for what in ("metrics of applications in shop", *(what for what, _ in OF_PLATFORM))
    ]
    assert not any(name in one for one in metrics.asked for name in ("hikaricp", "DCGM_FI", "cilium_drop"))


async def test_gpus_and_the_data_plane_are_asked_for_whatever_the_namespace():
    metrics = Counted(count=10)

    await read_metrics(["shop"], WINDOW, metrics=metrics)

    for name in ("DCGM_FI_DEV_(XID_ERRORS", "cilium_drop_count_total", "hubble_lost_events_total"):
        assert [one for one in metrics.asked if name in one and "namespace" not in one]
    assert any("vllm:" in one and 'namespace="shop"' in one for one in metrics.asked)


async def test_who_cannot_count_is_asked_all_the_same():
    metrics = Counted(count=None)

    _, gaps = await read_metrics(["shop"], WINDOW, metrics=metrics)

    assert gaps == ()
    assert any("hikaricp" in one for one in metrics.asked)
