"""`lestrade scan`: one look over the cluster, and what is wrong in it, told for somebody who was asleep a minute ago."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
from rich.console import Console
from rich.text import Text

from agent.cli.exits import OF_SCAN
from agent.cli.layout import Page, span
from agent.cli.terminal import run, settings_from
from agent.domain.document import to_document
from agent.domain.objects import Ref
from agent.domain.scan import EFFECTS, Effect, Scan, Trouble
from agent.errors import InputError
from agent.eyes import Source, eyes
from agent.rendering.scanning import Tone, counted, question, reservation, verdict
from agent.scanning import Scanner
from agent.settings import Settings
from agent.stages.unseen import unseen

VERSION = 1
ROOTS_TOLD = 2  # of one cause; the others by name
NAMES_TOLD = 8
STYLES: dict[Effect, str] = {"down": "bold red", "degraded": "bold yellow", "at risk": "bold blue"}
TONES: dict[Tone, str] = {"good": "bold green", "bad": "bold", "warn": "bold yellow"}


def scan(
    namespaces: tuple[str, ...], *, everything: bool, snapshot: Path | None, context: str, as_json: bool, config: Path | None
) -> int:
    if namespaces and everything:
        raise InputError("-n and --all at once: choose one")
    if snapshot and context:
        raise InputError("--snapshot and --context at once: choose one")
    settings = settings_from(config)
    gc.disable()  # millions of small objects that all stay until the end: looking for garbage among them takes a third longer
    try:
        found = run(_scan(settings, Source(snapshot=snapshot, context=context), namespaces), interrupted="")
    finally:
        gc.enable()
    if as_json:
        sys.stdout.write(orjson.dumps(document(found), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        show(found, Console(highlight=False, soft_wrap=True))
    return OF_SCAN[found.outcome]


def document(found: Scan) -> dict[str, object]:
    """`{"scan": 1, "summary": {...}, ...}`; beside the summary every field of agent.domain.scan.Scan. Fields are only added."""
    effects = {effect: sum(1 for one in found.troubles if one.effect == effect) for effect in EFFECTS}
    summary = {
        "outcome": found.outcome,
        "causes": [one.cause for one in found.troubles if one.cause],
        "resources": [str(root.finding.subject) for one in found.troubles for root in one.roots],
        "effects": effects,
        "findings": sum(len(one.roots) for one in found.troubles) + found.explained,
        "gaps": len(found.gaps),
    }
    body = to_document(found)
    assert isinstance(body, dict)
    return {"scan": VERSION, "summary": summary, **body}


async def _scan(settings: Settings, source: Source, namespaces: tuple[str, ...]) -> Scan:
    async with eyes(settings, source) as (reader, metrics):
        return await Scanner(settings, reader=reader, metrics=metrics).scan(namespaces)


# What the person sees. ----------------------------------------------------------------------------------------------------


def show(found: Scan, out: Console) -> None:
    page = Page(out)
    _head(found, page)
    for trouble in found.troubles:
        _trouble(found, trouble, page)
    _unseen(found, page)


def _head(found: Scan, page: Page) -> None:
    spaces = found.namespaces[0] if len(found.namespaces) == 1 else f"{len(found.namespaces):,} namespaces"
    parts = [
        found.cluster,
        f"{found.at:%Y-%m-%d %H:%M} UTC",
        spaces,
        counted(found.seen.get("Node", 0), "node"),
        counted(found.workloads, "workload"),
        counted(found.seen.get("Pod", 0), "pod"),
    ]
    page.line(Text(" · ".join(parts), style="dim"))
    said, tone = verdict(found)
    page.line(Text(said, style=TONES[tone]))
    if more := reservation(found):
        page.line(Text(more, style="dim"))
    page.line()


def _trouble(found: Scan, trouble: Trouble, page: Page) -> None:
    title = Text(trouble.cause or "cause not seen", style="bold")
    if len(trouble.roots) > 1:
        title.append(f"  in {len(trouble.roots)} places", style="")
    if trouble.since:
        title.append(f"  {span(trouble.since, found.at)}", style="dim")
    page.item(trouble.effect.upper(), title, style=STYLES[trouble.effect])
    for root in trouble.roots[:ROOTS_TOLD]:
        page.paragraph(root.finding.statement)
    if len(trouble.roots) > ROOTS_TOLD:
        page.field("and", _names([root.finding.subject for root in trouble.roots[ROOTS_TOLD:]]))
    told = " ".join(one.finding.statement for one in trouble.roots[:ROOTS_TOLD])
    hit = [one for one in trouble.victims if one.name not in told]
    if hit:
        page.field("hits", _names(hit))
    for words in _next(trouble):
        page.field("next", words, style="cyan")
    page.line()


def _names(refs: list[Ref]) -> str:
    more = f" and {len(refs) - NAMES_TOLD} more" if len(refs) > NAMES_TOLD else ""
    return ", ".join(map(str, refs[:NAMES_TOLD])) + more


def _next(trouble: Trouble) -> Iterator[str]:
    yield f'lestrade investigate -q "{question(trouble)}"'
    if trouble.cause:
        yield f"lestrade runbooks show {trouble.cause}"


def _unseen(found: Scan, page: Page) -> None:
    if not found.gaps:
        return
    page.item("NOT SEEN", Text("and so not judged", style="dim"), style="bold yellow")
    kinds: dict[str, list[str]] = {}
    for what, why in found.gaps:
        kinds.setdefault(why, []).append(what)
    for why, whats in kinds.items():
        if len(whats) > 1:
            more = f" and {len(whats) - NAMES_TOLD} more" if len(whats) > NAMES_TOLD else ""
            page.paragraph(f"{', '.join(whats[:NAMES_TOLD])}{more}: {why}")
    for line in unseen([f"{whats[0]}: {why}" for why, whats in kinds.items() if len(whats) == 1]):
        page.paragraph(line)
