"""One turn of a language model's investigation: what was said so far goes out, its next message comes in. Looks nothing up, and
decides nothing about the cluster. An answer that came in is kept before anything else happens, so that it is paid for once.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, cast

from agent.errors import ModelUnavailable
from agent.ports import Clock, RunStore
from agent.ports.model import Message, PaidCall, Reply, ToolSpec
from agent.reasoning.model import prompt
from agent.reasoning.model.aliases import Aliases
from agent.reasoning.model.case import Case, Investigator, aliases_of, fingerprint, known, tools_of
from agent.reasoning.model.faithfulness import Piece, believed
from agent.reasoning.model.inquiry import (
    LETTERS_PER_TOKEN,
    Inquiry,
    Look,
    Result,
    Turn,
    messages,
    read_reply,
    request_digest,
    size_of,
    tokens,
    write_reply,
)
from agent.reasoning.model.leash import Bill, at_most, is_last, most_of_a_day, over
from agent.reasoning.model.proposal import CONCLUDE, NotInForm, conclude_tool, read_proposal
from agent.reasoning.model.slicing import SLICE_SCHEMA
from agent.stages.telling import Tell
from sidecar.contract import Json

DAY = timedelta(hours=24)
LATE = timedelta(seconds=60)  # after that, what was reserved for an answer is free again, whatever became of its process
MOST_IDLE = 3  # turns in a row that ask nothing new
LAST = "This is your last answer: conclude now with what you have, and say in `unknowns` what is left open."
Next = Literal["look", "investigate", "settle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """Where the investigation stands after the turn, and what comes next."""

    inquiry: Inquiry
    then: Next


async def begin(case: Case, investigator: Investigator, *, store: RunStore, bill: Bill, first_look: int) -> Inquiry:
    """The opening of the conversation. Random where an attacker must not guess, and then kept."""
    fence = secrets.token_hex(8)
    remembered = fingerprint(case, investigator.chat.name)
    draft = Inquiry(
        purpose="replan" if case.rounds else "diagnosis",
        fence=fence,
        system=await store.put_blob(prompt.system(fence, CONCLUDE)),
        opening="",
        fingerprint=remembered,
        first_look=first_look,
        bill=bill,
    )
    words = prompt.opening(
        case.incident,
        case.diagnosis,
        case.evidence,
        case.view,
        fence=fence,
        pages=investigator.pages,
        remedies=case.remedies,
    )
    if case.rounds:
        words = f"{words}\n\n{prompt.again(case.rounds, fence)}"
    aliases = aliases_of(draft, case, investigator, {})
    return await with_names(replace(draft, opening=await store.put_blob(aliases.hide(words))), aliases, store)


async def investigate(
    inquiry: Inquiry, case: Case, *, investigator: Investigator, store: RunStore, clock: Clock, tell: Tell
) -> Turned:
    """Ask the model once, and say what its answer wants. Raises StoreUnavailable only."""
    leash = investigator.leash
    day = await investigator.book.spent_since(clock.now() - DAY)
    if spent := over(inquiry.bill, day, leash):
        return _ended(inquiry, "budget", spent)
    texts = await fetched(inquiry, store)
    looking = _specs(investigator, case)
    specs = [conclude_tool()]
    beside = int(size_of([], [*specs, *looking]) / LETTERS_PER_TOKEN) + leash.answer_tokens
    told = messages(inquiry, texts, context_tokens=leash.context_tokens, reserved=beside)
    final = bool(inquiry.shortfall) or is_last(inquiry.bill, tokens(told) + beside, leash, day)
    if final:
        told.append(Message(role="user", text=LAST))
        inquiry = inquiry if inquiry.shortfall else replace(inquiry, shortfall="budget", why="the budget is nearly used up")
    else:
        specs += looking
        aliases = aliases_of(inquiry, case, investigator, texts)
        specs = [_hidden(one, aliases) for one in specs]
        inquiry = await with_names(inquiry, aliases, store)
    began = clock.now()
    try:
        reply = await _answered(told, specs, case, investigator=investigator, bill=inquiry.bill, clock=clock, tell=tell)
    except ModelUnavailable as exc:
        waited = (clock.now() - began).total_seconds()
        late = replace(inquiry, bill=inquiry.bill.later(waited))
        if exc.reason == "context-overflow" and not inquiry.was_squeezed:
            await tell("the model cannot take that much at once: older looks are shortened")
            return Turned(inquiry=replace(late, was_squeezed=True), then="investigate")
        return _ended(late, exc.reason, str(exc))
    waited = (clock.now() - began).total_seconds()
    after = replace(inquiry, bill=inquiry.bill.plus(reply.usage, leash.price, waited))
    turn = Turn(reply=await store.put_blob(write_reply(reply)))
    concluding = next((call for call in reply.calls if call.name == CONCLUDE), None)
    if reply.calls and concluding is None:
        if final:
            return _ended(after, after.shortfall, f"{after.why}, and it did not conclude when it was told to")
        return Turned(inquiry=after.with_turn(turn), then="look")
    said = concluding.arguments if concluding is not None else reply.text
    return await _concluded(after, turn, reply, said, case, investigator=investigator, store=store, tell=tell)


async def _answered(
    told: Sequence[Message],
    specs: Sequence[ToolSpec],
    case: Case,
    *,
    investigator: Investigator,
    bill: Bill,
    clock: Clock,
    tell: Tell,
) -> Reply:
    """From the book where it came in before a crash, else from the model, for whom the money is taken out of the day's budget
    first: runs that ask at the same time cannot spend the same. Raises ModelUnavailable."""
    leash, chat, book = investigator.leash, investigator.chat, investigator.book
    digest = request_digest(chat.name, told, specs)
    paid = await book.paid(case.run, digest)
    if paid is not None:
        return read_reply(paid)

    async def progress(line: str) -> None:
        await tell(f"the model {line}")

    now, left = clock.now(), max(1.0, leash.run_seconds - bill.seconds)
    until = now + timedelta(seconds=left) + LATE
    wanted = at_most(size_of(told, specs), leash)
    if not await book.reserve(case.run, wanted, most=most_of_a_day(leash), since=now - DAY, until=until):
        raise ModelUnavailable(
            "budget", f"what is left of the budget of 24 hours may be less than one answer costs ({wanted.tokens} tokens)"
        )
    try:
        async with asyncio.timeout(left):
            reply = await chat.reply(told, specs, most_tokens=leash.answer_tokens, progress=progress)
    except BaseException as exc:
        await book.give_back(case.run)
        if isinstance(exc, TimeoutError):
            raise ModelUnavailable("timeout", f"the model did not answer within the {leash.run_seconds:g} s of a run") from None
        raise
    used = reply.usage.prompt + reply.usage.completion
    await book.enter(
        PaidCall(run=case.run, request=digest, reply=write_reply(reply), tokens=used, cost=leash.price.of(reply.usage))
    )
    return reply


async def _concluded(
    inquiry: Inquiry, turn: Turn, reply: Reply, said: str, case: Case, *, investigator: Investigator, store: RunStore, tell: Tell
) -> Turned:
    """Its answer, read and held against the evidence; sent back once for its form and once for what does not stand."""
    aliases = aliases_of(inquiry, case, investigator, await fetched(inquiry, store))
    try:
        proposal = read_proposal(aliases.show(said))
    except NotInForm as exc:
        if inquiry.was_repaired or inquiry.shortfall:
            return _ended(inquiry, "unusable", f"the model's answer is not in the form asked for: {exc}")
        await tell("the model's answer is not in the form asked for: sent back")
        back = await _sent_back(turn, reply, aliases.hide(str(exc)), store)
        named = await with_names(inquiry.with_turn(back), aliases, store)
        return Turned(inquiry=replace(named, was_repaired=True), then="investigate")
    pieces = await pieces_of(inquiry.looks, store)
    held = await asyncio.to_thread(lambda: believed(proposal, known(case, pieces)))  # it reads all that was looked at
    kept = replace(inquiry, proposal=await store.put_blob(proposal.model_dump_json()))
    if held.violations and not inquiry.was_sent_back and not inquiry.shortfall:
        claims: list[Json] = list(held.violations[:20])
        await tell(f"{len(held.violations)} of the model's claims do not stand: sent back", {"claims": claims})
        words = "These do not stand:\n" + "\n".join(f"- {one}" for one in held.violations[:20])
        words += f"\nCorrect or leave out what does not stand, and {CONCLUDE} again. What still does not stand is dropped."
        back = await _sent_back(turn, reply, aliases.hide(words), store)
        named = await with_names(kept.with_turn(back), aliases, store)
        return Turned(inquiry=replace(named, was_sent_back=True), then="investigate")
    return Turned(inquiry=kept.with_turn(turn), then="settle")


async def _sent_back(turn: Turn, reply: Reply, words: str, store: RunStore) -> Turn:
    """Every call of a message has to be answered before anything else is said."""
    blob = await store.put_blob(words)
    if not reply.calls:
        return replace(turn, note=blob)
    other = await store.put_blob("not looked up: you concluded in the same message")
    results = tuple(Result(call=call.id, sha256=blob if call.name == CONCLUDE else other) for call in reply.calls)
    return replace(turn, results=results)


def _ended(inquiry: Inquiry, reason: str, why: str) -> Turned:
    return Turned(inquiry=replace(inquiry, shortfall=reason, why=why), then="settle")


def _specs(investigator: Investigator, case: Case) -> list[ToolSpec]:
    slicing = ToolSpec(name="slice", description="Another part of a look: by words, lines or time.", parameters=SLICE_SCHEMA)
    tools = tools_of(investigator, case.view).values()
    return [slicing, *(ToolSpec(name=one.name, description=one.description, parameters=one.schema) for one in tools)]


def _hidden(spec: ToolSpec, aliases: Aliases) -> ToolSpec:
    """What a tool says of itself may name hosts and objects too; what it and its arguments are called has to stay."""
    if not aliases.is_on:
        return spec

    def hidden(part: Json, key: str = "") -> Json:
        if isinstance(part, dict):
            return {name: hidden(one, name) for name, one in part.items()}
        if isinstance(part, list):
            return part if key == "required" else [hidden(one, key) for one in part]
        return aliases.hide(part) if isinstance(part, str) and key in ("description", "enum", "const", "default") else part

    parameters = cast("dict[str, Json]", hidden(dict(spec.parameters)))
    return ToolSpec(name=spec.name, description=aliases.hide(spec.description), parameters=parameters)


async def with_names(inquiry: Inquiry, aliases: Aliases, store: RunStore) -> Inquiry:
    """The inquiry with every alias that was given so far, to know what comes back."""
    return replace(inquiry, names=await store.put_blob(aliases.document())) if aliases.is_on else inquiry


async def fetched(inquiry: Inquiry, store: RunStore) -> dict[str, str]:
    """The texts of the conversation. One that is gone reads as a gap."""
    names = [*inquiry.blobs, *([inquiry.names] if inquiry.names else [])]
    return {name: await store.blob(name) or "(no longer kept)" for name in names if name}


async def pieces_of(looks: Sequence[Look], store: RunStore) -> dict[str, Piece]:
    """The whole text of each look."""
    return {
        one.id: Piece(
            source=one.source,
            text=f"nothing was seen: {one.missing}" if one.missing else await store.blob(one.sha256) or "",
        )
        for one in looks
    }
