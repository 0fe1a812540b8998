"""What a conversation reads of the cluster without a run: logs, events, what belongs to something. Asked and answered in plain
values, since it computes for seconds where the cluster is large, and may be done in another process. Knows no conversation.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from agent.bootstrap import Workshop
from agent.chat.belongings import Belonging, belonging
from agent.chat.streams import Excerpt, events_of, logs_of
from agent.domain.incident import Incident
from agent.domain.objects import Ref
from agent.reasoning.focus import focus_on
from agent.reasoning.spaces import namespaces_named
from agent.stages.gather import Limits, gather
from agent.topology import Topology, build
from agent.topology.fields import name_of

LINES_HEARD = 100  # of each log, where what it calls is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Of `subject`; without one, of what `question` is about. `word`: what belongs to it, of "belongings"."""

    what: Literal["logs", "events", "belongings"]
    question: str = ""
    subject: Ref | None = None
    namespace: str = ""
    previous: bool = False
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`subject`: what it is about after all, None where there is nothing of that name; `rivals`: who else may be meant, and then
    nothing was read."""

    subject: Ref | None = None
    rivals: tuple[Ref, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    found: Belonging | None = None


Look = Callable[[Wanted], Awaitable[Seen]]


async def look(shop: Workshop, wanted: Wanted) -> Seen:
    """Raises ClusterUnreachable."""
    topology = await _topology(shop, wanted)
    subject = wanted.subject
    if subject is None:
        focus = await asyncio.to_thread(focus_on, _incident(shop, wanted.question), topology)
        if focus.rivals:
            return Seen(rivals=tuple(focus.rivals))
        subject = next(iter((*focus.objects, *focus.elsewhere)), None)
    if subject is None:
        return Seen()
    match wanted.what:
        case "logs":
            read = await logs_of(subject, topology, reader=shop.reader, previous=wanted.previous)
            return Seen(subject=subject, excerpts=tuple(read))
        case "events":
            return Seen(subject=subject, excerpts=tuple(events_of(subject, topology)))
        case "belongings":
            return Seen(subject=subject, found=await asyncio.to_thread(belonging, wanted.word, subject, topology))


async def _topology(shop: Workshop, wanted: Wanted) -> Topology:
    """Of the namespace of what is meant, of those that the question names, or of all; with logs, which name what is called,
    where that is wanted."""
    reader, spaces = shop.reader, [wanted.namespace] if wanted.namespace else []
    if not spaces:
        known = tuple(name_of(one) for one in (await reader.namespaces()).objects)
        spaces = list(namespaces_named(_incident(shop, wanted.question), known) or known)
    if wanted.what == "belongings":
        seen = (await gather(spaces, reader=reader, metrics=None, limits=Limits(log_tail=LINES_HEARD))).observed
    else:
        seen = await reader.overview(spaces)
    unseen = {gap.what.split()[0]: gap.why for gap in seen.gaps}
    return await asyncio.to_thread(build, seen.now, seen.objects, seen.logs, (), unseen)


def _incident(shop: Workshop, question: str) -> Incident:
    return Incident(id="", cluster=shop.reader.name, opened_at=datetime.now(UTC), question=question)
