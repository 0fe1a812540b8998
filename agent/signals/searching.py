"""Finding the few lines of a long text that hold a word, at the speed of str.find. Pure; knows nothing of logs."""

from collections.abc import Iterator, Sequence


def lines_with(text: str, needles: Sequence[str], *, limit: int = 400) -> list[str]:
    """The lines that hold one of the lower-case `needles`, in order; of very many for one needle the first and the last
    half of `limit`. A line is looked at once, however many needles it holds."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters change length when lowered: positions would be wrong
        return _plainly(text, needles, limit)
    starts: set[int] = set()
    for needle in needles:
        starts.update(_forward(lowered, needle, limit // 2))
        starts.update(_backward(lowered, needle, limit // 2))
    return [text[start : _end(text, start)] for start in sorted(starts)]


def _forward(lowered: str, needle: str, most: int) -> Iterator[int]:
    place = 0
    for _ in range(most):
        place = lowered.find(needle, place)
        if place < 0:
            return
        yield lowered.rfind("\n", 0, place) + 1
        place = _end(lowered, place)


def _backward(lowered: str, needle: str, most: int) -> Iterator[int]:
    place = len(lowered)
    for _ in range(most):
        place = lowered.rfind(needle, 0, place)
        if place < 0:
            return
        place = lowered.rfind("\n", 0, place) + 1
        yield place


def _end(text: str, place: int) -> int:
    found = text.find("\n", place)
    return len(text) if found < 0 else found


def _plainly(text: str, needles: Sequence[str], limit: int) -> list[str]:
    found = [line for line in text.split("\n") if any(needle in line.lower() for needle in needles)]
    return found if len(found) <= limit else [*found[: limit // 2], *found[-(limit // 2) :]]
