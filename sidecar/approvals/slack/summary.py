"""One message for many plans: when more than a few come in a minute, nobody is asked fifty times. Pure."""

from collections.abc import Sequence

from sidecar.approvals.slack import blocks as kit
from sidecar.approvals.slack.blocks import Block
from sidecar.approvals.slack.card import PAGE, SHOW, WHEN, Card, page_of
from sidecar.approvals.slack.ports import Asked

_MOST_LINES = 15


def summary(listed: Sequence[Asked], *, shown: int, page_url: str = "") -> Card:
    """`listed`: the plans that have no card of their own; `shown`: how many of the flood were given one since."""
    waiting = [asked for asked in listed if asked.state == "waiting"]
    ended = len(listed) - len(waiting)
    title = f"{len(waiting)} more plans wait" if waiting else "No more plans of this summary wait"
    said = f"They came faster than people can read, so they have no card of their own yet. Ended since: {ended}, shown: {shown}."
    blocks: list[Block] = [kit.header(title), kit.context(said)]
    for number, asked in enumerate(waiting):
        row = [_line(asked), _buttons(asked, page_url)]
        if number == _MOST_LINES or kit.size([*blocks, *row]) > kit.MOST_IN_ALL - 500:
            blocks.append(kit.context(f"and {len(waiting) - number} more: lestrade-sidecar approvals list"))
            break
        blocks += row
    return Card(text=title, blocks=tuple(blocks))


def _line(asked: Asked) -> Block:
    view = asked.view
    first = view.changes[0].summary if view.changes else "a plan without steps"
    more = f" (+{len(view.changes) - 1} more)" if len(view.changes) > 1 else ""
    where = (view.environment or view.cluster).upper()
    until = kit.moment(view.expires_at, WHEN)
    return kit.rich(
        kit.section(
            kit.words(f"{where}: {first}{more}", bold=True, limit=300), kit.words(f"  plan {view.plan[:12]}, until "), until
        )
    )


def _buttons(asked: Asked, page_url: str) -> Block:
    made = [kit.button("Show the card", SHOW, asked.view.plan)]
    if page_url:
        made.append(kit.link("Open", PAGE, page_of(page_url, asked.view.plan)))
    return kit.actions(*made)
