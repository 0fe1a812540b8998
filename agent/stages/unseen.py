"""What could not be seen, for a reader: what one reason kept from us is one line, and stands after what was kept by others.

A role that lacks a dozen kinds is one fact about the role. Hides nothing: every kind and place is named.
"""

import re
from collections.abc import Mapping, Sequence

_KIND = re.compile(r"(?P<kind>\S+) objects(?: in (?P<place>\S+))?: (?P<why>.+)", re.DOTALL)
_MEANS = {"no rights": "the identity that reads has no right to list them"}


def unseen(lines: Sequence[str]) -> tuple[str, ...]:
    """`lines`: "what: why", as gaps are told. Two or more kinds with the same sort of reason come to one line, at the end."""
    kept: list[str] = []
    by_reason: dict[str, dict[str, dict[str, str]]] = {}  # reason -> kind -> place, "" for the whole cluster -> the line
    for line in dict.fromkeys(lines):
        found = _KIND.fullmatch(line)
        if found is None:
            kept.append(line)
            continue
        reason = found["why"].partition(": ")[0]
        by_reason.setdefault(reason, {}).setdefault(found["kind"], {})[found["place"] or ""] = line
    for reason, kinds in by_reason.items():
        told = [line for places in kinds.values() for line in places.values()]
        if len(told) == 1:
            kept.extend(told)
        else:
            kept.append(
                f"{len(kinds)} {'kind' if len(kinds) == 1 else 'kinds'}, {_MEANS.get(reason, reason)}: {_by_place(kinds)}"
            )
    return tuple(kept)


def _by_place(kinds: Mapping[str, Mapping[str, str]]) -> str:
    """Kinds that are missing in the same places stand together: a role that lacks five kinds lacks them in every namespace."""
    together: dict[tuple[str, ...], list[str]] = {}
    for kind, places in kinds.items():
        together.setdefault(tuple(filter(None, places)), []).append(kind)
    told = (", ".join(names) + (f" ({', '.join(places)})" if places else "") for places, names in together.items())
    return "; ".join(told)
