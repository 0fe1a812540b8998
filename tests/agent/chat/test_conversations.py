"""Conversations on the fake world: follow-ups, repairs that are asked for, turns that end whatever happens."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from agent.chat.answering import Answering
from agent.chat.conversation import LONGEST, Conversations
from agent.chat.exchange import Answered, Exchange, Found, Opened, Stepped, Told
from agent.chat.meaning import Repair
from agent.domain.session import Reply, Thread, Turn
from agent.errors import Busy, InputError, LestradeError, NotThere
from agent.settings import Settings
from agent.store import SqlRetention
from tests.fakes.agent_shop import crowd, fake_shop
from tests.fakes.agent_world import HEALS, TOO_LOW, Script, World


@pytest.fixture
async def shop(tmp_path):
    async with fake_shop(tmp_path, Script()) as opened:
        yield opened


@pytest.fixture
async def conversations(shop):
    made = Conversations(shop)
    yield made
    await made.close()


async def said(conversations: Conversations, words: str, session: str = "", **rest: str) -> tuple[str, Reply]:
    exchange = await conversations.begin(words, session=session, **rest)
    return exchange.session, await exchange.answer()


async def heard(exchange: Exchange) -> list[Told]:
    return [told async for told in exchange.listen()]


async def settled(world: World) -> None:
    for _ in range(400):
        if world.settlements():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(world.calls)


async def test_a_question_is_answered_with_its_steps_and_evidence_as_they_come(conversations):
    told = await heard(await conversations.begin("why does checkout restart?", asked_by="ada"))

    assert isinstance(told[0], Opened)
    assert isinstance(told[-1], Answered)
    assert [one.stage for one in told if isinstance(one, Stepped)] == ["intake", "intake", "gather", "diagnose", "conclude"]
    assert ["OOMKilled" in one.evidence.text for one in told if isinstance(one, Found)] == [True]
    assert told[-1].reply.causes[0].cause == "oom-killed"
    assert told[-1].reply.causes[0].evidence == ("ev-1",)


async def test_a_question_changes_nothing_where_it_could(conversations, tmp_path):
    await said(conversations, "why does checkout restart?")

    assert World(tmp_path / "world.json").writes == []
    assert "submit" not in World(tmp_path / "world.json").calls


async def test_of_a_run_that_is_kept_no_longer_that_is_said_and_not_that_there_was_none(conversations, shop):
    _, first = await said(conversations, "why does checkout restart?")
    await SqlRetention(shop.database).prune(before=datetime.now(UTC) + timedelta(hours=1), raw_before=None)
    thread = Thread(run=first.run, faulty=first.run, question="why does checkout restart?")

    for words in ("why?", "fix it"):
        exchange = await conversations.begin(words, thread=thread)
        assert (await exchange.answer()).text.startswith(f"Run {first.run} was looked into, but is kept no longer")


async def test_fix_it_has_the_same_incident_repaired_through_the_sidecar(conversations, shop, tmp_path):
    session, _ = await said(conversations, "why does checkout restart?", asked_by="ada")
    _, reply = await said(conversations, "fix it", session, asked_by="ada")
    world = World(tmp_path / "world.json")
    await settled(world)
    runs = await shop.store.rows(limit=10)

    assert reply.outcome in ("waiting", "repaired")
    assert world.memory == HEALS
    assert [one["plan"]["requested_by"] for one in world.load()["plans"].values()] == ["ada"]
    assert len({row.incident.id for row in runs}) == 1
    assert sorted(row.incident.look_only for row in runs) == [False, True]


async def test_a_plan_that_waits_for_people_is_an_answer_and_the_conversation_goes_on(tmp_path):
    async with fake_shop(tmp_path, Script(answer="never")) as shop:
        conversations = Conversations(shop)
        session, _ = await said(conversations, "why does checkout restart?")
        _, waiting = await said(conversations, "fix it", session)
        _, still = await said(conversations, "is it fixed now?", session)
        _, again = await said(conversations, "fix it", session)
        await conversations.close()
        runs = await shop.store.rows(limit=10)

    assert [one.outcome for one in (waiting, still, again)] == ["waiting", "waiting", "waiting"]
    assert "never here" in waiting.text
    assert waiting.run == still.run == again.run
    assert len(runs) == 2


async def test_without_a_sidecar_fix_it_says_so_and_shows_the_plan(tmp_path):
    async with fake_shop(tmp_path, Script(), governed=False) as shop:
        conversations = Conversations(shop)
        session, _ = await said(conversations, "why does checkout restart?")
        _, reply = await said(conversations, "fix it", session)
        await conversations.close()

    assert reply.outcome == "no-sidecar"
    assert "There is no sidecar" in reply.text
    assert "256Mi" in reply.text
    assert World(tmp_path / "world.json").memory == TOO_LOW


async def test_why_shows_what_the_last_answer_rests_on_without_another_run(conversations, shop):
    session, first = await said(conversations, "why does checkout restart?")
    _, why = await said(conversations, "why?", session)
    _, evidence = await said(conversations, "are you sure?", session)

    assert "OOMKilled at the limit" in why.text
    assert "exitCode: 137" in evidence.text
    assert why.run == first.run
    assert len(await shop.store.rows(limit=10)) == 1


async def test_one_turn_of_a_session_at_a_time(tmp_path):
    async with fake_shop(tmp_path, Script(), settings=Settings(cluster_runs=1)) as shop:
        await crowd(shop.store)
        conversations = Conversations(shop)
        first = await conversations.begin("why does checkout restart?")
        with pytest.raises(Busy):
            await conversations.begin("and now?", session=first.session)
        await conversations.stop(first.session)
        _, after = await said(conversations, "hello", first.session)
        await conversations.close()

    assert after.outcome == "told"


async def test_who_leaves_stops_nothing(conversations):
    exchange = await conversations.begin("why does checkout restart?")
    async for _ in exchange.listen():
        break
    reply = await exchange.answer()

    assert reply.outcome == "diagnosed"


async def test_an_answer_can_be_stopped_and_its_run_says_so(tmp_path):
    async with fake_shop(tmp_path, Script(), settings=Settings(cluster_runs=1)) as shop:
        await crowd(shop.store)
        conversations = Conversations(shop)
        exchange = await conversations.begin("why does checkout restart?", asked_by="ada")
        async for told in exchange.listen():
            if isinstance(told, Stepped):
                break
        stopped = await conversations.stop(exchange.session, asked_by="ada")
        session = await conversations.session(exchange.session, asked_by="ada")
        again = await conversations.stop(exchange.session, asked_by="ada")
        row = await shop.store.row(exchange.run)
        await conversations.close()

    assert [stopped, again] == [True, False]
    assert session.turns[-1].state == "stopped"
    assert row is not None
    assert row.outcome == "stopped"


async def test_what_may_act_is_not_stopped_from_a_conversation(tmp_path):
    async with fake_shop(tmp_path, Script(answer="never")) as shop:
        conversations = Conversations(shop)
        session, _ = await said(conversations, "why does checkout restart?")
        exchange = await conversations.begin("fix it", session=session)
        async for told in exchange.listen():
            if isinstance(told, Stepped) and told.run:
                break
        with pytest.raises(Busy, match="may act"):
            await conversations.stop(session)
        await conversations.close()


async def test_a_session_is_resumed_by_another_process(tmp_path):
    async with fake_shop(tmp_path, Script()) as shop:
        conversations = Conversations(shop)
        session, _ = await said(conversations, "why does checkout restart?", asked_by="ada")
        await conversations.close()
    async with fake_shop(tmp_path) as shop:
        conversations = Conversations(shop)
        _, why = await said(conversations, "why?", session, asked_by="ada")
        known = await conversations.session(session, asked_by="ada")
        listed = await conversations.sessions(asked_by="ada")
        await conversations.close()

    assert why.outcome == "shown"
    assert [turn.said for turn in known.turns] == ["why does checkout restart?", "why?"]
    assert [one.title for one in listed] == ["why does checkout restart?"]


async def test_a_turn_whose_process_ended_is_carried_on_by_the_next(tmp_path):
    async with fake_shop(tmp_path, Script()) as shop:
        conversations = Conversations(shop)
        exchange = await conversations.begin("why does checkout restart?")
        async for told in exchange.listen():
            if isinstance(told, Stepped) and told.stage == "gather":
                break
        await conversations.close()
        left = await shop.sessions.load(exchange.session)
    async with fake_shop(tmp_path) as shop:
        conversations = Conversations(shop)
        await conversations.session(exchange.session)
        live = conversations.live(exchange.session)
        reply = await live.answer() if live else None
        known = await conversations.session(exchange.session)
        await conversations.close()

    assert left is not None
    assert left.turns[-1].state == "open"
    assert reply is not None
    assert reply.causes[0].cause == "oom-killed"
    assert known.turns[-1].state == "answered"
    assert known.thread.faulty == reply.run


async def test_a_session_of_somebody_else_is_not_there(conversations):
    session, _ = await said(conversations, "hello", asked_by="ada")

    with pytest.raises(NotThere):
        await conversations.begin("why?", session=session, asked_by="eve")
    with pytest.raises(NotThere):
        await conversations.stop(session, asked_by="eve")
    assert await conversations.sessions(asked_by="eve") == []


async def test_a_conversation_may_begin_with_what_a_run_found(conversations):
    _, first = await said(conversations, "why does checkout restart?")
    _, why = await said(conversations, "why?", run=first.run)

    assert why.run == first.run
    with pytest.raises(NotThere):
        await conversations.begin("why?", run="run-of-nobody")


async def test_a_thread_elsewhere_has_one_session_for_all_who_speak_in_it(conversations, shop):
    first = await conversations.begin("why does checkout restart?", key="C1/17.2", owner="slack", asked_by="U1")
    await first.answer()
    second = await conversations.begin("why?", key="C1/17.2", owner="slack", asked_by="U2")

    assert second.session == first.session
    assert (await second.answer()).outcome == "shown"
    assert [row.incident.asked_by for row in await shop.store.rows(limit=5)] == ["U1"]


async def test_secrets_in_what_is_said_are_not_kept(conversations, shop):
    session, _ = await said(conversations, "why is the password=hunter2hunter2 of checkout refused?")
    known = await conversations.session(session)

    assert "hunter2" not in str(known)
    assert all("hunter2" not in row.incident.question for row in await shop.store.rows(limit=5))


@pytest.mark.parametrize("words", ["", "  \n ", "x" * (LONGEST + 1)])
async def test_words_that_cannot_be_used_are_refused_before_anything_is_kept(conversations, words):
    with pytest.raises(InputError):
        await conversations.begin(words)
    assert await conversations.sessions() == []


async def test_a_cluster_that_is_away_ends_the_turn_with_what_went_wrong(tmp_path):
    async with fake_shop(tmp_path, Script(unreachable=True)) as shop:
        conversations = Conversations(shop)
        exchange = await conversations.begin("logs of checkout")
        with pytest.raises(LestradeError, match="nothing answers"):
            await exchange.answer()
        known = await conversations.session(exchange.session)
        await conversations.close()

    assert known.turns[-1].state == "failed"


async def test_what_may_act_cannot_be_stopped_while_its_run_is_being_opened():
    opening, never = asyncio.Event(), asyncio.Event()

    async def take(**asked):
        opening.set()
        await never.wait()

    answering = Answering(SimpleNamespace(governed=True, take=take), None, None, None)
    exchange = Exchange("chat-1", Turn(number=1, at=datetime.now(UTC), said="fix checkout", state="open"))
    work = asyncio.create_task(answering.answer(Repair(question="fix checkout"), Thread(), exchange, asked_by="ada"))
    await opening.wait()

    assert not exchange.may_stop  # it may be written already, and a worker may have it
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
