"""The pieces of Block Kit that our messages are made of, each within Slack's documented limits. Knows no report.

Text of others goes into `rich_text` and `plain_text` only, which Slack reads literally: no markup, no mention, no link can come
of it. Limits: https://docs.slack.dev/reference/block-kit (text 3,000, header 150, button text 75, 50 blocks of one message).
All texts given to these functions are raw; they make them harmless.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.chat.slack.text import fitted
from sidecar.contract import Json

Block = dict[str, Json]
MOST_TEXT = 3000
MOST_BLOCKS = 50
# chat.postMessage answers msg_blocks_too_long at about 13,200 characters of all blocks together; that is documented nowhere.
MOST_IN_ALL = 11_000
WHEN = "{date_short_pretty} {time}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`text` is for notifications."""

    text: str
    blocks: tuple[Block, ...]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps([self.text, *self.blocks], sort_keys=True).encode()).hexdigest()


def size(blocks: Sequence[Block]) -> int:
    """What Slack may count at most of these blocks: all of their JSON."""
    return len(json.dumps(list(blocks)))


def within(first: Sequence[Block], more: Iterable[Block], last: Sequence[Block]) -> tuple[Block, ...]:
    """`first` and `last` always, and of `more` what still fits, the most needed first."""
    kept: list[Block] = []
    for block in more:
        if len(first) + len(kept) + len(last) < MOST_BLOCKS and size([*first, *kept, block, *last]) <= MOST_IN_ALL:
            kept.append(block)
    return (*first, *kept, *last)


def plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": fitted(text, limit) or " ", "emoji": False}


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text, 150)}


def words(text: str, *, bold: bool = False, italic: bool = False, code: bool = False, limit: int = MOST_TEXT) -> Block:
    """A run of text inside a rich_text section, on one line; spaces at its ends stay."""
    before, after = " " * text[:1].isspace(), " " * text[-1:].isspace()
    harmless = f"{before}{fitted(text, limit - 2)}{after}" or " "
    style: dict[str, Json] = {name: True for name, wanted in (("bold", bold), ("italic", italic), ("code", code)) if wanted}
    run: Block = {"type": "text", "text": harmless}
    return {**run, "style": style} if style else run


def line_break() -> Block:
    return {"type": "text", "text": "\n"}


def moment(at: datetime) -> Block:
    """A time in the reader's own zone; readers without it see UTC."""
    fallback = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return {"type": "date", "timestamp": int(at.timestamp()), "format": WHEN, "fallback": fallback}


def section(*runs: Block) -> Block:
    elements: list[Json] = [*runs]
    return {"type": "rich_text_section", "elements": elements}


def bullets(*items: Block) -> Block:
    elements: list[Json] = [*items]
    return {"type": "rich_text_list", "style": "bullet", "elements": elements}


def preformatted(text: str, limit: int) -> Block:
    run: Block = {"type": "text", "text": fitted(text.strip("\n"), min(limit, MOST_TEXT), lines=True) or " "}
    elements: list[Json] = [run]
    return {"type": "rich_text_preformatted", "elements": elements}


def rich(*elements: Block) -> Block:
    held: list[Json] = [*elements]
    return {"type": "rich_text", "elements": held}


def context(*texts: str) -> Block:
    elements: list[Json] = [plain(text, 300) for text in texts[:10]]
    return {"type": "context", "elements": elements}


def link(label: str, url: str) -> Block:
    """A link of our own making; a button would need an address that hears of clicks."""
    return {"type": "link", "url": url[:MOST_TEXT], "text": fitted(label, 75)}
