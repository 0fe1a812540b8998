"""`lestrade-sidecar people`: who is added, listed and removed; what is wrong is one line."""

import pytest
from typer.testing import CliRunner

from sidecar.approvals import PeopleFile
from sidecar.cli.program import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("LESTRADE_SIDECAR_STATE", str(tmp_path))
    return lambda *arguments: CliRunner().invoke(app, ["people", *arguments])


def test_a_person_is_added_listed_and_removed(run, tmp_path):
    token = run("add", "ada", "--role", "sre", "--role", "operator", "--slack-user", "U1", "--alias", "ada.l").stdout.strip()
    assert run("add", "robot", "--role", "sre", "--bot").exit_code == 0
    assert "without a local token" in run("add", "gil", "--role", "sre", "--no-token", "--oidc-subject", "sub-gil").stdout
    listed = run("list").stdout
    assert "ada                  operator, sre  also U1, ada.l" in listed
    assert "a bot: never approves" in listed
    assert token not in listed
    people = PeopleFile(tmp_path / "people.toml")
    assert people.by_token(token).name == "ada"
    assert run("remove", "ada").exit_code == 0
    assert people.by_token(token) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "ada", "--role", "sre", "--no-token"),
        ("add", "ada", "--role", "Not A Role"),
        ("add", "ada\x1b[2J", "--role", "sre"),
        ("add", "ada", "--role", "sre", "--slack-user", "not an id"),
        ("add", "eve", "--role", "sre", "--slack-user", "U9"),
        ("remove", "nobody"),
    ],
)
def test_what_is_no_person_is_said_in_one_line(run, arguments):
    run("add", "bob", "--role", "sre", "--slack-user", "U9")
    ended = run(*arguments)
    assert ended.exit_code == 2
    assert ended.stderr.count("\n") == 1
    assert "Traceback" not in ended.output


def test_a_role_that_no_plan_asks_for_is_refused_with_those_that_are(run, tmp_path):
    ended = run("add", "ada", "--role", "sre", "--role", "plattform")
    assert ended.exit_code == 2
    assert "'plattform': did you mean platform?" in ended.stderr
    assert "break-glass, developer, operator, platform, sre" in ended.stderr
    assert run("list").exit_code == 1
    assert run("add", "ada", "--role", "auditor", "--any-role").exit_code == 0


def test_the_roles_of_an_overlay_are_known_and_a_policy_that_cannot_be_read_is_no_hindrance(run, tmp_path, monkeypatch):
    overlay = tmp_path / "ours.yaml"
    monkeypatch.setenv("LESTRADE_SIDECAR_POLICY_OVERLAY", str(overlay))
    overlay.write_text("approvals: {label_roles: [tills-oncall]}\n")
    assert run("add", "ada", "--role", "tills-oncall").exit_code == 0
    overlay.write_text("aprovals: {}\n")
    ended = run("add", "bob", "--role", "anything")
    assert (ended.exit_code, "could not be held against the policy" in ended.stderr) == (0, True)


def test_nobody_is_said(run):
    assert run("list").exit_code == 1
