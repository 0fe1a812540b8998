"""A snapshot that is written: read again it is the same cluster, and no secret is in it."""

import base64
import gzip
import json
import stat

import httpx
import pytest

from agent.errors import InputError
from agent.ports import Gap
from agent.toolsets import keeping
from agent.toolsets.alertmanager import active_alerts
from agent.toolsets.snapshot import SnapshotCluster, load, open_snapshot
from tests.agent.builders import NOW, app, container, deployment, log, measured, obj

SECRET = "hunter2-Zk7pQ2wLm91"
PACKED = base64.b64encode(SECRET.encode()).decode()


def holding_secrets():
    variables = [
        {"name": "DB_PASSWORD", "value": SECRET},
        {"name": "TOKEN_FILE", "value": "/var/run/token"},
        {"name": "DB_URL", "value": f"postgres://app:{SECRET}@db:5432/app"},
        {"name": "MODE", "value": "fast"},
    ]
    note = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": {"password": PACKED}}),
        "backup": f"was {SECRET} before",
        "owner": "team-a",
    }
    return [
        obj("Secret", "login", data={"password": PACKED}, metadata={"annotations": note}),
        deployment("web", containers=[container(env=variables, args=["--mode", "fast", "--db-password", SECRET])]),
        obj("Widget", "w", api="example.com/v1", spec={"auth": {"password": SECRET, "user": "app"}}),
        obj("ConfigMap", "settings", data={"api-key": SECRET, "mode": "fast", "url": f"https://u:{SECRET}@example.com/"}),
        obj(
            "Event",
            "e",
            message=f"login failed, password={SECRET}",
            involvedObject={"kind": "Pod", "namespace": "shop", "name": "p"},
        ),
    ]


def kept(path, objects, logs=(), series=(), gaps=()):
    keeping.write(path, cluster="prod", version="v1.36.2", now=NOW, objects=objects, logs=logs, series=series, gaps=gaps)
    return path


@pytest.mark.parametrize("name", ["s.json", "s.json.gz"])
def test_no_secret_is_in_the_file(tmp_path, name):
    words = log(app("web")[2], f"connecting with token={SECRET}\nready\n")
    path = kept(tmp_path / name, holding_secrets(), [words])
    raw = gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()

    assert SECRET.encode() not in raw
    assert PACKED.encode() not in raw
    assert b"ready" in raw
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_what_is_no_secret_stays(tmp_path):
    found = {one["kind"]: one for one in load(kept(tmp_path / "s.json", holding_secrets())).objects}

    variables = {one["name"]: one["value"] for one in found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (variables["TOKEN_FILE"], variables["MODE"]) == ("/var/run/token", "fast")
    assert variables["DB_URL"].endswith("@db:5432/app")
    assert found["Widget"]["spec"]["auth"] == {"password": "REDACTED", "user": "app"}
    assert found["Secret"]["data"] == {"password": "REDACTED"}
    assert found["Secret"]["metadata"]["annotations"] == {"backup": "REDACTED", "owner": "team-a"}
    assert found["ConfigMap"]["data"]["mode"] == "fast"


async def test_it_is_the_same_cluster_when_it_is_read_again(tmp_path):
    objects = app("web")
    gap = Gap(what="Event objects in shop", why="no rights: events is forbidden")
    path = kept(tmp_path / "s.json.gz", objects, [log(objects[2], "hello\n")], [measured("up", [1, 0])], [gap])

    cluster = SnapshotCluster.open(path)
    seen = await cluster.overview(["shop"])

    assert (cluster.name, await cluster.now()) == ("prod", NOW)
    assert [one["metadata"]["name"] for one in seen.objects] == [one["metadata"]["name"] for one in objects]
    assert seen.gaps == (gap,)
    assert [one.name for one in cluster.series] == ["up"]


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    with pytest.raises(InputError, match="cannot be written") as told:
        kept(tmp_path / "missing" / "s.json", [])

    assert "\n" not in str(told.value)


async def test_alerts_that_fire_are_kept_and_read_again(tmp_path):
    def answer(request: httpx.Request) -> httpx.Response:
        fires = {"status": {"state": "active"}, "startsAt": "2026-05-04T11:00:00Z", "fingerprint": "f1"}
        labels = [{"alertname": "KubePodNotReady", "namespace": name} for name in ("shop", "elsewhere")]
        said = {"description": f"password={SECRET}"}
        return httpx.Response(200, json=[{**fires, "labels": one, "annotations": said} for one in labels])

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        alerts = await active_alerts("http://alerts", ("shop",), client=client)
    path = tmp_path / "shop.json"
    keeping.write(path, cluster="prod", version="v1", now=NOW, objects=[], logs=[], series=[], gaps=[], alerts=alerts)

    assert [(one.name, one.labels["namespace"]) for one in (await open_snapshot(path)).alerts] == [("KubePodNotReady", "shop")]
    assert SECRET not in path.read_text()


async def test_an_alertmanager_that_does_not_answer_is_said_in_one_line():
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(503))) as client:
        with pytest.raises(InputError, match="does not say which alerts fire"):
            await active_alerts("http://alerts", (), client=client)
