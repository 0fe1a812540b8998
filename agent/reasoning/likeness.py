"""How well the words of a question fit the name of an object, where nothing is called exactly so. Ordinary words are no slips of
names. Pure."""

from collections.abc import Sequence

from agent.reasoning.names import nearest, parts_of, said_in_parts, same_word
from agent.reasoning.vocabulary import COMMON, ENGLISH


def likeness_of(name: str, said: Sequence[str]) -> float:
    """1 when all parts of the name are said; else how well one word fits the whole name (0 below a slip)."""
    if said_in_parts(name, said):
        return 1.0
    close = max(
        (
            likeness
            for word in said
            if word not in ENGLISH and abs(len(word) - len(name)) <= 3
            for _, likeness in nearest(word, (name,))
        ),
        default=0.0,
    )
    if close:
        return close
    parts = parts_of(name)
    return (
        0.6 if any(len(part) > 3 and part not in COMMON and any(_is_word(part, word) for word in said) for part in parts) else 0.0
    )


def _is_word(part: str, word: str) -> bool:
    """An ordinary word is no slip of a name: "broken" is no "broker"."""
    return part == word or (word not in ENGLISH and same_word(part, word))


def singular(part: str) -> str:
    return part.removesuffix("s") if len(part) > 3 else part
