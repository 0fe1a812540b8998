"""The policy commands at a running sidecar: a plan explained from its facts, and its record judged again."""

import json

import pytest

from tests.sidecar.process.harness import good, running
from tests.sidecar.process.test_lab_way import plan, scale


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    with running(tmp_path_factory.mktemp("policy-commands")) as sidecar:
        yield sidecar.start()


def test_a_plan_is_explained_from_the_running_sidecars_facts(sidecar, tmp_path):
    document = plan(sidecar, scale(sidecar))
    (tmp_path / "plan.json").write_text(json.dumps(document))
    before = len(good(sidecar.person("ada").get("/v1/audit"))["records"])

    told = sidecar.command("policy", "explain", str(tmp_path / "plan.json"), "--running", "--policies", str(sidecar.policies))

    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("review  plan ")
    assert "step-1: workloads" in told.stdout
    assert "Deployment/shop/web" in told.stdout
    assert told.stderr == ""
    assert len(good(sidecar.person("ada").get("/v1/audit"))["records"]) == before  # nothing was submitted

    elsewhere = sidecar.command(
        "policy", "explain", str(tmp_path / "plan.json"), "--running", LESTRADE_SIDECAR_POLICIES="policies"
    )
    assert "judges by another bundle" in elsewhere.stderr


def test_facts_at_a_running_sidecar_are_for_people_only(sidecar):
    document = plan(sidecar, scale(sidecar))
    with sidecar.person("nobody") as stranger:
        assert stranger.post("/v1/policy/consider", json=document).status_code == 401
    with sidecar.person("ada") as person:
        assert person.post("/v1/policy/consider", json={**document, "x": 1}).status_code == 400
    assert sidecar.agent.post("/v1/policy/consider", json=document).status_code == 404


def test_the_record_judged_again_by_the_same_bundle_says_the_same(sidecar):
    sidecar.submit(plan(sidecar, scale(sidecar)))
    sidecar.submit(plan(sidecar, scale(sidecar, 500)))

    same = sidecar.command("policy", "replay", "--all")

    assert same.returncode == 0, same.stdout + same.stderr
    assert "review -> review" in same.stdout
    assert "deny -> deny" in same.stdout
    assert "2 verdicts judged again" in same.stdout
    assert "0 would change, 0 not known" in same.stdout
