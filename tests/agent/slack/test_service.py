"""The service with Slack switched on: from a mention over HTTP to the diagnosis, on the real conversations, graph and store."""

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager

import httpx
import pytest

from agent.app import create_app
from agent.app.people import PeopleFile
from agent.chat.slack.conversing import OWNER
from agent.errors import InputError
from agent.settings import Settings
from agent.store import SqlDeliveryBook
from tests.agent.slack.conftest import CHANNEL, until
from tests.agent.slack.test_messages import ROOT
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script
from tests.fakes.slack import BOT_TOKEN, SECRET, event_bytes, signed, words_of


def settings_for(folder, slack, **over) -> Settings:
    for name, text in (("bot", BOT_TOKEN), ("secret", SECRET)):
        (folder / name).write_text(text + "\n")
    usual = {
        "slack_bot_token_file": folder / "bot",
        "slack_signing_secret_file": folder / "secret",
        "slack_channel": CHANNEL,
        "slack_api_url": slack.api_url,
        "public_url": "https://lestrade.example",
    }
    return Settings(**{**usual, **over})


@asynccontextmanager
async def serving(folder, settings, script: Script | None = None):
    app = create_app(lambda: fake_shop(folder, script, settings=settings))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield app, http


async def say(http, payload) -> httpx.Response:
    body = event_bytes(payload)
    return await http.post("/slack/events", content=body, headers={**signed(body), "Content-Type": "application/json"})


async def shows(slack, thread: str, words: str, number: int = 0):
    def look():
        found = slack.in_thread(thread)
        return found[number] if len(found) > number and words in words_of(found[number]) else None

    return await until(look, f"message {number} of the thread says {words!r}")


async def test_a_mention_becomes_a_diagnosis_in_the_thread_and_a_follow_up_knows_it(world, tmp_path):
    slack = world.slack
    async with serving(tmp_path, settings_for(tmp_path, slack)) as (_, http):
        asked = slack.said("why does checkout restart?", "UADA")
        thread = asked["event"]["ts"]
        assert (await say(http, asked)).status_code == 200
        done = await shows(slack, thread, "oom-killed")
        assert "sure" in words_of(done)
        follow = slack.said("why?", "UBOB", thread=thread)
        assert (await say(http, follow)).status_code == 200
        await shows(slack, thread, "oom-killed", 1)
        runs = (await http.get("/v1/runs")).json()["runs"]
        assert [run["incident"]["asked_by"] for run in runs] == ["UADA"], "the follow-up needed no run of its own"
        assert runs[0]["incident"]["look_only"] is True, "a question proposes nothing"


async def test_fix_it_makes_a_plan_of_the_asker_and_approves_nothing(world, tmp_path):
    slack = world.slack
    async with serving(tmp_path, settings_for(tmp_path, slack)) as (_, http):
        asked = slack.said("why does checkout restart?", "UADA")
        thread = asked["event"]["ts"]
        await say(http, asked)
        await shows(slack, thread, "oom-killed")
        await say(http, slack.said("fix it", "UBOB", thread=thread))
        await until(lambda: len(slack.in_thread(thread)) == 2)
        runs = []
        for _ in range(200):
            runs = (await http.get("/v1/runs")).json()["runs"]
            if len(runs) == 2:
                break
            await asyncio.sleep(0.02)
        acting = [run for run in runs if not run["incident"]["look_only"]]
        assert [run["incident"]["asked_by"] for run in acting] == ["UBOB"], "who asked cannot approve it"


async def test_in_an_incidents_thread_a_question_is_about_it_as_soon_as_it_is_known_and_says_where_it_stands_before(
    world, tmp_path
):
    slack = world.slack
    async with serving(tmp_path, settings_for(tmp_path, slack), Script(answer="never", polls_before_answer=10_000)) as (
        app,
        http,
    ):
        await SqlDeliveryBook(app.state.shop.database).mark("slack-threads")
        alert = {"status": "firing", "labels": {"alertname": "Crash", "namespace": "shop"}, "fingerprint": "ab"}
        await http.post("/webhooks/alertmanager", json={"version": "4", "groupKey": "g", "status": "firing", "alerts": [alert]})
        first = await until(lambda: next((one for one in slack.messages.values() if "Waiting for" in words_of(one)), None))
        await say(http, slack.said("why?", "UADA", thread=first["ts"]))
        await shows(slack, first["ts"], "is not finished: waiting for")
        await say(http, slack.said("", "UADA", thread=first["ts"]))
        await shows(slack, first["ts"], "Ask in plain words", 1)


async def test_the_door_refuses_what_is_not_slack_and_is_not_there_without_a_secret(world, tmp_path):
    slack = world.slack
    async with serving(tmp_path, settings_for(tmp_path, slack)) as (_, http):
        body = event_bytes(slack.said("why?", "UADA"))
        assert (await http.post("/slack/events", content=body)).status_code == 401
        assert (await http.post("/slack/events", content=body, headers=signed(body, secret="x" * 32))).status_code == 401
        large = b"x" * 300_000
        assert (await http.post("/slack/events", content=large, headers=signed(large))).status_code == 413
        assert (await http.get("/slack/events")).status_code == 405
        hello = json.dumps({"type": "url_verification", "challenge": "c", "token": "t"}).encode()
        assert (await http.post("/slack/events", content=hello, headers=signed(hello))).json() == {"challenge": "c"}
    other = tmp_path / "other"
    other.mkdir()
    async with serving(other, Settings()) as (_, http):
        assert (await http.post("/slack/events", content=b"{}")).status_code == 404


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"slack_bot_token_file": None}, "LESTRADE_SLACK_BOT_TOKEN_FILE"),
        ({"slack_channel": "#incidents"}, "is no id such as C0123ABCD"),
        ({"slack_channel": "C0ONE, C0TWO"}, "at most 1"),
        ({"slack_api_url": "http://slack.example/api/"}, "https"),
        ({"slack_teams": "shop"}, "LESTRADE_SLACK_TEAMS"),
    ],
)
async def test_a_setting_that_cannot_be_used_is_said_at_the_start(world, tmp_path, over, said):
    with pytest.raises(InputError, match=said):
        async with serving(tmp_path, settings_for(tmp_path, world.slack, **over)):
            pass


def test_without_slack_its_library_is_not_imported_and_where_it_is_missing_the_extra_is_named():
    probe = (
        "import sys, agent.app; print([name for name in sys.modules if name.startswith(('slack_', 'resvg'))])\n"
        "sys.modules['slack_sdk'] = None\n"
        "import tempfile, pathlib; from types import SimpleNamespace as Shop; from agent.app.slack import slack_of\n"
        "from agent.settings import Settings\n"
        "bot = pathlib.Path(tempfile.mkdtemp()) / 'bot'; bot.write_text('xoxb-something')\n"
        "try: slack_of(Shop(settings=Settings(slack_bot_token_file=bot)), None, None, pause=1)\n"
        "except Exception as exc: print(type(exc).__name__, exc)"
    )
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    imported, said = found.stdout.splitlines()
    assert imported == "[]"
    assert said.startswith("InputError setting LESTRADE_SLACK_BOT_TOKEN_FILE")
    assert said.endswith("install lestrade[slack]")


async def test_secrets_that_cannot_be_read_are_said_without_what_is_in_them(world, tmp_path):
    settings = settings_for(tmp_path, world.slack)
    (tmp_path / "bot").write_text("xoxp-canary-of-a-person")
    with pytest.raises(InputError, match="begins with xoxb-") as failed:
        async with serving(tmp_path, settings):
            pass
    assert "canary" not in str(failed.value)


def test_nobody_who_logs_in_is_called_as_whoever_has_the_threads(tmp_path):
    """Or the conversations of all of Slack would be theirs to read over HTTP."""
    with pytest.raises(InputError):
        PeopleFile(tmp_path / "people.toml").add(OWNER)
    assert not OWNER.isprintable()  # as a subject of an identity provider has to be
