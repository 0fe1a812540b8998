"""Commands that look at a cluster and change nothing, the runs kept included: `scan` and `snapshot`."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import AsJson, Config, Context, FromSnapshot

Namespaces = Annotated[
    list[str] | None, typer.Option("-n", "--namespace", help="Only this namespace (may be repeated).", show_default=False)
]


def scan(
    namespace: Namespaces = None,
    everything: Annotated[bool, typer.Option("--all", help="Every namespace; what is done without -n, too.")] = False,
    snapshot: FromSnapshot = None,
    context: Context = "",
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Everything that is wrong in a cluster, grouped by cause. Exit code 1 when something is."""
    from agent.cli import scan as command

    raise typer.Exit(
        command.scan(
            tuple(namespace or ()), everything=everything, snapshot=snapshot, context=context, as_json=as_json, config=config
        )
    )


def snapshot(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write; packed when it ends in .gz.", show_default=False)
    ],
    namespace: Namespaces = None,
    everything: Annotated[bool, typer.Option("--all", help="Every namespace.")] = False,
    tail: Annotated[int, typer.Option("--tail", min=0, max=100_000, help="Lines kept of each container's log.")] = 500,
    context: Context = "",
    config: Config = None,
) -> None:
    """Keep what a cluster looks like now in a file, secrets removed, to look at it elsewhere or later."""
    from agent.cli import snapshot as command

    raise typer.Exit(
        command.snapshot(tuple(namespace or ()), everything=everything, output=output, tail=tail, context=context, config=config)
    )


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: lestrade scan -n shop")(scan)
    app.command(epilog="Example: lestrade snapshot -n shop -o shop.json.gz")(snapshot)
