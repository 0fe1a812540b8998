"""Conversations as pages: with forms alone, by whoever they belong to, and never an approval."""

import asyncio
import re

import pytest

from agent.app.people import PeopleFile
from agent.rendering.prose import as_html
from tests.agent.app.visitor import URL, Service, service
from tests.fakes.agent_shop import crowd
from tests.fakes.agent_world import Script


async def answered(http: Service, place: str) -> str:
    """The session's page once nothing is being worked on."""
    for _ in range(400):
        page = await http.read(place.partition("#")[0])
        if 'id="going"' not in page:
            return page
        await asyncio.sleep(0.02)
    raise AssertionError("no answer comes")


async def test_a_conversation_is_had_with_forms_alone_and_fix_it_leads_to_the_plan(tmp_path):
    async with service(tmp_path, Script(answer="never"), approvals_url="https://approvals.example") as http:
        begun = await http.fill("/chat", where="/chat", message="why does checkout restart?")
        place = begun.headers["location"].partition("#")[0]
        page = await answered(http, place)
        why = await http.fill(place, where=place, message="why?")
        more = await answered(http, place)
        await http.fill(place, where=place, message="fix it")
        waits = await answered(http, place)
        listed = await http.read("/chat")
        run = re.findall('href="/runs/(run-[0-9a-f]+)"', waits)[-1]
        plan = await http.read(f"/runs/{run}")
        await http.shop.store.finish(run, "refused", "Refused by a person: not tonight", {})
        over = await http.read(place)

    assert (begun.status_code, why.status_code) == (303, 303)
    assert begun.headers["location"].endswith("#turn-1")
    assert "why does checkout restart?" in page
    assert '<button class="">Fix it' in page
    assert "<script" not in re.sub("<script src=[^>]*>", "", page)
    assert 'id="turn-2"' in more
    assert "Waiting for people" in waits
    digest = re.search('https://approvals.example/approvals/([0-9a-f]{64})"', waits)[1]
    assert digest in plan
    assert "People are asked" in plan
    assert "It has ended since" in over
    assert "not tonight" in over
    assert "People are asked" not in over
    assert f'href="{place}"' in listed


async def test_what_is_worked_on_is_told_as_it_happens_and_can_be_stopped(tmp_path):
    async with service(tmp_path, cluster_runs=1) as http:
        await crowd(http.shop.store)
        place = (await http.fill("/chat", where="/chat", message="why does checkout restart?")).headers["location"]
        place = place.partition("#")[0]
        going = await http.read(place)
        told = asyncio.create_task(http.get(f"/v1{place}", headers={"Accept": "text/event-stream"}))
        busy = await http.fill(place, where="/chat", message="why?")
        kept = await http.fill(f"{place}/forget", where=place)
        stopped = await http.fill(f"{place}/stop", where=place)
        over = await http.read(place)
        forgotten = await http.fill(f"{place}/forget", where=place)
        gone = await http.get(place)
        events = (await told).text

    assert 'id="going"' in going
    assert '<noscript><meta http-equiv="refresh"' in going
    assert 'name="message"' not in going
    assert (busy.status_code, kept.status_code) == (409, 409)
    assert "still being answered" in busy.text
    assert events.index("event: session") < events.index("event: answer")
    assert "Stopped by" in over
    assert (stopped.status_code, forgotten.status_code, gone.status_code) == (303, 303, 404)


@pytest.mark.parametrize(("message", "status"), [("", 400), ("   ", 400), ("x" * 2001, 400)])
async def test_what_cannot_be_asked_is_said_and_nothing_begins(tmp_path, message, status):
    async with service(tmp_path) as http:
        answer = await http.fill("/chat", where="/chat", message=message)
        unknown = await http.fill("/chat", where="/chat", message="why?", run="run-none")

        assert answer.status_code == status
        assert 'role="alert"' in answer.text
        assert unknown.status_code == 404
        assert "None yet" in await http.read("/chat")


async def test_a_form_of_another_page_says_nothing_in_anybodys_name(tmp_path):
    async with service(tmp_path) as http:
        csrf = re.search('name="csrf" value="([0-9a-f]+)"', await http.read("/chat"))[1]
        place = (await http.fill("/chat", where="/chat", message="why does checkout restart?")).headers["location"]
        place = place.partition("#")[0]
        await answered(http, place)
        paths = ("/chat", place, f"{place}/stop", f"{place}/forget")
        foreign = [
            await http.post(path, data={"csrf": csrf, "message": "fix it"}, headers={"Origin": "https://evil.example"})
            for path in paths
        ]
        forged = [await http.post(path, data={"csrf": "0" * 64, "message": "fix it"}) for path in paths]
        page = await http.read(place)

    assert {answer.status_code for answer in (*foreign, *forged)} == {403}
    assert 'id="turn-2"' not in page


async def test_a_conversation_is_its_own_persons_only(tmp_path):
    people = PeopleFile(tmp_path / "people.toml")
    tokens = {name: people.add(name) for name in ("ada", "bob")}
    async with service(tmp_path, people_file=people.path) as http:
        await http.post("/login", data={"token": tokens["ada"]})
        place = (await http.fill("/chat", where="/chat", message="why does checkout restart?")).headers["location"]
        place = place.partition("#")[0]
        await answered(http, place)
        await http.post("/login", data={"token": tokens["bob"]})
        listed, seen = await http.read("/chat"), await http.get(place)
        tried = await http.fill(place, where="/chat", message="fix it")

    assert place not in listed
    assert (seen.status_code, tried.status_code) == (404, 404)
    assert URL not in seen.text


def test_markdown_of_an_answer_is_markup_and_nothing_else_is():
    made = as_html(
        "**Cause** \\<b\\> <script>x</script> [a](javascript:b) ![i](http://x) http://x &lt;\n\n"
        "- one\n  - two\n\n| a | b |\n| --- | --- |\n| 1 | <i> |\n\n```diff\n-a\n+<b>\n```\n\n# no\u202e"
    )

    assert "<strong>Cause</strong> &lt;b&gt; &lt;script&gt;" in made
    assert not re.search("<(script|a|img|i|b|h1)[ >]", made)
    assert '<th scope="col">a</th>' in made
    assert '<span class="added">+&lt;b&gt;' in made
    assert "&lt;U+202E&gt;" in made
