"""`lestrade-sidecar policy`: look at a bundle, check it, try its cases, ask it about a plan. Needs no running sidecar."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar.cli.ending import ending, fail, say

if TYPE_CHECKING:
    from datetime import datetime

    from sidecar.contract import Json, Plan
    from sidecar.policy import PolicyBundle

EXIT_CODES = "Exit codes: 0 yes, 1 no, 2 wrong input, 4 the engine gave no verdict."
app = typer.Typer(help="The business rules: show, check, test, explain.", no_args_is_help=True, rich_markup_mode=None)
Directory = Annotated[
    Path | None, typer.Argument(help="The bundle's folder; LESTRADE_SIDECAR_POLICIES, or the product's own, when left out.")
]
Overlay = Annotated[Path | None, typer.Option("--overlay", help="A data file or a folder laid over the bundle.")]


@app.command(epilog=f"Example: lestrade-sidecar policy check policies --seal. {EXIT_CODES}")
def check(
    directory: Directory = None,
    overlay: Overlay = None,
    seal: Annotated[
        bool, typer.Option("--seal", help="Leave a note in the folder, so that a start need not try it again.")
    ] = False,
) -> None:
    """Whether a bundle is fit to judge by: it compiles, calls nothing that is not permitted, its cases pass, and no spoilt
    or hostile plan passes it. Every fault is named."""
    with ending():
        from sidecar.errors import BundleRefused
        from sidecar.policy import admission
        from sidecar.policy.caged import EmbeddedEngine

        where = _where(directory)
        if seal and overlay is not None:
            fail(2, "--seal is for a folder by itself: leave --overlay out")
        try:
            bundle = _loaded(where, overlay)
            admission.check_text(bundle)
            engine = EmbeddedEngine(bundle)
            *_, findings = admission.examine(bundle, engine)
            engine.close()
        except BundleRefused as exc:
            fail(1, str(exc))
        for number, fault in enumerate(findings.faults[:50]):
            say(fault)
            if fault in findings.got_through and number < 3:  # whole, so that it can be tried by hand
                say(f"  input: {json.dumps(findings.got_through[fault])}")
        if findings.faults:
            fail(1, f"not admitted: {len(findings.faults)} of {findings.cases + findings.spoilt} tries went wrong")
        say(
            f"admitted: {len(bundle.modules)} modules, {findings.cases} cases pass, {findings.spoilt} spoilt documents are denied"
        )
        if not findings.passing:
            typer.echo(
                f"none of the {findings.whole} whole documents passes these rules, so that spoiling them shows little: "
                "put one that does into cases/",
                err=True,
            )
        say(f"revision {bundle.revision}")
        if seal:
            (where / admission.SEAL).write_text(admission.seal_of(bundle) + "\n", "ascii")
            say(f"sealed: {where / admission.SEAL}")


@app.command("test", epilog=f"Example: lestrade-sidecar policy test policies. {EXIT_CODES}")
def try_cases(directory: Directory = None, overlay: Overlay = None) -> None:
    """The bundle's own cases (*_cases.yaml): which fail, and which guards and rules no case is about."""
    with ending():
        from sidecar.policy import admission
        from sidecar.policy.caged import EmbeddedEngine
        from sidecar.policy.coverage import uncovered

        bundle = _loaded(_where(directory), overlay)
        engine = EmbeddedEngine(bundle)
        findings = admission.tried_cases(bundle, engine)
        engine.close()
        for fault in findings.faults:
            say(fault)
        for without in uncovered(bundle):
            say(f"no case: {without}")
        if findings.faults:
            fail(1, f"{len(findings.faults)} of {findings.cases} cases fail")
        if not findings.cases:
            fail(1, "the bundle has no cases: put *_cases.yaml beside its rules")
        say(f"{findings.cases} cases pass")


@app.command(epilog=f"Example: lestrade-sidecar policy explain plan.json --facts facts.json. {EXIT_CODES}")
def explain(
    plan: Annotated[Path, typer.Argument(help="A plan, as JSON.")],
    facts: Annotated[
        Path | None, typer.Option("--facts", help="The facts, as JSON; looked up in the cluster when left out.")
    ] = None,
    policies: Annotated[Path | None, typer.Option("--policies", help="The bundle's folder.")] = None,
    overlay: Overlay = None,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file of the sidecar's settings, for the cluster.")] = None,
    running: Annotated[
        bool, typer.Option("--running", help="Let the running sidecar look the facts up, its own record included.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What the rules say to a plan, which of them speak, and by which facts. Nothing is submitted. Exit 1 for a denial."""
    with ending():
        from sidecar.policy.explanation import explained

        if running and facts is not None:
            fail(2, "--running looks the facts up itself: leave --facts out")
        bundle = _loaded(_where(policies), overlay)
        parsed = _plan(plan)
        known = _considered(parsed, bundle) if running else _facts(facts) if facts is not None else _looked_up(parsed, config)
        account = explained(parsed, known, bundle)
        if as_json:
            say(
                {
                    "decision": account.decision.document(),
                    "permits": account.permits,
                    "guards": account.guards,
                    "facts": account.facts,
                }
            )
        else:
            for line in account.lines():
                say(line)
        if account.decision.verdict == "deny":
            raise typer.Exit(1)


@app.command(epilog=f"Example: lestrade-sidecar policy replay --policies new-policies --since 2026-11-01. {EXIT_CODES}")
def replay(
    policies: Annotated[Path | None, typer.Option("--policies", help="The bundle's folder.")] = None,
    overlay: Overlay = None,
    since: Annotated[str, typer.Option("--since", help="Only verdicts from this day or time on (ISO 8601, UTC).")] = "",
    config: Annotated[Path | None, typer.Option("--config", help="TOML file of the sidecar's settings, for its record.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that would be decided as they were.")] = False,
) -> None:
    """Judge the plans of the record again by another bundle, from the facts of that day: what would be decided otherwise.
    Nothing is changed. Exit 1 if anything would be."""
    with ending():
        from sidecar.cli.record import record_of
        from sidecar.policy import RegoJudge
        from sidecar.policy.caged import EmbeddedEngine
        from sidecar.policy.replay import replayed

        bundle = _loaded(_where(policies), overlay)
        earliest = _moment(since)
        engine = EmbeddedEngine(bundle)
        try:
            judge = RegoJudge(engine, zones=bundle.zones, unread=bundle.unread)
            found = list(replayed(record_of(config).documents(), judge, since=earliest))
        finally:
            engine.close()
        for one in found:
            if one.changed or one.unknown or everything:
                say(one.line())
        changed, unknown = sum(one.changed for one in found), sum(bool(one.unknown) for one in found)
        say(f"{len(found)} verdicts judged again by revision {bundle.revision[:12]}: {changed} would change, {unknown} not known")
        if changed:
            raise typer.Exit(1)


@app.command(epilog="Example: lestrade-sidecar policy show policies")
def show(directory: Directory = None, overlay: Overlay = None) -> None:
    """The bundle's revision, its permits and guards by title, and who approves where."""
    with ending():
        from sidecar.policy.explanation import titles

        bundle = _loaded(_where(directory), overlay)
        say(f"revision {bundle.revision}")
        for kind in ("permits", "guards"):
            say(f"{kind}:")
            for name, title in titles(bundle, kind):
                say(f"  {name:<24} {title}")
        say("environments, from the mildest:")
        for line in _environments(bundle):
            say(f"  {line}")


def _where(directory: Path | None) -> Path:
    from sidecar.policy import policies_folder

    chosen = os.environ.get("LESTRADE_SIDECAR_POLICIES")
    where = directory or (Path(chosen) if chosen else policies_folder())
    if not where.is_dir():
        fail(2, f"no policy bundle at {where}: it is not a directory")
    return where


def _loaded(where: Path, overlay: Path | None) -> "PolicyBundle":
    from sidecar.policy import load

    return load(where, overlay)


def _plan(path: Path) -> "Plan":
    from sidecar.contract import MalformedMessage, Plan

    try:
        return Plan.from_bytes(path.read_bytes())
    except OSError as exc:
        fail(2, f"cannot read {path}: {exc.strerror}")
    except MalformedMessage as exc:
        fail(2, f"{path} is no plan: {exc}")


def _facts(path: Path) -> "dict[str, Json]":
    from sidecar.contract import MalformedMessage, parse

    try:
        document = parse(path.read_bytes())
    except OSError as exc:
        fail(2, f"cannot read {path}: {exc.strerror}")
    except MalformedMessage as exc:
        fail(2, f"{path} holds no facts: {exc}")
    if not isinstance(document, dict):
        fail(2, f"{path} holds no facts: not an object")
    return document


def _looked_up(plan: "Plan", config: Path | None) -> "dict[str, Json]":
    """As the sidecar would, but without its record: history and leases count as none."""
    from sidecar.execution import Looks
    from sidecar.execution.cluster import KubernetesCluster
    from sidecar.facts import ClusterFacts
    from sidecar.gate.alerting import open_silencer
    from sidecar.ports import History
    from sidecar.settings import load

    settings = load(config)
    cluster = KubernetesCluster.connect(kubeconfig=settings.kubeconfig, context=settings.context, name=settings.cluster)
    looks = Looks(cluster, open_silencer(settings))
    found = ClusterFacts(cluster, environment=settings.environment).gather(plan, History(), through=looks)
    for what in found.missing:
        typer.echo(f"could not be looked up: {what}", err=True)
    return found.document


def _moment(text: str) -> "datetime | None":
    from datetime import UTC, datetime

    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(2, f"--since {text}: expected a day or a time, such as 2026-11-01 or 2026-11-01T12:00:00Z")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _considered(plan: "Plan", bundle: "PolicyBundle") -> "dict[str, Json]":
    """By the sidecar at LESTRADE_SIDECAR_PEOPLE_URL. Whether it judges by another bundle than this one is said."""
    from sidecar.cli.remote import Remote

    found = Remote.from_environment().post("/v1/policy/consider", {**plan.document()})
    for what in found["missing"]:
        typer.echo(f"could not be looked up: {what}", err=True)
    judging = str(found["decision"]["revision"])
    if judging != bundle.revision:
        verdict = found["decision"]["verdict"]
        typer.echo(f"the sidecar judges by another bundle, revision {judging[:12]}, which says {verdict}", err=True)
    document: dict[str, Json] = found["facts"]
    return document


def _environments(bundle: "PolicyBundle") -> list[str]:
    platform: Any = bundle.data["platform"]
    lines = []
    for name in platform["environments"]["order"]:
        people = platform["approvals"]["by_environment"].get(name, {})
        asked = "; ".join(f"{how}: {wanted['count']} of {', '.join(wanted['roles'])}" for how, wanted in people.items())
        level, most = platform["autonomy"]["default"].get(name), platform["autonomy"]["ceiling"].get(name)
        lines.append(f"{name:<8} autonomy {level}, at most {most}; approvals {asked}")
    return lines
