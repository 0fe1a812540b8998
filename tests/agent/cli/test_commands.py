"""The command line: what goes in wrongly is told in one line, and every end has its exit code."""

import gzip
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from agent.cli.terminal import OneLine, tell
from tests.forked import run

REPOSITORY = Path(__file__).parents[3]

CONTAINER = {"name": "cart", "image": "cart:1", "ports": [{"containerPort": 8080}]}
TEMPLATE = {"metadata": {"labels": {"app": "cart"}}, "spec": {"containers": [CONTAINER]}}
SNAPSHOT = {
    "snapshot": 1,
    "cluster": {"name": "toy", "version": "v1.36.2"},
    "now": "2026-03-02T09:00:00Z",
    "objects": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "n1"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "cart", "namespace": "shop", "uid": "s1"},
            "spec": {"selector": {"app": "kart"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "cart", "namespace": "shop", "uid": "d1", "generation": 1},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "cart"}}, "template": TEMPLATE},
            "status": {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": "cart-a",
                "namespace": "shop",
                "uid": "r1",
                "ownerReferences": [{"kind": "Deployment", "name": "cart", "uid": "d1", "controller": True}],
            },
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "cart"}}, "template": TEMPLATE},
            "status": {"replicas": 1, "readyReplicas": 1},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "cart-1",
                "namespace": "shop",
                "uid": "p1",
                "labels": {"app": "cart"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "cart-a", "uid": "r1", "controller": True}],
            },
            "spec": {"containers": [{"name": "cart", "image": "cart:1", "ports": [{"containerPort": 8080}]}]},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "cart", "ready": True, "restartCount": 0, "state": {"running": {}}}],
            },
        },
    ],
}


@pytest.fixture
def home(tmp_path) -> Path:
    (tmp_path / "incident.json.gz").write_bytes(gzip.compress(json.dumps(SNAPSHOT).encode()))
    return tmp_path


def lestrade(home: Path, *arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LESTRADE_", "KUBE"))}
    program = [sys.executable, "-m", "agent.cli", *arguments]
    given = {**kept, **surroundings(home), **environment}
    return run(program, cwd=home, env=given, input=stdin, timeout=100)


def surroundings(home: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(REPOSITORY), "XDG_STATE_HOME": str(home), "HOME": str(home), "NO_COLOR": "1"}


def told(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line on standard error."""
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("lestrade:")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_question_about_a_snapshot_is_answered_kept_and_shown_again(home):
    done = lestrade(home, "investigate", "-q", "why does cart get no traffic?", "--snapshot", "incident.json.gz", "--json")
    document = json.loads(done.stdout)
    run = document["summary"]["run"]
    listed = json.loads(lestrade(home, "runs", "list", "--json").stdout)
    shown = lestrade(home, "runs", "show", run)
    page = lestrade(home, "report", run, "--format", "html", "-o", "out.html")

    assert done.returncode == 1
    assert document["summary"]["outcome"] == "diagnosed"
    assert document["summary"]["resource"] == "Service shop/cart"
    assert [row["id"] for row in listed] == [run]
    assert "diagnose" in shown.stderr
    assert page.returncode == 0
    assert "Service shop/cart" in (home / "out.html").read_text()


def test_markdown_goes_to_standard_output_and_nothing_else_does(home):
    done = lestrade(home, "investigate", "-q", "why does cart get no traffic?", "--snapshot", "incident.json.gz", "--md")

    assert done.stdout.startswith("# ")
    assert "\x1b" not in done.stdout + done.stderr


def test_an_alert_from_standard_input_is_investigated(home):
    alert = {"labels": {"alertname": "NoEndpoints", "namespace": "shop", "service": "cart"}, "status": "firing"}
    notification = json.dumps({"version": "4", "groupKey": "g", "alerts": [alert]})
    done = lestrade(home, "investigate", "--alert", "-", "--snapshot", "incident.json.gz", "--json", stdin=notification)

    assert json.loads(done.stdout)["incident"]["alerts"][0]["name"] == "NoEndpoints"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("investigate",), "either --question"),
        (("investigate", "-q", "x", "--snapshot", "missing.json"), "no such file"),
        (("investigate", "-q", "x", "--snapshot", "broken.json"), "broken.json"),
        (("investigate", "-q", "x", "--snapshot", "broken.yaml"), "broken.yaml"),
        (("investigate", "-q", "x", "--snapshot", "other.json"), "snapshot"),
        (("investigate", "--alert", "old.json", "--snapshot", "incident.json.gz"), "version 3"),
        (("investigate", "--alert", "-", "--snapshot", "incident.json.gz"), "standard input: the alert is not JSON"),
        (("investigate", "--alert", "missing.json", "--snapshot", "incident.json.gz"), "missing.json"),
        (("investigate", "-q", "x", "--snapshot", "incident.json.gz", "--context", "c"), "choose one"),
        (("investigate", "-q", "x"), "kubeconfig"),
        (("report", "run-nope"), "no run run-nope"),
        (("runs", "show", "run-nope"), "no run run-nope"),
        (("runs", "resume", "run-nope", "--snapshot", "incident.json.gz"), "no run run-nope"),
        (("runs", "resume", "run-nope"), "no run run-nope"),
        (("investigate", "--alert", "hostile.json"), "alerts.0.labels: Input should be"),
        (("demo", "memory-limits"), "did you mean memory-limit?"),
        (("demo", "\x1b[31mzzz"), "there is no scenario"),
        (("serve", "--listen", "nowhere"), "host:port"),
        (("summary", "--since", "soon"), "such as 36h, 7d or 2w"),
        (("runs", "prune", "--older-than", "soon"), "--older-than"),
        (("config", "--config", "missing.toml"), "missing.toml"),
        (("config", "--config", "broken.json"), "not TOML"),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_2(home, arguments, says):
    (home / "broken.json").write_text('{"snapshot": 1,')
    (home / "broken.yaml").write_text("a: [1\nb: }")
    (home / "other.json").write_text('{"snapshot": 7}')
    (home / "hostile.json").write_text('{"version": "4", "groupKey": "g", "alerts": [{"labels": {"\\u001b[31m\\nx": 1}}]}')
    (home / "old.json").write_text('{"version": "3", "alerts": []}')
    done = lestrade(home, *arguments)

    assert says in told(done)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr


def test_a_setting_that_is_wrong_is_named(home):
    done = lestrade(home, "config", LESTRADE_WORKERS="many")

    assert "LESTRADE_WORKERS" in told(done)
    assert done.returncode == 2


def test_what_the_service_cannot_start_with_is_told_at_its_end_and_without_a_traceback(home):
    (home / "kubeconfig").write_text(
        "{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], "
        "users: [{name: u, user: {}}], clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]}"
    )
    (home / "deliveries.yaml").write_text("places: [{name: team, slack: {channel: C0TEAM}}]")
    given = {"LESTRADE_KUBECONFIG": "kubeconfig", "LESTRADE_DELIVERIES": "deliveries.yaml"}
    done = lestrade(home, "serve", "--listen", f"127.0.0.1:{free_port()}", **given)

    assert "LESTRADE_SLACK_BOT_TOKEN_FILE is not set" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_settings_say_where_they_come_from(home):
    (home / "lestrade.toml").write_text('workers = 7\ncluster = "blue"\n')
    rows = json.loads(lestrade(home, "config", "--json", "--config", "lestrade.toml", LESTRADE_CLUSTER="green").stdout)
    found = {row["name"]: row for row in rows}

    assert (found["workers"]["value"], found["workers"]["source"]) == ("7", "lestrade.toml")
    assert (found["cluster"]["value"], found["cluster"]["source"]) == ("green", "environment")
    assert (found["log_tail"]["source"], all(row["doc"] for row in rows)) == ("default", True)


def test_an_unknown_key_in_the_file_is_refused(home):
    (home / "lestrade.toml").write_text("wokers = 7\n")

    assert "wokers is no setting" in told(lestrade(home, "config", "--config", "lestrade.toml"))


def test_a_cluster_that_does_not_answer_is_exit_4(home):
    (home / "kubeconfig").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{free_port()}"}}],
                "users": [{"name": "u", "user": {"token": "canary-token"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    done = lestrade(home, "investigate", "-q", "x", LESTRADE_KUBECONFIG=str(home / "kubeconfig"))

    assert done.returncode == 4
    assert re.search(r"no answer from cluster c \(.*\): 127\.0\.0\.1:\d+: Connection refused", told(done))
    assert "canary-token" not in done.stdout + done.stderr


def test_a_store_that_cannot_be_written_is_exit_5(home):
    (home / "db").write_text("this is no database " * 60)
    done = lestrade(home, "runs", "list", LESTRADE_DATABASE_URL=f"sqlite:///{home / 'db'}")

    assert done.returncode == 5
    assert "runs cannot be kept" in told(done)


def test_a_port_that_is_taken_is_told(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = lestrade(home, "serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")

    assert "in use" in told(done)
    assert "LESTRADE_LISTEN" in told(done)
    assert done.returncode == 2


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("demo",),
        ("investigate",),
        ("scan",),
        ("snapshot",),
        ("serve",),
        ("report",),
        ("summary",),
        ("config",),
        ("runs", "list"),
        ("runs", "show"),
        ("runs", "resume"),
        ("runs", "prune"),
    ],
)
def test_help_has_an_example(home, command):
    done = lestrade(home, *command, "--help")

    assert done.returncode == 0
    assert ("Example:" in done.stdout) or not command
    assert command or "Exit codes" in done.stdout


def test_shell_completion_is_there(home):
    done = lestrade(home, "--show-completion", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")

    assert "Traceback" not in done.stderr


def test_the_scenarios_can_be_listed(home):
    done = lestrade(home, "demo", "--list")

    assert "memory-limit" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_service_that_is_told_to_end_ends_in_order(home, number, code):
    (home / "kubeconfig").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{free_port()}"}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", "serve", "--listen", f"127.0.0.1:{port}"],
        cwd=home,
        env={**os.environ, **surroundings(home), "LESTRADE_KUBECONFIG": str(home / "kubeconfig")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert wait_for(port)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()

    assert "Traceback" not in errors
    assert process.returncode == code


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> bool:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


def test_what_breaks_inside_is_one_line_for_the_person_at_the_terminal():
    try:
        raise KeyError("a\nb")
    except KeyError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "stage %s\nbroke", ("gather",), sys.exc_info())

    told = OneLine().format(record)

    assert told.startswith("lestrade: stage gather broke: KeyError at test_commands.py:")
    assert "\n" not in told


def test_a_narrow_terminal_keeps_words_whole_and_a_pipe_gets_one_line():
    text = "Container price-index of Deployment shop/price-index reaches its memory limit"
    narrow, pipe = StringIO(), StringIO()

    tell(Console(file=narrow, force_terminal=True, width=60, soft_wrap=True, no_color=True, highlight=False), "diagnose", text)
    tell(Console(file=pipe, soft_wrap=True), "diagnose", text)

    lines = [line.rstrip() for line in narrow.getvalue().splitlines()]
    assert max(map(len, lines)) <= 60
    assert " ".join(line.strip() for line in lines).split() == ["diagnose", *text.split()]
    assert pipe.getvalue().count("\n") == 1
