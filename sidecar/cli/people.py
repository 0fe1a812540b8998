"""`lestrade-sidecar people`: who may answer. Writes the people file; tokens are shown once and kept nowhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli.ending import ending, fail, say

if TYPE_CHECKING:
    from sidecar.approvals import PeopleFile

app = typer.Typer(help="The people who may approve.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(help="As the person is named in the record.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file of the sidecar's settings.")]


@app.command(epilog="Example: lestrade-sidecar people add ada --role sre --slack-user U012AB3CD")
def add(
    name: Name,
    role: Annotated[list[str], typer.Option(help="A role; may be given more than once.")],
    oidc_subject: Annotated[str, typer.Option(help="The person's subject (sub) at the identity provider.")] = "",
    email: Annotated[str, typer.Option(help="The person's address, as the identity provider verified it.")] = "",
    slack_user: Annotated[str, typer.Option(help="The person's Slack user id.")] = "",
    alias: Annotated[list[str] | None, typer.Option(help="Another name of the same person; may be given more than once.")] = None,
    bot: Annotated[bool, typer.Option("--bot", help="No person: may look, and never approve.")] = False,
    no_token: Annotated[bool, typer.Option("--no-token", help="No local token: known by the other accounts only.")] = False,
    config: ConfigFile = None,
) -> None:
    """Add a person with every account that is the same person, and print the token for LESTRADE_OPERATOR_TOKEN once."""
    with ending():
        token = _file(config).add(
            name,
            tuple(role),
            with_token=not no_token,
            oidc_subject=oidc_subject,
            email=email,
            slack_user=slack_user,
            aliases=alias or (),
            bot=bot,
        )
        say(token or f"{name} is known, without a local token")


@app.command("list", epilog="Example: lestrade-sidecar people list")
def list_people(config: ConfigFile = None) -> None:
    """Everybody in the people file, with roles and other accounts."""
    with ending():
        file = _file(config)
        if not file.check():
            fail(1, f"nobody is in {file.path}: lestrade-sidecar people add NAME --role ROLE")
        for person in file.listed():
            also = f"  also {', '.join(sorted(person.also))}" if person.also else ""
            bot = "  (a bot: never approves)" if person.bot else ""
            say(f"{person.name:<20} {', '.join(sorted(person.roles)) or 'no role'}{also}{bot}")


@app.command(epilog="Example: lestrade-sidecar people remove ada")
def remove(name: Name, config: ConfigFile = None) -> None:
    """Take a person out: from the next look on, nothing they said counts."""
    with ending():
        _file(config).remove(name)
        say(f"{name} is no longer known")


def _file(config: Path | None) -> "PeopleFile":
    from sidecar.approvals import PeopleFile
    from sidecar.settings import load

    return PeopleFile(load(config).people_path)
