"""The read gateway: reads only, no door into a pod, no value of a Secret."""

import base64
import contextlib
import json

import pytest

from sidecar.errors import ClusterUnavailable
from sidecar.ports import ApiAnswer, ApiCall
from sidecar.ports.cluster import ApiStream
from sidecar.reading import Forbidden, Gateway, Reading, ReadingRules, rules_from
from sidecar.reading.permitted import MAX_WATCH_SECONDS, Permitted, permit

VALUE = base64.b64encode(b"canary-value").decode()


class OneAnswer:
    """A cluster that answers everything alike."""

    name = "lab"

    def __init__(self, *pieces: bytes, content_type: str = "application/json") -> None:
        self.pieces, self.content_type = pieces, content_type
        self.calls: list[ApiCall] = []

    def send(self, call, credential=None):
        raise AssertionError("the gateway streams")

    def stream(self, call: ApiCall, *, silence: float) -> ApiStream:
        self.calls.append(call)
        answer = ApiAnswer(status=200, body=None, headers=(("content-type", self.content_type),))
        return ApiStream(answer=answer, pieces=iter(self.pieces))


def open_reading(path: str, query: list[tuple[str, str]], accept: str, *, cluster: OneAnswer) -> Reading | Forbidden:
    return Gateway(cluster=cluster).open(path, query, accept)


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/apis",
        "/version",
        "/openapi/v3/apis/apps/v1",
        "/api/v1/namespaces/shop/pods",
        "/api/v1/namespaces/shop/pods/web-1/log",
        "/apis/apps/v1/namespaces/shop/deployments/web/scale",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node",
        "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods",
        "/api/v1/nodes/n1",
        "/api/v1/namespaces/shop",
    ],
)
def test_reads_go_through_as_they_came(path):
    permitted = permit(path, [], "application/json")
    assert isinstance(permitted, Permitted)
    assert permitted.call.path == path
    assert permitted.call.method == "GET"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/shop/pods/web-1/exec",
        "/api/v1/namespaces/shop/pods/web-1/attach",
        "/api/v1/namespaces/shop/pods/web-1/portforward",
        "/api/v1/namespaces/shop/pods/web-1/proxy/secrets",
        "/api/v1/namespaces/shop/services/web:80/proxy",
        "/api/v1/nodes/n1/proxy/logs",
        "/api/v1/namespaces/shop/serviceaccounts/default/token",
        "/api/v1/watch/namespaces/shop/secrets",
        "/api/v1/namespaces/shop/secrets/s/status",
        "/api/v1/../v1/secrets",
        "/api/v1/namespaces/%2e%2e/secrets",
        "/api/v1/namespaces/shop%2fsecrets",
        "/api//v1/pods",
        "/metrics",
        "/logs/audit.log",
        "/debug/pprof",
        "api/v1/pods",
        "/api/v1/namespaces/shop/pods\n",
    ],
)
def test_what_is_not_a_plain_read_is_refused_and_sends_nothing(path):
    cluster = OneAnswer(b"{}")
    assert isinstance(open_reading(path, [], "*/*", cluster=cluster), Forbidden)
    assert cluster.calls == []


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ([], MAX_WATCH_SECONDS),
        ([("timeoutSeconds", "99999")], MAX_WATCH_SECONDS),
        ([("timeoutSeconds", "5")], 5),
        ([("timeoutSeconds", "\u00b2")], MAX_WATCH_SECONDS),
    ],
)
def test_every_watch_ends(asked, given):
    permitted = permit("/api/v1/pods", [("watch", "true"), *asked], "*/*")
    assert ("timeoutSeconds", str(given)) in permitted.call.query


@pytest.mark.parametrize("value", ["true", "1", "yes", "T", ""])
@pytest.mark.parametrize(("path", "name"), [("/api/v1/pods", "watch"), ("/api/v1/namespaces/shop/pods/web/log", "follow")])
def test_whatever_the_api_server_takes_for_true_is_a_stream(path, name, value):
    permitted = permit(path, [(name, value)], "*/*")
    assert isinstance(permitted, Permitted)
    assert permitted.streamed


@pytest.mark.parametrize("name", ["a=1&watch", "limit=5&watch", "watch#", "wat ch", "", "watch=true"])
def test_a_parameter_whose_name_would_be_another_is_refused(name):
    assert isinstance(permit("/api/v1/pods", [(name, "true")], "*/*"), Forbidden)


@pytest.mark.parametrize("path", ["//api/v1/pods", "///api/v1/pods//", "/api/v1/pods/"])
def test_slashes_too_many_do_not_reach_the_api_server(path):
    permitted = permit(path, [], "*/*")
    assert isinstance(permitted, Permitted)
    assert permitted.call.path == "/api/v1/pods"


@pytest.mark.parametrize("value", ["true", "false", ""])
def test_no_log_is_read_from_a_node_that_nobody_verified(value):
    asked = permit("/api/v1/namespaces/shop/pods/web/log", [("insecureSkipTLSVerifyBackend", value)], "*/*")
    assert isinstance(asked, Forbidden)


@pytest.mark.parametrize("hidden", ["events", "events.events.k8s.io"])
def test_who_hides_events_hides_them_under_both_their_names(hidden):
    rules = ReadingRules(hidden_kinds=(hidden,))
    for path in ("/api/v1/events", "/apis/events.k8s.io/v1/namespaces/shop/events"):
        assert isinstance(permit(path, [], "*/*", rules), Forbidden)
    assert isinstance(permit("/api/v1/pods", [], "*/*", rules), Permitted)


def test_a_stream_that_was_opened_under_other_rules_shows_nothing_more():
    seen = json.dumps({"type": "ADDED", "object": {"kind": "Pod", "metadata": {"name": "a", "namespace": "shop"}}}).encode()
    rules = [ReadingRules()]
    gateway = Gateway(cluster=OneAnswer(seen + b"\n", seen + b"\n"), rules=lambda: rules[-1])
    reading = gateway.open("/api/v1/pods", [("watch", "true")], "*/*")
    assert isinstance(reading, Reading)
    assert b"ADDED" in next(reading.pieces)
    rules.append(ReadingRules(hidden_namespaces=("shop",)))
    assert list(reading.pieces) == []


def test_protobuf_is_not_asked_for():
    accept = "application/vnd.kubernetes.protobuf, application/json;as=Table;v=v1;g=meta.k8s.io, application/json"
    assert permit("/api/v1/pods", [], accept).call.accept == "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    assert permit("/api/v1/pods", [], "application/vnd.kubernetes.protobuf").call.accept == "application/json"


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": VALUE, "kept": "yes"}},
    "data": {"password": VALUE},
    "stringData": {"other": "canary-value"},
}


@pytest.mark.parametrize(
    "document",
    [
        SECRET,
        {"kind": "SecretList", "items": [SECRET, SECRET]},
        {"kind": "Table", "rows": [{"cells": ["s", 1], "object": SECRET}]},
    ],
)
def test_secrets_keep_their_keys_and_lose_their_values(document):
    raw = json.dumps(document).encode()
    reading = open_reading("/api/v1/namespaces/shop/secrets", [], "*/*", cluster=OneAnswer(raw[:40], raw[40:]))
    assert isinstance(reading, Reading)
    text = b"".join(reading.pieces).decode()
    assert VALUE not in text
    assert "canary-value" not in text
    assert '"password":""' in text
    assert '"kept":"yes"' in text


def test_secrets_that_are_watched_lose_their_values_line_by_line():
    line = json.dumps({"type": "ADDED", "object": SECRET}).encode() + b"\n"
    pieces = (line[:30], line[30:] + line[:10], line[10:])
    reading = open_reading("/api/v1/secrets", [("watch", "1")], "*/*", cluster=OneAnswer(*pieces))
    lines = b"".join(reading.pieces).splitlines()
    assert len(lines) == 2
    assert all(VALUE.encode() not in found and b'"password":""' in found for found in lines)


@pytest.mark.parametrize("content_type", ["application/yaml", "application/vnd.kubernetes.protobuf", "text/plain", ""])
def test_secrets_in_a_form_that_cannot_be_cleaned_are_not_shown(content_type):
    cluster = OneAnswer(VALUE.encode(), content_type=content_type)
    assert isinstance(open_reading("/api/v1/secrets", [], "*/*", cluster=cluster), Forbidden)


def read_by(rules: ReadingRules, path: str, document: object, query: list[tuple[str, str]] | None = None) -> Reading | Forbidden:
    cluster = OneAnswer(json.dumps(document).encode())
    return Gateway(cluster=cluster, rules=lambda: rules).open(path, query or [], "*/*")


def test_what_policy_hides_is_refused_and_left_out_of_lists():
    rules = ReadingRules(namespaces=("shop", "team-*"), hidden_namespaces=("team-secret",), hidden_kinds=("pods/log", "leases.*"))
    for path in (
        "/api/v1/namespaces/bank/pods",
        "/api/v1/namespaces/team-secret/pods",
        "/api/v1/namespaces/bank",
        "/api/v1/namespaces/shop/pods/web/log",
        "/apis/coordination.k8s.io/v1/namespaces/shop/leases",
    ):
        assert isinstance(read_by(rules, path, {}), Forbidden), path
    pods = [{"metadata": {"name": "p", "namespace": name}} for name in ("shop", "bank", "team-a", "team-secret")]
    everywhere = read_by(rules, "/api/v1/pods", {"items": pods, "metadata": {"continue": "x"}})
    shown = json.loads(b"".join(everywhere.pieces))
    assert [item["metadata"]["namespace"] for item in shown["items"]] == ["shop", "team-a"]
    assert shown["metadata"] == {"continue": "x"}
    names = [{"metadata": {"name": name}} for name in ("shop", "bank")]
    listed = json.loads(b"".join(read_by(rules, "/api/v1/namespaces", {"items": names}).pieces))
    assert [item["metadata"]["name"] for item in listed["items"]] == ["shop"]
    nodes = json.loads(b"".join(read_by(rules, "/api/v1/nodes", {"items": [{"metadata": {"name": "n"}}]}).pieces))
    assert len(nodes["items"]) == 1
    rows = {"rows": [{"cells": [], "object": pod} for pod in pods]}
    assert len(json.loads(b"".join(read_by(rules, "/api/v1/pods", rows).pieces))["rows"]) == 2
    assert isinstance(read_by(rules, "/api/v1/pods", rows, [("includeObject", "None")]), Forbidden)


@pytest.mark.parametrize("query", [[("follow", "1")], [("watch", "0"), ("watch", "1")], [("watch", "1")], [("watch", "false")]])
def test_a_list_that_is_asked_for_like_a_stream_shows_nothing_that_is_hidden(query):
    pods = {"items": [{"metadata": {"name": "p", "namespace": name}} for name in ("shop", "bank")]}
    reading = read_by(ReadingRules(hidden_namespaces=("bank",)), "/api/v1/pods", pods, query)
    shown = b""
    with contextlib.suppress(ClusterUnavailable):
        shown = b"" if isinstance(reading, Forbidden) else b"".join(reading.pieces)
    assert b"bank" not in shown


def test_where_there_is_no_policy_nothing_is_read():
    assert isinstance(read_by(rules_from(None), "/api/v1/nodes", {}), Forbidden)
    assert isinstance(read_by(rules_from({"namespaces": ["*"], "kinds": ["*"]}), "/api/v1/nodes", {}), Reading)
