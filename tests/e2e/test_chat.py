"""A conversation with everything real but the cluster: a question changes nothing, "fix it" goes through sidecar and people."""

import asyncio

import pytest

from agent.chat.conversation import Conversations
from agent.cli.demonstration import Demonstration
from agent.cli.governed import approve_everything
from lab.scenarios import load

pytestmark = pytest.mark.timeout(120)


async def test_from_the_question_over_fix_it_to_is_it_fixed(tmp_path):
    with Demonstration(load("memory-limit"), folder=tmp_path) as demonstration:
        async with demonstration.shop() as shop:
            conversations = Conversations(shop)

            async def said(words: str, session: str = ""):
                exchange = await conversations.begin(words, session=session, asked_by="grace")
                return exchange.session, await exchange.answer()

            session, found = await said("what is wrong in namespace shop?")
            untouched = list(demonstration.writes())
            _, waiting = await said("fix it", session)
            people = asyncio.create_task(approve_everything(demonstration))
            row = await shop.store.row(waiting.run)
            async for _ in shop.events.follow(waiting.run):
                pass
            people.cancel()
            _, now = await said("is it fixed now?", session)
            report = await shop.report(waiting.run)
            await conversations.close()
        healed = demonstration.lab.healed()

    assert found.causes[0].cause == "oom-killed"
    assert untouched == []
    assert waiting.outcome == "waiting"
    assert row is not None
    assert report is not None
    assert report.outcome == "repaired"
    assert report.rounds[0].plan.requested_by == "grace"
    assert healed
    assert now.outcome == "healthy"
    assert "Repaired" in now.text
