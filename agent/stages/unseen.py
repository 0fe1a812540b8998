"""What could not be seen, for a reader: what one reason kept from us is one line, and stands after what was kept by others.

A role that lacks a dozen kinds is one fact about the role. Hides nothing: every kind and place is named.
"""

import re
from collections.abc import Sequence

_KIND = re.compile(r"(?P<kind>\S+) objects(?: in (?P<place>\S+))?: (?P<why>.+)", re.DOTALL)
_MEANS = {"no rights": "the identity that reads has no right to list them"}


def unseen(lines: Sequence[str]) -> tuple[str, ...]:
    """`lines`: "what: why", as gaps are told. Two or more kinds with the same sort of reason come to one line, at the end."""
    kept: list[str] = []
    by_reason: dict[str, dict[str, str]] = {}  # reason -> "kind in place" -> the line
    for line in dict.fromkeys(lines):
        found = _KIND.fullmatch(line)
        if found is None:
            kept.append(line)
            continue
        reason = found["why"].partition(": ")[0]
        place = f" ({found['place']})" if found["place"] else ""
        by_reason.setdefault(reason, {})[f"{found['kind']}{place}"] = line
    for reason, kinds in by_reason.items():
        if len(kinds) == 1:
            kept.extend(kinds.values())
        else:
            kept.append(f"{len(kinds)} kinds, {_MEANS.get(reason, reason)}: {', '.join(kinds)}")
    return tuple(kept)
