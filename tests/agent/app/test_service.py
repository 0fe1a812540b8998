"""The service over ASGI, on the fake world: what is taken is kept, what is refused says why."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import pytest

from agent.app import create_app
from agent.app.meters import Meters
from agent.app.workers import Workers
from agent.settings import Settings
from agent.stages.receive import receive
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script, World


def notification(**changes: object) -> dict[str, object]:
    alert = {
        "status": "firing",
        "labels": {"alertname": "KubePodCrashLooping", "namespace": "shop"},
        "annotations": {"summary": "checkout restarts"},
        "startsAt": "2026-03-02T08:55:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "ab12",
    }
    return {"version": "4", "groupKey": '{}:{alertname="KubePodCrashLooping"}', "status": "firing", "alerts": [alert], **changes}


def elsewhere(**changes: object) -> dict[str, object]:
    """Of a namespace that has nothing to do with the first."""
    alert = notification()["alerts"][0]
    labels = {"alertname": "KubePodCrashLooping", "namespace": "billing", "severity": "warning"}
    return notification(alerts=[{**alert, "labels": labels, "fingerprint": "cd34"}], **changes)


@asynccontextmanager
async def service(folder, script=None, **settings):
    app = create_app(lambda: fake_shop(folder, script, settings=Settings(**settings)))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield http


async def finished(http: httpx.AsyncClient, run: str) -> dict[str, object]:
    for _ in range(400):
        row = (await http.get(f"/v1/runs/{run}")).json()
        if row["state"] == "finished":
            return row
        await asyncio.sleep(0.02)
    raise AssertionError(row)


async def test_an_alert_becomes_a_run_that_ends_in_a_report(tmp_path):
    async with service(tmp_path, Script()) as http:
        taken = await http.post("/webhooks/alertmanager", json=notification())
        row = await finished(http, taken.json()["run"])
        report = await http.get(f"/v1/runs/{row['id']}/report")

    assert taken.status_code == 202
    assert row["outcome"] == "repaired"
    assert report.json()["summary"]["cause"] == "oom-killed"


async def test_the_same_alert_group_joins_its_run_and_another_group_does_not(tmp_path):
    async with service(tmp_path, Script(answer="never")) as http:
        first = (await http.post("/webhooks/alertmanager", json=notification())).json()
        again = (await http.post("/webhooks/alertmanager", json=notification())).json()
        other = (await http.post("/webhooks/alertmanager", json=elsewhere(groupKey="other"))).json()

    assert (again["run"], again["new"], again["alerts"]) == (first["run"], False, {"again": 1})
    assert other["new"] is True


async def test_after_its_run_is_finished_an_alert_that_fires_anew_opens_another_and_one_that_goes_on_does_not(tmp_path):
    anew = [{**notification()["alerts"][0], "startsAt": "2026-03-02T11:00:00Z"}]
    async with service(tmp_path, Script()) as http:
        first = (await http.post("/webhooks/alertmanager", json=notification())).json()
        await finished(http, first["run"])
        goes_on = (await http.post("/webhooks/alertmanager", json=notification())).json()
        second = (await http.post("/webhooks/alertmanager", json=notification(alerts=anew))).json()

    assert (goes_on["run"], goes_on["alerts"]) == (first["run"], {"settled": 1})
    assert second["new"] is True
    assert second["run"] != first["run"]


async def test_the_book_says_what_became_of_every_alert_and_the_answer_where_to_look(tmp_path):
    watchdog = {**notification()["alerts"][0], "labels": {"alertname": "Watchdog", "severity": "none"}, "fingerprint": "ff00"}
    async with service(tmp_path, Script(answer="never"), public_url="https://lestrade.example/") as http:
        sent = notification(alerts=[notification()["alerts"][0], watchdog])
        taken = (await http.post("/webhooks/alertmanager", json=sent)).json()
        await http.post("/webhooks/alertmanager", json=sent)
        book = {row["name"]: row for row in (await http.get("/v1/alerts")).json()["alerts"]}
        of_run = (await http.get(f"/v1/runs/{taken['run']}/alerts")).json()["alerts"]

    assert taken["url"] == f"https://lestrade.example/runs/{taken['run']}"
    assert {name: (row["done"], row["times"]) for name, row in book.items()} == {
        "KubePodCrashLooping": ("opened", 2),
        "Watchdog": ("ignored", 2),
    }
    assert [row["name"] for row in of_run] == ["KubePodCrashLooping"]


async def test_many_notifications_of_one_group_at_once_open_one_run(tmp_path):
    async with service(tmp_path, Script(answer="never")) as http:
        answers = await asyncio.gather(*(http.post("/webhooks/alertmanager", json=notification()) for _ in range(20)))

    assert sum(answer.json()["new"] for answer in answers) == 1
    assert len({answer.json()["run"] for answer in answers}) == 1


async def test_a_run_left_unfinished_is_taken_up_at_the_next_start(tmp_path):
    async with service(tmp_path, Script(answer="never")) as http:
        run = (await http.post("/webhooks/alertmanager", json=notification())).json()["run"]
        for _ in range(200):
            if "status" in World(tmp_path / "world.json").calls:
                break
            await asyncio.sleep(0.02)
    state = World(tmp_path / "world.json").load()
    state["script"]["answer"] = "approve"
    (tmp_path / "world.json").write_text(json.dumps(state))

    async with service(tmp_path) as http:
        row = await finished(http, run)

    assert row["outcome"] == "repaired"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b"\xff\xfe", "not JSON"),
        (json.dumps({"version": "3"}).encode(), "version 3"),
        (json.dumps({"version": "4"}).encode(), "groupKey"),
        (json.dumps(notification(alerts=[])).encode(), "alerts"),
        (json.dumps(notification(alerts=[{"labels": {"a": 1}}])).encode(), "labels"),
        (b'{"version": "4", "groupKey": "' + b"k" * 20_000_000 + b'"}', "longer than"),
    ],
)
async def test_a_bad_notification_gets_a_problem_that_says_why(tmp_path, body, says):
    async with service(tmp_path, Script()) as http:
        answer = await http.post("/webhooks/alertmanager", content=body)

    assert answer.status_code in (400, 413)
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert says in answer.json()["detail"]


async def test_a_resolved_notification_opens_nothing(tmp_path):
    resolved = [{**notification()["alerts"][0], "status": "resolved"}]
    async with service(tmp_path, Script()) as http:
        answer = await http.post("/webhooks/alertmanager", json=notification(alerts=resolved))
        runs = (await http.get("/v1/runs")).json()["runs"]

    assert answer.status_code == 200
    assert runs == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/runs/nope", 404),
        ("/v1/runs/nope/events", 404),
        ("/v1/runs/nope/report", 404),
        ("/nowhere", 404),
        ("/v1/runs?limit=0", 400),
        ("/v1/runs?limit=many", 400),
    ],
)
async def test_every_refusal_is_a_problem(tmp_path, path, status):
    async with service(tmp_path, Script()) as http:
        answer = await http.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["status"] == status


async def test_a_report_that_is_not_there_yet_is_a_conflict(tmp_path):
    async with service(tmp_path, Script(answer="never")) as http:
        run = (await http.post("/webhooks/alertmanager", json=notification())).json()["run"]
        answer = await http.get(f"/v1/runs/{run}/report?format=html")

    assert answer.status_code == 409


async def test_events_stream_to_the_end_and_resume_where_they_broke(tmp_path):
    async with service(tmp_path, Script()) as http:
        run = (await http.post("/webhooks/alertmanager", json=notification())).json()["run"]
        await finished(http, run)
        whole = (await http.get(f"/v1/runs/{run}/events")).text
        rest = (await http.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": "3"})).text

    ids = [line for line in whole.splitlines() if line.startswith("id:")]
    assert len(ids) > 5
    assert [line for line in rest.splitlines() if line.startswith("id:")] == ids[3:]


async def test_html_reports_forbid_everything_that_could_run(tmp_path):
    async with service(tmp_path, Script()) as http:
        run = (await http.post("/webhooks/alertmanager", json=notification())).json()["run"]
        await finished(http, run)
        answer = await http.get(f"/v1/runs/{run}/report?format=html")

    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_secrets_in_annotations_and_questions_are_not_kept(tmp_path):
    alert = notification()["alerts"][0] | {"annotations": {"description": "login failed: password=hunter2hunter2"}}
    async with fake_shop(tmp_path, Script()) as shop:
        await shop.intake(receive(json.dumps(notification(alerts=[alert])).encode()))
        await shop.take(question="why is token=hunter2hunter2 refused?")
        rows = await shop.store.rows(limit=5)

    assert len(rows) == 2
    assert "login failed" in str(rows)
    assert "hunter2" not in str(rows)


async def test_health_readiness_and_metrics(tmp_path):
    async with service(tmp_path, Script()) as http:
        await http.post("/webhooks/alertmanager", content=b"{")
        answers = [await http.get(path) for path in ("/healthz", "/readyz", "/metrics")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert 'lestrade_webhooks_total{answer="refused"} 1.0' in answers[2].text


async def test_runs_that_break_again_and_again_keep_no_other_from_its_turn(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.app.workers.LOOK_SECONDS", 0.02)
    async with fake_shop(tmp_path, Script(), settings=Settings(workers=2)) as shop:
        first = [(await shop.take(question=f"why {number}?"))[0].id for number in range(2)]
        last, _ = await shop.take(question="why is checkout slow?")
        work = shop.work

        async def breaks(row):
            if row.id in first:
                raise RuntimeError("always")
            return await work(row)

        monkeypatch.setattr(shop, "work", breaks)
        workers = asyncio.create_task(Workers(shop, Meters()).run())
        try:
            for _ in range(400):
                await asyncio.sleep(0.02)
                if (await shop.store.row(last.id)).state == "finished":
                    break
        finally:
            workers.cancel()
            await asyncio.gather(workers, return_exceptions=True)
        assert (await shop.store.row(last.id)).state == "finished"


async def test_a_run_that_another_process_holds_is_not_asked_for_in_a_circle(tmp_path):
    """It is looked at again after a while, not at once and for ever."""
    async with fake_shop(tmp_path, Script()) as shop:
        row, _ = await shop.take(question="why?")
        assert await shop.store.claim(row.id, "somebody else", lease_seconds=60)
        asked = 0
        claim = shop.store.claim

        class Counting:
            def __getattr__(self, name):
                return getattr(store, name)

            async def claim(self, *args, **named):
                nonlocal asked
                asked += 1
                return await claim(*args, **named)

        store, shop.store = shop.store, Counting()
        workers = asyncio.create_task(Workers(shop, Meters()).run())
        await asyncio.sleep(0.5)
        workers.cancel()
        await asyncio.gather(workers, return_exceptions=True)

    assert asked <= 1
