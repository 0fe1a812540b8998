"""`lestrade-sidecar audit`: verify, show and export the record. Reads the sidecar's own database; needs its settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.cli.ending import ending, fail, say

app = typer.Typer(help="The record: what was decided, by whom, and what was done.", no_args_is_help=True, rich_markup_mode=None)
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file of the sidecar's settings.")]


@app.command(epilog="Example: lestrade-sidecar audit verify. Exit codes: 0 whole, 1 not whole, 5 cannot be read.")
def verify(config: ConfigFile = None) -> None:
    """Check every record against the key, the chain and the anchor; name the first that is not as it was written."""
    with ending():
        from sidecar.gate.opening import open_record
        from sidecar.settings import load

        head, fault = open_record(load(config)).verify()
        if fault is not None:
            fail(1, f"record {fault.seq}: {fault.reason}")
        say(f"{head.seq} records, whole; head {head.mac[:16]}")


@app.command(epilog="Example: lestrade-sidecar audit show 3f9a0c1d2e4b")
def show(
    about: Annotated[
        str, typer.Argument(help="A plan's digest (or its beginning), a lease's id, or an incident; all when left out.")
    ] = "",
    config: ConfigFile = None,
) -> None:
    """Records, one a line."""
    with ending():
        from sidecar.gate.opening import open_record
        from sidecar.settings import load

        ledger = open_record(load(config))
        found = ledger.documents(about=about) or (ledger.documents_of_incident(about) if about else [])
        for record in found:
            say(
                f"{record['seq']:>6}  {str(record['at'])[:19]}Z  {record['actor']!s:<10}  {record['kind']!s:<20}  {_gist(record)}"
            )
        if not found:
            fail(1, f"nothing is recorded about {about}" if about else "nothing is recorded yet")


@app.command(epilog="Example: lestrade-sidecar audit export > journal.jsonl")
def export(config: ConfigFile = None) -> None:
    """Every record as JSON, one a line, with its mac."""
    with ending():
        import json

        from sidecar.gate.opening import open_record
        from sidecar.settings import load

        for record in open_record(load(config)).documents():
            say(json.dumps(record))


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
        case _:
            said = body.get("step") or body.get("reason") or body.get("code") or ""
            return f"{record['lease'] or str(record['plan'])[:12]} {said}".rstrip()
