"""`lestrade-sidecar`: the operator's commands. What a command needs is imported inside it, so that --help is quick.

Exit codes: 0 yes, 1 no, 2 wrong input, 4 something cannot be reached, 5 the store or the record cannot be used.
"""

import gc
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.cli import approvals, audit, people, policy
from sidecar.cli.ending import ending, fail, say

EXIT_CODES = "Exit codes: 0 yes, 1 no, 2 wrong input, 4 cannot be reached, 5 the store or the record cannot be used."
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file; every key is also an environment variable.")]

app = typer.Typer(
    name="lestrade-sidecar",
    help="Judges plans, asks people, lends rights for minutes, takes them back, keeps the record.",
    epilog=f"Example: lestrade-sidecar serve --config sidecar.toml. {EXIT_CODES}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing the help would take longer than everything else
)
app.add_typer(approvals.app, name="approvals")
app.add_typer(audit.app, name="audit")
app.add_typer(people.app, name="people")

app.add_typer(policy.app, name="policy")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"lestrade-sidecar {version('lestrade')}")
        raise typer.Exit


@app.callback()
def every_command(
    _: Annotated[bool, typer.Option("--version", help="Say which version this is.", callback=_version, is_eager=True)] = False,
) -> None:
    pass


@app.command(epilog=f"Example: LESTRADE_SIDECAR_KUBECONFIG=kubeconfig lestrade-sidecar serve. {EXIT_CODES}")
def serve(config: ConfigFile = None) -> None:
    """Run the sidecar: the agent's socket, the people's listener, the reaper."""
    with ending():
        from sidecar.settings import load

        settings = load(config)  # what is wrong with them is said at once, before all that serving needs is imported
        from sidecar.app import serve as run

        run(settings)


@app.command("config", epilog="Example: lestrade-sidecar config --config sidecar.toml")
def show_config(config: ConfigFile = None) -> None:
    """Every setting: its variable, its present value, where that comes from, what it means."""
    with ending():
        from sidecar.settings import describe, load

        for row in describe(load(config), config):
            say(f"{row.variable}={row.value}  [{row.source}]\n    {row.name}: {row.doc}")


leases = typer.Typer(help="Rights on loan.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(leases, name="leases")


@leases.command("list", epilog=f"Example: lestrade-sidecar leases list --json. {EXIT_CODES}")
def list_leases(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Every lease: whose rights, until when, how it ended."""
    with ending():
        from sidecar.cli.remote import Remote

        document = Remote.from_environment().get("/v1/leases")
        if as_json:
            say(document)
            return
        ended = {found["lease"]: found for found in document["settlements"]}
        for lease in document["leases"]:
            settlement = ended.get(lease["id"])
            refused = settlement and settlement["refused_after_ms"]
            proof = f", refused {settlement['refusal']} after {refused:.0f} ms" if settlement and refused is not None else ""
            outcome = f" {settlement['outcome']}{proof}" if settlement else ""
            say(f"{lease['id']}  {lease['state']:<18}  plan {lease['plan'][:12]}  until {lease['expires_at'][:19]}Z {outcome}")


@app.command(epilog=f"Example: lestrade-sidecar stop --reason 'it misbehaves'. {EXIT_CODES}")
def stop(
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
    lift: Annotated[bool, typer.Option("--lift", help="Lift a stop (two people of the role operator).")] = False,
    status: Annotated[bool, typer.Option("--status", help="Only say whether everything is stopped.")] = False,
) -> None:
    """The kill switch: revoke every lease, and lease nothing until two people lift the stop."""
    with ending():
        from sidecar.cli.remote import Remote

        remote = Remote.from_environment()
        came = remote.get("/v1/stop") if status else remote.post("/v1/stop", {"lift": lift, "reason": reason})
        if status or lift:
            say(_standing(came, lift=lift and not status))
            return
        pending = [found["lease"] for found in came["settlements"] if found["state"] != "settled"]
        say(f"stopped: {len(came['voided'])} plans are void, {len(came['settlements'])} leases ended")
        if pending:
            fail(4, f"not yet seen to be gone: {', '.join(pending)}; the sidecar goes on trying")


def _standing(stop: dict[str, Any], *, lift: bool) -> str:
    if not stop["stopped"]:
        return "the stop is lifted" if lift else "nothing is stopped"
    why = f": {stop['reason']}" if stop["reason"] else ""
    line = f"everything was stopped by {stop['by']} at {stop['at'][:19]}Z{why}"
    if stop["lifting"]:
        until = stop["lifting_until"][:19]
        line += f"\n{', '.join(stop['lifting'])} wants it lifted: one more person of the role operator has to, until {until}Z"
    return line


def main() -> None:
    """The console script."""
    # Importing makes many objects and no garbage: to look for some every few hundred of them is a tenth of each start.
    gc.set_threshold(10_000, 20, 20)
    app()
