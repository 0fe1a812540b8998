"""What an operator sees when something is not as it should be: one line that says what and where, and the right exit code."""

import pytest
import structlog
from typer.testing import CliRunner

from sidecar.cli.program import app

TOKEN = "nobody-in-particular"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("LESTRADE_SIDECAR_STATE", str(tmp_path))
    monkeypatch.setenv("LESTRADE_OPERATOR_TOKEN", TOKEN)
    yield lambda *arguments, **environment: CliRunner().invoke(app, list(arguments), env=environment)
    structlog.reset_defaults()


def one_line(ended, code: int) -> str:
    assert ended.exit_code == code, ended.output
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert "fault of its own" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    "url", ["blah", "postgres://u:hunter2@h/x", "mysql://u:hunter2@h/x", "postgresql+psycopg://u:hunter2@h:p/x"]
)
@pytest.mark.parametrize("command", [("audit", "verify"), ("audit", "show"), ("audit", "export")])
def test_what_is_no_database_is_said_by_its_setting_and_without_its_password(run, tmp_path, url, command):
    (tmp_path / "audit.key").write_text("k" * 40)
    said = one_line(run(*command, LESTRADE_SIDECAR_DATABASE_URL=url), 2)
    assert "LESTRADE_SIDECAR_DATABASE_URL" in said
    assert "hunter2" not in said


def test_a_driver_that_is_not_installed_is_said_with_what_to_install(run, tmp_path):
    (tmp_path / "audit.key").write_text("k" * 40)
    said = one_line(run("audit", "verify", LESTRADE_SIDECAR_DATABASE_URL="postgresql+psycopg2://u:hunter2@h/x"), 2)
    assert "install lestrade[postgresql]" in said
    assert "hunter2" not in said


def test_a_database_that_is_down_is_one_line_with_its_cause_and_nothing_on_stdout(run, tmp_path):
    (tmp_path / "audit.key").write_text("k" * 40)
    url = "postgresql+psycopg://u:hunter2@127.0.0.1:1/x"
    said = one_line(run("audit", "export", LESTRADE_SIDECAR_DATABASE_URL=url), 5)
    assert "Connection refused" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("url", ["localhost:8182", "http://127.0.0.1:abc"])
def test_what_is_no_address_of_a_sidecar_is_said_by_its_setting(run, url):
    assert "LESTRADE_SIDECAR_PEOPLE_URL" in one_line(run("approvals", "list", LESTRADE_SIDECAR_PEOPLE_URL=url), 2)


def test_a_sidecar_that_is_down_is_said_with_what_to_do(run):
    said = one_line(run("leases", "list", LESTRADE_SIDECAR_PEOPLE_URL="http://127.0.0.1:1"), 4)
    assert "lestrade-sidecar serve" in said


def test_certificates_are_looked_at_before_anything_listens(run, tmp_path):
    (tmp_path / "cert.pem").write_text("no certificate\n")
    given = {f"LESTRADE_SIDECAR_PEOPLE_TLS_{what}_FILE": str(tmp_path / "cert.pem") for what in ("CERT", "KEY")}
    assert "cert.pem" in one_line(run("serve", **given), 2)
    assert not (tmp_path / "agent.sock").exists()


def test_a_setting_that_does_not_exist_and_an_address_that_is_none_are_named(run, tmp_path):
    (tmp_path / "sidecar.toml").write_text("polices = 'mistyped'\n")
    assert "polices is no setting" in one_line(run("config", "--config", str(tmp_path / "sidecar.toml")), 2)
    said = one_line(run("serve", LESTRADE_SIDECAR_PEOPLE_LISTEN="127.0.0.1"), 2)
    assert "LESTRADE_SIDECAR_PEOPLE_LISTEN" in said


def test_a_folder_without_rules_is_named(run, tmp_path):
    assert str(tmp_path) in one_line(run("policy", "test", str(tmp_path)), 2)
