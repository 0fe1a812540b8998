"""`lestrade-sidecar policy`: one clear line, an exit code, no traceback."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sidecar.cli.program import app
from sidecar.policy import policies_folder
from tests.sidecar.policy.builders import ALLOWS_ALL, SHIPPED, facts, plan


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["policy", *map(str, arguments)])


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    (tmp_path / "plan.json").write_bytes(plan(replicas=60).canonical())
    return tmp_path / "plan.json"


@pytest.fixture
def facts_file(tmp_path: Path) -> Path:
    (tmp_path / "facts.json").write_text(json.dumps(facts().document))
    return tmp_path / "facts.json"


def test_explain_says_which_rule_which_step_and_what_would_pass(plan_file: Path, facts_file: Path) -> None:
    result = run("explain", plan_file, "--facts", facts_file)

    assert result.exit_code == 1
    assert "step-1: scale-bounds: dev takes between 0 and 10 replicas" in result.stdout
    assert "what would pass: replace: at most 10 (/steps/0/action/replicas = 10)" in result.stdout
    assert "step-1: workloads" in result.stdout
    assert "scale_bounds: objects  (Scale bounds)" in result.stdout
    assert "fenced_kinds: silent" in result.stdout


def test_explain_speaks_json_too(tmp_path: Path, facts_file: Path) -> None:
    (tmp_path / "plan.json").write_bytes(plan(replicas=6).canonical())

    result = run("explain", tmp_path / "plan.json", "--facts", facts_file, "--json")

    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["decision"]["verdict"] == "allow"
    assert said["permits"] == {"step-1": ["workloads"]}


def test_show_names_every_guard_with_its_title() -> None:
    result = run("show")

    assert result.exit_code == 0
    assert SHIPPED.revision in result.stdout
    assert "blast_radius             Blast radius" in result.stdout
    assert "irreversible: 2 of sre, platform" in result.stdout


def test_test_runs_the_cases(tmp_path: Path) -> None:
    shutil.copytree(policies_folder(), tmp_path / "policies")
    for cases in (tmp_path / "policies").rglob("*_cases.yaml"):
        if cases.name != "scale_bounds_cases.yaml":  # all of them are judged where the rules are tested
            cases.unlink()

    result = run("test", tmp_path / "policies")

    assert result.exit_code == 0
    assert result.stdout.endswith("cases pass\n")
    cases = tmp_path / "policies" / "remediation" / "guards" / "scale_bounds_cases.yaml"
    cases.write_text(cases.read_text().replace("verdict: allow", "verdict: deny"))

    failed = run("test", tmp_path / "policies")

    assert failed.exit_code == 1


def test_check_refuses_what_would_let_something_through(tmp_path: Path) -> None:
    (tmp_path / "remediation").mkdir()
    (tmp_path / "remediation" / "decision.rego").write_text(ALLOWS_ALL)
    (tmp_path / "platform").mkdir()
    (tmp_path / "platform" / "data.yaml").write_bytes((policies_folder() / "platform" / "data.yaml").read_bytes())

    result = run("check", tmp_path)

    assert result.exit_code == 1
    assert "/plan missing: allow, where only a denial may come" in result.stdout
    assert "not admitted" in result.stderr
    got_through = [line.removeprefix("  input: ") for line in result.stdout.splitlines() if line.startswith("  input: ")]
    assert "plan" not in json.loads(got_through[0])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("check", "/nowhere"), 2, "not a directory"),
        (("test", "/nowhere"), 2, "not a directory"),
        (("explain", "/nowhere.json"), 2, "cannot read"),
        (("explain", __file__), 2, "is no plan"),
    ],
)
def test_wrong_input_gets_one_line_and_a_code(arguments: tuple[str, ...], code: int, said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


def test_facts_that_are_none_get_one_line(plan_file: Path, tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text('{"now": 1, "now": 2}')

    result = run("explain", plan_file, "--facts", tmp_path / "facts.json")

    assert result.exit_code == 2
    assert "holds no facts: an object holds the same key twice" in result.stderr
