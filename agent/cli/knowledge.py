"""Commands about what Lestrade knows, and how well: `runbooks`, `toolsets` and `eval`. Only what `--help` needs."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.options import AsJson, Config, Context, FromSnapshot

runbooks = typer.Typer(help="The pages that say what to do about a cause.", no_args_is_help=True, rich_markup_mode=None)


@runbooks.command("list", epilog="Example: lestrade runbooks list --area services")
def runbooks_list(
    area: Annotated[str, typer.Option("--area", help="Only this area (the folder of the page).", show_default=False)] = "",
    alert: Annotated[str, typer.Option("--alert", help="Only pages that name this alert.", show_default=False)] = "",
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Every page: area, cause, title."""
    from agent.cli import runbooks as command

    raise typer.Exit(command.list_pages(area=area, alert=alert, as_json=as_json, config=config))


@runbooks.command("show", epilog="Example: lestrade runbooks show oom-killed")
def runbooks_show(
    name: Annotated[str, typer.Argument(help="A cause, an investigation, or the name of an alert.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """What a page says; for an alert, the pages that it leads to."""
    from agent.cli import runbooks as command

    raise typer.Exit(command.show(name, as_json=as_json, config=config))


@runbooks.command("lint", epilog="Example: lestrade runbooks lint ./our-runbooks")
def runbooks_lint(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of your own pages; they are laid over those of Lestrade.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every page, compile every condition, and say what does not fit, with file and line."""
    from agent.cli import runbooks as command

    raise typer.Exit(command.lint_pages(folder, as_json=as_json))


@runbooks.command("match", epilog='Example: lestrade runbooks match "pods get evicted because the disk is full"')
def runbooks_match(
    question: Annotated[str, typer.Argument(help="A question, in words.", show_default=False)] = "",
    finding: Annotated[
        Path | None,
        typer.Option("--finding", help="JSON file with a finding, or a report; - reads standard input.", show_default=False),
    ] = None,
    alert: Annotated[
        Path | None,
        typer.Option(
            "--alert", help="Alertmanager notification (webhook version 4); - reads standard input.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Which page fits, and why."""
    from agent.cli import runbooks as command

    raise typer.Exit(command.match(question, finding=finding, alert=alert, as_json=as_json, config=config))


def toolsets(snapshot: FromSnapshot = None, context: Context = "", as_json: AsJson = False, config: Config = None) -> None:
    """What a language model may look at here: each toolset with its tools, or why it is off."""
    from agent.cli import toolsets as command

    raise typer.Exit(command.show(snapshot=snapshot, context=context, as_json=as_json, config=config))


def evaluate(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of recordings: NAME.json.gz beside NAME.truth.yaml (also LESTRADE_RECORDINGS).", show_default=False
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this recording or scenario (may be repeated).", show_default=False)
    ] = None,
    lab: Annotated[bool, typer.Option("--lab/--no-lab", help="Play the laboratory's scenarios too.")] = True,
    copies: Annotated[
        bool | None,
        typer.Option(
            "--copies/--no-copies",
            help="Answer copies too: with planted orders, and variants of each incident. Done unless a model is asked.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model", help="Answer everything a second time with this model (see LESTRADE_MODEL_URL).", show_default=False
        ),
    ] = "",
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """How well incidents are answered, judged by their truth. Exit code 1 when an answer is not right."""
    from agent.cli import evaluate as command

    raise typer.Exit(
        command.evaluate(folder, only=tuple(only or ()), lab=lab, copies=copies, model=model, as_json=as_json, config=config)
    )


def add_to(app: typer.Typer) -> None:
    app.add_typer(runbooks, name="runbooks")
    app.command(epilog="Example: LESTRADE_TEMPO_URL=http://tempo:3200 lestrade toolsets")(toolsets)
    app.command("eval", epilog="Example: lestrade eval ./recordings --no-lab")(evaluate)
