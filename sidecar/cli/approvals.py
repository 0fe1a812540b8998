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
            changes = _short("; ".join(change["summary"] for change in view["changes"]))
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


@app.command(
    "break-glass",
    epilog="Example: lestrade-sidecar approvals break-glass 3f9a0c1d2e4b --reason 'checkout is down, nobody of sre answers'",
)
def break_glass(digest: Digest, reason: Annotated[str, typer.Option(help="Why; somebody will have to read it.")]) -> None:
    """In an emergency: yes in place of the usual approvers. Two people of the role break-glass; the lease lasts minutes; a
    review stays open until somebody else closes it."""
    with ending():
        from sidecar.cli.remote import Remote

        view = _find(digest)
        body: dict[str, object] = {"plan": view["plan"], "revision": view["revision"], "reason": reason}
        came = Remote.from_environment().post(f"/v1/glass/{view['plan']}", body)
        more = "" if came["state"] == "approved" else ": one more person of the role break-glass has to say the same"
        say(f"{came['plan'][:12]} is {came['state']}{more}")


@app.command(
    epilog="Example: lestrade-sidecar approvals reviews --close 3f9a0c1d2e4b --note 'justified, see the incident report'"
)
def reviews(
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    close: Annotated[str, typer.Option(help="The plan's digest, or its beginning: it was looked at.")] = "",
    note: Annotated[str, typer.Option(help="What came of looking at it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Emergencies in which the usual approvers were passed by, and that nobody else has looked at yet."""
    with ending():
        from sidecar.cli.remote import Remote

        remote = Remote.from_environment()
        found = remote.get("/v1/reviews", state="all" if every else "open")["reviews"]
        if close:
            fitting = [review for review in found if review["plan"].startswith(close)]
            if len(fitting) != 1 or len(close) < 4:
                fail(2, f"{len(fitting)} open reviews begin with {close}")
            came = remote.post(f"/v1/reviews/{fitting[0]['plan']}", {"note": note})
            say(f"{came['plan'][:12]} was looked at by {came['closed_by']}")
        elif as_json:
            say({"reviews": found})
        else:
            for review in found:
                ended = f"looked at by {review['closed_by']}: {review['note']}" if review["closed_by"] else "open"
                head = f"{review['plan'][:12]}  {review['opened_at'][:19]}Z  {', '.join(review['people'])}"
                say(f"{head}  {ended}\n    {review['reason']}")
            if not found:
                say("no review is open")


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
    if len(digest) < 4:
        fail(2, "give at least 4 digits of the plan's digest")
    if len(found) != 1:
        fail(2, f"{len(found) or 'no'} plans begin with {digest}: lestrade-sidecar approvals list --all names them")
    return found[0]


def _short(text: str, most: int = 120) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _page(view: Any) -> str:
    lines = [
        f"plan        {view['plan']}",
        f"incident    {view['incident']} in cluster {view['cluster']}",
        f"state       {view['state']}, until {view['expires_at'][:19]}Z",
        *([f"little time {view['lease_ends']}"] if view.get("lease_ends") else []),
        f"wanted      {view['count']} {'person' if view['count'] == 1 else 'different people'} of: {', '.join(view['roles'])}",
        f"policy      {view['revision']}",
        f"hypothesis  (the agent's words) {' '.join(view['hypothesis'].split())}",
        *(["rests on    a language model's word, as the agent says"] if view.get("basis") == "model" else []),
        f"cause       {view['cause']}" + (f", environment {view['environment']}" if view["environment"] else ""),
        f"asked by    {view['requested_by'] or 'the agent'}",
    ]
    for title, name in (("observed", "observed"), ("touches", "blast_radius"), ("final", "final"), ("evidence", "evidence")):
        lines += [f"{title if not number else '':<11} {line}" for number, line in enumerate(view[name])]
    lines += [f"{'because':<11} {ground['rule']}: {ground['message']}" for ground in view["grounds"]]
    lines += [
        f"{'answered':<11} {given['verdict']} by {given['person']}{' (break-glass)' if given['glass'] else ''}"
        f" {given['at'][:19]}Z via {given['via']}{': ' + given['reason'] if given['reason'] else ''}"
        for given in view["answers"]
    ]
    if view["dry_run"]:
        lines.append(f"{'dry run':<11} {view['dry_run']}")
    for change in view["changes"]:
        undo = f"can be undone: {change['undo']}" if change["reversible"] else "cannot be undone"
        lines += ["", f"{change['step']}  {change['summary']}  ({undo})", change["diff"]]
    return "\n".join(lines)
