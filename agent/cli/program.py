"""Commands. At the top only what `--help` needs; everything else is imported by the command that uses it."""

import gc
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from agent.cli import knowledge, looking, people, talking
from agent.cli.exits import BROKEN, EPILOG, INTERRUPTED, of_error
from agent.cli.options import AsJson, Config, Context
from agent.errors import LestradeError

app = typer.Typer(
    name="lestrade",
    help="Investigates incidents of a Kubernetes cluster, and repairs what policy and people let it repair.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
runs = typer.Typer(help="Runs that were made, and those that are not finished.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(runs, name="runs")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"lestrade {version('lestrade')}")
        raise typer.Exit


@app.callback()
def every_command(
    _: Annotated[bool, typer.Option("--version", help="Say which version this is.", callback=_version, is_eager=True)] = False,
) -> None:
    pass


def main() -> None:
    """One clear line for what went wrong, its exit code, and no traceback."""
    # Importing makes many objects and no garbage: to look for some every few hundred of them is a tenth of each start.
    gc.set_threshold(10_000, 20, 20)
    try:
        app(prog_name="lestrade")
    except LestradeError as exc:
        _end(str(exc), of_error(exc))
    except KeyboardInterrupt:
        _end("interrupted", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as exc:  # noqa: BLE001  the last place where anything can be caught
        _end(f"this should not happen ({type(exc).__name__}: {str(exc).splitlines()[0] if str(exc) else 'no text'})", BROKEN)


def _end(text: str, code: int) -> None:
    from agent.rendering.safety import one_line

    print(f"lestrade: {one_line(text)}", file=sys.stderr)
    sys.exit(code)


@app.command(epilog="Example: lestrade demo memory-limit --yes")
def demo(
    scenario: Annotated[str, typer.Argument(help="Which incident (see --list).", show_default=False)] = "",
    list_: Annotated[bool, typer.Option("--list", help="Name the scenarios and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """One whole incident on a simulated cluster: found, judged, approved, repaired, verified, written up."""
    from agent.cli import demo as command

    raise typer.Exit(command.demo(scenario, names_only=list_, yes=yes, as_json=as_json))


@app.command(epilog='Example: lestrade investigate --question "why does checkout restart?" --snapshot incident.json.gz --md')
def investigate(
    question: Annotated[str, typer.Option("--question", "-q", help="What is wrong, in words.", show_default=False)] = "",
    alert: Annotated[
        Path | None,
        typer.Option("--alert", help="File with an Alertmanager notification (webhook version 4); - reads standard input."),
    ] = None,
    snapshot: Annotated[
        Path | None,
        typer.Option("--snapshot", help="Look at this snapshot file (or dump folder) instead of a cluster.", show_default=False),
    ] = None,
    context: Annotated[str, typer.Option("--context", help="Context of the kubeconfig.", show_default=False)] = "",
    as_json: AsJson = False,
    as_md: Annotated[bool, typer.Option("--md", help="Print the report as Markdown.")] = False,
    config: Config = None,
) -> None:
    """Find the cause of an alert or a question; propose and carry out a repair where a sidecar is configured."""
    from agent.cli import investigate as command

    form: Literal["json", "md", ""] = "json" if as_json else "md" if as_md else ""
    if as_json and as_md:
        raise typer.BadParameter("--json and --md at once: choose one")
    raise typer.Exit(
        command.investigate(question=question, alert=alert, snapshot=snapshot, context=context, form=form, config=config)
    )


talking.add_to(app)
looking.add_to(app)
knowledge.add_to(app)
people.add_to(app)


@app.command(epilog="Example: LESTRADE_SIDECAR_URL=unix:///run/lestrade/sidecar.sock lestrade serve --listen 127.0.0.1:8180")
def serve(
    listen: Annotated[str, typer.Option("--listen", help="host:port (also LESTRADE_LISTEN).", show_default=False)] = "",
    config: Config = None,
) -> None:
    """Take alerts by webhook, work on them, show runs and reports over HTTP."""
    from agent.cli import serve as command

    raise typer.Exit(command.serve(listen=listen, config=config))


@app.command(epilog="Example: LESTRADE_DATABASE_URL=postgresql://lestrade@db/lestrade lestrade worker")
def worker(config: Config = None) -> None:
    """Work on runs that `lestrade serve` takes in elsewhere; as many processes as you like, over one PostgreSQL."""
    from agent.cli import worker as command

    raise typer.Exit(command.worker(config=config))


@app.command(epilog="Example: lestrade report run-1f2e3d4c5b6a --format html -o report.html")
def report(
    run: Annotated[str, typer.Argument(help="The run's id (see `lestrade runs list`).")],
    form: Annotated[Literal["md", "html", "json"], typer.Option("--format", "-f", help="Which form.")] = "md",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write to instead of standard output.", show_default=False)
    ] = None,
    config: Config = None,
) -> None:
    """Print or write the report of a finished run."""
    from agent.cli import runs as command

    raise typer.Exit(command.report(run, form, output, config))


@app.command(epilog='Example: lestrade silence run-1f2e3d4c5b6a --minutes 60 --comment "disk is being replaced"')
def silence(
    run: Annotated[str, typer.Argument(help="The run whose alerts are to be silenced (see `lestrade runs list`).")],
    minutes: Annotated[int, typer.Option("--minutes", "-m", min=1, max=1440, help="For how long.")] = 60,
    alert: Annotated[str, typer.Option("--alert", help="Only alerts of this name.", show_default=False)] = "",
    comment: Annotated[str, typer.Option("--comment", help="Why; it is shown to who approves, and in Alertmanager.")] = "",
    context: Context = "",
    config: Config = None,
) -> None:
    """Silence the alerts of a run for a while: the sidecar does it in Alertmanager, if policy and people let it."""
    from agent.cli import silence as command

    wish = command.wished(minutes, alert=alert, comment=comment)
    raise typer.Exit(command.of_run(run, wish, config, context=context))


@app.command(epilog="Example: lestrade summary --since 7d --format html -o week.html")
def summary(
    since: Annotated[str, typer.Option("--since", help="How far back: 36h, 7d, 2w.")] = "7d",
    form: Annotated[Literal["md", "html", "json"], typer.Option("--format", "-f", help="Which form.")] = "md",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write to instead of standard output.", show_default=False)
    ] = None,
    config: Config = None,
) -> None:
    """Incidents of the last while: causes, times to cause and repair, plans denied, what comes again, what was not known."""
    from agent.cli import summary as command

    raise typer.Exit(command.summary(since, form, output, config))


@app.command("config", epilog="Example: LESTRADE_WORKERS=4 lestrade config")
def config_(as_json: AsJson = False, config: Config = None) -> None:
    """Every setting: what it means, its type and default, its present value and where that comes from."""
    from agent.cli import config as command

    raise typer.Exit(command.show(config, as_json=as_json))


@runs.command("list", epilog="Example: lestrade runs list --limit 5")
def runs_list(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Runs, newest first."""
    from agent.cli import runs as command

    raise typer.Exit(command.list_runs(limit, config, as_json=as_json))


@runs.command("show", epilog="Example: lestrade runs show run-1f2e3d4c5b6a")
def runs_show(run: Annotated[str, typer.Argument(help="The run's id.")], as_json: AsJson = False, config: Config = None) -> None:
    """What happened in a run, line by line."""
    from agent.cli import runs as command

    raise typer.Exit(command.show_run(run, config, as_json=as_json))


@runs.command("prune", epilog="Example: lestrade runs prune --older-than 30d --dry-run")
def runs_prune(
    older_than: Annotated[
        str, typer.Option("--older-than", help="36h, 30d, 12w; without it what the settings keep no longer.", show_default=False)
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Remove finished runs that are old, with all that hangs on them. `serve` does it by itself (LESTRADE_KEEP_DAYS)."""
    from agent.cli import prune as command

    raise typer.Exit(command.prune(older_than, config, dry_run=dry_run, as_json=as_json))


@runs.command("resume", epilog="Example: lestrade runs resume run-1f2e3d4c5b6a")
def runs_resume(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", help="The snapshot that the run is about.", show_default=False)
    ] = None,
    context: Annotated[str, typer.Option("--context", help="Context of the kubeconfig.", show_default=False)] = "",
    config: Config = None,
) -> None:
    """Go on with a run whose process is gone."""
    from agent.cli import investigate as command

    raise typer.Exit(command.resume(run, snapshot=snapshot, context=context, config=config))
