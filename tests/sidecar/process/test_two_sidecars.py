"""Two sidecar processes on one PostgreSQL: what one did the other knows, and what may happen once happens once."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.laboratory import Laboratory
from tests.forked import run
from tests.servers import running_postgres
from tests.sidecar.process.harness import ROOT, Sidecar, furnished, good, running, wait_for
from tests.sidecar.process.test_lab_way import DEPLOYMENT, plan, scale

KEY = "the-key-of-both-sidecars-of-the-tests"


@pytest.fixture(scope="module")
def server():
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def both(server, tmp_path_factory):
    """(one, the other): the same laboratory, database, key, policy and people."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "audit.key").write_text(KEY)
    over = {
        "LESTRADE_SIDECAR_DATABASE_URL": server.fresh(),
        "LESTRADE_SIDECAR_AUDIT_KEY_FILE": str(folder / "audit.key"),
    }
    with running(folder / "one", environment=over) as one:
        other = Sidecar(lab=one.lab, folder=folder / "other", environment=over)
        try:
            with ThreadPoolExecutor() as pool:  # at once: both make the tables
                list(pool.map(Sidecar.start, (one, other)))
            yield one, other
        finally:
            other.kill()


@pytest.fixture
def two(both):
    one, _ = both
    one.lab.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 2}}, content_type="application/merge-patch+json")
    yield both
    for lease in good(one.person("ada").get("/v1/leases"))["leases"]:
        if lease["state"] != "settled":
            one.settle(lease, "unknown")


def at_once(*works):
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]


def records(sidecar: Sidecar, about: str) -> list[dict]:
    return good(sidecar.person("ada").get("/v1/audit", params={"about": about, "limit": 1000}))["records"]


def kinds(sidecar: Sidecar, about: str) -> list[str]:
    return [record["kind"] for record in records(sidecar, about)]


def writes(sidecar: Sidecar) -> list:
    return [r for r in sidecar.lab.requests if r.is_write and r.resource == "deployments" and "lestrade-leases" in r.identity]


def test_one_plan_given_to_both_is_judged_asked_leased_and_carried_out_once(two):
    one, other = two
    document = plan(one, scale(one))
    before = len(writes(one))
    given = at_once(*[lambda s=s: s.submit(document) for s in two * 3])
    assert {status["state"] for status in given} == {"waiting"}
    digest = given[0]["plan"]
    assert kinds(one, digest) == ["plan-decided"]
    good(other.approve(given[0], "bob"))
    assert good(one.agent.get(f"/v1/plans/{digest}"))["state"] == "approved"

    leases = [good(r) for r in at_once(*[lambda s=s: s.agent.post(f"/v1/plans/{digest}/lease") for s in two * 3])]
    assert len({lease["id"] for lease in leases}) == 1
    lease = leases[0]
    assert kinds(one, lease["id"]).count("lease-claimed") == 1

    results = at_once(*[lambda s=s: s.perform(lease) for s in two * 3])
    assert {result["status"] for result in results} == {"performed"}
    assert [result["repeated"] for result in results].count(False) == 1
    assert len(writes(one)) == before + 1

    ends = at_once(*[lambda s=s: s.settle(lease) for s in two * 2])
    assert {end["state"] for end in ends} == {"settled"}
    assert kinds(other, lease["id"]).count("lease-settled") == 1
    wait_for(lambda: one.leftovers() == [], what="nothing is left over")


def test_a_no_on_one_and_a_yes_on_the_other_at_once_is_never_a_yes(two):
    one, other = two
    for _ in range(4):
        status = one.submit(plan(one, scale(one)))
        at_once(lambda s=status: one.approve(s, "ada"), lambda s=status: other.approve(s, "bob", "deny"))
        assert good(other.agent.get(f"/v1/plans/{status['plan']}"))["state"] == "refused"
        assert one.agent.post(f"/v1/plans/{status['plan']}/lease").status_code == 409


def test_two_plans_on_one_target_leased_at_once_on_both_are_one_lease(two):
    one = two[0]
    given = [side.submit(plan(one, scale(one, replicas))) for side, replicas in zip(two, (3, 4), strict=True)]
    for status in given:
        good(one.approve(status))
    came = at_once(*[lambda s=s, g=g: s.agent.post(f"/v1/plans/{g['plan']}/lease") for s, g in zip(two, given, strict=True)])
    assert sorted(response.status_code for response in came) == [200, 409]
    assert next(r for r in came if r.status_code == 409).json()["code"] == "target-leased"


def test_what_one_holds_live_the_others_reaper_leaves_alone_and_its_stop_ends(two):
    one, other = two
    lease = one.leased(plan(one, scale(one)))
    time.sleep(1.6)  # three rounds of a reaper that looks every half second
    assert one.perform(lease)["status"] == "performed"
    assert one.lab.get("Deployment", "shop", "web")["spec"]["replicas"] == 4
    good(other.person("bob").post("/v1/stop", json={"reason": "enough"}))
    try:
        assert one.perform(lease)["repeated"] is True
        assert good(one.person("ada").get("/v1/leases"))["leases"][0]["state"] == "settled"
        refused = one.submit(plan(one, scale(one, 5)))
        assert refused["state"] == "denied"
        assert one.leftovers() == []
    finally:
        lifted(two)


def lifted(two) -> None:
    for name in ("bob", "dan"):
        two[0].person(name).post("/v1/stop", json={"lift": True, "reason": "over"})


def test_a_database_that_is_away_stops_everything_and_nobody_has_to_start_again(two, server):
    one, other = two
    lease = one.leased(plan(one, scale(one)))
    before = len(writes(one))
    server.stop()
    for side in two:
        for call in (
            lambda s=side: s.agent.post(f"/v1/leases/{lease['id']}/steps/step-1"),
            lambda s=side: s.agent.post("/v1/plans", json=plan(one, scale(one, 5))),
            lambda s=side: s.agent.post(f"/v1/leases/{lease['id']}/settle", json={"outcome": "helped"}),
            lambda s=side: s.person("ada").get("/v1/audit"),
            lambda s=side: s.agent.get("/readyz"),
        ):
            response = call()
            assert response.status_code == 503, response.text
            assert response.headers["content-type"] == "application/problem+json"
            assert "127.0.0.1" not in response.text
    assert len(writes(one)) == before
    server.start()
    assert other.perform(lease)["status"] == "performed"
    assert one.settle(lease)["state"] == "settled"
    assert len(writes(one)) == before + 1


def test_one_that_is_killed_holds_nothing_up_and_the_other_goes_on(two):
    one, other = two
    lease = other.leased(plan(one, scale(one)))
    other.kill()
    try:
        assert one.perform(lease)["status"] == "performed"
        assert one.settle(lease)["state"] == "settled"
    finally:
        other.start()


def refused(sidecar: Sidecar, words: str) -> None:
    """It does not start, and says why in one line."""
    program = [sys.executable, "-m", "sidecar.cli", "serve"]
    came = run(program, env=sidecar.settings(), timeout=60, cwd=ROOT)
    assert came.returncode in (2, 5), came.stdout
    line = came.stderr.strip()
    assert "\n" not in line
    assert words in line, line


def test_another_cluster_and_another_key_are_refused(two, tmp_path):
    one, _ = two
    (tmp_path / "audit.key").write_text("quite-another-key-of-somebody")
    wrong = {**one.environment, "LESTRADE_SIDECAR_AUDIT_KEY_FILE": str(tmp_path / "audit.key")}
    refused(Sidecar(lab=one.lab, folder=tmp_path / "a", environment=wrong), "audit_key_file")
    with Laboratory.start() as lab:
        furnished(lab)
        refused(Sidecar(lab=lab, folder=tmp_path / "b", environment=one.environment), "belongs to cluster lab")


def test_text_that_postgresql_does_not_keep_is_a_refusal(two):
    one, _ = two
    document = plan(one, scale(one)) | {"hypothesis": "a\x00b"}
    response = one.agent.post("/v1/plans", content=json.dumps(document))
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
    assert one.person("ada").get("/v1/audit", params={"about": "\x00"}).status_code == 400
