"""How a command ends: one clear line on stderr and an exit code, never a traceback."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer


@contextmanager
def ending() -> Iterator[None]:
    """Turns what cannot be done into a line and an exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        fail(130, "interrupted")
    except BrokenPipeError:
        raise typer.Exit(0) from None
    except Exception as exc:  # noqa: BLE001  the last edge: a user sees a line, never a traceback
        fail(*_code(exc))


def fail(code: int, line: str) -> NoReturn:
    typer.echo(f"lestrade-sidecar: {' '.join(line.split())}", err=True)
    raise typer.Exit(code)


def say(what: Any) -> None:
    """Text as it is, anything else as JSON. Control characters of what others wrote do not reach the terminal."""
    text = what if isinstance(what, str) else json.dumps(what, indent=2)
    shown = "".join(character if character == "\n" or character.isprintable() else "?" for character in text)
    sys.stdout.write(shown + "\n")


def _code(exc: Exception) -> tuple[int, str]:
    from sidecar.errors import BundleRefused, ClusterUnavailable, JournalUnavailable, PolicyUnavailable, SettingsError

    match exc:
        case SettingsError() | BundleRefused():
            return 2, str(exc)
        case ClusterUnavailable() | PolicyUnavailable():
            return 4, str(exc)
        case JournalUnavailable():
            cause = str(getattr(exc.__cause__, "orig", None) or "").partition("\n")[0]  # what the database's own driver says
            return 5, f"{exc} ({cause})" if cause and cause not in str(exc) else str(exc)
        case _:
            return 1, f"a fault of its own: {type(exc).__name__}; please report it"
