"""The subset of PromQL gives what Prometheus gives, and refuses the rest in its words."""

import math
from typing import Any

import pytest

from lab.telemetry.promql import Evaluator, ExecutionError, ParseError, parse
from lab.telemetry.series import SeriesStore, labels

START = 1_000_000.0
END = START + 600


@pytest.fixture
def store() -> SeriesStore:
    """Ten minutes of scrapes every 30 s: two growing counters, one that resets, gauges, one series that ended."""
    store = SeriesStore()
    for step in range(21):
        at = START + 30 * step
        samples = [
            (labels("requests_total", {"service": "web", "code": "200"}), 60.0 * step),
            (labels("requests_total", {"service": "web", "code": "500"}), 6.0 * step),
            (labels("requests_total", {"service": "api", "code": "200"}), 30.0 * (step % 15)),
            (labels("replicas", {"service": "web", "kind": "wanted"}), 3.0),
            (labels("replicas", {"service": "web", "kind": "ready"}), 1.0),
            (labels("limit", {"service": "web"}), 100.0),
            (labels("limit", {"service": "api"}), 50.0),
            (labels("used", {"service": "web"}), 50.0 + step),
            (labels("owner", {"service": "web", "team": "shop"}), 1.0),
            *[
                (labels("seconds_bucket", {"le": le}), n * float(step))
                for le, n in (("0.1", 2), ("0.5", 8), ("1", 9), ("+Inf", 10))
            ],
        ]
        if step < 10:
            samples.append((labels("gone", {"service": "old"}), 1.0))
        store.scrape(at, samples)
    return store


def ask(store: SeriesStore, query: str, at: float = END) -> Any:
    value = Evaluator(store).at(parse(query), at)
    if isinstance(value, dict):
        return {tuple(p for p in k if p[0] != "__name__") or k: round(v, 6) for k, v in value.items()}
    return value


def one(store: SeriesStore, query: str, at: float = END) -> float:
    found = ask(store, query, at)
    assert len(found) == 1, found
    return float(next(iter(found.values())))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('requests_total{service="web",code="200"}', 1200.0),
        ('requests_total{code=~"5.."}', 120.0),
        ('requests_total{service!="web"}', 150.0),
        ('{__name__="limit",service="api"}', 50.0),
        ('sum(requests_total{service="web"})', 1320.0),
        ("count(requests_total)", 3.0),
        ("max(limit) - min(limit)", 50.0),
        ("avg(limit)", 75.0),
        ("quantile(0.5, limit)", 75.0),
        ('rate(requests_total{service="web",code="200"}[5m])', 2.0),
        ('increase(requests_total{code="500"}[5m])', 60.0),
        ('irate(requests_total{service="web",code="200"}[2m])', 2.0),
        ("delta(used[5m])", 10.0),
        ("avg_over_time(used[1m])", 69.5),
        ("max_over_time(used[10m])", 70.0),
        ("min_over_time(used[2m])", 67.0),
        ("count_over_time(used[2m])", 4.0),
        ("last_over_time(used[2m])", 70.0),
        ('resets(requests_total{service="api"}[10m])', 1.0),
        ("changes(used[2m])", 3.0),
        ("deriv(used[5m])", 1 / 30),
        ("predict_linear(used[5m], 300)", 80.0),
        ("used offset 5m", 60.0),
        ('requests_total{code="500"} / ignoring(code) group_left sum by (service) (requests_total{service="web"})', 120 / 1320),
        ("used / on(service) limit", 0.7),
        ("used * on(service) group_left(team) owner", 70.0),
        ("clamp_max(used, 60)", 60.0),
        ("clamp(used, 0, 10)", 10.0),
        ("round(used / 8, 0.5)", 9.0),
        ('absent(used{service="nobody"})', 1.0),
        ("vector(3) ^ 2", 9.0),
        ("-used", -70.0),
        ("histogram_quantile(0.5, seconds_bucket)", 0.3),
        ('max_over_time(rate(requests_total{code="500"}[2m])[5m:1m])', 0.2),
        ("topk(1, limit)", 100.0),
        ('replicas{kind="wanted"} > ignoring(kind) replicas{kind="ready"}', 3.0),
        ('replicas{kind="wanted"} == bool ignoring(kind) replicas{kind="ready"}', 0.0),
        ("2 * 3 + 4 % 3 + scalar(used)", None),
    ],
)
def test_a_query_gives_its_value(store: SeriesStore, query: str, expected: float | None) -> None:
    if expected is None:
        assert ask(store, query) == 77.0
    else:
        assert one(store, query) == pytest.approx(expected, abs=1e-5)


def test_a_counter_that_starts_anew_keeps_its_rate(store: SeriesStore) -> None:
    assert one(store, 'increase(requests_total{service="api"}[10m])') > 500


def test_a_series_that_ended_is_gone_at_the_next_scrape(store: SeriesStore) -> None:
    assert one(store, "gone", START + 285) == 1.0
    assert ask(store, "gone", START + 310) == {}


def test_an_old_sample_is_not_the_present(store: SeriesStore) -> None:
    assert ask(store, "used", END + 301) == {}
    assert one(store, "used", END + 299) == 70.0


def test_grouping_keeps_or_drops_labels(store: SeriesStore) -> None:
    assert ask(store, "sum by (service) (requests_total)") == {(("service", "api"),): 150.0, (("service", "web"),): 1320.0}
    assert ask(store, "sum without (code) (requests_total)") == {(("service", "api"),): 150.0, (("service", "web"),): 1320.0}


def test_sets_work_by_labels(store: SeriesStore) -> None:
    assert ask(store, "limit and on(service) used") == {(("service", "web"),): 100.0}
    assert ask(store, "limit unless on(service) used") == {(("service", "api"),): 50.0}
    assert len(ask(store, "used or limit")) == 2


def test_comparison_filters_and_division_by_nothing_is_not_an_error(store: SeriesStore) -> None:
    assert ask(store, "limit > 60") == {(("service", "web"),): 100.0}
    assert one(store, "used / 0") == math.inf


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "parse error: no expression found in input"),
        ("sum(", "1:5: parse error: unexpected end of input"),
        ("rate(used)", '1:1: parse error: expected type range vector in call to function "rate", got instant vector'),
        ("frobnicate(used)", '1:1: parse error: unknown function with name "frobnicate"'),
        ("used{", "parse error: unexpected end of input in label matching"),
        ("{}", "parse error: vector selector must contain at least one non-empty matcher"),
        ("used[5m] + 1", "parse error: binary expression must contain only scalar and instant vector types"),
        ("1 > 2", "parse error: comparisons between scalars must use BOOL modifier"),
        ("used and 1", 'parse error: set operator "and" not allowed in binary scalar expression'),
        ("clamp(used, 1)", 'parse error: expected 3 argument(s) in call to "clamp", got 2'),
        ('used{a=~"("}', "parse error: error parsing regexp"),
        ("used used", 'parse error: unexpected identifier "used"'),
        ("topk(limit)", "parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
    ],
)
def test_what_does_not_parse_is_refused_with_its_place(query: str, words: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(query)
    assert words in str(caught.value)


def test_many_to_many_is_refused(store: SeriesStore) -> None:
    with pytest.raises(ExecutionError, match="many-to-many matching not allowed"):
        ask(store, "requests_total / on(service) requests_total")
