"""Snapshots as files and dump folders: what is in them comes out, and what cannot be read is one clear line."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from agent.domain.incident import Window
from agent.domain.objects import Ref
from agent.errors import InputError, MetricsUnavailable
from agent.toolsets.snapshot import SnapshotCluster, load
from tests.agent.builders import NOW, event, node, obj, pod, replica_set
from tests.agent.builders import deployment as deployed

METRIC = {"metric": {"__name__": "up", "job": "web"}, "values": [[NOW.timestamp() - 60, "1"], [NOW.timestamp(), "0"]]}


def document(**more):
    one = pod(replica_set(deployed("web")))
    other = obj("ConfigMap", "c", namespace="other")
    log = {"namespace": "shop", "pod": one["metadata"]["name"], "container": "app", "previous": False, "text": "a\nb\nc\n"}
    return {
        "snapshot": 1, "cluster": {"name": "prod"}, "now": "2026-05-04T12:00:00Z",
        "objects": [one, other, node(), event(one, "BackOff", "x")], "logs": [log], "metrics": [METRIC], **more,
    }  # fmt: skip


def written(tmp_path, content, name="s.json"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("form", ["json", "yaml", "json.gz", "yaml.gz"])
async def test_json_and_yaml_plain_and_packed(tmp_path, form):
    text = json.dumps(document()) if form.startswith("json") else yaml.safe_dump(document())
    raw = gzip.compress(text.encode()) if form.endswith("gz") else text.encode()

    cluster = SnapshotCluster.open(written(tmp_path, raw, f"s.{form}"))

    assert cluster.name == "prod"
    assert await cluster.now() == datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    assert {one["kind"] for one in (await cluster.overview(["shop"])).objects} == {"Pod", "Node", "Event"}
    assert [one["metadata"]["name"] for one in (await cluster.namespaces()).objects] == ["other", "shop"]


async def test_logs_are_cut_to_the_tail_and_absent_ones_are_gaps(tmp_path):
    cluster = SnapshotCluster.open(written(tmp_path, json.dumps(document())))
    name = document()["logs"][0]["pod"]

    seen = await cluster.logs([(Ref("Pod", "shop", name), "app", False), (Ref("Pod", "shop", name), "app", True)], tail=2)

    assert [one.text for one in seen.logs] == ["b\nc\n"]
    assert [gap.why for gap in seen.gaps] == ["not in the snapshot"]


async def test_metrics_by_name_and_labels_within_the_window(tmp_path):
    cluster = SnapshotCluster.open(written(tmp_path, json.dumps(document())))
    window = Window(start=NOW - timedelta(seconds=30), end=NOW)

    found = await cluster.range('up{job="web"}', window, 30)

    assert [one.samples for one in found] == [((NOW.timestamp(), 0.0),)]
    assert await cluster.range('up{job="db"}', window, 30) == ()
    with pytest.raises(MetricsUnavailable):
        await cluster.range("rate(up[5m])", window, 30)
    with pytest.raises(MetricsUnavailable):
        await cluster.instant("up")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "neither JSON nor YAML"),
        ("a: [", "neither JSON nor YAML"),
        ("just words", "a mapping is expected"),
        ("{}", "not a snapshot"),
        ('{"snapshot": 2}', "version 2 is not known"),
        ('{"snapshot": 1, "now": "yesterday"}', "`now` is no time"),
        ('{"snapshot": 1, "now": "2026-05-04T12:00:00Z", "objects": [1]}', "no Kubernetes object"),
        (b"\x1f\x8bnot gzip", "cannot be read"),
        (b"\xff\xfe\x00", "neither JSON nor YAML"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_the_file(tmp_path, content, words):
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=words) as told:
        load(path)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.json")


async def test_a_cluster_info_dump_folder(tmp_path):
    owner = deployed("web")
    one = pod(replica_set(owner))
    (tmp_path / "shop" / one["metadata"]["name"]).mkdir(parents=True)
    (tmp_path / "nodes.json").write_text(json.dumps({"kind": "NodeList", "apiVersion": "v1", "items": [node()]}))
    bare = {key: value for key, value in one.items() if key not in ("kind", "apiVersion")}
    (tmp_path / "shop" / "pods.json").write_text(json.dumps({"kind": "PodList", "apiVersion": "v1", "items": [bare]}))
    start, end = (f"==== {word} logs for container app of pod shop/web ====\n" for word in ("START", "END"))
    (tmp_path / "shop" / one["metadata"]["name"] / "logs.txt").write_text(f"{start}hello\n{end}")

    cluster = SnapshotCluster.open(tmp_path)

    assert {one["kind"] for one in (await cluster.overview(["shop"])).objects} == {"Pod", "Node"}
    assert (await cluster.logs([(Ref("Pod", "shop", one["metadata"]["name"]), "app", False)], tail=5)).logs[0].text == "hello\n"


async def test_a_dump_is_as_old_as_the_newest_time_in_it(tmp_path):
    seen = node(conditions=[{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-05-04T12:34:00Z"}])
    (tmp_path / "nodes.json").write_text(json.dumps({"kind": "NodeList", "apiVersion": "v1", "items": [seen]}))

    assert await SnapshotCluster.open(tmp_path).now() == datetime(2026, 5, 4, 12, 34, tzinfo=UTC)


def test_a_file_of_a_dump_that_is_no_list_is_told(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "nodes.json").write_text(json.dumps({"kind": "NodeList", "apiVersion": "v1", "items": [node()]}))
    (tmp_path / "shop" / "pods.json").write_text('{"kind": "Status", "message": "forbidden"}')

    with pytest.raises(InputError, match=r"pods.json: no list of Kubernetes objects"):
        load(tmp_path)


def test_a_folder_that_is_no_dump(tmp_path):
    with pytest.raises(InputError, match="no cluster-info dump"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"objects": [{"kind": "Pod"}]}, "objects[0] is no Kubernetes object: Pod without metadata.name"),
        (
            {"objects": [{"kind": "Pod", "metadata": {"name": "a", "labels": {"version": 1.0}}}]},
            "metadata.labels of Pod a is no map of texts",
        ),
        ({"objects": [{"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": 3}}]}, "spec.containers of Pod a"),
        ({"objects": [{"kind": "Service", "metadata": {"name": "a"}, "spec": []}, 7]}, "objects[1]"),
        ({"metrics": [{"metric": {}, "values": [["x", "y"]]}]}, "no Prometheus matrix"),
        ({"metrics": [{"metric": {}, "values": [[1]]}]}, "no Prometheus matrix"),
    ],
)
def test_objects_and_metrics_of_another_shape_are_told_by_their_place(tmp_path, more, words):
    path = written(tmp_path, json.dumps(document(**more)))

    with pytest.raises(InputError) as told:
        load(path)

    assert words in str(told.value)
    assert "\n" not in str(told.value)


async def test_the_values_of_secrets_stay_in_the_file(tmp_path):
    annotated = {"name": "s", "namespace": "n", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": annotated, "data": {"password": "aHVudGVyMg=="}}
    cluster = SnapshotCluster.open(written(tmp_path, json.dumps(document(objects=[secret]))))

    (found,) = (await cluster.overview(["n"])).objects

    assert list(found["data"]) == ["password"]
    assert "aHVudGVyMg" not in json.dumps(found)
    assert "hunter2" not in json.dumps(await cluster.get("v1", Ref("Secret", "n", "s")))


async def test_metrics_by_a_pattern_of_names_as_gathering_asks_for_them(tmp_path):
    more = [
        {"metric": {"__name__": name, "namespace": space}, "values": [[NOW.timestamp(), "1"]]}
        for name, space in (("http_requests_total", "shop"), ("http_requests_total", "other"), ("go_threads", "shop"))
    ]
    cluster = SnapshotCluster.open(written(tmp_path, json.dumps(document(metrics=more))))
    window = Window(start=NOW - timedelta(minutes=5), end=NOW)

    found = await cluster.range('{__name__=~".*requests_total|up",namespace="shop"}', window, 30)

    assert [(one.name, one.labels["namespace"]) for one in found] == [("http_requests_total", "shop")]
    for wrong in ('{__name__=~"(",namespace="shop"}', 'up{__name__=~"x"}', '{job!="a"}', "sum(up)", "up[5m]"):
        with pytest.raises(MetricsUnavailable):
            await cluster.range(wrong, window, 30)
