"""Commands that speak with people and programs: `ask`, `chat` and `mcp`. Only what `--help` needs."""

from typing import Annotated

import typer

from agent.cli.options import AsJson, Config, Context, FromSnapshot

Server = Annotated[
    str,
    typer.Option("--server", help="Speak with a `lestrade serve` at this URL (also LESTRADE_SERVER_URL).", show_default=False),
]
Session = Annotated[str, typer.Option("--session", help="Go on with this session; `last`: the last one.", show_default=False)]


def ask(
    words: Annotated[str, typer.Argument(metavar="QUESTION", help="What you want to know, in words.")],
    session: Session = "",
    server: Server = "",
    snapshot: FromSnapshot = None,
    context: Context = "",
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Ask one question, and look only. "fix it" in a session has the remedy judged, approved and carried out."""
    from agent.cli import ask as command

    raise typer.Exit(
        command.ask(words, session=session, server=server, snapshot=snapshot, context=context, as_json=as_json, config=config)
    )


def chat(
    session: Session = "",
    server: Server = "",
    snapshot: FromSnapshot = None,
    context: Context = "",
    config: Config = None,
) -> None:
    """Speak about the cluster: questions and follow-ups, with history. Ctrl-C stops an answer, twice leaves."""
    from agent.cli import chat as command

    raise typer.Exit(command.chat(session=session, server=server, snapshot=snapshot, context=context, config=config))


def mcp(
    http: Annotated[str, typer.Option("--http", help="Listen on host:port instead of standard input.", show_default=False)] = "",
    snapshot: FromSnapshot = None,
    context: Context = "",
    config: Config = None,
) -> None:
    """Serve the Model Context Protocol: investigate, scan, explain, runs, report, propose. Never approves."""
    from agent.cli import mcp as command

    raise typer.Exit(command.mcp(http=http, snapshot=snapshot, context=context, config=config))


def add_to(app: typer.Typer) -> None:
    app.command(epilog='Example: lestrade ask "why does checkout restart?" --snapshot incident.json.gz')(ask)
    app.command(epilog="Example: lestrade chat --session last")(chat)
    app.command(epilog="Example: lestrade mcp --http 127.0.0.1:8190")(mcp)
