"""Conversations over HTTP, on a real server: events, JSON, sessions, refusals."""

import asyncio
import hashlib
import json

import httpx

from agent.store import Database, SqlRunStore
from tests.fakes.agent_service import served
from tests.fakes.agent_shop import crowd
from tests.fakes.agent_world import Script

QUESTION = {"message": "why does checkout restart?"}
PLAIN = {"Accept": "application/json"}


def events_of(text: str) -> list[tuple[str, dict[str, object]]]:
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("event:")]
    return [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]


async def test_a_question_is_told_as_events_from_session_to_answer(tmp_path):
    async with served(tmp_path, Script()) as url, httpx.AsyncClient(base_url=url) as http:
        answer = await http.post("/v1/chat", json=QUESTION)
        events = events_of(answer.text)
        session = events[0][1]["session"]
        again = await http.post("/v1/chat", json={"message": "why?", "session": session}, headers=PLAIN)
        known = (await http.get(f"/v1/chat/{session}")).json()
        listed = (await http.get("/v1/chat")).json()["sessions"]

    names = [name for name, _ in events]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert names[0] == "session"
    assert names[-1] == "answer"
    assert names.count("evidence") == 1
    assert names.count("step") >= 4
    assert events[-1][1]["causes"][0]["cause"] == "oom-killed"
    assert again.json()["outcome"] == "shown"
    assert [turn["said"] for turn in known["turns"]] == [QUESTION["message"], "why?"]
    assert [one["id"] for one in listed] == [session]


async def test_fix_it_over_http_repairs_and_a_question_does_not(tmp_path):
    async with served(tmp_path, Script(review=False)) as url, httpx.AsyncClient(base_url=url, headers=PLAIN) as http:
        first = (await http.post("/v1/chat", json=QUESTION)).json()
        before = json.loads((tmp_path / "world.json").read_text())["writes"]
        repaired = (await http.post("/v1/chat", json={"message": "fix it", "session": first["session"]})).json()

    assert before == []
    assert first["suggestions"][0] == "fix it"
    assert repaired["outcome"] == "repaired"


async def test_a_client_that_goes_away_ends_its_waiting_only(tmp_path):
    async with served(tmp_path, Script()) as url, httpx.AsyncClient(base_url=url) as http:
        async with http.stream("POST", "/v1/chat", json=QUESTION) as stream:
            session = await session_of(stream)
        for _ in range(300):
            turn = (await http.get(f"/v1/chat/{session}")).json()["turns"][-1]
            if turn["state"] != "open":
                break
            await asyncio.sleep(0.02)

    assert turn["state"] == "answered"


async def test_what_is_being_answered_is_busy_can_be_listened_to_again_and_stopped(tmp_path):
    database = await Database.open(f"sqlite:///{tmp_path / 'runs.sqlite'}")
    await crowd(SqlRunStore(database))
    await database.close()
    events = {"Accept": "text/event-stream"}
    async with served(tmp_path, Script(), cluster_runs=1) as url, httpx.AsyncClient(base_url=url, headers=PLAIN) as http:
        async with http.stream("POST", "/v1/chat", json=QUESTION, headers=events) as stream:
            session = await session_of(stream)
        busy = await http.post("/v1/chat", json={"message": "and now?", "session": session})
        async with http.stream("GET", f"/v1/chat/{session}", headers=events) as stream:
            again = await session_of(stream)
        stopped = await http.delete(f"/v1/chat/{session}")
        nothing = await http.delete(f"/v1/chat/{session}")
        gone = await http.delete(f"/v1/chat/{session}?forget=true")
        missing = await http.get(f"/v1/chat/{session}")

    assert busy.status_code == 409
    assert again == session
    assert stopped.json()["stopped"] is True
    assert [nothing.status_code, gone.status_code, missing.status_code] == [409, 200, 404]


async def session_of(stream: httpx.Response) -> str:
    async for line in stream.aiter_lines():
        if line.startswith("data:"):
            return str(json.loads(line.removeprefix("data: "))["session"])
    raise AssertionError("no session was told")


REFUSED = [
    (b"{", "application/json", 400),
    (b"[]", "application/json", 400),
    (b'{"message": ""}', "application/json", 400),
    (b'{"message": 5}', "application/json", 400),
    (b'{"message": "hi", "act": true}', "application/json", 400),
    (b'{"message": "hi", "session": "chat-of-nobody"}', "application/json", 404),
    (b'{"message": "why?", "run": "run-of-nobody"}', "application/json", 404),
    (b'{"message": "' + b"x" * 3000 + b'"}', "application/json", 400),
    (b'{"message": "' + b"x" * 40_000 + b'"}', "application/json", 413),
    (b"message=hi", "application/x-www-form-urlencoded", 415),
]


async def test_what_cannot_be_asked_gets_a_problem(tmp_path):
    async with served(tmp_path, Script()) as url, httpx.AsyncClient(base_url=url) as http:
        answers = [await http.post("/v1/chat", content=body, headers={"Content-Type": kind}) for body, kind, _ in REFUSED]

    assert [answer.status_code for answer in answers] == [status for _, _, status in REFUSED]
    assert all(answer.headers["content-type"].startswith("application/problem+json") for answer in answers)


async def test_with_people_known_nobody_else_asks_and_sessions_are_their_own(tmp_path):
    tokens = {"ada": "a" * 40, "eve": "e" * 40}
    people = "".join(
        f'[[person]]\nname = "{name}"\ntoken_sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
        for name, token in tokens.items()
    )
    (tmp_path / "people.toml").write_text(people)
    async with served(tmp_path, Script(), people_file=tmp_path / "people.toml") as url, httpx.AsyncClient(base_url=url) as http:
        ada, eve = ({"Authorization": f"Bearer {tokens[name]}", **PLAIN} for name in ("ada", "eve"))
        nobody = await http.post("/v1/chat", json=QUESTION)
        asked = (await http.post("/v1/chat", json=QUESTION, headers=ada)).json()
        taken = await http.post("/v1/chat", json={"message": "why?", "session": asked["session"]}, headers=eve)
        run = (await http.get(f"/v1/runs/{asked['run']}", headers=ada)).json()

    assert [nobody.status_code, taken.status_code] == [401, 404]
    assert run["incident"]["asked_by"] == "ada"
