"""Plans of the record judged again: what would be decided otherwise under another bundle, from the facts of that day."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sidecar.cli.program import app
from sidecar.contract import Json
from sidecar.gate.opening import open_ledger
from sidecar.policy import RegoJudge, policies_folder
from sidecar.policy.bundle import assemble
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.replay import replayed
from sidecar.settings import Settings
from tests.sidecar.policy.builders import ALLOWS_ALL, NOW, SHIPPED, bundle_of, facts, plan

DENIES = ALLOWS_ALL.replace(
    '"allow", "reasons": []', '"deny", "reasons": [{"rule": "never", "step": "", "message": "no", "fix": null}]'
)
DENIES = DENIES.replace('"lease_seconds": 900', '"lease_seconds": 0')


def record(seq: int = 1, verdict: str = "allow", *, whole: bool = True, **body: Json) -> dict[str, Any]:
    asked = plan()
    decision = {"plan": asked.digest, "verdict": verdict, "reasons": [], "revision": "r", "facts": "0" * 64,
                "decided_at": NOW.isoformat(), "approvals": None, "lease_seconds": 0}  # fmt: skip
    return {
        "seq": seq,
        "at": NOW.isoformat(),
        "kind": "plan-decided",
        "plan": asked.digest,
        "body": {"plan": asked.document() if whole else None, "facts": facts().document, "decision": decision, **body},
    }


def judge_by(text: str) -> RegoJudge:
    return RegoJudge(EmbeddedEngine(bundle_of(text)), zones=())


def test_the_same_rules_change_nothing() -> None:
    judge = RegoJudge(EmbeddedEngine(SHIPPED), zones=SHIPPED.zones)

    assert [one.changed for one in replayed([record()], judge)] == [False]


def test_a_verdict_that_would_be_another_one_says_which_rules_make_it_so() -> None:
    (found,) = replayed([record()], judge_by(DENIES))

    assert found.changed
    assert (found.before, found.after, found.rules_after) == ("allow", "deny", frozenset({"never"}))
    assert "allow -> deny  now never" in found.line()


def test_a_plan_that_came_again_is_judged_again_too() -> None:
    found = list(replayed([record(1), record(2, whole=False)], judge_by(DENIES)))

    assert [(one.seq, one.changed) for one in found] == [(1, True), (2, True)]


def test_what_the_sidecar_itself_objected_to_is_no_change_of_policy() -> None:
    stopped = record(verdict="deny", policy={"verdict": "allow", "rules": []})

    assert [one.changed for one in replayed([stopped], judge_by(ALLOWS_ALL))] == [False]


def test_a_record_without_facts_is_not_guessed_at() -> None:
    (found,) = replayed([record(facts=None)], judge_by(ALLOWS_ALL))

    assert not found.changed
    assert "no facts" in found.unknown


def test_other_records_and_earlier_ones_are_passed_over() -> None:
    from datetime import timedelta

    other = {**record(), "kind": "answer"}

    assert list(replayed([other, record()], judge_by(ALLOWS_ALL), since=NOW + timedelta(seconds=1))) == []


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sidecar's state folder with one verdict in its record."""
    monkeypatch.setenv("LESTRADE_SIDECAR_STATE", str(tmp_path / "state"))
    ledger = open_ledger(Settings(state=tmp_path / "state"))
    said = record()
    with ledger.write() as transaction:
        transaction.record("plan-decided", actor="agent", plan=said["plan"], body=said["body"])
    ledger.close()
    return tmp_path


def replay(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["policy", "replay", *map(str, arguments)])


def test_the_command_says_by_its_code_whether_anything_would_change(state: Path) -> None:
    same = replay("--policies", policies_folder())
    assert (same.exit_code, "0 would change" in same.stdout) == (0, True), same.output

    (state / "freeze.yaml").write_text(
        "freezes: [{name: all year, environments: [dev], from: '2026-01-01T00:00:00Z', until: '2027-01-01T00:00:00Z'}]\n"
    )
    other = replay("--policies", policies_folder(), "--overlay", state / "freeze.yaml")
    assert other.exit_code == 1
    assert "allow -> deny  now change-freeze" in other.stdout
    assert "1 would change" in other.stdout

    late = replay("--policies", policies_folder(), "--overlay", state / "freeze.yaml", "--since", "2100-01-01")
    assert (late.exit_code, "0 verdicts" in late.stdout) == (0, True)
    assert replay("--since", "soon").exit_code == 2


def test_a_rule_that_no_case_is_about_is_named() -> None:
    from sidecar.policy.coverage import uncovered

    guard = (
        "remediation/guards/mine.rego",
        'package remediation.guards.mine\n\ndeny contains {"rule": "mine", "message": "no"} if false\n',
    )
    permit = (
        "remediation/permits/mine.rego",
        "package remediation.permits.mine\n\npermit contains id if {\n\tid := input.x\n}\n",
    )
    bundle = assemble((*SHIPPED.modules, guard, permit), SHIPPED.raw_data, cases=SHIPPED.cases, documents=SHIPPED.documents)

    assert "guard mine: rule mine" in list(uncovered(bundle))
    bare = assemble((guard, permit), SHIPPED.raw_data)
    assert list(uncovered(bare)) == ["guard mine: rule mine", "permit mine"]
