"""`lestrade-sidecar audit`: verify, show and export the record. Reads the sidecar's own database; needs its settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sidecar.cli.ending import ending, fail, say

app = typer.Typer(help="The record: what was decided, by whom, and what was done.", no_args_is_help=True, rich_markup_mode=None)
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file of the sidecar's settings.")]
AnchorFiles = Annotated[
    list[Path] | None,
    typer.Option("--anchor", help="A head kept elsewhere: an anchor file, or the sidecar's log with its lines; may be repeated."),
]
AnchorMap = Annotated[
    str, typer.Option("--anchor-configmap", help="namespace/name of the ConfigMap with a head; the cluster is the settings'.")
]


@app.command(
    epilog="Example: lestrade-sidecar audit verify --anchor /mnt/elsewhere/anchor.json. Exit codes: 0 whole, 1 not whole, "
    "2 wrong input, 4 the cluster cannot be reached, 5 the record cannot be read."
)
def verify(config: ConfigFile = None, anchor: AnchorFiles = None, anchor_configmap: AnchorMap = "") -> None:
    """Check every record against the key, the chain and every anchor; name the first that is not as it was written."""
    with ending():
        from sidecar.audit import heads_in
        from sidecar.cli.record import record_by
        from sidecar.settings import load

        settings = load(config)
        anchors = [(f"the anchor {path}", head) for path in anchor or () for head in heads_in(path)]
        place = anchor_configmap or settings.audit_anchor_configmap
        if place:
            anchors += _in_cluster(settings, place)
        head, fault = record_by(settings).verify(anchors)
        if fault is not None:
            fail(1, f"record {fault.seq}: {fault.reason}")
        said = f"; {len(anchors)} heads from elsewhere agree" if anchors else ""
        say(f"{head.seq} records, whole; head {head.mac[:16]}{said}")


@app.command(
    epilog="Example: lestrade-sidecar audit show 3f9a0c1d2e4b. Exit codes: 0 shown, 1 nothing is recorded about it, "
    "3 shown, but the record is not whole, 5 it cannot be read."
)
def show(
    about: Annotated[
        str, typer.Argument(help="A plan's digest (or its beginning), a lease's id, or an incident; all records when left out.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: the stories, and the records that they are made of.")] = False,
    config: ConfigFile = None,
) -> None:
    """The story of a plan on one page, from what was asked to the revocation; without an argument, records, one a line."""
    with ending():
        import shutil
        from dataclasses import asdict

        from sidecar.audit.page import page_of
        from sidecar.cli.record import record_of
        from sidecar.gate.telling import stories

        ledger = record_of(config)
        if not about:
            _list(ledger.documents(), as_json=as_json)
            return
        told = stories(about, ledger=ledger)
        _, fault = ledger.verify()
        if not told:
            of_run = ": of a run the name of its incident is wanted (inc-...)" if about.startswith("run-") else ""
            fail(1, f"nothing is recorded about {about}{of_run}")
        if as_json:
            pages = [{"story": asdict(story), "records": [dict(record) for record in records]} for story, records in told]
            say({"about": about, "whole": fault is None, "fault": asdict(fault) if fault else None, "plans": pages})
        else:
            width = min(shutil.get_terminal_size((100, 40)).columns, 120)
            say("\n\n".join("\n".join(page_of(story, whole=fault, width=width)) for story, _ in told))
        if fault is not None:
            raise typer.Exit(3)


@app.command(epilog="Example: lestrade-sidecar audit export --format cloudevents --after 120 > events.jsonl")
def export(
    form: Annotated[
        Literal["jsonl", "cloudevents"],
        typer.Option("--format", help="jsonl: records as they are; cloudevents: CloudEvents 1.0, JSON, structured mode."),
    ] = "jsonl",
    after: Annotated[int, typer.Option(min=0, help="Only records after this number.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is recorded from now on.")] = False,
    config: ConfigFile = None,
) -> None:
    """Every record as JSON, one a line, with its mac."""
    with ending():
        import json
        import sys
        import time

        from sidecar.audit.export import cloud_event
        from sidecar.cli.record import record_of

        ledger = record_of(config)
        cluster = ledger.cluster()
        while True:
            found = ledger.documents(after=after, limit=500)
            for record in found:
                sys.stdout.write(json.dumps(cloud_event(record, cluster=cluster) if form == "cloudevents" else record) + "\n")
                after = int(str(record["seq"]))
            sys.stdout.flush()
            if not found and not follow:
                return
            if not found:
                time.sleep(1)


def _in_cluster(settings: Any, place: str) -> list[tuple[str, Any]]:
    from sidecar.audit import AnchorConfigMap
    from sidecar.errors import ClusterUnavailable, JournalUnavailable, SettingsError
    from sidecar.execution.cluster import KubernetesCluster

    if place.count("/") != 1 or not all(place.split("/")):
        raise SettingsError(f"{place} is no namespace/name")
    cluster = KubernetesCluster.connect(kubeconfig=settings.kubeconfig, context=settings.context, name=settings.cluster)
    anchor = AnchorConfigMap(cluster, place)
    try:
        head = anchor.kept()
    except JournalUnavailable as exc:
        raise ClusterUnavailable(str(exc)) from exc
    return [(anchor.place, head)] if head is not None else fail(1, f"{anchor.place} holds no head yet")


def _list(records: list[dict[str, Any]], *, as_json: bool) -> None:
    from sidecar.audit.page import plain

    if as_json:
        say({"records": records})
        return
    if not records:
        fail(1, "nothing is recorded yet")
    for record in records:
        line = f"{record['seq']:>6}  {str(record['at'])[:19]}Z  {record['actor']!s:<10}  {record['kind']!s:<20}  {_gist(record)}"
        say(plain(line))


def _gist(record: Mapping[str, Any]) -> str:
    """The part of the body that a person looks for first."""
    body = record["body"] if isinstance(record["body"], dict) else {}
    match record["kind"]:
        case "plan-decided":
            decision = body.get("decision") or {}
            reasons = ", ".join(reason["rule"] for reason in decision.get("reasons", []))
            return f"{str(record['plan'])[:12]} {decision.get('verdict')} {reasons}"
        case "answer":
            return f"{str(record['plan'])[:12]} {body.get('verdict')} -> {body.get('comes_to')}"
        case "step-performed" | "step-refused" | "step-failed":
            result = body.get("result") or {}
            return f"{record['lease']} {result.get('step')} {result.get('reason') or ''} {result.get('message') or ''}".rstrip()
        case "refused":
            return f"{body.get('status')} {body.get('code')} {body.get('method')} {body.get('path')}"
        case "refused-more":
            return f"{body.get('count')} more: {body.get('status')} {body.get('code')} on the {body.get('side')}'s side"
        case _:
            said = body.get("step") or body.get("reason") or body.get("code") or body.get("revision") or ""
            return f"{record['lease'] or str(record['plan'])[:12]} {said}".strip()
