"""The pieces of Block Kit that cards are made of, each within Slack's documented limits. Knows no approval.

Text of others goes into `rich_text` and `plain_text` only, which Slack reads literally: no markup, no mention, no link
can come of it. Limits: https://docs.slack.dev/reference/block-kit (read for this: text 3,000, header 150, button text 75,
value 2,000, confirm title 100 and text 300, 50 blocks). All texts given to these functions are raw; they make them harmless.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from sidecar.approvals.slack.text import fitted, line
from sidecar.contract import Json

Block = dict[str, Json]
MOST_TEXT = 3000
MOST_BLOCKS = 50
# chat.postMessage answers msg_blocks_too_long at about 13,200 characters of all blocks together; that is documented nowhere.
MOST_IN_ALL = 11_000


def size(blocks: Sequence[Block]) -> int:
    """What Slack may count at most of these blocks: all of their JSON."""
    return len(json.dumps(list(blocks)))


def plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": line(text, limit) or " ", "emoji": False}


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text, 150)}


def literal(harmless: str, *, bold: bool = False, italic: bool = False) -> Block:
    """A run of text inside a rich_text section that was made harmless already."""
    style: dict[str, Json] = {name: True for name, wanted in (("bold", bold), ("italic", italic)) if wanted}
    run: Block = {"type": "text", "text": harmless or " "}
    return {**run, "style": style} if style else run


def words(text: str, *, bold: bool = False, italic: bool = False, limit: int = MOST_TEXT, lines: bool = False) -> Block:
    """The same of a raw text; what is too long ends in "…"."""
    return literal(fitted(text, limit, lines=lines)[0], bold=bold, italic=italic)


def moment(at: datetime, form: str) -> Block:
    """A time in the reader's own zone; `form` is Slack's date format. Readers without it see UTC."""
    return {"type": "date", "timestamp": int(at.timestamp()), "format": form, "fallback": f"{at:%Y-%m-%d %H:%M} UTC"}


def section(*runs: Block) -> Block:
    elements: list[Json] = [*runs]
    return {"type": "rich_text_section", "elements": elements}


def quote(text: str, limit: int) -> Block:
    elements: list[Json] = [words(text, limit=limit, lines=True)]
    return {"type": "rich_text_quote", "elements": elements}


def preformatted(text: str) -> Block:
    elements: list[Json] = [words(text, lines=True)]
    return {"type": "rich_text_preformatted", "elements": elements}


def rich(*elements: Block) -> Block:
    held: list[Json] = [*elements]
    return {"type": "rich_text", "elements": held}


def context(*texts: str) -> Block:
    elements: list[Json] = [plain(text, 300) for text in texts]
    return {"type": "context", "elements": elements}


def button(label: str, action: str, value: str, *, style: str = "", confirm: Block | None = None) -> Block:
    made: Block = {"type": "button", "action_id": action, "text": plain(label, 75), "value": value[:2000]}
    if style:
        made["style"] = style
    if confirm is not None:
        made["confirm"] = confirm
    return made


def link(label: str, action: str, url: str) -> Block:
    return {"type": "button", "action_id": action, "text": plain(label, 75), "url": url[:3000]}


def confirm(title: str, text: str, yes: str, no: str) -> Block:
    return {
        "title": plain(title, 100),
        "text": plain(text, 300),
        "confirm": plain(yes, 30),
        "deny": plain(no, 30),
    }


def actions(*buttons: Block) -> Block:
    elements: list[Json] = [*buttons]
    return {"type": "actions", "elements": elements}
