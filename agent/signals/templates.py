"""Log templates: lines that say the same thing with other values, counted. The only file that knows drain3.

Values with a shape (times, ids, addresses, numbers) are masked over the whole text at once; what is left differs in words
only, and Drain (He et al., ICWS 2017) finds the words that vary. Only distinct masked lines reach it, so a flood of equal
lines costs one. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

LINE_LIMIT = 600  # characters of a line that count for what it says
MOST_DISTINCT = 3000  # distinct lines that are clustered; what comes later stands for itself
ALIKE = 0.7  # share of equal words from which two lines are one event: a needle must not drown in a flood of its like
# Numbers, times, addresses, most ids: from a digit on, over what can stand inside of them, never into the word behind.
_VALUE = re.compile(r"[0-9](?:[0-9]|[a-fA-F]+(?![a-zA-Z])|[:._-](?=[a-fA-F]*[0-9])|,(?=[0-9])|T(?=[0-9])|Z\b)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """`first` and `last` are indexes into the lines that were mined; `text` has <*> where words vary."""

    text: str
    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """Templates in the order of their first line; `of` is the index of the template of each line."""

    templates: tuple[Template, ...]
    of: tuple[int, ...]

    def of_line(self, number: int) -> Template:
        return self.templates[self.of[number]]


def masked(text: str) -> str:
    """The text with everything that starts like a number masked, so that equal events look equal. Line ends stay."""
    return _VALUE.sub("<n>", text)


def mine(lines: Sequence[str]) -> Mined:
    """The templates of the lines, none of which may hold a line end."""
    if not lines:
        return Mined(templates=(), of=())
    shapes = masked("\n".join(line[:LINE_LIMIT] for line in lines)).split("\n")
    from drain3.drain import Drain  # noqa: PLC0415  a seventh of a second that only long logs need

    drain = Drain(depth=4, sim_th=ALIKE, max_children=100, parametrize_numeric_tokens=False)
    cluster_of: dict[str, int] = {}
    for shape in dict.fromkeys(shapes):
        if len(cluster_of) < MOST_DISTINCT:
            cluster_of[shape] = drain.add_log_message(shape)[0].cluster_id
        else:
            cluster_of[shape] = -len(cluster_of)
    words = {cluster.cluster_id: cluster.get_template() for cluster in drain.clusters if cluster is not None}
    words |= {number: shape for shape, number in cluster_of.items() if number < 0}
    order: dict[int, int] = {}
    counts: list[list[int]] = []
    of = []
    for number, shape in enumerate(shapes):
        place = order.setdefault(cluster_of[shape], len(order))
        if place == len(counts):
            counts.append([0, number, number])
        counts[place][0] += 1
        counts[place][2] = number
        of.append(place)
    templates = tuple(
        Template(text=words[cluster], count=counts[place][0], first=counts[place][1], last=counts[place][2])
        for cluster, place in order.items()
    )
    return Mined(templates=templates, of=tuple(of))
