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
    any_role: Annotated[bool, typer.Option("--any-role", help="Also a role that the policy does not name (yet).")] = False,
    no_token: Annotated[bool, typer.Option("--no-token", help="No local token: known by the other accounts only.")] = False,
    config: ConfigFile = None,
) -> None:
    """Add a person with every account that is the same person, and print the token for LESTRADE_OPERATOR_TOKEN once."""
    with ending():
        if not any_role:
            _check_roles(role, config)
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


def _check_roles(roles: list[str], config: Path | None) -> None:
    """A role that nobody asks for is a slip of the pen: whoever holds it could answer nothing."""
    from difflib import get_close_matches

    from sidecar.approvals import GLASS_ROLE
    from sidecar.errors import BundleRefused
    from sidecar.gate.stop import LIFTERS
    from sidecar.policy import load as load_policy
    from sidecar.policy import policies_folder
    from sidecar.policy.portrait import roles_of
    from sidecar.settings import load

    settings = load(config)
    try:
        known = roles_of(load_policy(settings.policies or policies_folder(), settings.policy_overlay)) | {GLASS_ROLE, LIFTERS}
    except BundleRefused as exc:
        typer.echo(f"the roles could not be held against the policy: {' '.join(str(exc).split())}", err=True)
        return
    for role in roles:
        if role not in known:
            near = get_close_matches(role, known, n=1)
            meant = f": did you mean {near[0]}?" if near else "."
            names = ", ".join(sorted(known))
            fail(2, f"no plan asks for the role {role!r}{meant} The policy names {names}; --any-role takes it all the same")


def _file(config: Path | None) -> "PeopleFile":
    from sidecar.approvals import PeopleFile
    from sidecar.settings import load

    return PeopleFile(load(config).people_path)
