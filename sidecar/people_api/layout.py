"""How a page is put together: templates, what every page forbids, and how times are said. Knows no page.

Every text is escaped for HTML by the templates, and for control and bidirectional characters by `finalize`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import jinja2
from fastapi import Response

from identity import PAGE_HEADERS
from sidecar.contract import ChangePreview
from sidecar.edge import CODE_HEADER
from sidecar.execution import escaped

_HERE = Path(__file__).parent
_NAMED = 3  # steps, in a heading
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; script-src 'none'"
_HEADERS = PAGE_HEADERS | {"Content-Security-Policy": _POLICY}


def rendered(template: str, status: int, code: str, **content: Any) -> Response:
    text = _templates.get_template(template).render(code=code, **content)
    headers = _HEADERS | ({CODE_HEADER: code} if code else {})
    return Response(text, status, headers, "text/html; charset=utf-8")


def asset(name: str, media_type: str) -> Response:
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=3600"}
    return Response((_HERE / name).read_bytes(), headers=headers, media_type=media_type)


def _finalized(value: object) -> object:
    return escaped(value) if type(value) is str else value


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else ""


def _left(until: datetime, now: datetime) -> str:
    seconds = int((until - now).total_seconds())
    if seconds <= 0:
        return "no time left"
    minutes = seconds // 60
    return (
        f"{minutes // 60} h {minutes % 60} min left"
        if minutes >= 60
        else f"{minutes} min left"
        if minutes
        else f"{seconds} s left"
    )


def _in_short(changes: Sequence[ChangePreview]) -> str:
    """A heading for a plan: each step stands in full further down."""
    more = len(changes) - _NAMED
    named = "; ".join(change.summary for change in changes[:_NAMED])
    return f"{named}; and {more} more {'step' if more == 1 else 'steps'}" if more > 0 else named


_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    finalize=cast(Callable[..., Any], _finalized),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"time": _time, "in_short": _in_short}
_templates.globals["left"] = _left
