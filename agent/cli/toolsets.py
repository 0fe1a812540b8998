"""`lestrade toolsets`: what a language model may look at, and what is off and why; which questions are declared that are asked
without one. Reads no cluster."""

import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import orjson
from rich.console import Console
from rich.text import Text

from agent.cli.terminal import run, settings_from
from agent.counsel import toolsets
from agent.domain.incident import Window
from agent.errors import InputError
from agent.eyes import Source, eyes
from agent.ports import ClusterReader, Metrics, Observed
from agent.ports.toolset import Toolset, View
from agent.rendering.safety import one_line
from agent.runbooks import load_library
from agent.settings import Settings
from agent.toolsets.declared_witness import DeclaredWitness
from agent.witnesses import declared


def show(*, snapshot: Path | None, context: str, as_json: bool, config: Path | None) -> int:
    settings = settings_from(config)
    rows, asks = run(_rows(settings, Source(snapshot=snapshot, context=context)), interrupted="")
    if as_json:
        sys.stdout.write(orjson.dumps([*rows, *asks], option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0
    out = Console(highlight=False, soft_wrap=True)
    asked = f"asked by {settings.model}" if settings.model else "no model is set (LESTRADE_MODEL): nobody asks them"
    out.print(Text(asked, style="dim"))
    for row in rows:
        line = Text(f"{row['name']:<16}", style="bold")
        line.append("on   " if not row["why_off"] else "off  ", style="green" if not row["why_off"] else "yellow")
        line.append(one_line(str(row["why_off"]) or ", ".join(str(one["name"]) for one in _listed(row, "tools"))))
        out.print(line)
    for ask in asks:
        line = Text(f"{ask['name']:<16}", style="bold")
        line.append("asks " if not ask["why_off"] else "off  ", style="green" if not ask["why_off"] else "yellow")
        line.append(one_line(str(ask["why_off"]) or "; ".join(str(one["settles"]) for one in _listed(ask, "asks"))))
        out.print(line)
    return 0


async def _rows(settings: Settings, source: Source) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    now = datetime.now(UTC)
    view = View(observed=Observed(now=now), series=(), window=Window(start=now, end=now), namespaces=())
    async with AsyncExitStack() as stack:
        reader: ClusterReader | None = None
        metrics: Metrics | None = None
        why = ""
        try:
            reader, metrics = await stack.enter_async_context(eyes(settings, source))
        except InputError as exc:
            why = str(exc)
        library = load_library(settings.runbooks)
        witnesses = declared(settings, stack, causes=library.pages)
        found = await toolsets(settings, reader, metrics, library, stack)
        asks = [_asks(one, found) for one in witnesses]
        rows: list[dict[str, object]] = [
            {
                "name": one.name,
                "why_off": one.why_off,
                "tools": [{"name": tool.name, "does": tool.description} for tool in ([] if one.why_off else one.tools(view))],
            }
            for one in found
        ]
    return [{"name": "kubernetes", "why_off": why, "tools": []}, *rows] if reader is None else rows, asks


def _asks(one: DeclaredWitness, found: Sequence[Toolset]) -> dict[str, object]:
    """What is declared to be asked of a source without a model; a tool that the server does not offer is said."""
    usable = next((getattr(other, "usable", None) for other in found if other.name == one.name and not other.why_off), None)
    lost = [name for name in one.asked if usable is not None and name not in usable]
    why = f"no tool {lost[0]} that may be called (see tool in asks); there are: {', '.join(usable or ())}" if lost else ""
    asks = [question.ask for question in one.questions]
    told = [{"settles": ask.settles, "causes": list(ask.causes), "kinds": list(ask.kinds), "when": ask.when} for ask in asks]
    return {"name": one.name, "why_off": one.why_off or why, "tools": [], "asks": told}


def _listed(row: dict[str, object], key: str) -> list[dict[str, object]]:
    found = row[key]
    return found if isinstance(found, list) else []
