"""The report as one self-contained page: no script, no request to anywhere, light and dark, phone and print."""

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from agent.domain.report import Report
from agent.rendering import chart, wording
from agent.rendering.machine import summary
from agent.rendering.picture import picture
from agent.rendering.safety import one_line, visible

if TYPE_CHECKING:
    from jinja2 import Environment


def as_html(report: Report) -> str:
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            summary=summary(report),
            outcome=wording.OUTCOMES[report.outcome],
            charts=chart.shown(report.charts),
            picture=picture(report.diagnosis) if report.diagnosis else "",
            shown_evidence=[piece for piece in report.evidence if not piece.missing],
            rights_lasted=wording.rights_lasted(report),
            answers=[answer for round_ in report.rounds if round_.status for answer in round_.status.answers],
        )
    )


def page_of(template: str, **values: object) -> str:
    """Another page of the same kind."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  a tenth of a second that only pages need

    environment = Environment(
        loader=PackageLoader("agent.rendering", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        moment=wording.moment,
        clock=wording.clock,
        ended=wording.end_of,
        right=wording.right,
        revocation=wording.revocation,
        previews=wording.previews,
        field=wording.value,
        line=one_line,
        breakable=_breakable,
        named=wording.named,
        assessed=wording.assessed,
        diff=_diff,
    )
    environment.globals["lasted"] = wording.lasted
    return environment


def _shown(value: object) -> object:
    """Everything that is printed, but for the markup that we made ourselves."""
    return value if isinstance(value, Markup) else visible(str(value))


def _breakable(text: str) -> Markup:
    """A line may end behind a slash."""
    return escape(text).replace("/", Markup("/<wbr>"))


def _diff(text: str) -> list[tuple[str, str]]:
    """(style, line) of a unified diff."""
    styles = {"+": "add", "-": "del", "@": "hunk"}
    told = []
    for line in visible(text).splitlines():
        heading = line.startswith(("+++", "---"))
        told.append(("file" if heading else styles.get(line[:1], "same"), line))
    return told
