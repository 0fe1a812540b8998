"""Reports as files. Everything is decided in the Report; here it is laid out, and made safe to look at."""

from typing import Literal

from agent.domain.report import Report
from agent.rendering.html import as_html
from agent.rendering.machine import as_json
from agent.rendering.markdown import as_markdown

Format = Literal["md", "html", "json"]
MEDIA_TYPES: dict[Format, str] = {
    "md": "text/markdown; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "json": "application/json",
}


def render(report: Report, form: Format) -> str:
    match form:
        case "md":
            return as_markdown(report)
        case "html":
            return as_html(report)
        case "json":
            return as_json(report)


__all__ = ["MEDIA_TYPES", "Format", "as_html", "as_json", "as_markdown", "render"]
