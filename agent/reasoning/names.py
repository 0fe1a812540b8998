"""How like a word of a question is to a name that the cluster has. The only user of rapidfuzz; knows no objects.

Three ways a person writes a name that is not quite the name: a slip of the keyboard (`chekout-api`), other separators
(`checkout api`, `CheckoutApi`), and a part of it (`checkout`). Each has its own measure, because a slip in a short word is
another word, and a part says less than the whole.
"""

import re
from collections.abc import Collection, Sequence

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

SLIP = 0.82  # least likeness of a mistyped name
SHORTEST = 4  # a slip in a word shorter than this makes another word
_SEPARATORS = re.compile(r"[-_./\s]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def parts_of(name: str) -> tuple[str, ...]:
    """web-front, web_front, web.front and WebFront are (web, front)."""
    return tuple(part.lower() for part in _SEPARATORS.split(_CAMEL.sub("-", name)) if part)


def nearest(said: str, names: Collection[str], *, least: float = SLIP, most: int = 5) -> list[tuple[str, float]]:
    """Names that `said` is a slip of, best first, with their likeness (1: the same). A swap of neighbours counts once."""
    wanted = said.lower()
    if len(wanted) < SHORTEST:
        return [(name, 1.0) for name in names if name == wanted]
    found = process.extract(wanted, names, scorer=DamerauLevenshtein.normalized_similarity, score_cutoff=least, limit=most)
    return sorted(((name, float(score)) for name, score, _ in found), key=lambda one: (-one[1], one[0]))


def is_slip(said: str, name: str) -> bool:
    return said == name or bool(nearest(said, (name,)))


def same_word(part: str, word: str) -> bool:
    """Equal but for a plural s, or a slip in a long word."""
    if part == word:
        return True
    if len(part) < SHORTEST or len(word) < SHORTEST:
        return False
    return part.rstrip("s") == word.rstrip("s") or (
        min(len(part), len(word)) >= 6 and DamerauLevenshtein.normalized_similarity(part, word, score_cutoff=0.85) > 0
    )


def said_in_parts(name: str, words: Sequence[str]) -> bool:
    """Whether every part of a name of several parts is among the words, in any order."""
    parts = parts_of(name)
    return len(parts) > 1 and all(any(same_word(part, word) for word in words) for part in parts)
