"""Cause and victims as one picture: inline SVG with a layout of its own, no script, colours by the page's style.

Columns from left to right: the causes, then whatever depends on them, step by step; what hangs on nothing stands last. Knows
nothing of what a relation means. Text is cut to fit, and whole in the title.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from agent.domain.finding import Diagnosis
from agent.domain.objects import Ref
from agent.domain.tie import Tie
from agent.rendering.safety import one_line

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 216, 50, 112, 22, 10
MOST_BOXES, MOST_COLUMNS = 24, 5
NAME_LENGTH, KIND_LENGTH, RELATION_LENGTH = 22, 28, 14
WORDS = {"cause": "cause", "victim": "affected", "suspect": "ruled out", "between": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """`x`, `y`: its upper left corner."""

    ref: Ref
    role: str
    x: float
    y: float


def picture(diagnosis: Diagnosis) -> Markup:
    """Empty where no cause was named."""
    roles = _roles(diagnosis)
    if not roles:
        return Markup("")
    joined = _joined(diagnosis, roles)
    boxes = _laid_out(roles, joined)
    placed = {box.ref: box for box in boxes}
    drawn = [(placed[tie.source], placed[tie.target], relation) for tie, relation in joined]
    width = max(box.x for box in boxes) + BOX_WIDTH + MARGIN
    height = max(box.y for box in boxes) + BOX_HEIGHT + MARGIN
    arrows = Markup("").join(_arrow(source, target, relation) for source, target, relation in drawn)
    objects = Markup("").join(_box(box) for box in boxes)
    head = Markup(
        '<svg class="picture" viewBox="0 0 {0:.0f} {1:.0f}" width="{0:.0f}" height="{1:.0f}" role="img" aria-label="{2}">'
    ).format(width, height, one_line(said(diagnosis)))
    return head + arrows + objects + Markup("</svg>")


def said(diagnosis: Diagnosis) -> str:
    """The picture in words."""
    causes = ", ".join(str(cause.finding.subject) for cause in diagnosis.causes)
    roles = _roles(diagnosis)
    suffering = [str(ref) for ref, role in roles.items() if role == "victim"]
    return f"Cause: {causes}." + (f" Affected: {', '.join(suffering)}." if suffering else "")


def _roles(diagnosis: Diagnosis) -> dict[Ref, str]:
    """What each object is in this; the first word said of it counts. At most MOST_BOXES, the telling ones first."""
    roles: dict[Ref, str] = {}
    if not diagnosis.causes:
        return roles
    affected = [ref for cause in diagnosis.causes for ref in cause.finding.affects]
    for role, refs in (
        ("cause", [cause.finding.subject for cause in diagnosis.causes]),
        ("victim", [*diagnosis.victims, *affected][:10]),
        ("suspect", [out.finding.subject for out in diagnosis.ruled_out][:6]),
        ("between", [ref for tie in diagnosis.ties for ref in (tie.source, tie.target)]),
    ):
        for ref in refs:
            if len(roles) < MOST_BOXES:
                roles.setdefault(ref, role)
    return roles


def _joined(diagnosis: Diagnosis, roles: dict[Ref, str]) -> list[tuple[Tie, str]]:
    """Edges between boxes, with their labels; a victim that nothing joins to its cause is joined by the finding itself."""
    named: dict[tuple[Ref, Ref], list[str]] = defaultdict(list)
    for tie in diagnosis.ties:
        if tie.source in roles and tie.target in roles and tie.source != tie.target:
            named[tie.source, tie.target].append(tie.relation)
    linked = {ref for pair in named for ref in pair}
    for cause in diagnosis.causes:
        subject = cause.finding.subject
        for ref in cause.finding.affects:
            if ref in roles and ref != subject and not (ref in linked and subject in linked):
                named[ref, subject].append("suffers from")
    return [
        (Tie(source=source, target=target, relation=""), ", ".join(dict.fromkeys(how))) for (source, target), how in named.items()
    ]


def _laid_out(roles: dict[Ref, str], joined: Sequence[tuple[Tie, str]]) -> list[Box]:
    near: dict[Ref, set[Ref]] = defaultdict(set)
    for tie, _ in joined:
        near[tie.source].add(tie.target)
        near[tie.target].add(tie.source)
    column = {ref: 0 for ref, role in roles.items() if role == "cause"}
    edge = list(column)
    while edge:
        ahead = [other for ref in edge for other in sorted(near[ref]) if other not in column]
        for other in ahead:
            column.setdefault(other, min(MOST_COLUMNS - 1, 1 + min(column[ref] for ref in near[other] if ref in column)))
        edge = list(dict.fromkeys(ahead))
    last = max(column.values()) + (0 if len(column) == len(roles) else 1)
    columns: dict[int, list[Ref]] = defaultdict(list)
    for ref in roles:
        columns[column.get(ref, min(last, MOST_COLUMNS - 1))].append(ref)
    tallest = max(len(refs) for refs in columns.values())
    boxes = []
    for place, number in enumerate(sorted(columns)):
        refs = sorted(columns[number], key=lambda ref: (list(WORDS).index(roles[ref]), ref))
        top = MARGIN + (tallest - len(refs)) * (BOX_HEIGHT + GAP_Y) / 2
        for row, ref in enumerate(refs):
            x, y = MARGIN + place * (BOX_WIDTH + GAP_X), top + row * (BOX_HEIGHT + GAP_Y)
            boxes.append(Box(ref=ref, role=roles[ref], x=x, y=y))
    return boxes


def _arrow(source: Box, target: Box, relation: str) -> Markup:
    """From what depends to what it depends on."""
    if source.x == target.x:  # within a column: round the outside
        x, start, end = source.x + BOX_WIDTH, source.y + BOX_HEIGHT / 2, target.y + BOX_HEIGHT / 2
        bend = x + GAP_X * 0.45
        path = f"M{x:.1f},{start:.1f} C{bend:.1f},{start:.1f} {bend:.1f},{end:.1f} {x:.1f},{end:.1f}"
        middle = (x + GAP_X * 0.38, (start + end) / 2)
        tip = _tip(x, end, 1)
    else:
        forward = source.x < target.x
        x1, x2 = (source.x + BOX_WIDTH, target.x) if forward else (source.x, target.x + BOX_WIDTH)
        y1, y2 = source.y + BOX_HEIGHT / 2, target.y + BOX_HEIGHT / 2
        half = (x2 - x1) / 2
        tip = _tip(x2, y2, -1 if forward else 1)
        path = f"M{x1:.1f},{y1:.1f} C{x1 + half:.1f},{y1:.1f} {x2 - half:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
        # Nearer to what depends: arrows part there, and run together at what they all depend on.
        middle = (x1 + half * 0.94, y1 + (y2 - y1) * 0.45)
    label = Markup('<text class="how" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}<title>{}</title></text>').format(
        middle[0], middle[1] - 4, _cut(relation, RELATION_LENGTH), one_line(relation)
    )
    line = Markup('<path class="tie" d="{}"><title>{}</title></path>').format(
        path, one_line(f"{source.ref} {relation} {target.ref}")
    )
    return line + tip + label


def _tip(x: float, y: float, back: int) -> Markup:
    """An arrow's head at this point; `back`: the way from which it comes, 1 for the right."""
    return Markup('<path class="tip" d="M{:.1f},{:.1f} l{},-4 v8 z"/>').format(x, y, 8 * back)


def _box(box: Box) -> Markup:
    role, ref = WORDS[box.role], box.ref
    kind = f"{ref.kind} · {ref.namespace}" if ref.namespace else ref.kind
    return Markup(
        '<g class="box {0}"><title>{1}</title><rect x="{2:.1f}" y="{3:.1f}" width="{4}" height="{5}" rx="8"/>'
        '<text class="kind" x="{6:.1f}" y="{7:.1f}">{8}</text><text class="name" x="{6:.1f}" y="{9:.1f}">{10}</text></g>'
    ).format(
        box.role,
        one_line(f"{role}: {ref}" if role else str(ref)),
        box.x,
        box.y,
        BOX_WIDTH,
        BOX_HEIGHT,
        box.x + 11,
        box.y + 19,
        _cut(kind, KIND_LENGTH),
        box.y + 37,
        _cut(ref.name, NAME_LENGTH),
    )


def _cut(text: str, most: int) -> str:
    """Names end with what tells them apart, so the middle goes."""
    shown = one_line(text)
    if len(shown) <= most:
        return shown
    tail = most // 2 - 1
    return f"{shown[: most - tail - 1]}…{shown[-tail:]}"
