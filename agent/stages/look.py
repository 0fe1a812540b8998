"""Look up what a model asked for: in parallel, bounded, each answer kept whole and shown in part. Only reads."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from agent.domain.objects import Ref
from agent.errors import LestradeError, ToolRefused
from agent.ports import Clock, RunStore
from agent.ports.model import ToolCall
from agent.ports.toolset import Sighting, Tool, tool
from agent.reasoning.model.aliases import Aliases
from agent.reasoning.model.case import Case, Investigator, aliases_of, as_kept, tools_of
from agent.reasoning.model.fencing import fenced
from agent.reasoning.model.inquiry import SHOWN, Inquiry, Look, Result, call_digest, read_reply
from agent.reasoning.model.slicing import Slice, sliced
from agent.signals.masking import safe
from agent.stages.investigate import MOST_IDLE, fetched, with_names
from agent.stages.telling import Tell

TOOL_SECONDS = 30.0
LARGEST = 2_000_000  # characters of one look that are kept
MOST_CALLS = 12  # of one message that are looked up

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """`text` is what the model is told; `sighting` None where nothing was looked up."""

    text: str = ""
    sighting: Sighting | None = None
    look: str = ""


async def look(inquiry: Inquiry, case: Case, *, investigator: Investigator, store: RunStore, clock: Clock, tell: Tell) -> Inquiry:
    """The inquiry with an answer to every call of the last message. Safe to repeat: reading changes nothing."""
    texts = await fetched(inquiry, store)
    calls = read_reply(texts[inquiry.turns[-1].reply]).calls
    aliases = aliases_of(inquiry, case, investigator, texts)
    tools = tools_of(investigator, case.view)
    tools["slice"] = tool("slice", "", Slice, _slicer(inquiry, case, store))
    began, gate = clock.now(), asyncio.Semaphore(investigator.leash.parallel)
    asked = dict(inquiry.asked)
    plans: list[tuple[ToolCall, Tool | str]] = []
    for number, call in enumerate(calls):
        digest = call_digest(call)
        if digest in asked:
            plans.append((call, f"you asked this already: see {asked[digest] or 'above'}"))
        elif number >= MOST_CALLS:
            plans.append((call, f"{MOST_CALLS} questions at once are the most; ask again"))
        elif call.name not in tools:
            plans.append((call, f"there is no tool {safe(call.name, limit=60)}; there are: {', '.join(sorted(tools))}"))
            asked[digest] = ""
        else:
            plans.append((call, tools[call.name]))
            asked[digest] = ""
    if names := ", ".join(dict.fromkeys(call.name for call, plan in plans if isinstance(plan, Tool))):
        await tell(f"the model looks: {names}")
    found = await asyncio.gather(*(_looked(call, plan, aliases, gate) for call, plan in plans))
    looks, results, is_fresh = list(inquiry.looks), [], False
    for call, seen in zip(calls, found, strict=True):
        words, fresh = seen.text, seen.look
        if seen.sighting is not None and not seen.look:
            one = await _kept(seen.sighting, f"look-{inquiry.first_look + len(looks)}", store)
            looks.append(one)
            asked[call_digest(call)] = fresh = one.id
            words = _shown(one, as_kept(seen.sighting.text[:LARGEST])[:LARGEST])
        is_fresh = is_fresh or bool(fresh)
        told = fenced(aliases.hide(words), aliases.hide(safe(call.name, limit=60)), inquiry.fence) if fresh else words
        results.append(Result(call=call.id, sha256=await store.put_blob(aliases.hide(told)), look=fresh))
    after = replace(
        inquiry.with_last(replace(inquiry.turns[-1], results=tuple(results))),
        looks=tuple(looks),
        asked=asked,
        idle=0 if is_fresh else inquiry.idle + 1,
        bill=inquiry.bill.later((clock.now() - began).total_seconds()),
    )
    after = await with_names(after, aliases, store)
    if after.idle >= MOST_IDLE and not after.shortfall:
        return replace(after, shortfall="loop", why=f"{MOST_IDLE} times in a row it asked nothing new")
    return after


async def _looked(call: ToolCall, plan: Tool | str, aliases: Aliases, gate: asyncio.Semaphore) -> _Seen:
    if isinstance(plan, str):
        return _Seen(text=plan)
    try:
        async with gate, asyncio.timeout(TOOL_SECONDS):
            sighting = await plan.run(aliases.show(call.arguments))
    except ToolRefused as exc:
        return _Seen(text=as_kept(str(exc)))
    except LestradeError as exc:
        return _Seen(sighting=Sighting(source=call.name, missing=str(exc)))
    except TimeoutError:
        return _Seen(sighting=Sighting(source=call.name, missing=f"no answer within {TOOL_SECONDS:g} s"))
    except Exception as exc:
        logger.warning("tool %s broke", call.name, exc_info=exc)
        return _Seen(sighting=Sighting(source=call.name, missing=f"the tool broke ({type(exc).__name__})"))
    aliases.learn(sighting.names)
    if call.name == "slice":
        return _Seen(text=as_kept(sighting.text), look=sighting.source)
    return _Seen(sighting=sighting)


def _slicer(inquiry: Inquiry, case: Case, store: RunStore) -> Callable[[Slice], Awaitable[Sighting]]:
    """`slice` over what this inquiry looked up, and over the evidence from before; the sighting's source is the id."""
    kept = {one.id: one.sha256 for one in inquiry.looks if not one.missing}
    given = {one.id: one.text for one in case.evidence if one.text}

    async def work(wanted: Slice) -> Sighting:
        if wanted.evidence in kept:
            text = await store.blob(kept[wanted.evidence]) or ""
        elif wanted.evidence in given:
            text = given[wanted.evidence]
        else:
            raise ToolRefused(f"slice: there is no evidence {wanted.evidence}; there are: {', '.join([*given, *kept])}")
        return Sighting(source=wanted.evidence, text=f"[{wanted.evidence}] {sliced(text, wanted)}")

    return work


async def _kept(sighting: Sighting, name: str, store: RunStore) -> Look:
    text = as_kept(sighting.text[:LARGEST])[:LARGEST]
    about: Ref | None = sighting.about
    return Look(
        id=name,
        source=safe(sighting.source, limit=300),
        sha256=await store.put_blob(text),
        size=len(text),
        about=about,
        missing="" if text.strip() else safe(sighting.missing or "nothing came back", limit=300),
    )


def _shown(one: Look, text: str) -> str:
    if one.missing:
        return f"[{one.id}] {one.source}\nnothing was seen: {one.missing}"
    if len(text) <= SHOWN:
        return f"[{one.id}] {one.source}\n{text}"
    half = SHOWN // 2
    lines = text.count("\n") + 1
    hole = f"\n... {len(text) - SHOWN} of {len(text)} characters ({lines} lines) are not shown; see slice ...\n"
    return f"[{one.id}] {one.source}\n{text[:half]}{hole}{text[-half:]}"
