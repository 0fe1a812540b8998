"""`lestrade-sidecar approvals`: see what waits, and answer it. Talks to the people's listener, as the person of the token."""

from typing import Annotated, Any

import typer

from sidecar.cli.ending import ending, fail, say

NEEDS = "Needs LESTRADE_SIDECAR_PEOPLE_URL and LESTRADE_OPERATOR_TOKEN."
app = typer.Typer(help=f"What waits for people. {NEEDS}", no_args_is_help=True, rich_markup_mode=None)
Digest = Annotated[str, typer.Argument(help="The plan's digest, or its beginning.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("list", epilog="Example: lestrade-sidecar approvals list --all")
def list_approvals(
    every: Annotated[bool, typer.Option("--all", help="Answered and expired ones too.")] = False, as_json: AsJson = False
) -> None:
    """Plans that wait for people, the newest first."""
    with ending():
        from sidecar.cli.remote import Remote

        document = Remote.from_environment().get("/approvals", state="all" if every else "waiting")
        if as_json:
            say(document)
            return
        for view in document["approvals"]:
            changes = "; ".join(change["summary"] for change in view["changes"])
            say(f"{view['plan'][:12]}  {view['state']:<8}  until {view['expires_at'][:19]}Z  {view['incident']}: {changes}")
        if not document["approvals"]:
            say("nothing waits")


@app.command(epilog="Example: lestrade-sidecar approvals show 3f9a0c1d2e4b")
def show(digest: Digest, as_json: AsJson = False) -> None:
    """What a plan would change, as a diff of the live objects."""
    with ending():
        view = _find(digest)
        say(view if as_json else _page(view))


@app.command(epilog="Example: lestrade-sidecar approvals approve 3f9a0c1d2e4b --reason 'seen, agreed'")
def approve(digest: Digest, reason: Reason = "") -> None:
    """Say yes to exactly what `show` shows."""
    _answer(digest, "approve", reason)


@app.command(epilog="Example: lestrade-sidecar approvals deny 3f9a0c1d2e4b --reason 'not during the sale'")
def deny(digest: Digest, reason: Reason = "") -> None:
    """Say no; one no is enough, until the plan is leased."""
    _answer(digest, "deny", reason)


def _answer(digest: str, verdict: str, reason: str) -> None:
    with ending():
        from sidecar.cli.remote import Remote

        view = _find(digest)
        body: dict[str, object] = {"plan": view["plan"], "verdict": verdict, "reason": reason, "revision": view["revision"]}
        came = Remote.from_environment().post(f"/approvals/{view['plan']}", body)
        say(f"{came['plan'][:12]} is {came['state']}")


def _find(digest: str) -> Any:
    """By digest or its beginning; more than one is none."""
    from sidecar.cli.remote import Remote

    remote = Remote.from_environment()
    if len(digest) == 64:
        return remote.get(f"/approvals/{digest}") if digest.isalnum() else fail(2, f"{digest[:20]} is no digest")
    found = [view for view in remote.get("/approvals", state="all")["approvals"] if view["plan"].startswith(digest)]
    if len(found) != 1 or len(digest) < 4:
        fail(2, f"{len(found)} plans begin with {digest}" if len(digest) >= 4 else "give at least 4 digits of the digest")
    return found[0]


def _page(view: Any) -> str:
    lines = [
        f"plan        {view['plan']}",
        f"incident    {view['incident']} in cluster {view['cluster']}",
        f"state       {view['state']}, until {view['expires_at'][:19]}Z",
        f"wanted      {view['count']} of: {', '.join(view['roles'])}",
        f"policy      {view['revision']}",
        f"hypothesis  (the agent's words) {' '.join(view['hypothesis'].split())}",
    ]
    for change in view["changes"]:
        undo = f"can be undone: {change['undo']}" if change["reversible"] else "cannot be undone"
        lines += ["", f"{change['step']}  {change['summary']}  ({undo})", change["diff"]]
    return "\n".join(lines)
