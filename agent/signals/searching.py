"""A long text made searchable: its lines, sorted by shape, so that what holds for a shape is worked out once.

Two lines have one shape when they differ in numbers only; a log of 100,000 lines has a few hundred. Pure.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

from agent.domain.objects import ContainerLog
from agent.signals.templates import masked
from agent.topology import Topology


class LogIndex:
    """The lines of one text. `shapes` are the distinct ones in the order of their first line, `of` the shape of each line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        numbers: dict[str, int] = {}
        self.of = [numbers.setdefault(shape, len(numbers)) for shape in masked(text).split("\n")]
        self.shapes = list(numbers)

    @cached_property
    def by_shape(self) -> list[list[int]]:
        """The numbers of the lines of each shape."""
        found: list[list[int]] = [[] for _ in self.shapes]
        for number, shape in enumerate(self.of):
            found[shape].append(number)
        return found

    @cached_property
    def lowered(self) -> str:
        return self.text.lower()

    @cached_property
    def _lowered_shapes(self) -> list[str]:
        return "\n".join(self.shapes).lower().split("\n")

    @cached_property
    def _all_shapes(self) -> str:
        return "\n".join(self._lowered_shapes)

    def lines_with(self, needles: Sequence[str], *, limit: int = 400) -> list[str]:
        """The lines that hold one of the lower-case `needles`, in order; of very many for one needle the first and the last
        half of `limit`. A line is given once, however many needles it holds."""
        found: set[int] = set()
        for needle in needles:
            ones = self._numbers(needle)
            found.update(ones if len(ones) <= limit else (*ones[: limit // 2], *ones[-(limit // 2) :]))
        return [self.lines[number] for number in sorted(found)]

    def _numbers(self, needle: str) -> list[int]:
        if _has_digit(needle):  # numbers are masked in shapes
            return list(self._plainly(needle))
        if needle not in self._all_shapes:
            return []
        shapes = [number for number, shape in enumerate(self._lowered_shapes) if needle in shape]
        numbers = [number for shape in shapes for number in self.by_shape[shape]]
        return numbers if len(shapes) == 1 else sorted(numbers)

    def _plainly(self, needle: str) -> Iterator[int]:
        if needle in self.lowered:
            yield from (number for number, line in enumerate(self.lowered.split("\n")) if needle in line)


@lru_cache(maxsize=4096)
def _has_digit(needle: str) -> bool:
    """The needles are those of the checks: the same few hundred for every log."""
    return any(letter.isdigit() for letter in needle)


def lines_with(text: str, needles: Sequence[str], *, limit: int = 400) -> list[str]:
    """`LogIndex.lines_with` of a text that is looked at once."""
    return LogIndex(text).lines_with(needles, limit=limit)


def index_of(topology: Topology, log: ContainerLog) -> LogIndex:
    """The index of a log, made once a topology."""
    known: dict[tuple[str, str, str, bool], LogIndex] = topology.derived.setdefault("log-indexes", {})
    key = (log.namespace, log.pod, log.container, log.previous)
    found = known.get(key)
    if found is None or found.text is not log.text:
        found = known[key] = LogIndex(log.text)
    return found
