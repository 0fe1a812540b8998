"""What goes to the terminal: progress to standard error, results to standard output. Works without one and with NO_COLOR."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from agent.cli.exits import INTERRUPTED
from agent.errors import InputError
from agent.ports.store import RunEvent
from agent.rendering.safety import one_line
from agent.settings import Settings, SettingsError, load

T = TypeVar("T")
COLOURS = {
    "intake": "cyan",
    "gather": "cyan",
    "diagnose": "yellow",
    "propose": "magenta",
    "authorize": "blue",
    "execute": "red",
    "verify": "green",
    "conclude": "bold",
}


def console(*, quiet: bool = False) -> Console:
    return Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)


def say(out: Console, event: RunEvent) -> None:
    """One event as one line; text of the cluster cannot steer the terminal."""
    line = Text()
    line.append(f"{event.stage:>10}  ", style=COLOURS.get(event.stage, ""))
    line.append(one_line(event.text))
    out.print(line)


def settings_from(config: Path | None) -> Settings:
    try:
        return load(config)
    except SettingsError as exc:
        raise InputError(str(exc)) from None


def run(work: Coroutine[object, object, T]) -> T:
    """asyncio.run; an interrupt is exit 130 and no traceback."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        import typer

        typer.echo("lestrade: interrupted; `lestrade runs resume RUN` goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None
