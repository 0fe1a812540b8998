"""A report's chart as PNG: our own SVG, drawn by resvg with a font that is surely there. Knows no Slack.

A font that is not found would make every word of the chart vanish in silence: then there is no picture at all.
"""

import importlib
import re
from functools import cache
from pathlib import Path
from typing import cast

import structlog
from markupsafe import escape

from agent.domain.report import Chart
from agent.rendering.chart import HEIGHT, WIDTH, draw, legend
from agent.rendering.safety import one_line

log = structlog.get_logger("agent.slack")
FONT = "DejaVu Sans"
FONT_FILES = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",  # Debian, Ubuntu: fonts-dejavu-core
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",  # Fedora, RHEL
    "/usr/share/fonts/dejavu/DejaVuSans.ttf",  # Alpine
    "/usr/share/fonts/TTF/DejaVuSans.ttf",  # Arch
)
_COLOURS = ("#2f6fde", "#d1622b", "#1f8a5b", "#9a4bc4", "#b3871a", "#0f8ba0")
_HEAD, _LINE, _MOST_NAMES = 34, 18, 8
_STYLE = (
    f"text {{ font-family: '{FONT}'; }} .grid {{ stroke: #e2e6ec; }} .tick {{ fill: #5b6472; font-size: 11px; }}"
    " .line { fill: none; stroke-width: 1.8; } .limit { stroke: #ad1f2d; stroke-dasharray: 6 4; }"
    " .mark { stroke: #5b6472; stroke-dasharray: 2 3; } .marked { fill: #16191f; font-size: 11px; }"
    + "".join(f" .s{number} {{ stroke: {colour}; }}" for number, colour in enumerate(_COLOURS))
)


def picture(chart: Chart) -> bytes | None:
    """None where nothing can be drawn: no points, no font, no library."""
    inner = str(draw(chart))
    font = font_file()
    if not inner or font is None:
        return None
    try:
        resvg = importlib.import_module("resvg_py")
    except ModuleNotFoundError:
        return None
    try:
        return cast(
            bytes,
            resvg.svg_to_bytes(
                svg_string=_framed(chart, inner),
                font_files=[str(font)],
                skip_system_fonts=True,
                font_family=FONT,
                sans_serif_family=FONT,
                background="#ffffff",
                zoom=2,
            ),
        )
    except (ValueError, RuntimeError) as exc:
        log.warning("a chart could not be drawn", error=type(exc).__name__)
        return None


@cache
def font_file() -> Path | None:
    found = next((Path(name) for name in FONT_FILES if Path(name).is_file()), None)
    if found is None:
        log.warning("no chart pictures for Slack: the font DejaVu Sans is not installed (fonts-dejavu-core)")
    return found


def _framed(chart: Chart, inner: str) -> str:
    """With title, legend and colours of its own: there is no page around it."""
    names = legend(chart)[:_MOST_NAMES]
    height = _HEAD + HEIGHT + _LINE * ((len(names) + 1) // 2) + 10
    body = re.sub(r"^<svg[^>]*>|</svg>$", "", inner)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{_STYLE}</style>",
        f'<text x="14" y="23" font-size="15" fill="#16191f">{escape(one_line(f"{chart.title} ({chart.unit})")[:90])}</text>',
        f'<g transform="translate(0 {_HEAD})">{body}</g>',
    ]
    for number, (style, name) in enumerate(names):
        x, y = 16 + (number % 2) * (WIDTH // 2), _HEAD + HEIGHT + 12 + _LINE * (number // 2)
        shown = name if len(name) <= 48 else name[:47] + "…"
        parts.append(f'<line class="line {style}" x1="{x}" x2="{x + 16}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{x + 22}" y="{y + 4}">{escape(shown)}</text>')
    return "".join([*parts, "</svg>"])
