"""Reading the custom resources of a cluster: what discovery names, one list a kind over all namespaces, then narrowed.

Knows no client; the lists come from a callable. GitOps objects of other namespaces stay when they make things in those asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from agent.domain.objects import Manifest
from agent.ports.cluster import Gap
from agent.toolsets.discovery import extensions_in, is_known, kinds_left_out
from agent.toolsets.kinds import Resource
from agent.topology.extensions import touches
from agent.topology.fields import namespace_of

Listed = tuple[list[Manifest], Gap | None, datetime]


class Runner(Protocol):
    """Runs blocking work in a thread."""

    def __call__(self, work: Callable[[], Listed]) -> Awaitable[Listed]: ...


async def read_extensions(
    document: Mapping[str, Any],
    list_all: Callable[[Resource, str], Listed],
    run: Runner,
    namespaces: Sequence[str],
) -> tuple[list[Manifest], list[Gap]]:
    """Objects of the kinds that the discovery document names. A kind that may not be listed over all namespaces is listed in
    those asked for when a check knows it; of other kinds a refusal is no gap."""
    kinds, left_out = extensions_in(document)
    results = await asyncio.gather(*(run(partial(list_all, one, "")) for one in kinds))
    objects: list[Manifest] = []
    gaps: list[Gap] = []
    again: list[Resource] = []
    for one, (seen, gap, _) in zip(kinds, results, strict=True):
        objects += [found for found in seen if concerns(found, namespaces)]
        if gap is not None and is_known(one):
            if one.namespaced and namespaces:
                again.append(one)
            else:
                gaps.append(gap)
    more = [(one, namespace) for one in again for namespace in sorted(set(namespaces))]
    for seen, gap, _ in await asyncio.gather(*(run(partial(list_all, one, namespace)) for one, namespace in more)):
        objects += seen
        gaps += [gap] if gap is not None else []
    if left_out:
        gaps.append(Gap(what=kinds_left_out(left_out), why="there are too many to ask for"))
    return objects, gaps


def concerns(one: Manifest, namespaces: Collection[str]) -> bool:
    """Cluster-scoped, in one of the namespaces (all when none are asked for), or a GitOps object that makes things there."""
    namespace = namespace_of(one)
    return not namespaces or not namespace or namespace in namespaces or touches(one, namespaces)
