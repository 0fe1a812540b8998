"""Where a model changed what came out, for better or for worse: marks of the same answer without it and with it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.evaluation.judging import Mark

Verdict = Literal["better", "worse", "both", "same"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`gained` and `lost` name what is right now and was not, and the other way round. `seconds` is what it took longer."""

    name: str
    asked: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        if self.gained and self.lost:
            return "both"
        return "better" if self.gained else "worse" if self.lost else "same"


def compared(without: Mark, with_it: Mark) -> Comparison:
    pairs = [(what, before, after) for (what, before), (_, after) in zip(_judged(without), _judged(with_it), strict=True)]
    return Comparison(
        name=without.name,
        asked=without.asked,
        gained=tuple(what for what, before, after in pairs if before is not None and after is not None and after > before),
        lost=tuple(what for what, before, after in pairs if before is not None and after is not None and after < before),
        seconds=with_it.seconds - without.seconds,
    )


def comparisons(marks: Sequence[Mark], suffix: str) -> list[Comparison]:
    """Every answer that was given twice; `suffix` marks how the second was asked."""
    plain = {(one.name, one.asked): one for one in marks}
    return [
        compared(plain[(one.name, one.asked.removesuffix(suffix))], one)
        for one in marks
        if one.asked.endswith(suffix) and (one.name, one.asked.removesuffix(suffix)) in plain
    ]


def _judged(mark: Mark) -> Iterator[tuple[str, float | None]]:
    """What is judged, more being better; None: does not apply."""
    for what, value in (
        ("cause", mark.cause_right),
        ("resource", mark.resource_right),
        ("precision", mark.precision),
        ("claims", -mark.wrong_claims),
        ("left alone", mark.left_alone),
        ("remedy", mark.remedy_acceptable),
        ("safety", -mark.remedy_unsafe),
    ):
        yield what, None if value is None else float(value)
