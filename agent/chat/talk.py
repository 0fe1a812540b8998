"""What is said about the conversation itself. Words only."""

from collections.abc import Sequence

from agent.ports import RunEvent, RunRow
from agent.rendering.markdown import text

SAID = {
    "greeting": "Hello. Ask what is wrong, what changed, who may do what, or what would be affected.",
    "help": (
        "Ask in plain words:\n\n"
        "- *why is checkout failing since 10 minutes?*, *is shop healthy?*\n"
        "- *what changed in namespace shop after the deploy?*\n"
        "- *who can delete pods in shop?*, *what would be affected if I drain node-1?*\n"
        "- then: *why?*, *and its database?*, *what changed there?*, *show me the logs*, *what should I do?*, "
        "*is it fixed now?*\n"
        "- *fix it* has the remedy of the last diagnosis judged by policy and approved by people; *silence it for an hour* so "
        "the alerts of the run. Nothing else changes anything, and nobody can approve from here."
    ),
    "thanks": "All right.",
    "command": (
        "I carry out no commands. Once a cause is found, *fix it* proposes the remedy of its runbook, which policy judges and "
        "people approve. To look first: *what would be affected if ...?*"
    ),
    "no-silence": "Alerts are silenced by the sidecar, and none is configured here (LESTRADE_SIDECAR_URL).",
    "refrain": "Nothing is done. A plan that waits for approval is refused where it is approved, or simply expires.",
    "nothing-yet": "Nothing was looked into in this conversation yet that this could be about. Ask a question first.",
    "nothing-to-repair": (
        "No cause was found for what was spoken of last, so there is nothing to repair. Ask what is wrong first, or name it: "
        "*fix NAME*."
    ),
    "no-choice": "There is no such choice.",
}


def waiting_for(row: RunRow, told: Sequence[RunEvent], approvals_url: str) -> str:
    """Where the run stands, and that nobody can approve from here."""
    plan = next((event.text for event in reversed(told) if event.stage == "propose"), "")
    last = told[-1] if told else None
    lines = [f"Run {row.id} is not finished: {text(last.text) if last else row.state}."]
    if plan:
        lines.append(f"Its {text(plan)}.")
    if last is not None and last.stage == "authorize":
        where = f"at {approvals_url}" if approvals_url else "in the sidecar's page or Slack"
        lines.append(f"It is approved or refused {where}, never here. Ask *is it fixed now?* to see how it goes.")
    return "\n\n".join(lines)
