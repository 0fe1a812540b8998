"""Names of objects: how generated ones are made. Knows no objects."""

import random

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: no words by accident


def generated(prefix: str) -> str:
    """`metadata.generateName` with five letters behind it."""
    return prefix[:58] + "".join(random.choices(_LETTERS, k=5))  # noqa: S311
