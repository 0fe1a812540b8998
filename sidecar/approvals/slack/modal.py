"""The dialogue that asks why somebody says no. Pure."""

from dataclasses import dataclass

from sidecar.approvals.slack import blocks as kit
from sidecar.approvals.slack.blocks import Block
from sidecar.contract import ApprovalView, Json

WHY, FIELD, INPUT = "approval_why", "reason", "reason_text"
MOST_REASON = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the dialogue is about; it comes back with the answer, in `private_metadata`."""

    plan: str
    revision: str
    channel: str
    ts: str

    def written(self) -> str:
        return "|".join((self.plan, self.channel, self.ts, self.revision))


def question_from(text: str) -> Question | None:
    parts = text.split("|", 3)
    return Question(plan=parts[0], channel=parts[1], ts=parts[2], revision=parts[3]) if len(parts) == 4 else None


def why(view: ApprovalView, question: Question) -> Block:
    first = view.changes[0].summary if view.changes else ""
    blocks: list[Json] = [
        {"type": "section", "text": kit.plain(f"{view.environment or view.cluster}: {first}", 1000)},
        kit.context(f"plan {view.plan}"),
        {
            "type": "input",
            "block_id": FIELD,
            "label": kit.plain("Why not?", 100),
            "hint": kit.plain("It is recorded and shown on the card.", 100),
            "element": {
                "type": "plain_text_input",
                "action_id": INPUT,
                "multiline": True,
                "min_length": 3,
                "max_length": MOST_REASON,
            },
        },
    ]
    return {
        "type": "modal",
        "callback_id": WHY,
        "private_metadata": question.written(),
        "title": kit.plain("Say no", 24),
        "submit": kit.plain("Deny", 24),
        "close": kit.plain("Back", 24),
        "blocks": blocks,
    }
