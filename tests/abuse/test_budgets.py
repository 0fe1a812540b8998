"""Going round in circles, and being lucky: both end in a bounded number of tries and in a person's hands.

Whole runs with the real sidecar process; the laboratory's request log says what was written.
"""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.cli.demonstration import Demonstration
from agent.settings import Settings
from lab.scenarios import Scenario, load
from sidecar.gate.opening import open_record
from sidecar.settings import Settings as SidecarSettings
from tests.e2e.ledger import by_leases, strangers
from tests.e2e.playing import play_scenario
from tests.servers import OpaServer, free_port, program
from tests.sidecar.process.harness import ROOT, good, running
from tests.sidecar.process.test_lab_way import plan, replicas, scale

pytestmark = pytest.mark.timeout(180)


class WithOtherRunbooks(Demonstration):
    """The agent reads its runbooks from `runbooks` below the run's folder."""

    def settings(self) -> Settings:
        return super().settings().model_copy(update={"runbooks": self.folder / "runbooks"})


def verified_by(folder: Path, promql: str) -> None:
    """Every page's verification becomes one metric."""
    shutil.copytree(ROOT / "runbooks", folder / "runbooks")
    for page in (folder / "runbooks").rglob("*.md"):
        _, front, rest = page.read_text().split("---\n", 2)
        before, verify, _ = front.partition("verify:\n")
        if not verify:
            continue  # a page of questions repairs nothing
        page.write_text(f"---\n{before}verify:\n  - {{promql: '{promql}', within: 30s}}\n---\n{rest}")


@pytest.mark.parametrize(
    ("what", "promql"),
    [
        ("a metric that nobody has", "sum(rate(no_such_requests_total[2m])) == 0"),
        ("a metric of a target that is not scraped", 'sum(kube_pod_status_ready{namespace="nowhere"}) > 0'),
    ],
)
def test_F9_a_verification_that_cannot_be_seen_is_unknown_and_not_success(tmp_path, what, promql):
    verified_by(tmp_path, promql)
    played = asyncio.run(play_scenario(load("missing-variable"), tmp_path, kind=WithOtherRunbooks))

    assert played.account["outcome"] != "repaired", what
    assert "Repaired" not in played.account["headline"]
    assert [settlement["outcome"] for settlement in played.account["settlements"]] == ["unknown"]
    assert [look.seen for round_ in played.report.rounds for look in round_.observations][-1] is None
    assert strangers(played.log) == []


def always(scenario: Scenario, policy: dict) -> Scenario:
    return replace(scenario, governance=replace(scenario.governance, policy=policy))


def test_F10_a_policy_that_always_says_no_ends_the_run_with_its_evidence(tmp_path):
    scenario = load("missing-variable")
    frozen = {"freezes": [{"name": "for ever", "environments": ["dev", "test", "prod"], "from": "2020-01-01T00:00:00Z",
                           "until": "2099-01-01T00:00:00Z"}]}  # fmt: skip
    played = asyncio.run(play_scenario(always(scenario, frozen), tmp_path))

    assert played.account["outcome"] == "denied"
    assert by_leases(played.log) == []
    assert strangers(played.log) == []
    assert played.report.evidence
    assert played.report.diagnosis.causes
    decided = [r for r in open_record(SidecarSettings(state=tmp_path / "sidecar")).documents() if r["kind"] == "plan-decided"]
    assert 1 <= len(decided) <= 9  # rounds and plans again, as the agent's settings bound them


@pytest.fixture
def opa() -> Iterator[OpaServer]:
    server = OpaServer(program("opa"), free_port())
    server.start()
    yield server
    server.stop()


def test_F10_two_hundred_plans_of_one_agent_neither_flood_people_nor_write_anything(tmp_path, opa):
    beyond_the_minutes_bound = {"LESTRADE_SIDECAR_MOST_PLANS_A_MINUTE": "1000", "LESTRADE_OPA_URL": opa.url}
    with running(tmp_path, environment=beyond_the_minutes_bound) as sidecar:
        sidecar.start()
        log, before = len(sidecar.lab.requests), replicas(sidecar)
        states: list[str] = []
        for number in range(200):
            document = {**plan(sidecar, scale(sidecar, 3 + number % 5)), "incident": "inc-circle", "attempt": number % 100 + 1}
            document["hypothesis"] = f"try {number}"
            states.append(sidecar.submit(document)["state"])

        assert set(states) <= {"waiting", "denied"}
        assert states.count("waiting") <= 20
        assert states[-1] == "denied"
        with sidecar.person("ada") as people:
            assert len(good(people.get("/approvals"))["approvals"]) == states.count("waiting")
        too_often = sidecar.agent.post("/v1/plans", json={**document, "attempt": 101})
        assert (too_often.status_code, too_often.json()["code"]) == (400, "malformed")
        assert [entry for entry in sidecar.lab.requests[log:] if entry.is_write and not entry.dry_run] == []
        assert replicas(sidecar) == before


def test_F10_plans_beyond_what_a_minute_may_have_are_neither_judged_nor_kept(tmp_path):
    with running(tmp_path, environment={"LESTRADE_SIDECAR_MOST_PLANS_A_MINUTE": "3"}) as sidecar:
        sidecar.start()
        documents = [{**plan(sidecar, scale(sidecar, 3)), "incident": f"inc-{number}"} for number in range(9)]
        answers = [sidecar.agent.post("/v1/plans", json=document) for document in documents]

        statuses = [answer.status_code for answer in answers]
        assert statuses[:3] == [200] * 3
        turned_away = [answer.json() for answer in answers if answer.status_code != 200]
        assert len(turned_away) >= 5
        assert {(problem["status"], problem["code"]) for problem in turned_away} == {(429, "too-many-plans")}
        assert good(sidecar.agent.post("/v1/plans", json=documents[0]))["plan"] == answers[0].json()["plan"]  # no new one
    record = open_record(SidecarSettings(state=tmp_path)).documents()
    assert len([entry for entry in record if entry["kind"] == "plan-decided"]) == statuses.count(200)
    assert [entry["body"]["code"] for entry in record if entry["kind"] == "refused"][:1] == ["too-many-plans"]
