"""Which metrics a report draws: what is unusual of the suspects, rates instead of counters, and the limits beside the use."""

from datetime import UTC, datetime

from agent.domain.finding import Diagnosis, Finding, RankedCause
from agent.domain.objects import Ref, Series
from agent.stages.plot import plot

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()


def series(name: str, values, pod: str = "cart-7d4-x1", **labels: str) -> Series:
    samples = tuple((BEGIN + 30 * number, float(value)) for number, value in enumerate(values))
    return Series(labels={"__name__": name, "pod": pod, "container": "app", **labels}, samples=samples)


def drawn(*found: Series):
    finding = Finding(cause="oom-killed", subject=Ref("Deployment", "shop", "cart"), statement="too small")
    cause = RankedCause(finding=finding, because=(), confidence=0.9)
    return plot(Diagnosis(outcome="fault", statement="too small", causes=(cause,)), (), found)


CALM = [100 + number % 3 for number in range(60)]
STEPPED = [*CALM[:40], *(value * 9 for value in CALM[40:])]


def test_what_behaves_unlike_itself_comes_first_and_the_quiet_is_left_out():
    charts = drawn(series("container_memory_working_set_bytes", CALM), series("kubelet_volume_stats_available_bytes", STEPPED))

    assert [chart.title for chart in charts] == ["Space left on the volume"]


def test_where_nothing_is_unusual_one_chart_shows_that():
    charts = drawn(series("container_memory_working_set_bytes", CALM), series("kubelet_volume_stats_available_bytes", CALM))

    assert [chart.title for chart in charts] == ["Memory in use"]


def test_counters_are_drawn_as_rates_and_a_restart_of_the_counter_is_no_drop_below_zero():
    (chart,) = drawn(series("container_cpu_usage_seconds_total", [0, 30, 60, 15, 45]))

    assert chart.unit == "cores"
    assert [value for _, value in chart.series[0].samples] == [1.0, 1.0, 0.5, 1.0]


def test_memory_at_its_limit_is_drawn_although_it_does_not_move_with_every_limit_it_had():
    limit = "kube_pod_container_resource_limits"
    charts = drawn(
        series("container_memory_working_set_bytes", [64] * 60),
        series("container_memory_working_set_bytes", [70] * 60, pod="cart-9f0-y2"),
        series(limit, [64] * 60, resource="memory"),
        series(limit, [128] * 60, pod="cart-9f0-y2", resource="memory"),
    )

    assert sorted(found.samples[0][1] for found in charts[0].series if found.name == limit) == [64.0, 128.0]


def test_what_belongs_to_others_is_not_drawn():
    assert drawn(series("container_memory_working_set_bytes", STEPPED, pod="other-1", container="x")) == ()
