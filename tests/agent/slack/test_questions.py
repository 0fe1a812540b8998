"""Questions from Slack: taken once and only from Slack, answered in their thread, in one message that is edited."""

import asyncio
import json
import time

import pytest
from sqlalchemy import select

from agent.chat.slack.ports import Said
from agent.errors import Busy, InputError
from agent.store.slack import questions
from tests.agent.slack.conftest import APP_TOKEN, until
from tests.agent.slack.limits import is_within_limits
from tests.agent.slack.reports import report
from tests.fakes.slack import SECRET, TEAM, event_bytes, signed, words_of


async def hear(app, payload, ago=0.0, **changes):
    body = event_bytes(payload)
    changes = {"at": time.time() - ago, **changes}
    headers = {name.lower(): value for name, value in signed(body, **changes).items()}
    return await app.heard(body, headers)


def thread_of(payload) -> str:
    return payload["event"].get("thread_ts") or payload["event"]["ts"]


async def answer_in(slack, payload, words: str):
    def look():
        found = slack.in_thread(thread_of(payload))
        return found[0] if found and words in words_of(found[0]) else None

    return await until(look, f"the thread says {words!r}")


@pytest.mark.usefixtures("font")
async def test_a_mention_is_answered_in_its_thread_by_one_message_with_the_chart_and_the_report_beside_it(world):
    world.answers.said = Said(text="", report=report(), run="run-1f2e3d4c5b6a", suggestions=("fix it",))
    world.answers.go.clear()
    app = world.app()
    asked = world.slack.said("why is checkout failing?", "UADA")
    assert await hear(app, asked) == (200, {})

    looking = await answer_in(world.slack, asked, "read 12 objects")
    assert "why is checkout failing?" in words_of(looking)
    world.answers.go.set()
    done = await answer_in(world.slack, asked, "93% sure")
    await until(lambda: sum(file.get("complete", False) for file in world.slack.files.values()) == 2, "two files")
    assert done["ts"] == looking["ts"]
    assert len(world.slack.in_thread(thread_of(asked))) == 1
    assert "fix it" in words_of(done)
    assert "https://lestrade.example/runs/run-1f2e3d4c5b6a" in json.dumps(done["blocks"])
    is_within_limits(done["blocks"])
    files = {file["filename"]: file for file in world.slack.files.values()}
    assert files["run-1f2e3d4c5b6a.png"]["raw"].startswith(b"\x89PNG")
    assert files["run-1f2e3d4c5b6a.md"]["content"].startswith("# Diagnosed: Container app")
    assert {file["thread_ts"] for file in files.values()} == {thread_of(asked)}
    assert world.answers.asked[0][:2] == ("why is checkout failing?", "UADA")


async def test_a_direct_message_is_a_question_too_and_the_asker_is_who_slack_says(world):
    app = world.app()
    asked = world.slack.said("is shop healthy?", "UBOB", channel="D0DIRECT")
    await hear(app, asked)
    await answer_in(world.slack, asked, "All is well.")
    assert world.answers.asked == [("is shop healthy?", "UBOB", "", "")]


async def test_slacks_retries_and_replays_ask_once(world):
    app = world.app()
    asked = world.slack.said("why?", "UADA")
    for _ in range(3):
        assert await hear(app, asked) == (200, {})
    await answer_in(world.slack, asked, "All is well.")
    assert await hear(app, asked) == (200, {})
    await asyncio.sleep(0.1)
    assert len(world.answers.asked) == 1
    assert len(world.slack.in_thread(thread_of(asked))) == 1


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"secret": "another0secret0of0someone0else"}, 401),
        ({"ago": 400}, 401),
        ({"ago": -400}, 401),
    ],
)
async def test_a_forged_or_stale_request_is_refused_before_it_is_read(world, changes, status):
    app = world.app()
    asked = world.slack.said("why?", "UADA")
    assert (await hear(app, asked, **changes))[0] == status
    assert await world.book.open_questions() == []


async def test_what_is_not_signed_or_not_what_slack_sends_is_refused(world):
    app = world.app()
    body = event_bytes(world.slack.said("why?", "UADA"))
    assert (await app.heard(body, {}))[0] == 401
    assert (await app.heard(body + b" ", {name.lower(): text for name, text in signed(body).items()}))[0] == 401
    for nonsense in (b"{", b"[]", b'"text"', b'{"type": "event_callback", "event": 7}', b"[" * 5000, b"\xff\xfe"):
        headers = {name.lower(): text for name, text in signed(nonsense).items()}
        assert (await app.heard(nonsense, headers))[0] == 400
    assert await hear(app, {"type": "url_verification", "challenge": "abc", "token": "t"}) == (200, {"challenge": "abc"})


@pytest.mark.parametrize(
    "over",
    [
        {"bot_id": "B0BOT"},
        {"subtype": "message_changed"},
        {"user": "U0BOT"},
        {"user": "USLACKBOT"},
        {"type": "message", "channel_type": "channel"},
        {"type": "reaction_added"},
    ],
)
async def test_bots_edits_and_what_was_not_said_to_us_are_no_questions(world, over):
    app = world.app()
    await until(lambda: app._questions.bot == "U0BOT")
    said = world.slack.said("why?", "UADA")
    said["event"] |= over
    assert await hear(app, said) == (200, {})
    assert await world.book.open_questions() == []


async def test_unknown_workspaces_and_people_are_refused_where_there_is_a_list(world):
    app = world.app(teams=frozenset({TEAM}), people=frozenset({"UADA"}))
    foreign = {**world.slack.said("why?", "UADA"), "team_id": "T0OTHER"}
    assert (await hear(app, foreign))[0] == 403
    assert (await hear(app, world.slack.said("why?", "UADA", user_team="T0OTHER")))[0] == 403

    stranger = world.slack.said("why?", "UEVE")
    assert await hear(app, stranger) == (200, {})
    await answer_in(world.slack, stranger, "not among the people who may ask")
    known = world.slack.said("why?", "UADA")
    await hear(app, known)
    await answer_in(world.slack, known, "All is well.")
    assert [found[1] for found in world.answers.asked] == ["UADA"]


async def test_in_a_shared_channel_only_our_own_people_are_answered_unless_others_are_named(world):
    guest = {"team": "T0OTHER", "user_team": "T0OTHER", "source_team": "T0OTHER"}
    assert (await hear(world.app(), world.slack.said("why?", "UEVE", **guest)))[0] == 403
    named = world.slack.said("why?", "UEVE", **guest)
    assert (await hear(world.app(teams=frozenset({TEAM, "T0OTHER"})), named))[0] == 200


async def test_files_that_slack_does_not_take_are_no_reason_to_answer_again(world):
    world.slack.refusing["files.getUploadURLExternal"] = "missing_scope"
    world.answers.said = Said(text="", report=report(), run="run-1")
    asked = world.slack.said("why?", "UADA")
    await hear(world.app(), asked)
    await answer_in(world.slack, asked, "93% sure")
    await until(lambda: world.slack.asked("files.getUploadURLExternal"))
    await asyncio.sleep(0.1)
    assert len(world.answers.asked) == 1


async def test_without_a_signing_secret_nothing_is_taken_by_http(world):
    app = world.app(app_token=APP_TOKEN, signing_secret="")
    assert (await hear(app, world.slack.said("why?", "UADA"), secret=""))[0] == 401


async def test_of_one_persons_flood_a_few_are_taken_and_the_others_told_so(world):
    world.answers.go.clear()
    app = world.app()
    asked = [world.slack.said(f"why {number}?", "UADA") for number in range(7)]
    for one in asked:
        await hear(app, one)
    await answer_in(world.slack, asked[6], "still busy")
    world.answers.go.set()
    for one in asked[:5]:
        await answer_in(world.slack, one, "All is well.")
    assert len(world.answers.asked) == 5


async def test_what_a_killed_process_left_is_gone_on_with_in_the_same_message(world, monkeypatch):
    monkeypatch.setattr("agent.chat.slack.questions.CLAIM_SECONDS", 0.2)
    world.answers.go.clear()
    app = world.app()
    asked = world.slack.said("why?", "UADA")
    await hear(app, asked)
    first = await answer_in(world.slack, asked, "read 12 objects")
    await world.kill()
    world.answers.go.set()
    await asyncio.sleep(0.25)  # the claim of the dead process lapses

    world.app()
    done = await answer_in(world.slack, asked, "All is well.")
    assert done["ts"] == first["ts"]
    assert [found[3] for found in world.answers.asked] == ["", first["ts"]]
    for _ in range(1500):
        left = await world.book.open_questions()
        await asyncio.sleep(0.02 if left else 0)
    assert left == []


async def test_an_answer_that_cannot_be_shown_says_so(world, monkeypatch):
    def breaks(*_, **__):
        raise KeyError("outcome")

    monkeypatch.setattr("agent.chat.slack.questions.answered", breaks)
    world.answers.said = Said(text="", report=report(), run="run-1f2e3d4c5b6a")
    app = world.app()
    asked = world.slack.said("why is checkout failing?", "UADA")
    await hear(app, asked)
    await answer_in(world.slack, asked, "The answer cannot be shown here (KeyError)")


async def test_a_secret_in_a_question_is_neither_kept_nor_said_again(world):
    app = world.app()
    asked = world.slack.said("why does the log-in with password=hunter2hunter2 fail?", "UADA")
    await hear(app, asked)
    await answer_in(world.slack, asked, "All is well.")

    async with world.database.transaction() as connection:
        kept = (await connection.execute(select(questions.c.text))).scalar_one()
    assert "hunter2" not in kept + str(world.answers.asked) + str(world.slack.calls)


async def test_whatever_breaks_the_search_for_questions_ends_it_not(world, monkeypatch):
    waiting, calls = world.book.waiting, []

    async def breaks_once():
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("once")
        return await waiting()

    monkeypatch.setattr(world.book, "waiting", breaks_once)
    app = world.app()
    await until(lambda: calls, "it was looked for")
    asked = world.slack.said("why?", "UADA")
    await hear(app, asked)
    await answer_in(world.slack, asked, "All is well.")


async def test_an_answer_that_cannot_be_had_says_why_in_the_thread(world):
    world.answers.raises = InputError("no namespace is called <shpo>")
    app = world.app()
    asked = world.slack.said("why?", "UADA")
    await hear(app, asked)
    await answer_in(world.slack, asked, "no namespace is called <shpo>")


async def test_a_thread_whose_answer_is_still_worked_out_waits_for_its_turn(world, monkeypatch):
    monkeypatch.setattr("agent.chat.slack.questions.BUSY_SECONDS", 0.05)
    world.answers.raises = Busy("still being answered")
    app = world.app()
    asked = world.slack.said("and its database?", "UADA")
    await hear(app, asked)
    await answer_in(world.slack, asked, "All is well.")
    assert len(world.answers.asked) == 2
    assert len(world.slack.in_thread(thread_of(asked))) == 1


async def test_while_slack_wants_quiet_nothing_is_sent_and_then_the_answer_comes(world):
    app = world.app()
    await until(lambda: world.slack.asked("auth.test"))
    world.slack.too_many = 1
    asked = world.slack.said("why?", "UADA")
    began = time.monotonic()
    await hear(app, asked)
    await answer_in(world.slack, asked, "All is well.")
    assert time.monotonic() - began >= 1.0, "Retry-After was respected"
    assert world.slack.too_many == 0


async def test_socket_mode_takes_the_same_events_and_acknowledges_what_is_kept(world):
    world.app(app_token=APP_TOKEN, signing_secret="")
    await until(world.slack.is_linked, "the socket is open")
    asked = world.slack.said("why?", "UADA")
    envelope = await asyncio.to_thread(world.slack.send_by_socket, asked, "events_api")
    await asyncio.to_thread(world.slack.send_by_socket, asked, "events_api")
    await answer_in(world.slack, asked, "All is well.")
    await until(lambda: [found for found in world.slack.acknowledged if found.get("envelope_id") == envelope], "acknowledged")
    assert len(world.answers.asked) == 1


async def test_no_secret_is_told(world, capsys):
    world.slack.refusing["chat.update"] = "invalid_auth"
    app = world.app()
    await hear(app, world.slack.said("why?", "UADA"))
    await until(lambda: world.slack.asked("chat.update"))
    await world.kill()
    said = "".join(capsys.readouterr()) + repr(app._access)
    assert "canary" not in said
    assert SECRET not in said
