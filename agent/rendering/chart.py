"""A line chart as inline SVG: no script, no font of its own, colours by the page's style. Knows nothing of a metric's meaning."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape

from agent.domain.objects import Series
from agent.domain.report import Chart
from agent.rendering.safety import one_line

WIDTH, HEIGHT = 760, 250
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 24, 28
MOST_POINTS = 240
LIMIT_METRICS = ("kube_pod_container_resource_limits",)


def draw(chart: Chart) -> Markup:
    """Empty when there is nothing to draw."""
    lines = [(series, _points(series)) for series in chart.series]
    points = [point for _, found in lines for point in found]
    if len(points) < 2:
        return Markup("")
    begin, end = min(x for x, _ in points), max(x for x, _ in points)
    end = max([end, begin + 1, *(at.timestamp() for at, _ in chart.marks)])
    top = _ceiling(max(y for _, y in points), chart.unit)
    parts = [_grid(top, chart.unit), _times(begin, end)]
    colour = 0
    for series, found in lines:
        style = "limit" if series.name in LIMIT_METRICS else f"s{colour % 6}"
        colour += style != "limit"
        path = " ".join(f"{'L' if n else 'M'}{_x(x, begin, end):.1f},{_y(y, top):.1f}" for n, (x, y) in enumerate(found))
        parts.append(Markup('<path class="line {}" d="{}"><title>{}</title></path>').format(style, path, name_of(series)))
    parts.extend(_mark(at, text, begin, end, number) for number, (at, text) in enumerate(chart.marks))
    label = Markup('role="img" aria-label="{}"').format(one_line(f"{chart.title} ({chart.unit}) over time"))
    return (
        Markup('<svg class="chart" viewBox="0 0 {} {}" {}>').format(WIDTH, HEIGHT, label)
        + Markup("").join(parts)
        + Markup("</svg>")
    )


def legend(chart: Chart) -> list[tuple[str, str]]:
    """(style, name) of each line, in the order drawn."""
    named, colour = [], 0
    for series in chart.series:
        if series.name in LIMIT_METRICS:
            named += [("limit", "limit")] if ("limit", "limit") not in named else []
        else:
            named.append((f"s{colour % 6}", name_of(series)))
            colour += 1
    return named


def name_of(series: Series) -> str:
    labels = series.labels
    said = [labels[key] for key in ("pod", "container", "service", "code", "persistentvolumeclaim") if labels.get(key)]
    return one_line(" / ".join(said) or series.name or "series")


def _points(series: Series) -> list[tuple[float, float]]:
    found = [(x, y) for x, y in series.samples if math.isfinite(y)]
    stride = max(1, math.ceil(len(found) / MOST_POINTS))
    return found[::stride] + (found[-1:] if found and (len(found) - 1) % stride else [])


def _ceiling(highest: float, unit: str) -> float:
    """A round number above: 1, 2, 2.5, 5 times a power of ten; of bytes a power of two or one and a half times that."""
    if highest <= 0:
        return 1.0
    if unit == "bytes":
        power = 2 ** math.floor(math.log2(highest))
        return float(next(step * power for step in (1, 1.5, 2) if step * power >= highest * 1.02 or step == 2))
    power = 10 ** math.floor(math.log10(highest))
    return float(next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= highest * 1.02 or step == 10))


def _x(at: float, begin: float, end: float) -> float:
    return LEFT + (at - begin) / (end - begin) * (WIDTH - LEFT - RIGHT)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)


def _grid(top: float, unit: str) -> Markup:
    parts, steps = [], _steps(top, unit)
    for step in range(steps + 1):
        value = top * step / steps
        y = _y(value, top)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(LEFT, WIDTH - RIGHT, y, y))
        parts.append(
            Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(LEFT - 8, y + 4, _said(value, unit))
        )
    return Markup("").join(parts)


def _steps(top: float, unit: str) -> int:
    """Into how many parts the axis is cut, so that people would have chosen the numbers: 25 into fives, 20 too."""
    leading = top / 10 ** math.floor(math.log10(top))
    return 4 if unit == "bytes" or math.isclose(leading, 2) else 5


def _times(begin: float, end: float) -> Markup:
    parts = []
    for step in range(5):
        at = begin + (end - begin) * step / 4
        anchor = "start" if step == 0 else "end" if step == 4 else "middle"
        text = datetime.fromtimestamp(at, UTC).strftime("%H:%M")
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
                _x(at, begin, end), HEIGHT - 8, anchor, text
            )
        )
    return Markup("").join(parts)


def _mark(at: datetime, text: str, begin: float, end: float, number: int) -> Markup:
    x = _x(min(max(at.timestamp(), begin), end), begin, end)
    anchor, nudge = ("end", -5) if x > WIDTH * 0.6 else ("start", 5)
    line = Markup('<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(x, TOP - 8, HEIGHT - BOTTOM)
    y = TOP + 2 + 14 * (number % 3)
    return line + Markup('<text class="marked" x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
        x + nudge, y, anchor, escape(one_line(text))
    )


def _said(value: float, unit: str) -> str:
    if unit == "bytes":
        for size, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if value >= size:
                return f"{value / size:.3g} {name}"
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    if value >= 1e4:
        return f"{value / 1e3:.3g} k"
    return f"{value:.3g}"


def shown(charts: Sequence[Chart]) -> list[tuple[Chart, Markup, list[tuple[str, str]]]]:
    return [(chart, svg, legend(chart)) for chart in charts if (svg := draw(chart))]
