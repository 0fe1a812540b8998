"""An incident as people live through it in Slack: the alert's thread, the approval elsewhere, the outcome in the same message,
and questions in the thread. On the laboratory, with the real sidecar, over Socket Mode as Slack speaks it."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest

from agent.app import create_app
from agent.cli.demonstration import Demonstration
from agent.cli.governed import approve_everything
from agent.store import SqlDeliveryBook
from lab.scenarios import load
from tests.agent.slack.conftest import until
from tests.agent.slack.limits import is_within_limits
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, FakeSlack, words_of

pytestmark = pytest.mark.timeout(120)
CHANNEL = "C0INCIDENTS"


@pytest.fixture
def slack():
    slack = FakeSlack().start()
    yield slack
    slack.end()


class InSlack(Demonstration):
    """The demonstration with the agent's Slack app, and a folder that reports are delivered to."""

    slack: FakeSlack

    def settings(self):
        for name, text in (("bot", BOT_TOKEN), ("app", APP_TOKEN)):
            (self.folder / name).write_text(text)
        (self.folder / "deliveries.yaml").write_text("places: [{name: handbook, git: {folder: handbook}}]")
        return (
            super()
            .settings()
            .model_copy(
                update={
                    "slack_bot_token_file": self.folder / "bot",
                    "slack_app_token_file": self.folder / "app",
                    "slack_channel": CHANNEL,
                    "slack_api_url": self.slack.api_url,
                    "approvals_url": self.people_url,
                    "deliveries": self.folder / "deliveries.yaml",
                }
            )
        )


@asynccontextmanager
async def serving(demonstration: InSlack):
    app = create_app(demonstration.shop)
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        await SqlDeliveryBook(app.state.shop.database).mark("slack-threads")  # what is opened from now on gets a thread
        yield http


async def shows(slack: FakeSlack, words: str, *, thread: str = ""):
    def look():
        among = slack.in_thread(thread) if thread else [one for one in slack.messages.values() if not one.get("thread_ts")]
        return next((one for one in among if words in words_of(one)), None)

    for _ in range(3):
        try:
            return await until(look, f"a message says {words!r}")
        except AssertionError:
            continue
    raise AssertionError(f"never: {words!r} in {[words_of(one)[:600] for one in slack.messages.values()]}")


@pytest.mark.usefixtures("font")
async def test_from_the_alert_over_the_approval_to_the_outcome_and_questions_after_it(slack, tmp_path):
    InSlack.slack = slack
    with InSlack(load("memory-limit"), folder=tmp_path) as demonstration:
        async with serving(demonstration) as http:
            await until(slack.is_linked, "Socket Mode is linked")
            for notification in demonstration.lab.alerts():
                assert (await http.post("/webhooks/alertmanager", json=notification)).status_code in (200, 202)
            waiting = await shows(slack, "Waiting for approval")
            assert f"{demonstration.people_url}/approvals/" in str(waiting["blocks"])
            people = asyncio.create_task(approve_everything(demonstration))
            done = await shows(slack, "Repaired and verified")
            people.cancel()
            assert done["ts"] == waiting["ts"]
            is_within_limits([block for block in done["blocks"] if "link" not in str(block)])
            await until(lambda: sum(file.get("complete", False) for file in slack.files.values()) == 2, "chart and report")
            assert any(file["raw"].startswith(b"\x89PNG") for file in slack.files.values())

            asked = slack.said("is it fixed now?", "UADA", channel=CHANNEL, thread=done["ts"])
            await asyncio.to_thread(slack.send_by_socket, asked, "events_api")
            await shows(slack, "No active fault", thread=done["ts"])
            await until(lambda: list((tmp_path / "handbook" / "reports").glob("*/*/*.md")), "the report is in the handbook")
