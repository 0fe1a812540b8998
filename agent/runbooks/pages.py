"""Loading pages: runbooks/<area>/<cause>.md, YAML front matter for the machine and four sections for a tired person.

A page that cannot be used is an InputError that names the file and the line.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from agent.checks import registered
from agent.domain.runbook import Ask, Page, Probe, Remedy
from agent.errors import InputError
from agent.runbooks.conditions import compile_condition, is_named
from sidecar.contract import Json

SECTIONS = ("Meaning", "Impact", "Diagnosis", "Mitigation")
FINDING = ("finding",)
TOOLS = frozenset(
    {"rollout_history", "describe", "logs", "previous_logs", "events", "metrics", "changes", "endpoints", "dependents", "list"}
)
ACTIONS = frozenset(
    {
        "restart_workload",
        "rollback_workload",
        "scale_workload",
        "change_fields",
        "delete_pod",
        "evict_pod",
        "cordon_node",
        "uncordon_node",
        "drain_node",
        "create_object",
        "rerun_job",
        "silence_alert",
    }
)
_DURATION = re.compile(r"^(\d+)(s|m|h)$")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KNOWN = {"cause", "title", "alerts", "when", "ask", "remedies", "verify"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """All pages by cause."""

    pages: Mapping[str, Page]

    def page(self, cause: str) -> Page | None:
        return self.pages.get(cause)

    def for_alert(self, name: str) -> tuple[Page, ...]:
        return tuple(page for _, page in sorted(self.pages.items()) if name in page.alerts)


def runbooks_folder() -> Path:
    """LESTRADE_RUNBOOKS, else the wheel's data, else the checkout's folder. Raises InputError when there is none."""
    chosen = os.environ.get("LESTRADE_RUNBOOKS")
    packaged = Path(str(files("agent"))) / "_data" / "runbooks"
    checkout = Path(str(files("agent"))).parent / "runbooks"
    for folder in (Path(chosen) if chosen else None, packaged, checkout):
        if folder is not None and folder.is_dir():
            return folder
        if folder is not None and chosen:
            break
    raise InputError(f"{chosen or checkout}: no such folder of runbooks (set LESTRADE_RUNBOOKS)")


def load_library(folder: Path | None = None) -> Library:
    """Every page of the folder, conditions compiled. Raises InputError for the first page that is wrong."""
    where = folder or runbooks_folder()
    pages: dict[str, Page] = {}
    for path in sorted(where.glob("*/*.md")):
        page = read_page(path)
        if page.cause in pages:
            raise InputError(f"{path}:1: cause {page.cause} has a page already: {pages[page.cause].path}")
        pages[page.cause] = page
    if not pages:
        raise InputError(f"{where}: no runbook pages (*/*.md) in it")
    return Library(pages=pages)


def read_page(path: Path) -> Page:
    try:
        whole = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: cannot be read: {exc}") from None
    parts = re.split(r"^---[ \t]*$", whole, maxsplit=2, flags=re.M)
    if len(parts) != 3 or parts[0].strip():
        raise InputError(f"{path}:1: no front matter between two lines of ---")
    reader = _Reader(path, parts[1])
    front = reader.document
    unknown = sorted(set(front) - _KNOWN)
    if unknown:
        raise reader.fault(f"unknown field {unknown[0]}", unknown[0])
    cause = reader.string(front, "cause")
    if cause != path.stem:
        raise reader.fault(f"cause is {cause}, the file is named {path.stem}", "cause")
    when = reader.string(front, "when", default=f'finding.cause == "{cause}"')
    reader.condition(when, FINDING, "when")
    return Page(
        path=f"{path.parent.name}/{path.name}",
        cause=cause,
        title=reader.string(front, "title", default=cause.replace("-", " ")),
        alerts=tuple(str(one) for one in reader.sequence(front, "alerts")),
        when=when,
        asks=tuple(_asks(reader)),
        remedies=tuple(_remedies(reader)),
        probes=tuple(_probes(reader)),
        sections=_sections(path, parts[2]),
    )


class _Reader:
    """The front matter with the line of every field, so that a fault can say where it is."""

    def __init__(self, path: Path, front: str) -> None:
        self.path = path
        self.front = front
        try:
            document = yaml.load(front, Loader=_LOADER)  # noqa: S506  a safe loader, the fast one where it is there
        except yaml.YAMLError as exc:
            mark = getattr(exc, "problem_mark", None)
            line = mark.line + 1 if mark is not None else 1
            raise InputError(f"{path}:{line}: no YAML: {getattr(exc, 'problem', None) or exc}") from None
        if not isinstance(document, dict):
            raise InputError(f"{path}:1: the front matter is no mapping")
        self.document: dict[str, Any] = document

    def fault(self, words: str, *place: str | int) -> InputError:
        return InputError(f"{self.path}:{self._line(place)}: {words}")

    def _line(self, place: tuple[str | int, ...]) -> int:
        node, line = yaml.compose(self.front, Loader=_LOADER), 1
        for part in place:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == part), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
        return line

    def string(self, holder: Mapping[str, Any], field: str, *place: str | int, default: str | None = None) -> str:
        value = holder.get(field, default)
        if not isinstance(value, str):
            raise self.fault(f"{field} is missing or no text", *place, field)
        return value

    def sequence(self, holder: Mapping[str, Any], field: str) -> list[Any]:
        value = holder.get(field, [])
        if not isinstance(value, list):
            raise self.fault(f"{field} is no list", field)
        return value

    def condition(self, source: str, variables: tuple[str, ...], *place: str | int) -> None:
        try:
            compile_condition(source, variables)
        except InputError as exc:
            raise self.fault(str(exc), *place) from None


def _asks(reader: _Reader) -> Iterator[Ask]:
    for index, one in enumerate(reader.sequence(reader.document, "ask")):
        if not isinstance(one, dict) or one.get("tool") not in TOOLS:
            raise reader.fault("a question names no tool that exists", "ask", index)
        yield Ask(tool=one["tool"], target=str(one.get("target", "{subject}")), settles=str(one.get("settles", "")))


def _remedies(reader: _Reader) -> Iterator[Remedy]:
    for index, one in enumerate(reader.sequence(reader.document, "remedies")):
        place = ("remedies", index)
        if not isinstance(one, dict):
            raise reader.fault("a remedy is no mapping", *place)
        unknown = sorted(set(one) - {"title", "when", "action", "steps", "expect", "why", "human"})
        if unknown:
            raise reader.fault(f"unknown field {unknown[0]} in a remedy", *place)
        when = reader.string(one, "when", *place, default="true")
        reader.condition(when, FINDING, *place, "when")
        action, steps, human = one.get("action"), one.get("steps", []), one.get("human", "")
        if sum(bool(part) for part in (action, steps, human)) != 1:
            raise reader.fault("a remedy has either action, steps or human", *place)
        for template in [action] if action else [step.get("action") for step in steps if isinstance(step, dict)]:
            if not isinstance(template, dict) or template.get("kind") not in ACTIONS:
                raise reader.fault("no action of the closed union", *place)
        yield Remedy(
            when=when,
            action=action,
            steps=tuple(steps),
            human=str(human),
            expect=str(one.get("expect", "")),
            why=str(one.get("why", "")),
            title=str(one.get("title", "")) or _title(action, steps, human),
        )


def _title(action: Mapping[str, Json] | None, steps: list[Any], human: str) -> str:
    first = action or (steps[0]["action"] if steps else None)
    return str(first["kind"]).replace("_", " ") if first else f"a person: {human[:80]}"


def _probes(reader: _Reader) -> Iterator[Probe]:
    for index, one in enumerate(reader.sequence(reader.document, "verify")):
        place = ("verify", index)
        if not isinstance(one, dict) or bool(one.get("promql")) == bool(one.get("kubernetes")):
            raise reader.fault("a verification has either kubernetes with condition, or promql", *place)
        match = _DURATION.match(str(one.get("within", "")))
        if match is None:
            raise reader.fault("within is no duration such as 90s or 10m", *place)
        condition = str(one.get("condition", ""))
        if one.get("kubernetes") and not is_named(condition):
            reader.condition(re.sub(r"\{[\w.]+\}", "0", condition), ("object",), *place, "condition")
        seconds = int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
        yield Probe(
            kubernetes=str(one.get("kubernetes", "")),
            condition=condition,
            promql=str(one.get("promql", "")),
            within_seconds=min(seconds, 3600),
            optional=one.get("optional") is True,
        )


def _sections(path: Path, body: str) -> dict[str, str]:
    parts = re.split(r"^#{1,3} +(.+?)\s*$", body, flags=re.M)
    found = {parts[index]: parts[index + 1].strip() for index in range(1, len(parts) - 1, 2)}
    for name in SECTIONS:
        if not found.get(name):
            raise InputError(f"{path}:1: section {name} is missing or empty")
    return found


def lint(library: Library) -> list[str]:
    """What is wrong between pages and checks, one line each: a check without a page, a page without a remedy."""
    causes = {one.cause for one in registered()}
    faults = [f"no page for cause {cause}" for cause in sorted(causes - set(library.pages))]
    for cause, page in sorted(library.pages.items()):
        if not page.remedies:
            faults.append(f"{page.path}: no remedy, not even a person's")
        if any(not one.human for one in page.remedies) and not page.probes:
            faults.append(f"{page.path}: acts, and does not say how it is seen that it helped")
        if cause not in causes and page.when == f'finding.cause == "{cause}"':
            faults.append(f"{page.path}: no check reports this cause, and the page adds no condition of its own")
    return faults
