"""What goes to the terminal: progress to standard error, results to standard output. Works without one and with NO_COLOR."""

import asyncio
import logging
import textwrap
import traceback
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
INDENT = 12
COLOURS = {
    "intake": "cyan",
    "gather": "cyan",
    "diagnose": "yellow",
    "investigate": "yellow",
    "look": "cyan",
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
    tell(out, event.stage, event.text, style=COLOURS.get(event.stage, ""))


def tell(out: Console, who: str, text: str, *, style: str = "", text_style: str = "") -> None:
    """At a terminal words stay whole and lines stand under one another; a pipe gets one line."""
    words = one_line(text)
    if out.is_terminal:
        words = f"\n{' ' * INDENT}".join(textwrap.wrap(words, width=max(20, out.width - INDENT), break_on_hyphens=False)) or words
    line = Text()
    line.append(f"{who:>{INDENT - 2}}  ", style=style)
    line.append(words, style=text_style)
    out.print(line)


def settings_from(config: Path | None) -> Settings:
    try:
        return load(config)
    except SettingsError as exc:
        raise InputError(str(exc)) from None


class OneLine(logging.Formatter):
    """What went wrong and where, on one line; no traceback reaches the person at the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        told = f"lestrade: {one_line(record.getMessage())}"
        exc = record.exc_info[1] if record.exc_info else None
        if exc is None:
            return told
        frames = traceback.extract_tb(exc.__traceback__)
        where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        return f"{told}: {type(exc).__name__}{where}"

    @classmethod
    def install(cls) -> None:
        if logging.getLogger().handlers:  # `serve` has its own
            return
        handler = logging.StreamHandler()
        handler.setFormatter(cls())
        logging.basicConfig(level=logging.WARNING, handlers=[handler])


def run(work: Coroutine[object, object, T], *, interrupted: str = "`lestrade runs resume RUN` goes on") -> T:
    """asyncio.run; an interrupt is exit 130 and no traceback. `interrupted`: what a person may do then."""
    OneLine.install()
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        import typer

        typer.echo(f"lestrade: interrupted{'; ' if interrupted else ''}{interrupted}", err=True)
        raise typer.Exit(INTERRUPTED) from None
