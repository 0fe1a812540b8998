"""`lestrade config`: the settings, described."""

import sys
from dataclasses import asdict
from pathlib import Path

import orjson
from rich.console import Console
from rich.text import Text

from agent.cli.terminal import settings_from
from agent.settings import describe


def show(config: Path | None, *, as_json: bool) -> int:
    rows = describe(settings_from(config), config)
    if as_json:
        sys.stdout.write(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0
    out = Console(highlight=False, soft_wrap=True)
    for row in rows:
        line = Text(row.variable, style="bold")
        line.append(f" = {row.value or '(empty)'}", style="cyan" if row.source != "default" else "")
        line.append(f"  [{row.source}]", style="dim")
        out.print(line)
        out.print(Text(f"    {row.doc}. {row.type}, default {row.default or '(empty)'}, in the file: {row.name}", style="dim"))
    return 0
