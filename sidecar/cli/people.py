"""`lestrade-sidecar people`: who may answer. Writes the people file; tokens are shown once and kept nowhere."""

from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli.ending import ending, say

app = typer.Typer(help="The people who may approve.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """The people who may approve."""


@app.command(epilog="Example: lestrade-sidecar people add ada --role approver")
def add(
    name: Annotated[str, typer.Argument(help="As the person is named in the record.")],
    role: Annotated[list[str], typer.Option(help="A role; may be given more than once.")],
    config: Annotated[Path | None, typer.Option("--config", help="TOML file of the sidecar's settings.")] = None,
) -> None:
    """Add a person, and print the token for LESTRADE_OPERATOR_TOKEN once."""
    with ending():
        from sidecar.approvals import PeopleFile
        from sidecar.settings import load

        say(PeopleFile(load(config).people_path).add(name, tuple(role)))
