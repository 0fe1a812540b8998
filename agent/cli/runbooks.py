"""`lestrade runbooks`: which pages there are, what one says, what is wrong with them, and which fits."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from agent.cli.exits import WRONG_INPUT
from agent.cli.terminal import settings_from
from agent.domain.document import from_document
from agent.domain.finding import Finding
from agent.domain.runbook import Page, Remedy
from agent.errors import InputError
from agent.rendering.safety import one_line, visible
from agent.runbooks import Library, lint, load_library, read_library
from agent.runbooks.matching import Match, match_alerts, match_finding, match_question
from agent.runbooks.reading import SECTIONS
from agent.stages.receive import receive


def list_pages(*, area: str, alert: str, as_json: bool, config: Path | None) -> int:
    library = _library(config)
    pages = [page for _, page in sorted(library.pages.items(), key=lambda one: (_area(one[1]), one[0]))]
    areas = sorted({_area(page) for page in pages})
    if area and area not in areas:
        raise InputError(f"there is no area {one_line(area)[:60]}; there are: {', '.join(areas)}")
    chosen = [page for page in pages if (not area or _area(page) == area) and (not alert or alert in page.alerts)]
    if as_json:
        _print_json([_row(page) for page in chosen])
        return 0
    for page in chosen:
        print(f"{_area(page):<14} {page.cause:<34} {one_line(page.title)}")
    print(f"{len(chosen)} pages", file=sys.stderr)
    return 0


def show(name: str, *, as_json: bool, config: Path | None) -> int:
    """`name` is a cause, an investigation or an alert. Raises InputError when no page bears or names it."""
    library = _library(config)
    page = library.pages.get(name)
    if page is not None:
        _print_json(_whole(page)) if as_json else print(_text(page))
        return 0
    found = library.for_alert(name)
    if not found:
        raise InputError(
            f"there is no page {one_line(name)[:80]}, and none names an alert of that name (see `lestrade runbooks list`)"
        )
    if as_json:
        _print_json([_whole(page) for page in found])
    elif len(found) == 1:
        print(_text(found[0]))
    else:
        _print_matches(match_alerts([name], library))
    return 0


def lint_pages(folder: Path | None, *, as_json: bool) -> int:
    library, faults = read_library(folder)
    faults += lint(library)
    if as_json:
        _print_json({"pages": len(library.pages), "faults": faults})
    else:
        for fault in faults:
            print(one_line(fault))
        print(f"{len(library.pages)} pages, {len(faults)} faults")
    return WRONG_INPUT if faults else 0


def match(question: str, *, finding: Path | None, alert: Path | None, as_json: bool, config: Path | None) -> int:
    """Exit code 1 when no page fits."""
    if sum(bool(one) for one in (question.strip(), finding, alert)) != 1:
        raise InputError("give one of: a question, --finding FILE, --alert FILE")
    library = _library(config)
    if finding is not None:
        found = [match for one in _findings(finding) for match in match_finding(one, library)]
    elif alert is not None:
        found = list(match_alerts([one.name for one in _received(alert)], library))
    else:
        found = list(match_question(question, library))
    if as_json:
        _print_json([{**_row(one.page), "why": one.why} for one in found])
    elif found:
        _print_matches(found)
    else:
        print("no page fits")
    return 0 if found else 1


def _library(config: Path | None) -> Library:
    return load_library(settings_from(config).runbooks)


def _findings(path: Path) -> list[Finding]:
    """A finding as reports have it, a list of them, or a report or a diagnosis with `causes`."""
    try:
        document: Any = orjson.loads(_bytes(path))
    except orjson.JSONDecodeError as exc:
        raise InputError(f"{path}: no JSON: {str(exc).splitlines()[0]}") from None
    try:
        if isinstance(document, dict):
            document = document.get("diagnosis") or document
            document = [one["finding"] for one in document["causes"]] if "causes" in document else [document]
        return [from_document(Finding, {"statement": "", **one}) for one in document]
    except (TypeError, KeyError, ValidationError) as exc:
        first = exc.errors(include_url=False, include_input=False)[0] if isinstance(exc, ValidationError) else None
        what = (
            f"field {'.'.join(map(str, first['loc']))}: {first['msg']}"
            if first
            else "a mapping with cause and subject is expected"
        )
        raise InputError(f"{path}: no finding: {what}") from None


def _received(path: Path) -> Sequence[Any]:
    try:
        return receive(_bytes(path)).alerts
    except InputError as exc:
        raise InputError(f"{path}: {exc}") from None


def _bytes(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path}: {exc.strerror}") from None


def _print_matches(found: Sequence[Match]) -> None:
    for one in found:
        print(f"{one.page.cause:<34} {one_line(one.why)}\n{'':<34} {one_line(one.page.path)}")


def _print_json(value: object) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def _area(page: Page) -> str:
    return Path(page.path).parent.name


def _row(page: Page) -> dict[str, object]:
    return {
        "cause": page.cause,
        "kind": "investigation" if page.is_investigation else "cause",
        "area": _area(page),
        "title": page.title,
        "path": page.path,
        "alerts": list(page.alerts),
    }


def _whole(page: Page) -> dict[str, object]:
    return {
        **_row(page),
        "when": page.when,
        "leads_to": list(page.leads_to),
        "ask": [{"tool": one.tool, "target": one.target, "settles": one.settles} for one in page.asks],
        "remedies": [{"title": one.title, "when": one.when, "does": _deed(one), "expect": one.expect} for one in page.remedies],
        "verify": [one.promql or f"{one.kubernetes}: {one.condition}" for one in page.probes],
        "sections": dict(page.sections),
    }


def _deed(remedy: Remedy) -> str:
    if remedy.human:
        return f"a person: {remedy.human}"
    templates = [remedy.action] if remedy.action else [step["action"] for step in remedy.steps]
    return ", then ".join(str(one["kind"]).replace("_", " ") for one in templates if isinstance(one, dict))


def _text(page: Page) -> str:
    lines = [f"{page.title}  ({page.cause}, {page.path})", ""]
    if page.alerts:
        lines += [f"Alerts: {', '.join(page.alerts)}", ""]
    for name in SECTIONS:
        lines += [name.upper(), page.sections[name], ""]
    if page.leads_to:
        lines += [f"Usually ends in one of: {', '.join(page.leads_to)}", ""]
    lines += [f"Asks {one.tool.replace('_', ' ')} of {one.target}: {one.settles}" for one in page.asks]
    for number, remedy in enumerate(page.remedies, start=1):
        condition = "" if remedy.when == "true" else f"  [when {remedy.when}]"
        lines.append(f"Remedy {number}: {remedy.title if not remedy.human else _deed(remedy)}{condition}")
        if not remedy.human:
            lines.append(f"          {_deed(remedy)}; expected: {remedy.expect}")
    lines += [
        f"Seen by: {one.promql or f'{one.kubernetes}: {one.condition}'}, within {one.within_seconds} s" for one in page.probes
    ]
    return "\n".join(visible(line) for line in lines).rstrip()
