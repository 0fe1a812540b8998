"""`lestrade scan` and `lestrade snapshot`: what is told, exit codes, and one clear line for what cannot be used."""

import gzip
import json
from contextlib import contextmanager
from io import StringIO

import pytest
import yaml
from rich.console import Console

from agent.cli import scan as scanning
from agent.cli import snapshot as keeping
from agent.domain.finding import Finding, RankedCause
from agent.domain.objects import Ref
from agent.domain.scan import Scan, Trouble
from agent.errors import ClusterUnreachable, InputError
from lab.laboratory import Laboratory
from lab.scenarios import load
from tests.agent.builders import NOW, ago, app, obj
from tests.agent.cli.test_commands import SNAPSHOT, free_port, lestrade, told
from tests.fakes.agent_cluster import FakeApi, serving


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("KUBECONFIG", "LESTRADE_KUBECONFIG", "LESTRADE_CONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "incident.json.gz").write_bytes(gzip.compress(json.dumps(SNAPSHOT).encode()))
    return tmp_path


def scan(home, *namespaces, snapshot="", everything=False, context="", as_json=True):
    path = home / snapshot if snapshot else None
    return scanning.scan(namespaces, everything=everything, snapshot=path, context=context, as_json=as_json, config=None)


def keep(home, *namespaces, output="out.json.gz", everything=False):
    return keeping.snapshot(namespaces, everything=everything, output=home / output, tail=100, context="", config=None)


@contextmanager
def answering(api, home, monkeypatch):
    with serving(api) as url:
        kubeconfig(home, url, monkeypatch)
        yield


def kubeconfig(home, url, monkeypatch):
    contexts = [{"name": "c", "context": {"cluster": "c", "user": "u"}}]
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": contexts,
        "clusters": [{"name": "c", "cluster": {"server": url}}], "users": [{"name": "u", "user": {"token": "canary-token"}}],
    }  # fmt: skip
    (home / "kubeconfig").write_text(yaml.safe_dump(document))
    monkeypatch.setenv("KUBECONFIG", str(home / "kubeconfig"))


def spaces(*names):
    return [obj("Namespace", name, namespace="") for name in names]


def test_a_fault_is_exit_1_and_one_document(home):
    done = lestrade(home, "scan", "--snapshot", "incident.json.gz", "--json")
    document = json.loads(done.stdout)

    assert done.returncode == 1
    assert document["scan"] == 1
    assert document["summary"]["causes"] == ["service-selector-mismatch"]
    assert document["summary"]["resources"] == ["Service shop/cart"]


def test_a_healthy_cluster_is_exit_0_and_one_quiet_line(home, capsys):
    healthy = {**SNAPSHOT, "objects": [*SNAPSHOT["objects"]]}
    healthy["objects"][1] = {**healthy["objects"][1], "spec": {**healthy["objects"][1]["spec"], "selector": {"app": "cart"}}}
    (home / "healthy.json").write_text(json.dumps(healthy))

    assert scan(home, snapshot="healthy.json", as_json=False) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[1:] == ["Nothing is wrong."]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"snapshot": "missing.json"}, "missing.json: no such file"),
        ({"snapshot": "broken.json"}, "broken.json: neither JSON nor YAML"),
        ({"snapshot": "list.json"}, "a mapping is expected"),
        ({"snapshot": "pods.json"}, "`lestrade snapshot` makes one"),
        ({"snapshot": "empty"}, "no cluster-info dump"),
        ({"snapshot": "incident.json.gz", "context": "x"}, "choose one"),
        (
            {"snapshot": "incident.json.gz", "namespaces": ("shoop",)},
            "there is no namespace shoop in cluster toy; did you mean shop?",
        ),
        ({"snapshot": "incident.json.gz", "namespaces": ("shop",), "everything": True}, "-n and --all at once"),
        ({}, "no such kubeconfig"),
    ],
)
def test_wrong_input_is_one_line_that_says_what_to_do(home, arguments, says):
    (home / "broken.json").write_text('{"snapshot": 1, "objects": [')
    (home / "list.json").write_text("[1, 2]")
    (home / "pods.json").write_text('{"kind": "PodList", "items": []}')
    (home / "empty").mkdir()
    namespaces = arguments.pop("namespaces", ())

    with pytest.raises(InputError) as raised:
        scan(home, *namespaces, **arguments)

    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_cluster_that_does_not_answer_is_exit_4_and_shows_no_token(home, monkeypatch):
    kubeconfig(home, f"http://127.0.0.1:{free_port()}", monkeypatch)

    with pytest.raises(ClusterUnreachable) as raised:
        scan(home)
    done = lestrade(home, "scan", KUBECONFIG=str(home / "kubeconfig"))

    assert "127.0.0.1" in str(raised.value)
    assert done.returncode == 4
    assert "no answer from cluster c" in told(done)
    assert "canary-token" not in done.stdout + done.stderr


def test_without_rights_the_gaps_are_told_and_nothing_is_called_healthy(home, monkeypatch, capsys):
    api = FakeApi()
    api.lists["/api/v1/namespaces"] = spaces("shop")
    for path in ("/api/v1/pods", "/api/v1/namespaces/shop/pods"):
        api.refuse[path] = (403, 'pods is forbidden: User "me" cannot list resource "pods"')
    with answering(api, home, monkeypatch):
        assert scan(home, as_json=False) == 1

    shown = capsys.readouterr().out
    assert "Nothing can be said: Pod objects could not be read." in shown
    assert "no rights: pods is forbidden" in shown


def test_namespaces_that_may_not_be_listed_have_to_be_named(home, monkeypatch):
    api = FakeApi()
    api.refuse["/api/v1/namespaces"] = (403, "namespaces is forbidden")
    objects = app("web")
    api.lists["/api/v1/namespaces/shop/pods"] = [one for one in objects if one["kind"] == "Pod"]
    with answering(api, home, monkeypatch):
        with pytest.raises(InputError, match="name yours with -n"):
            scan(home)
        assert scan(home, "shop") == 0


def test_a_snapshot_of_a_live_cluster_holds_what_is_there_and_no_secret(home, monkeypatch, capsys):
    api = FakeApi()
    api.lists["/api/v1/namespaces"] = spaces("shop", "other")
    objects = app("web")
    pods = [one for one in objects if one["kind"] == "Pod"]
    for one in pods:
        one["status"]["containerStatuses"][0]["containerID"] = "containerd://1"
    api.lists["/api/v1/namespaces/shop/pods"] = pods
    api.lists["/api/v1/namespaces/shop/secrets"] = [obj("Secret", "login", data={"password": "aHVudGVyMg=="})]
    api.logs = {(pods[0]["metadata"]["name"], "app", False): "token=abcdef123456 ready\n"}
    api.refuse["/api/v1/namespaces/shop/events"] = (403, "events is forbidden")
    with answering(api, home, monkeypatch):
        assert keep(home, "shop") == 0

    raw = gzip.decompress((home / "out.json.gz").read_bytes()).decode()
    assert "aHVudGVyMg" not in raw
    assert "abcdef123456" not in raw
    assert [log["pod"] for log in json.loads(raw)["logs"]] == [pods[0]["metadata"]["name"]]
    assert "Event objects in shop: no rights" in capsys.readouterr().err
    assert scan(home, "shop", snapshot="out.json.gz") == 0
    assert json.loads(capsys.readouterr().out)["gaps"] == [["Event objects in shop", "no rights: events is forbidden"]]


@pytest.mark.parametrize(
    ("namespaces", "options", "says"),
    [
        ((), {}, "give the namespaces with -n, or --all"),
        (("shop",), {"everything": True}, "give the namespaces with -n, or --all"),
        (("shop",), {"output": "nowhere/x.json"}, "there is no folder"),
        (("shop",), {"output": "."}, "is a folder"),
        (("shoop",), {}, "did you mean shop?"),
    ],
)
def test_a_snapshot_that_cannot_be_made(home, monkeypatch, namespaces, options, says):
    api = FakeApi()
    api.lists["/api/v1/namespaces"] = spaces("shop")
    with answering(api, home, monkeypatch), pytest.raises(InputError, match=says.replace("?", r"\?")):
        keep(home, *namespaces, **options)


def test_the_laboratory_its_snapshot_and_the_live_cluster_give_one_answer(home, monkeypatch, capsys):
    scenario = load("missing-variable")
    with Laboratory.start(scenario) as lab:
        lab.play()
        monkeypatch.setenv("KUBECONFIG", str(lab.kubeconfig()))
        assert scan(home) == 1
        live = json.loads(capsys.readouterr().out)["summary"]
        assert keep(home, everything=True) == 0
        capsys.readouterr()
    assert scan(home, snapshot="out.json.gz") == 1
    still = json.loads(capsys.readouterr().out)["summary"]

    assert live["causes"] == still["causes"] == ["missing-env-var"]
    assert live["resources"] == still["resources"]


def found(*troubles, gaps=()):
    return Scan(
        cluster="prod", at=NOW, outcome="fault", namespaces=("shop",), troubles=troubles, seen={"Pod": 3, "Node": 1}, workloads=2,
        unready=1, gaps=gaps,
    )  # fmt: skip


def trouble(statement, *, names=("web",), effect="down"):
    roots = tuple(
        RankedCause(finding=Finding(cause="oom-killed", subject=Ref("Deployment", "shop", name), statement=statement))
        for name in names
    )
    return Trouble(cause="oom-killed", effect=effect, roots=roots, since=None)


def shown(scan, *, width=0):
    out = StringIO()
    terminal = {"force_terminal": True, "width": width, "color_system": None} if width else {}
    scanning.show(scan, Console(file=out, highlight=False, soft_wrap=True, **terminal))
    return out.getvalue()


def test_a_narrow_terminal_keeps_everything_within_its_width():
    text = shown(
        found(
            trouble("Container app of Deployment shop/web is killed for lack of memory again and again."),
            gaps=(("Event objects", "no rights"),),
        ),
        width=60,
    )

    assert max(map(len, text.splitlines())) <= 60
    assert "DOWN" in text
    assert "Event objects: no rights" in text


def test_many_places_of_one_cause_are_one_item_with_the_first_in_words():
    text = shown(found(trouble("It is killed.", names=[f"app-{number}" for number in range(40)])))

    assert text.count("It is killed.") == 2
    assert "in 40 places" in text
    assert "and 30 more" in text


def test_text_of_the_cluster_cannot_steer_the_terminal():
    text = shown(found(trouble("bad \x1b[2J\u202e\nname")), width=100)

    assert "\x1b[2J" not in text
    assert "\u202e" not in text


def test_times_are_told_with_their_distance():
    one = trouble("It is killed.")
    since = one.roots[0].finding
    told_ = shown(
        found(Trouble(cause="x", effect="degraded", roots=(RankedCause(finding=since),), since=NOW.fromisoformat(ago(18))))
    )

    assert "since 11:42 (18 min)" in told_
