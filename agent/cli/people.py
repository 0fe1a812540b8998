"""`lestrade people`: who may look and ask. Only what `--help` needs."""

from typing import Annotated

import typer

from agent.cli.options import Config

people = typer.Typer(help="Who may look and ask in a browser, by local token.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(help="As the person is named in incidents, plans and the sidecar's record.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(people, name="people")


@people.command("add", epilog="Example: LESTRADE_PEOPLE_FILE=/etc/lestrade/agent-people.toml lestrade people add ada")
def people_add(name: Name, config: Config = None) -> None:
    """Add a person to LESTRADE_PEOPLE_FILE and print their token once."""
    from agent.cli import acquainting as command

    raise typer.Exit(command.add(name, config))


@people.command("list", epilog="Example: lestrade people list")
def people_list(config: Config = None) -> None:
    """Everybody in LESTRADE_PEOPLE_FILE."""
    from agent.cli import acquainting as command

    raise typer.Exit(command.show(config))


@people.command("remove", epilog="Example: lestrade people remove ada")
def people_remove(name: Name, config: Config = None) -> None:
    """Take a person out: their token and their sessions open nothing from then on."""
    from agent.cli import acquainting as command

    raise typer.Exit(command.remove(name, config))
