"""The card: an ApprovalView as Block Kit, for somebody who was woken up. Pure; knows no Slack library.

Built from the view only. What must be known to say yes (every step, every diff, what cannot be undone) is shown whole,
or the card has no Approve button and says what is hidden, by how much, under which digest, and where the whole is.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.approvals.slack import blocks as kit
from sidecar.approvals.slack.blocks import Block
from sidecar.approvals.slack.ports import Asked
from sidecar.approvals.slack.text import escaped, fitted, line, readable, visible
from sidecar.contract import Answer, ApprovalView, ChangePreview

APPROVE, DENY, PAGE, SHOW = "approval_approve", "approval_deny", "approval_page", "approval_show"
WHEN = "{date_short_pretty} {time}"
_MOST_AROUND = 6000  # JSON of everything but the changes
_MOST_WHEN_CUT = 2500  # JSON of the changes where they are not shown whole anyway
_PART = 2800  # characters of one preformatted text, below Slack's 3,000 with every entity


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A message. `text` is for notifications. `file`: the whole plan where the blocks could not hold it, else ""."""

    text: str
    blocks: tuple[Block, ...]
    file: str = ""

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps([self.text, *self.blocks], sort_keys=True).encode()).hexdigest()


def card(asked: Asked, *, page_url: str = "") -> Card:
    """The most needed first: long messages are folded by Slack."""
    view = asked.view
    risk, unsaid = _risk(view)
    small = kit.context(f"plan {view.plan} · policy {view.revision[:12]} · asked {view.requested_at:%Y-%m-%d %H:%M} UTC")
    for squeeze in (1, 3, 10):  # of what surrounds the changes, less where it would leave no room for them
        top = [kit.header(_title(asked)), kit.rich(*_facts(asked, squeeze)), risk]
        end = [*([] if asked.is_over else _notes(view, squeeze)), small]
        if kit.size([*top, *end]) <= _MOST_AROUND:
            break
    reserve = kit.size([*top, *end, *_buttons(asked, page_url, whole=True), _cut(view, 10**6, "0" * 64, page_url)])
    changes, hidden = _changes(view.changes, kit.MOST_IN_ALL - reserve)
    if not (hidden or unsaid):
        return Card(text=_notification(asked), blocks=(*top, *changes, *end, *_buttons(asked, page_url, whole=True)))
    changes, hidden = _changes(view.changes, min(_MOST_WHEN_CUT, kit.MOST_IN_ALL - reserve))  # a beginning, to know it by
    cut = _cut(view, hidden + unsaid, hashlib.sha256((whole := whole_text(view)).encode()).hexdigest(), page_url)
    blocks = (*top, cut, *changes, *end, *_buttons(asked, page_url, whole=False))
    return Card(text=_notification(asked), blocks=blocks, file=whole)


def whole_text(view: ApprovalView) -> str:
    """Everything that is to be approved, as a text file: the steps and their diffs, none cut."""
    parts = [
        f"plan {view.plan}",
        f"cluster {view.cluster}, incident {visible(view.incident)}, policy {visible(view.revision)}",
        "",
    ]
    for change in view.changes:
        undo = f"can be undone: {visible(change.undo)}" if change.reversible else "CANNOT BE UNDONE"
        parts += [f"{change.step}: {visible(change.summary)}", undo, visible(change.diff, lines=True), ""]
    return "\n".join([*parts, *(f"cannot be undone: {visible(final)}" for final in view.final)])


def _title(asked: Asked) -> str:
    where = _shortened(asked.view.environment or asked.view.cluster, 30).upper()
    said = {
        "waiting": "approve?",
        "approved": "approved:",
        "leased": "approved, under way:",
        "settled": "done:",
        "refused": "REFUSED:",
        "expired": "EXPIRED, not approved:",
    }.get(asked.state, "NO LONGER VALID:")
    return f"{where}: {said} {_in_short(asked.view)}"


def _in_short(view: ApprovalView) -> str:
    """Of several steps the first, and how many more there are."""
    first = view.changes[0].summary if view.changes else "a plan without steps"
    more = len(view.changes) - 1
    return f"{_shortened(first, 80)} (+{more} more)" if more > 0 else first


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _notification(asked: Asked) -> str:
    """For phones: Slack reads no markup in it (`mrkdwn` is off), and nothing in it can be taken for a link."""
    return line(_title(asked).replace("://", ": //").replace("@", "(at)"), 300)


def _facts(asked: Asked, squeeze: int) -> list[Block]:
    view = asked.view
    where = ", ".join(filter(None, (view.environment, f"cluster {view.cluster}", str(view.subject) if view.subject else "")))
    grounds = "; ".join(dict.fromkeys(ground.message for ground in view.grounds))
    cause = f"{view.cause}; " if view.cause else ""
    runs = [_named("Where", kit.words(where, limit=400 // squeeze))]
    runs.append(_named("Why", kit.words(f"{cause}incident {view.incident}", limit=300 // squeeze)))
    if grounds:
        runs.append(_named("You are asked because", kit.words(grounds, limit=600 // squeeze)))
    if asked.state == "waiting":
        runs.append(_named("Until", kit.moment(view.expires_at, WHEN), kit.words(" (no answer is a no)")))
        if view.lease_ends:
            runs.append(_named("Little time", kit.words(view.lease_ends, limit=400 // squeeze)))
        given = len({answer.person for answer in asked.answers if answer.verdict == "approve"})
        so_far = f", {given} so far" if given else ""
        roles = ", ".join(view.roles)
        people = "person" if view.count == 1 else "different people"
        runs.append(_named("Who", kit.words(f"{view.count} {people} with a role of: {roles}{so_far}", limit=300 // squeeze)))
    if view.requested_by:
        runs.append(
            _named("Asked for by", kit.words(view.requested_by, limit=200 // squeeze), kit.words(", who cannot approve it"))
        )
    runs += [_said(answer, squeeze) for answer in asked.answers[-6:]]
    if asked.state != "waiting":
        runs.append(_named("Now", kit.words(_end(asked), limit=600 // squeeze)))
    return runs


def _said(answer: Answer, squeeze: int) -> Block:
    verdict = "said YES" if answer.verdict == "approve" else "said NO"
    if answer.glass:
        verdict = f"BROKE THE GLASS and {verdict}"
    reason = f": {answer.reason}" if answer.reason else ""
    by = kit.words(f"{verdict} ({answer.via}){reason}, ", limit=700 // squeeze)
    return kit.section(
        kit.words(f"{answer.person} ", bold=True, limit=200 // squeeze),
        by,
        kit.moment(answer.at, WHEN),
        kit.words("\n", lines=True),
    )


def _end(asked: Asked) -> str:
    if asked.settlement is not None:
        outcome = {
            "helped": "performed, and it helped",
            "did-not-help": "performed, and it did not help",
            "undone": "performed, and undone again",
            "not-performed": "nothing was performed",
        }.get(asked.settlement.outcome, "ended; whether it helped is not known")
        outcome = f"the agent says: {outcome}" if asked.settlement.outcome != "not-performed" else outcome
        rights = "the rights are taken back" if asked.settlement.state == "settled" else "the rights are still being taken back"
        seen = "; ".join(asked.settlement.observed[:3])
        against = "; ".join(asked.settlement.contradictions[:3])
        return "; ".join(
            filter(None, (outcome, f"the sidecar saw: {seen}" if seen else "", against and f"BUT: {against}", rights))
        )
    now = {
        "approved": "approved, not begun yet",
        "leased": "being performed, exactly as shown",
        "refused": "refused, nothing more is done" + ("; the rights are still being taken back" if not asked.is_over else ""),
        "expired": "nobody answered in time: nothing is done",
        "settled": "ended",
    }.get(asked.state, "not valid any more: nothing is done")
    told = asked.state == "refused" and any(answer.verdict == "deny" for answer in asked.answers)
    return f"{now} ({asked.reason})" if asked.reason and not told else now


def _changes(changes: Sequence[ChangePreview], room: int) -> tuple[list[Block], int]:
    """The steps and their diffs within `room` characters of JSON, and how many characters were left out."""
    made: list[Block] = []
    for number, change in enumerate(changes, start=1):
        summary, lost = fitted(change.summary, 1000)
        undo, lost_undo = fitted(change.undo, 1000)
        back = kit.literal(f"can be undone: {undo}") if change.reversible else kit.literal("CANNOT BE UNDONE", bold=True)
        named = kit.section(kit.literal(f"{number}. {summary}\n", bold=True), back)
        # All of the diff at once: a piece alone would be written with fewer escapes than within its line.
        written, left = readable(change.diff), room - kit.size([kit.rich(named)])
        diff = _head(written, left)
        if left < 0 or (written and not diff and made):
            return made, _characters(changes[number - 1 :])
        block = kit.rich(named, *(kit.preformatted(part) for part in _parts(diff)))
        while diff and kit.size([block]) > room:  # what the containers take is only known now
            left = left * 9 // 10
            diff = _head(written, left)
            block = kit.rich(named, *(kit.preformatted(part) for part in _parts(diff)))
        made.append(block)
        room -= kit.size([block])
        hidden = lost + lost_undo + len(written) - len(diff)
        if hidden:
            return made, hidden + _characters(changes[number:])
    return made, 0


def _head(diff: str, room: int) -> str:
    """As many whole lines of the diff as take at most `room` characters of JSON."""
    taken = 0
    for text in diff.splitlines(keepends=True):
        room -= len(json.dumps(escaped(visible(text, lines=True))))
        if room < 0:
            break
        taken += len(text)
    return diff[:taken]


def _parts(diff: str) -> list[str]:
    """The diff in pieces that Slack takes as one text each, broken at lines where that can be."""
    parts: list[str] = []
    used = _PART
    for text in diff.splitlines(keepends=True):
        for start in range(0, len(text), 280):  # 280 characters are at most 2,800 as escapes
            piece = text[start : start + 280]
            cost = len(escaped(visible(piece, lines=True)))
            if used + cost > _PART:
                parts.append("")
                used = 0
            parts[-1] += piece
            used += cost
    return parts


def _characters(changes: Sequence[ChangePreview]) -> int:
    return sum(len(change.summary) + len(change.diff) for change in changes)


def _risk(view: ApprovalView) -> tuple[Block, int]:
    """How bad it is if it is wrong, and how many characters of that were left out."""
    runs: list[Block] = []
    hidden, room = 0, 2000
    for name, texts in (("CANNOT BE UNDONE", view.final), ("Touches", view.blast_radius)):
        for number, text in enumerate(texts):
            shown, lost = fitted(text, 600)
            room -= len(json.dumps(shown)) + 150
            hidden += lost if room > 0 else len(text)
            if room > 0:
                runs.append(_named(name, kit.literal(shown)) if number == 0 else kit.section(kit.literal(f"· {shown}\n")))
    irreversible = any(not change.reversible for change in view.changes)
    if not view.final:
        said = "not every step can be undone" if irreversible else "every step can be undone"
        runs.append(_named("If it is wrong", kit.words(said)))
    if not view.blast_radius:
        runs.append(_named("Touches", kit.words("not counted")))
    return kit.rich(*runs), hidden


def _notes(view: ApprovalView, squeeze: int) -> list[Block]:
    """What a yes does not depend on; cut where it is long."""
    runs = [_named("The sidecar sees now", kit.words(text, limit=300 // squeeze)) for text in view.observed[:4]]
    if view.evidence:
        more = f" and {len(view.evidence) - 3} more" if len(view.evidence) > 3 else ""
        cited = "; ".join(re.sub(r"sha256:([0-9a-f]{12})[0-9a-f]+", r"sha256 \1…", found) for found in view.evidence[:3])
        runs.append(_named("Evidence", kit.words(cited + more, limit=400 // squeeze)))
    if view.dry_run:
        runs.append(_named("The diff", kit.words(view.dry_run, limit=300 // squeeze)))
    if view.hypothesis.strip():
        behind = ", a language model behind them" if view.basis == "model" else ""
        runs.append(kit.section(kit.words(f"The agent's words{behind}, checked by nobody:", italic=True)))
        runs.append(kit.quote(view.hypothesis, 600 // squeeze))
    return [kit.rich(*runs)] if runs else []


def _cut(view: ApprovalView, hidden: int, digest: str, page_url: str) -> Block:
    where = "on the approvals page" if page_url else f"with: lestrade-sidecar approvals show {view.plan[:12]}"
    return kit.rich(
        kit.section(
            kit.words(f"CUT: {hidden} characters of this plan do not fit here. ", bold=True),
            kit.words(f"The whole is the file in this thread (sha256 {digest}). "),
            kit.words(f"It can be approved {where}; not from this card, which does not show everything."),
        )
    )


def _buttons(asked: Asked, page_url: str, *, whole: bool) -> list[Block]:
    view = asked.view
    value = value_of(view)
    made: list[Block] = []
    if asked.state == "waiting" and whole:
        exactly = f"{_in_short(view)}. It is performed exactly as shown, nothing else. Plan {view.plan[:12]}."
        sure = kit.confirm(f"Approve in {view.environment or view.cluster}?", exactly, "Approve", "Not yet")
        made.append(kit.button("Approve", APPROVE, value, style="primary", confirm=sure))
    if asked.state in ("waiting", "approved", "leased"):
        made.append(kit.button("Deny" if asked.state == "waiting" else "Stop it", DENY, value, style="danger"))
    if page_url:
        made.append(kit.link("Open the approvals page", PAGE, page_of(page_url, view.plan)))
    return [kit.actions(*made)] if made else []


def value_of(view: ApprovalView) -> str:
    """What a button carries: the plan's digest and the policy revision that were shown; never the plan."""
    return f"{view.plan}:{view.revision}"


def page_of(page_url: str, plan: str) -> str:
    """`page_url` is the root of the people's listener as browsers reach it."""
    return f"{page_url.rstrip('/')}/approvals/{plan}"


def _named(name: str, *runs: Block) -> Block:
    return kit.section(kit.words(f"{name}  ", bold=True, limit=600), *runs, kit.literal("\n"))
