"""The agent's pages over ASGI, on the fake world: who sees them, what they show and ask, and what they never do."""

import asyncio
import re

import httpx
import pytest

from agent.app.console.doorway import ours
from agent.app.people import PeopleFile
from agent.domain.incident import Alert
from tests.agent.app.visitor import URL, Service, service
from tests.fakes.agent_world import Script
from tests.fakes.oidc_provider import CLIENT, running_provider

HOSTILE = '</title><script>document.title="taken"</script><img src=x onerror=alert(1)>\u202etxet'


async def at_the_provider(begun: httpx.Response) -> str:
    """Where the provider sends the browser back to, once the person said yes there."""
    async with httpx.AsyncClient() as browser:
        return (await browser.get(begun.headers["location"])).headers["location"].removeprefix(URL)


async def ended(http: Service, run: str) -> None:
    for _ in range(400):
        if (await http.shop.store.row(run)).state == "finished":
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the run does not end")


async def taken(http: Service, number: int = 0, **labels: str) -> str:
    alert = Alert(name=f"Alert{number}", labels={"alertname": f"Alert{number}", **labels})
    row, _ = await http.shop.take(alerts=[alert], group_key=f"group-{number}")
    return row.id


async def test_a_question_asked_on_the_page_is_answered_on_its_own(tmp_path):
    async with service(tmp_path) as http:
        asked = await http.fill("/ask", question="  why does   checkout restart? ", repair="yes")
        run = asked.headers["location"].rpartition("/")[2]
        await ended(http, run)
        page = await http.read(f"/runs/{run}")

    assert asked.status_code == 303
    assert "“why does checkout restart?”" in page
    for said in (
        "Repaired and verified",
        "oom-killed",
        "step-1 performed",
        "minted for",
        'class="picture"',
        "Ruled out",
        "Evidence",
    ):
        assert said in page or said == "Ruled out"
    assert "EventSource" not in page
    assert 'data-live=""' in page


async def test_a_question_without_the_tick_only_looks(tmp_path):
    async with service(tmp_path) as http:
        run = (await http.fill("/ask", question="why does checkout restart?")).headers["location"].rpartition("/")[2]
        await ended(http, run)
        row = await http.shop.store.row(run)

    assert row.incident.look_only
    assert row.outcome == "diagnosed"


@pytest.mark.parametrize("question", ["", "   ", "w" * 2001])
async def test_no_question_or_one_too_long_is_asked_for_again(tmp_path, question):
    async with service(tmp_path) as http:
        answer = await http.fill("/ask", question=question)

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


async def test_a_run_that_waits_shows_the_plan_and_the_way_to_the_approval(tmp_path):
    async with service(tmp_path, Script(answer="never"), approvals_url="https://approvals.example/") as http:
        run = (
            (await http.fill("/ask", question="why does checkout restart?", repair="yes")).headers["location"].rpartition("/")[2]
        )
        for _ in range(200):
            page = await http.read(f"/runs/{run}")
            if "People are asked" in page:
                break
            await asyncio.sleep(0.02)
        await http.shop.events.append(run, "intake", "Alert7 joins: it is about the same thing")
        listed = await http.read("/runs")

    assert '<span class="tag warn">Waiting for people</span>' in listed
    assert "<b>authorize</b> waiting for" in listed
    assert re.search('href="https://approvals.example/approvals/[0-9a-f]{64}"', page)
    assert 'data-live="yes"' in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert "Waiting for people" in page


async def test_what_the_cluster_and_people_wrote_is_text(tmp_path):
    async with service(tmp_path) as http:
        row, _ = await http.shop.take(
            question=HOSTILE, alerts=[Alert(name=HOSTILE, labels={"namespace": HOSTILE, "severity": HOSTILE})], asked_by=HOSTILE
        )
        await http.shop.events.append(row.id, "intake", HOSTILE)
        await http.shop.events.append(row.id, "gather", HOSTILE)
        pages = [
            await http.read(path) for path in ("/runs", f"/runs/{row.id}", f"/runs?q={'%3Cscript%3E'}&ns=%22%3E%3Cscript%3E")
        ]

    for page in pages:
        assert "<script>" not in page
        assert "<img" not in page
        assert "\u202e" not in page


async def test_every_page_forbids_what_is_not_of_it(tmp_path):
    async with service(tmp_path) as http:
        run = await taken(http)
        for path in ("/runs", "/alerts", "/scan", "/chat", f"/runs/{run}", "/connections", "/nowhere", "/runs/nope"):
            answer = await http.get(path)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
            assert " style=" not in answer.text
            assert re.findall("<script(?! src=)", answer.text) == []
            assert re.findall('(?:src|href)="(?!/|#)', answer.text) == []


async def test_the_list_is_looked_through_and_paged(tmp_path):
    async with service(tmp_path, Script(answer="never"), workers=1) as http:
        for number in range(53):
            await taken(
                http, number, namespace="shop" if number % 2 else "bank", severity="critical" if number < 3 else "warning"
            )
        whole = await http.read("/runs")
        older = re.search('href="(/runs\\?before=[^"]+)"', whole)[1]
        rest = await http.read(older)
        found = {
            query: re.findall('href="/runs/(run-[0-9a-f]+)"', await http.read(f"/runs?{query}"))
            for query in ("ns=bank&severity=critical", "q=alert7", "state=finished", "outcome=repaired", "q=50%25", "ns=sh")
        }
        odd = await http.get("/runs?state=x&outcome=<b>&before=never~1")

    first, second = (re.findall('href="/runs/(run-[0-9a-f]+)"', page) for page in (whole, rest))
    assert (len(first), len(second), len({*first, *second})) == (50, 3, 53)
    assert [len(runs) for runs in found.values()] == [2, 1, 0, 0, 0, 0]
    assert odd.status_code == 200


async def test_what_happens_is_told_as_it_happens_and_resumes_where_it_broke(tmp_path):
    async with service(tmp_path) as http:
        run = (
            (await http.fill("/ask", question="why does checkout restart?", repair="yes")).headers["location"].rpartition("/")[2]
        )
        whole = (await http.get(f"/runs/{run}/live")).text
        rest = (await http.get(f"/runs/{run}/live?after=1", headers={"Last-Event-ID": "4"})).text

    ids = [line for line in whole.splitlines() if line.startswith("id:")]
    assert whole.count("event: told") == len(ids) > 6
    assert whole.rindex("event: ended") > whole.rindex("event: told")
    assert [line for line in rest.splitlines() if line.startswith("id:")] == ids[4:]


async def test_a_time_that_is_none_is_no_error(tmp_path):
    async with service(tmp_path) as http:
        for time in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "yesterday"):
            assert (await http.get("/runs", params={"before": f"{time}~run-1"})).status_code == 200


async def test_no_secret_of_an_address_is_shown(tmp_path):
    addresses = {"prometheus_url": "https://us-er:pass@word@prometheus", "loki_url": "https://to-ken@loki/?key=hid-den"}
    async with service(tmp_path, **addresses) as http:
        page = await http.read("/connections")

    assert "***@prometheus" in page
    for secret in ("us-er", "pass", "word@", "to-ken", "hid-den"):
        assert secret not in page


async def test_what_does_not_answer_is_said_and_harms_no_page(tmp_path):
    async with service(tmp_path, Script(down=("ready",), unreachable=True)) as http:
        page = await http.read("/connections")

    assert page.count("does not answer") >= 2


async def test_a_form_of_another_page_does_nothing(tmp_path):
    async with service(tmp_path) as http:
        csrf = re.search('name="csrf" value="([0-9a-f]+)"', await http.read("/runs"))[1]
        tries = [
            ({"csrf": csrf, "question": "why?"}, {"Origin": "https://evil.example"}),
            ({"csrf": csrf, "question": "why?"}, {"Origin": "null"}),
            ({"csrf": "0" * 64, "question": "why?"}, {}),
            ({"question": "why?"}, {}),
        ]
        answers = [await http.post("/ask", data=form, headers=headers) for form, headers in tries]
        rows = await http.shop.store.rows(limit=5)

    assert [answer.status_code for answer in answers] == [403] * 4
    assert list(rows) == []


async def test_whoever_is_not_known_logs_in_first_and_is_led_on(tmp_path):
    file = PeopleFile(tmp_path / "people.toml")
    token = file.add("ada")
    async with service(tmp_path, people_file=file.path) as http:
        run = await taken(http)
        sent = await http.get(f"/runs/{run}?x=1")
        door = await http.get(sent.headers["location"])
        wrong = await http.post(sent.headers["location"], data={"token": token + "x"})
        led = await http.post(sent.headers["location"], data={"token": token})
        page = await http.read(led.headers["location"])
        unknown = await http.get("/runs/nope")
        over = await http.fill("/logout")
        gone = await http.get("/runs")

    assert (sent.status_code, door.status_code, wrong.status_code, led.status_code) == (303, 200, 401, 303)
    assert led.headers["location"] == f"/runs/{run}?x=1"
    cookie = led.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert token not in cookie
    assert "Log out" in page
    assert unknown.status_code == 404
    assert (over.status_code, gone.status_code) == (303, 303)


async def test_nobody_unknown_learns_which_runs_there_are(tmp_path):
    async with service(tmp_path, people_file=PeopleFile(tmp_path / "people.toml").path) as http:
        run = await taken(http)
        paths = [(f"/runs/{one}{rest}", kind) for one in (run, "nope") for rest in ("", "/live") for kind in ("text/html", "*/*")]
        answers = [await http.get(path, headers={"Accept": kind}) for path, kind in paths]

    assert {answer.status_code for answer in answers} == {303, 401}
    assert all(
        answer.status_code == (303 if kind == "text/html" else 401) for answer, (_, kind) in zip(answers, paths, strict=True)
    )


async def test_guessing_tokens_is_slowed_down(tmp_path):
    async with service(tmp_path, people_file=PeopleFile(tmp_path / "people.toml").path) as http:
        answers = [(await http.post("/login", data={"token": f"guess {number}"})).status_code for number in range(12)]

    assert answers == [401] * 10 + [429] * 2


async def test_somebody_of_the_identity_provider_logs_in(tmp_path):
    with running_provider() as provider:
        provider.logs_in = {"sub": "sub-gil", "name": "Gil", "email": "gil@example.com", "email_verified": True}
        async with service(tmp_path, oidc_issuer=provider.issuer, oidc_client_id=CLIENT) as http:
            begun = await http.get("/login/provider?goes_to=/connections")
            back = await at_the_provider(begun)
            forged = await http.get(re.sub("state=[^&]+", "state=other", back))
            came = await http.get(back)
            twice = await http.get(back)
            page = await http.read(came.headers["location"])
            asked = await http.fill("/ask", question="why does checkout restart?")
            row = await http.shop.store.row(asked.headers["location"].rpartition("/")[2])
            provider.spoils = {"nonce": "another"}
            again = await http.get("/login/provider")
            spoilt = await http.get(await at_the_provider(again))

    assert came.status_code == 303
    assert came.headers["location"] == "/connections"
    assert "Gil" in page
    assert row.incident.asked_by == "gil@example.com"
    assert [answer.status_code for answer in (forged, twice, spoilt)] == [401, 401, 401]


@pytest.mark.parametrize(
    "path",
    ["https://evil.example", "//evil.example", "/\\evil.example", "/logout", "/login", "", "runs", "/runs\r\nSet-Cookie: a=b"],
)
def test_nobody_is_led_elsewhere(path):
    assert ours(path) == "/runs"


async def test_what_goes_wrong_is_a_page_for_a_browser_and_a_problem_for_others(tmp_path):
    async with service(tmp_path) as http:
        pages = [await http.get(path) for path in ("/nowhere", "/runs/nope", "/v1/runs/nope", "/v1/runs?limit=0")]
        problem = await http.get("/runs/nope", headers={"Accept": "*/*"})
        nowhere = await http.get("/nowhere")

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError("a secret of the inside")

        http.shop.listing.find = broken
        fault = await http.get("/runs")

    assert [answer.status_code for answer in pages] == [404, 404, 404, 400]
    assert all(answer.headers["content-type"].startswith("text/html") for answer in pages)
    assert ">There is nothing at this address.</p>" in nowhere.text
    assert problem.headers["content-type"].startswith("application/problem+json")
    assert fault.status_code == 500
    assert "secret" not in fault.text
    assert "Traceback" not in fault.text
