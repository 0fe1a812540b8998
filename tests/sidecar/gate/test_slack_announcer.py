"""Cards follow what happens: posted once, kept up to date in place, through failures of Slack and two sidecars at once."""

import asyncio
from dataclasses import dataclass, field

import pytest

from sidecar.approvals.slack import cards
from sidecar.approvals.slack.access import channel_of
from sidecar.approvals.slack.announcer import Announcer
from sidecar.approvals.slack.ports import Access
from sidecar.approvals.slack.web import SlackRefused, SlackUnavailable
from sidecar.gate.answer import answer
from sidecar.gate.channel import SlackDesk
from sidecar.gate.submit import submit
from tests.fakes.sidecar_gate import deployment, make_world, plan, scale
from tests.fakes.slack import buttons_of, words_of


@dataclass
class FakePosts:
    """A channel on paper."""

    messages: dict[str, dict] = field(default_factory=dict)
    updates: int = 0
    files: list[str] = field(default_factory=list)
    failing: Exception | None = None
    slow: float = 0.0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def post(self, channel, text, blocks):
        await self._maybe()
        ts = f"{len(self.messages) + 1}.0"
        self.messages[ts] = {"channel": channel, "text": text, "blocks": list(blocks)}
        return ts

    async def update(self, channel, ts, text, blocks):
        await self._maybe()
        if ts not in self.messages:
            raise SlackRefused("message_not_found")
        self.updates += 1
        self.messages[ts] = {"channel": channel, "text": text, "blocks": list(blocks)}

    async def file(self, channel, thread, name, content):
        await self._maybe()
        self.files.append(content)

    async def _maybe(self):
        self.asked.set()
        await asyncio.sleep(self.slow)
        if self.failing is not None:
            raise self.failing

    def only(self) -> dict:
        assert len(self.messages) == 1
        return next(iter(self.messages.values()))


ACCESS = Access(bot_token="xoxb-x", team="T0", app_id="A0", channels={"": "C0", "prod": "C0PROD"}, cards_a_minute=3)


@pytest.fixture
def url(database):
    return database()


@pytest.fixture
def world(tmp_path, url):
    world = make_world(tmp_path, url)
    world.cluster.put("deployments", deployment(), "apps")
    world.people.add("ada", "approver", "sre", "platform")
    return world


@pytest.fixture
def posts():
    return FakePosts()


def announcer(world, posts) -> Announcer:
    return Announcer(SlackDesk(world.desk), posts, ACCESS)


def waiting(world, number: int = 5) -> str:
    world.clock.advance(seconds=1)
    status = submit(plan(scale(number), incident=f"inc-{number}"), desk=world.desk)
    assert status.state == "waiting", status
    return status.plan


def said(world, digest: str, verdict: str) -> None:
    person = world.people.by_name("ada")
    revision = world.desk.judge.revision
    came = answer(digest, person=person, verdict=verdict, plan=digest, revision=revision, via="cli", reason="", desk=world.desk)
    assert not hasattr(came, "status"), came


async def test_a_plan_gets_one_card_which_is_changed_in_place_when_somebody_answers(world, posts):
    digest = waiting(world)
    one = announcer(world, posts)
    for _ in range(3):
        await one.look()
    assert buttons_of(posts.only()) == ["approval_approve", "approval_deny"]
    assert posts.updates == 0

    said(world, digest, "deny")  # on another channel
    await one.look()
    assert "ada said NO (cli)" in words_of(posts.only())
    assert buttons_of(posts.only()) == []
    await one.look()
    assert posts.updates == 1


async def test_a_plan_that_nobody_answers_says_expired_without_anybody_asking(world, posts):
    waiting(world)
    one = announcer(world, posts)
    await one.look()
    world.clock.advance(hours=2)
    await one.look()
    assert "EXPIRED, not approved" in words_of(posts.only())


async def test_two_sidecars_post_one_card(world, posts, tmp_path, url):
    posts.slow = 0.05
    digests = [waiting(world, number) for number in (5, 6)]
    other = make_world(tmp_path, url)  # a process of its own would have its own desk on the same database
    one, two = announcer(world, posts), announcer(other, posts)
    await asyncio.gather(one.look(), two.look(), one.look(), two.look())
    assert len(posts.messages) == 2

    said(world, digests[0], "deny")
    await asyncio.gather(one.look(), two.look())
    assert posts.updates == 1


async def test_what_a_killed_sidecar_had_claimed_is_posted_by_another_one_later(world, posts):
    waiting(world)
    posts.slow = 60
    dying = asyncio.create_task(announcer(world, posts).look())
    async with asyncio.timeout(30):
        await posts.asked.wait()
    dying.cancel()
    posts.slow = 0
    other = announcer(world, posts)
    await other.look()
    assert posts.messages == {}
    world.clock.advance(seconds=150)
    await other.look()
    assert len(posts.messages) == 1


async def test_while_slack_is_down_nothing_is_lost_and_nothing_is_approved(world, posts):
    digest = waiting(world)
    posts.failing = SlackUnavailable("down")
    one = announcer(world, posts)
    for _ in range(3):
        with pytest.raises(SlackUnavailable):
            await one.look()
    assert SlackDesk(world.desk).asked(digest).state == "waiting"
    posts.failing = None
    await announcer(world, posts).look()  # after a restart
    assert len(posts.messages) == 1


async def test_one_card_that_slack_does_not_take_does_not_keep_the_others_back(world, posts):
    first, second = waiting(world, 5), waiting(world, 6)
    refused = []

    async def post(channel, text, blocks, *, usual=posts.post):
        if first in str(blocks) and not refused:
            refused.append(first)
            raise SlackRefused("invalid_blocks")
        return await usual(channel, text, blocks)

    posts.post = post
    one = announcer(world, posts)
    await one.look()
    assert second in str(posts.only())
    world.clock.advance(seconds=61)
    await one.look()
    assert len(posts.messages) == 2


async def test_a_card_that_somebody_deleted_is_posted_again_while_the_plan_waits(world, posts):
    digest = waiting(world)
    one = announcer(world, posts)
    await one.look()
    posts.messages.clear()
    with world.desk.ledger.write() as transaction:
        cards.reopen(transaction.connection, digest)
    one.stir()
    await one.look()  # the update finds no message
    world.clock.advance(seconds=61)
    await one.look()
    assert digest in str(posts.only())


async def test_more_than_a_few_in_a_minute_are_one_message_and_each_can_be_shown(world, posts):
    digests = [waiting(world, number) for number in range(5, 12)]
    one = announcer(world, posts)
    await one.look()
    assert len(posts.messages) == 4
    summary = posts.messages["4.0"]
    assert "4 more plans wait" in words_of(summary)
    assert set(buttons_of(summary)) == {"approval_show"}

    said(world, digests[-1], "deny")
    await one.look()
    assert len(posts.messages) == 4
    assert "3 more plans wait" in words_of(posts.messages["4.0"])
    world.clock.advance(hours=2)
    await one.look()
    assert "No more plans of this summary wait" in words_of(posts.messages["4.0"])
    before = posts.updates
    await one.look()
    assert posts.updates == before


async def test_the_channel_is_that_of_the_environment(world, posts):
    access = Access(bot_token="x", team="T0", app_id="A0", channels={"": "C0", "prod/shop": "C0SHOP", "prod": "C0PROD"})
    assert [
        channel_of(access, *where)
        for where in (("prod", "shop"), ("prod", "pay"), ("dev", "shop"), ("", ""), ("test, prod", "pay"))
    ] == [
        "C0SHOP",
        "C0PROD",
        "C0",
        "C0",
        "C0PROD",
    ]
