"""Refusals at the edge are on record before they are answered, and a flood of them fills no journal."""

import httpx
import pytest

from tests.sidecar.process.harness import good, running, token
from tests.sidecar.process.test_lab_way import plan, scale


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    with running(tmp_path_factory.mktemp("edge")) as sidecar:
        yield sidecar.start()


def records(sidecar, after: int = 0) -> list[dict]:
    return good(sidecar.person("ada").get("/v1/audit", params={"after": after, "limit": 1000}))["records"]


def head(sidecar) -> int:
    return max((record["seq"] for record in records(sidecar)), default=0)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "code", "actor"),
    [
        ("POST", "/v1/plans", {"Authorization": "Bearer somebody-else"}, b"{}", 401, "not-authenticated", "unknown"),
        ("POST", "/v1/plans", {}, b"{", 400, "malformed", "agent"),
        ("POST", "/v1/plans", {}, b" " * 2_000_000, 413, "too-large", "agent"),
        ("POST", f"/v1/plans/{'0' * 64}/lease", {}, b"", 404, "unknown-plan", "agent"),
        ("DELETE", "/v1/plans", {}, b"", 405, "method-not-allowed", "unknown"),
    ],
)
def test_a_refusal_is_on_record_when_it_is_answered(sidecar, method, path, headers, body, status, code, actor):
    before = head(sidecar)
    response = sidecar.agent.request(method, path, headers=headers, content=body)
    assert (response.status_code, response.json()["code"]) == (status, code)
    (record,) = records(sidecar, before)
    assert (record["kind"], record["actor"]) == ("refused", actor)
    assert record["body"] | {"path": ""} == {"side": "agent", "status": status, "code": code, "method": method, "path": ""}
    assert "somebody-else" not in str(record)


def test_a_refusal_that_the_gate_recorded_has_no_second_record(sidecar):
    status = sidecar.submit(plan(sidecar, scale(sidecar)))
    before = head(sidecar)
    assert sidecar.approve(status, "eve").status_code == 403
    assert [record["kind"] for record in records(sidecar, before)] == ["answer-refused"]


def test_a_plan_that_may_not_be_leased_says_so_in_its_own_record(sidecar):
    status = sidecar.submit(plan(sidecar, scale(sidecar, 5)))
    before = head(sidecar)
    assert sidecar.agent.post(f"/v1/plans/{status['plan']}/lease").status_code == 409
    (record,) = records(sidecar, before)
    assert (record["kind"], record["plan"], record["body"]["code"]) == ("refused", status["plan"], "not-approved")


def test_a_page_that_says_no_is_on_record_too(sidecar):
    origin = {"Origin": sidecar._people_url}
    browser = httpx.Client(base_url=sidecar._people_url, headers={"Accept": "text/html"})
    before = head(sidecar)
    assert browser.post("/login", data={"token": "a guess at a token"}, headers=origin).status_code == 401
    assert browser.post("/login", data={"token": token("ada")}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert browser.post("/login", data={"token": token("ada")}, headers=origin).status_code == 303
    assert browser.post("/stop", data={"csrf": "0" * 64}, headers=origin).status_code == 403
    assert browser.get(f"/approvals/{'0' * 64}").status_code == 404
    assert [(record["actor"], record["body"]["code"], record["body"]["path"]) for record in records(sidecar, before)] == [
        ("unknown", "not-authenticated", "/login"),
        ("unknown", "foreign-form", "/login"),
        ("ada", "unknown-plan", f"/approvals/{'0' * 64}"),
    ]
    sidecar.end()
    sidecar.start()
    (more,) = [r["body"] for r in records(sidecar, before) if r["kind"] == "refused-more"]
    assert (more["code"], more["count"]) == ("foreign-form", 1)  # the same no within a minute is counted
    assert "guess" not in str(records(sidecar, before))


def test_a_flood_is_one_record_and_a_count_when_the_process_ends(sidecar):
    before = head(sidecar)
    for number in range(40):
        assert sidecar.agent.get(f"/v1/nothing/{number}\u202e%0a").status_code == 404
    assert len(records(sidecar, before)) <= 1
    sidecar.end()
    sidecar.start()
    counted = [r["body"] for r in records(sidecar, before) if r["kind"] == "refused-more" and r["body"]["code"] == "not-found"]
    assert sum(body["count"] for body in counted) >= 39
    assert sidecar.command("audit", "verify").returncode == 0


def test_a_browser_that_asks_for_a_plan_by_half_its_digest_is_told_so_on_a_page(sidecar):
    origin = {"Origin": sidecar._people_url}
    with httpx.Client(base_url=sidecar._people_url, headers={"Accept": "text/html"}) as browser:
        assert browser.get("/approvals/0123456789ab").headers["location"].startswith("/login")
        assert browser.post("/login", data={"token": token("ada")}, headers=origin).status_code == 303
        told = browser.get("/approvals/0123456789ab")
    assert (told.status_code, told.headers["content-type"].partition(";")[0]) == (404, "text/html")
    assert "No plan with this digest waits for people." in told.text
