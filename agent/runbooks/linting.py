"""What is wrong between pages, checks and alerts, one line each. What is wrong within a page is said when it is read."""

from collections.abc import Iterator

from agent.checks import registered
from agent.domain.runbook import Page
from agent.runbooks.pages import Library


def lint(library: Library) -> list[str]:
    causes = {one.cause for one in registered()}
    reported = causes | {page.cause for page in library.pages.values() if page.detection is not None}
    faults = [f"no page for cause {cause}" for cause in sorted(causes) if library.page(cause) is None]
    for _, page in sorted(library.pages.items()):
        faults += _of_investigation(page, library) if page.is_investigation else _of_cause(page, reported)
    return faults


def _of_cause(page: Page, reported: set[str]) -> Iterator[str]:
    if not page.remedies:
        yield f"{page.path}: field remedies: none, not even a person's (`human: ...`)"
    if any(not one.human for one in page.remedies) and not any(not probe.optional for probe in page.probes):
        yield f"{page.path}: field verify: the page acts, and does not say how it is seen that it helped"
    if page.cause not in reported and page.when == f'finding.cause == "{page.cause}"':
        yield (
            f"{page.path}: field cause: nothing reports {page.cause}; the page needs `detect` (a cause of its own), or a `when` "
            "that says for which findings it is"
        )


def _of_investigation(page: Page, library: Library) -> Iterator[str]:
    if not page.alerts and not page.symptoms:
        yield f"{page.path}: field alerts: an investigation without an alert or a symptom is never reached"
    if not page.asks:
        yield f"{page.path}: field ask: an investigation says what to look at"
    for cause in page.leads_to:
        if library.page(cause) is None:
            yield f"{page.path}: field leads_to: there is no page for cause {cause}"
