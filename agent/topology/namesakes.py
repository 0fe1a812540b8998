"""Objects of kinds that two API groups have in one cluster, and events about them: told apart by a group in the kind."""

from collections.abc import Sequence

from agent.domain.objects import Manifest
from agent.topology.fields import kind_of, mapping, text
from agent.topology.kinds import group_in, shared


def told_apart(objects: Sequence[Manifest]) -> Sequence[Manifest]:
    """The objects, copied where the kind has to say its group; mostly there is none, and they are given back as they are."""
    pairs = {
        (kind, version)
        for one in objects
        if isinstance(kind := one.get("kind"), str) and isinstance(version := one.get("apiVersion"), str)
    }
    both = shared(pairs)
    return [_apart(one, both) for one in objects] if both else objects


def _apart(one: Manifest, both: frozenset[str]) -> Manifest:
    kind, group = kind_of(one), group_in(text(one, "apiVersion"))
    if kind in both:
        return {**one, "kind": f"{kind}.{group}"} if group else one
    for field in ("involvedObject", "regarding") if kind == "Event" else ():
        about = mapping(one, field)
        group = group_in(text(about, "apiVersion"))
        if text(about, "kind") in both and group:
            return {**one, field: {**about, "kind": f"{text(about, 'kind')}.{group}"}}
    return one
