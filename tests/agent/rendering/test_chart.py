"""The axes of a chart, as people would have drawn them."""

import re

import pytest

from agent.domain.objects import Series
from agent.domain.report import Chart
from agent.rendering.chart import draw


@pytest.mark.parametrize(
    ("highest", "unit", "ticks"),
    [
        (22, "restarts", ["0", "5", "10", "15", "20", "25"]),
        (9, "restarts", ["0", "2", "4", "6", "8", "10"]),
        (18, "restarts", ["0", "5", "10", "15", "20"]),
        (100 * 2**20, "bytes", ["0", "32 MiB", "64 MiB", "96 MiB", "128 MiB"]),
    ],
)
def test_an_axis_counts_in_round_numbers(highest, unit, ticks):
    line = Series(labels={"pod": "web"}, samples=tuple((60.0 * n, highest * n / 9) for n in range(10)))
    drawn = str(draw(Chart(title="x", unit=unit, series=(line,))))

    assert re.findall(r'text-anchor="end">([^<:]+)</text>', drawn) == ticks
