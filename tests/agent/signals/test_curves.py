"""Series as numbers: rates, sums, ratios, the shift that lasts until now with its onset, and straight rises."""

import math
import random
from datetime import timedelta

import pytest

from agent.domain.objects import Series
from agent.signals.curves import MINIMUM, gauge, growth, rate, ratio, shift, total
from agent.signals.metrics import anomalies
from tests.agent.builders import NOW, measured


def wavy(base, size, seed=1):
    dice = random.Random(seed)
    return [base * (1 + 0.1 * math.sin(n) + 0.05 * dice.random()) for n in range(size)]


@pytest.mark.parametrize("late", [5, 12, 30, 80])
def test_a_step_has_its_onset_wherever_it_lies(late):
    found = shift(gauge(measured("x", [*wavy(1, 100 - late), *wavy(5, late)])))

    assert abs((found.onset - (NOW - timedelta(seconds=30 * (late - 1)))).total_seconds()) <= 60
    assert 4 < found.times < 6


def test_a_ramp_begins_before_its_middle():
    values = [*wavy(1, 60), *(1 + n / 4 for n in range(40))]

    assert shift(gauge(measured("x", values))).onset <= NOW - timedelta(seconds=30 * 34)


def test_a_fall_is_a_shift_downwards():
    curve = gauge(measured("x", [*wavy(9, 60), *wavy(1, 20)]))

    assert shift(curve) is None
    assert shift(curve, up=False).after < 2


@pytest.mark.parametrize(
    "values",
    [wavy(3, 80), [7] * 80, [*wavy(1, 40), *wavy(9, 20), *wavy(1, 20)], [1, 9], []],
    ids=["quiet", "flat", "over again", "short", "empty"],
)
def test_nothing_lasting_is_no_shift_of_note(values):
    found = shift(gauge(measured("x", values)))

    assert found is None or found.times < 1.5


def test_rates_survive_a_restart_and_sums_gaps():
    one, two = rate(measured("c_total", [0, 30, 60, 0, 30])), rate(measured("c_total", [0, 60, 120]))

    assert list(one.values) == [1, 1, 0, 1]
    assert list(total([one, two]).values) == [1, 1, 2, 3]
    assert list(ratio(one, one).values) == [1, 1, 1]


def test_values_that_are_no_numbers_are_left_out():
    assert gauge(measured("x", [1, math.nan, 3])).size == 2


def test_a_straight_rise_says_when_the_ceiling_is_reached():
    found = growth(gauge(measured("x", [10 + n for n in range(60)])), 100)

    assert found.fit > 0.99
    assert 800 < found.seconds < 1000
    assert growth(gauge(measured("x", [10 - n for n in range(60)])), 100) is None
    assert growth(gauge(measured("x", [1] * (MINIMUM - 1))), 100) is None


def test_of_a_thousand_series_the_odd_one_comes_first():
    start = NOW.timestamp()
    odd = [*wavy(5, 200), *wavy(50, 40)]
    series = [
        Series(labels={"__name__": f"m{n}"}, samples=tuple((start + 30 * i, v) for i, v in enumerate(wavy(5, 240, seed=n))))
        for n in range(999)
    ]
    series.append(Series(labels={"__name__": "odd"}, samples=tuple((start + 30 * i, v) for i, v in enumerate(odd))))

    found = anomalies(series)

    assert [one.labels["__name__"] for one in found] == ["odd"]
