"""The toolsets that a model may ask: each over the wire of what it asks, each saying why it is off."""

import asyncio
import gzip
import json
import os
import re
import sys
import threading
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import respx
from mcp.types import Tool as Offered
from mcp.types import ToolAnnotations

from agent.domain.incident import Window
from agent.errors import InputError, ReadRefused, ToolRefused
from agent.ports import Observed
from agent.ports.toolset import Sighting, Toolset, View
from agent.toolsets.alertmanager_eyes import AlertmanagerEyes
from agent.toolsets.delivered import DeliveredEyes
from agent.toolsets.endpoints import Endpoint, read_endpoints
from agent.toolsets.grafana import GrafanaEyes
from agent.toolsets.http_reading import HttpSource
from agent.toolsets.kinds import path_of
from agent.toolsets.loki import LokiLogs
from agent.toolsets.loki_eyes import LokiEyes
from agent.toolsets.mcp import MOST_BYTES, McpEyes
from agent.toolsets.mcp_servers import Server, read_servers
from agent.toolsets.measurements import MetricEyes
from agent.toolsets.objects import ObjectEyes
from agent.toolsets.programs import spoken_with
from agent.toolsets.prometheus_eyes import PrometheusEyes
from agent.toolsets.snapshot import Snapshot, SnapshotCluster
from agent.toolsets.traces import JaegerEyes, TempoEyes
from tests.agent import builders
from tests.agent.builders import NOW

URL = "http://source.test"
TICKETS = str(Path(__file__).parents[2] / "fakes" / "mcp_tickets.py")


def view(*objects) -> View:
    window = Window(start=NOW - timedelta(hours=1), end=NOW)
    return View(observed=Observed(now=NOW, objects=tuple(objects)), series=(), window=window, namespaces=("shop",))


async def ask(toolset: Toolset, name: str, arguments: str = "{}", *objects) -> Sighting:
    (tool,) = [one for one in toolset.tools(view(*objects)) if one.name == name]
    return await tool.run(arguments)


ANSWERS = {
    "prometheus_series": (
        PrometheusEyes,
        '{"selector": "up"}',
        "/api/v1/series",
        {"data": [{"__name__": "up", "job": "a"}]},
        'up{job="a"}',
    ),
    "prometheus_metadata": (
        PrometheusEyes,
        '{"metric": "up"}',
        "/api/v1/metadata",
        {"data": {"up": [{"type": "gauge", "help": "is it up"}]}},
        "up: gauge, is it up",
    ),
    "prometheus_rules": (
        PrometheusEyes,
        "{}",
        "/api/v1/rules",
        {"data": {"groups": [{"name": "g", "rules": [{"name": "Down", "state": "firing", "query": "up == 0"}]}]}},
        "g/Down [firing]: up == 0",
    ),
    "prometheus_alerts": (
        PrometheusEyes,
        "{}",
        "/api/v1/alerts",
        {"data": {"alerts": [{"state": "firing", "labels": {"alertname": "Down"}, "value": "1", "activeAt": "2026"}]}},
        "firing since 2026",
    ),
    "alertmanager_alerts": (
        AlertmanagerEyes,
        "{}",
        "/api/v2/alerts",
        [{"status": {"state": "active"}, "labels": {"alertname": "Down"}}],
        "alertname=Down",
    ),
    "alertmanager_silences": (
        AlertmanagerEyes,
        "{}",
        "/api/v2/silences",
        [{"status": {"state": "active"}, "createdBy": "grace", "matchers": [{"name": "a", "value": "b", "isRegex": True}]}],
        "by grace: a=~b",
    ),
    "tempo_search": (
        TempoEyes,
        '{"traceql": "{ status = error }"}',
        "/api/search",
        {"traces": [{"traceID": "ab12", "rootServiceName": "web", "rootTraceName": "GET /", "durationMs": 42}]},
        "ab12 web GET /, 42 ms",
    ),
    "tempo_trace": (
        TempoEyes,
        '{"trace": "ab12cd34"}',
        "/api/traces/ab12cd34",
        {
            "batches": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "db"}}]},
                    "scopeSpans": [
                        {
                            "spans": [
                                {
                                    "spanId": "a1",
                                    "name": "query",
                                    "startTimeUnixNano": "1000000",
                                    "endTimeUnixNano": "3000000",
                                    "status": {"code": 2, "message": "no disk\n9.0 ms web GET"},
                                }
                            ]
                        }
                    ],
                }
            ]
        },
        "2.0 ms db query ERROR no disk 9.0 ms web GET",  # and no second span
    ),
    "jaeger_search": (
        JaegerEyes,
        '{"service": "web"}',
        "/api/traces",
        {"data": [{"traceID": "ab", "spans": [{"duration": 5000}]}]},
        "ab 1 spans, 5.0 ms",
    ),
    "jaeger_trace": (
        JaegerEyes,
        '{"trace": "ab12cd34"}',
        "/api/traces/ab12cd34",
        {
            "data": [
                {
                    "processes": {"p1": {"serviceName": "web"}},
                    "spans": [
                        {
                            "spanID": "a1",
                            "startTime": 1_700_000_000_000_000,
                            "operationName": "GET",
                            "duration": 5000,
                            "processID": "p1",
                            "tags": [{"key": "error", "value": True}],
                        }
                    ],
                }
            ]
        },
        "5.0 ms web GET ERROR",
    ),
    "grafana_annotations": (
        GrafanaEyes,
        "{}",
        "/api/annotations",
        [{"time": 1_700_000_000_000, "tags": ["deploy"], "text": "web 2.0"}],
        "[deploy] web 2.0",
    ),
}


@respx.mock
@pytest.mark.parametrize("name", ANSWERS)
async def test_each_source_is_asked_and_told(name):
    kind, arguments, path, document, said = ANSWERS[name]
    route = respx.get(f"{URL}{path}").respond(json=document)

    found = await ask(kind(HttpSource("it", URL)), name, arguments)

    assert said in found.text
    assert route.call_count == 1


@respx.mock
@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("odd", [[], {}, {"data": None}, "text", 7])
async def test_an_odd_answer_is_nothing_seen(name, odd):
    kind, arguments, path, _, _ = ANSWERS[name]
    respx.get(f"{URL}{path}").respond(json=odd)

    found = await ask(kind(HttpSource("it", URL)), name, arguments)

    assert found.missing
    assert not found.text


@respx.mock
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(500), "HTTP 500"),
        (httpx.Response(302, headers={"Location": "http://evil.test/"}), "HTTP 302"),
        (httpx.Response(200, text="<html>"), "no JSON"),
        (httpx.Response(200, content=b" " * 5_000_000), "more than 4000000 bytes"),
        (httpx.ConnectError("no"), "does not answer"),
    ],
)
async def test_a_source_that_fails_is_a_refusal_that_names_it(answer, said):
    respx.get(f"{URL}/x").mock(side_effect=[answer])

    with pytest.raises(ReadRefused, match=said):
        await HttpSource("Grafana", URL).json("/x")


@respx.mock
async def test_loki_gives_lines_and_labels():
    stream = {"stream": {"namespace": "shop", "pod": "web-1", "container": "app"}, "values": [["2", "second"], ["1", "first"]]}
    respx.get(f"{URL}/loki/api/v1/query_range").respond(json={"data": {"result": [stream]}})
    respx.get(f"{URL}/loki/api/v1/label/app/values").respond(json={"data": ["web", "db"]})
    eyes = LokiEyes(LokiLogs(URL), HttpSource("Loki", URL))

    assert (await ask(eyes, "loki_query", '{"logql": "{a=~\\"b\\"}"}')).text == "web-1/app: first\nweb-1/app: second"
    assert (await ask(eyes, "loki_labels", '{"label": "app"}')).text == "web\ndb"


def test_what_is_not_configured_says_so():
    eyes = [
        PrometheusEyes(None),
        AlertmanagerEyes(None),
        TempoEyes(None),
        JaegerEyes(None),
        GrafanaEyes(None),
        MetricEyes(None),
        LokiEyes(None, None),
    ]

    assert all(re.search(r"LESTRADE_[A-Z]+_URL", one.why_off) for one in eyes)
    assert not any(one.tools(view()) for one in eyes)


async def test_releases_and_gitops_are_told_without_values():
    labels = {"owner": "helm", "name": "web", "version": "7", "status": "failed", "modifiedAt": "1700000000"}
    secret = builders.obj(
        "Secret", "sh.helm.release.v1.web.v7", metadata={"labels": labels}, data={"release": "SDRzSUFBQUFBQUFB"}
    )
    app = builders.custom(
        "Application",
        "shop",
        api="argoproj.io/v1alpha1",
        status={"sync": {"status": "OutOfSync"}, "health": {"status": "Degraded"}},
    )
    flux = builders.custom(
        "Kustomization",
        "shop",
        builders.told("Ready", "False", "BuildFailed", "no such file"),
        api="kustomize.toolkit.fluxcd.io/v1",
    )

    helm = await ask(DeliveredEyes(), "helm_releases", "{}", secret)
    gitops = await ask(DeliveredEyes(), "gitops_state", "{}", app, flux)

    assert helm.text == "shop/web revision 7: failed, 1700000000"
    assert "sync OutOfSync, health Degraded" in gitops.text
    assert "Kustomization shop/shop: ready False" in gitops.text


ENDPOINTS = """
endpoints:
  - {name: web, url: "http://source.test/base", paths: [/healthz, /status/*], description: the shop}
"""


@respx.mock
async def test_declared_endpoints_are_read_and_nothing_else(tmp_path):
    (tmp_path / "e.yaml").write_text(ENDPOINTS)
    respx.get(f"{URL}/base/status/db").respond(text="up")
    async with AsyncExitStack() as stack:
        eyes = read_endpoints(tmp_path / "e.yaml", stack)

        assert (await ask(eyes, "http_web", '{"path": "/status/db"}')).text == "up"
        for path in (
            "/admin",
            "/status/a/b",
            "/status/../admin",
            "/status/%2e%2e",
            "//evil.test/",
            "/status/x?y=1",
            "http://evil.test/",
            "/status/x\\u0000",
        ):
            with pytest.raises(ToolRefused, match="is not allowed"):
                await ask(eyes, "http_web", f'{{"path": "{path}"}}')
        with pytest.raises(ToolRefused, match="is not allowed"):
            await ask(eyes, "http_web", '{"path": "/healthz", "method": "HEAD"}')
        with pytest.raises(ToolRefused, match="wrong arguments: method"):
            await ask(eyes, "http_web", '{"path": "/healthz", "method": "DELETE"}')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("endpoints: [{name: a, url: 'ftp://x', paths: [/]}]", "expected http"),
        ("endpoints: [{name: a, url: 'http://u:p@x', paths: [/]}]", "without user"),
        ("endpoints: [{name: a, url: 'http://x', paths: [/../y]}]", "is no path"),
        ("endpoints: [{name: a, url: 'http://x', paths: [/], methods: [POST]}]", "GET"),
        ("endpoints: [{name: a, url: 'http://x', paths: [/]}, {name: a, url: 'http://x', paths: [/]}]", "a is there twice"),
        ("{", "not YAML"),
    ],
)
async def test_a_file_of_endpoints_that_is_wrong_is_named(tmp_path, text, said):
    (tmp_path / "e.yaml").write_text(text)
    async with AsyncExitStack() as stack:
        with pytest.raises(InputError, match=said):
            read_endpoints(tmp_path / "e.yaml", stack)


async def test_an_mcp_server_is_pinned_and_only_read():
    command = (sys.executable, TICKETS)
    unpinned = await McpEyes.look(Server(name="tickets", command=command))
    digest = unpinned.why_off.rpartition(" ")[2]

    eyes = await McpEyes.look(Server(name="tickets", command=command, digest=digest))

    assert unpinned.tools(view()) == ()
    assert [one.name for one in eyes.tools(view())] == ["tickets_search"]
    assert (await ask(eyes, "tickets_search", '{"words": "disk"}')).text == "TICKET-7 about disk"


def test_a_wrong_file_of_mcp_servers_is_named(tmp_path):
    (tmp_path / "m.yaml").write_text("servers: [{name: a}]")

    with pytest.raises(InputError, match="either url or command"):
        read_servers(tmp_path / "m.yaml")


async def test_the_cluster_is_looked_at_by_question():
    web = builders.deployment("web")
    old, new = builders.replica_set(web, 1, image="app:1"), builders.replica_set(web, 2, image="app:2")
    pod = builders.pod(new)
    other = builders.deployment("far", labels={"app": "far"})
    other["metadata"]["namespace"] = "vault"
    cluster = SnapshotCluster(Snapshot(name="c", now=NOW, objects=(web, old, new, pod, other)))
    eyes = ObjectEyes(cluster)

    listed = await ask(eyes, "list_objects", '{"kind": "Deployment", "labels": "app=web"}', web, old, new, pod)
    diff = await ask(eyes, "revision_diff", '{"namespace": "shop", "name": "web", "older": 1, "newer": 2}', web, old, new, pod)
    elsewhere = await ask(eyes, "list_objects", '{"kind": "Deployment", "namespace": "vault"}', web)
    absent = await ask(eyes, "get_object", '{"kind": "Pod", "namespace": "shop", "name": "ghost"}', web)

    assert {"far", "vault"} <= set(elsewhere.names)  # to be hidden, where names are

    assert listed.text.startswith("Deployment shop/web: ")
    assert "-  - image: app:1" in diff.text
    assert "+  - image: app:2" in diff.text
    assert elsewhere.text.startswith("Deployment vault/far")
    assert absent.missing == "it is not there"
    with pytest.raises(ToolRefused, match="there are: 1, 2"):
        await ask(eyes, "revision_diff", '{"namespace": "shop", "name": "web", "older": 1, "newer": 9}', web, old, new)


@pytest.mark.parametrize("namespace", ["shop/secrets?x=", "../../shop", "..", "shop%2f..", "Shop", "a" * 64])
@pytest.mark.parametrize("name", ["list_objects", "get_object", "events", "logs", "changes", "who_can"])
async def test_what_is_no_namespace_is_never_asked_for(name, namespace):
    eyes = ObjectEyes(SnapshotCluster(Snapshot(name="c", now=NOW, objects=())))
    asked = {
        "list_objects": {"kind": "Pod"},
        "get_object": {"kind": "Pod", "name": "web"},
        "logs": {"pod": "web"},
        "who_can": {"verb": "get", "resource": "pods"},
    }.get(name, {})
    with pytest.raises(ToolRefused, match="namespace"):
        await ask(eyes, name, json.dumps({**asked, "namespace": namespace}))


def test_a_namespace_stays_one_segment_of_its_path():
    assert path_of("v1", "pods", "shop/secrets?x=") == "/api/v1/namespaces/shop%2Fsecrets%3Fx%3D/pods"


@pytest.mark.parametrize(
    ("path", "allowed"), [("/status/a", True), ("/status/.", False), ("/status/./", False), ("/status/a\n", False)]
)
def test_a_path_that_would_be_another_one_on_its_way_is_not_allowed(path, allowed):
    endpoint = Endpoint(name="checkout", url="http://checkout.test", paths=("/status/*",))
    assert endpoint.allows(path) is allowed


async def test_tools_of_an_mcp_server_have_names_that_models_take():
    declared = Offered(name="ticket.read/one", input_schema={"type": "object"}, annotations=ToolAnnotations(read_only_hint=True))
    asks = [{"settles": "whether it is known", "tool": declared.name, "reads": [{"matches": "a", "says": "it is"}]}]
    server = Server.model_validate({"name": "tickets", "url": "http://mcp.test", "digest": "0a", "asks": asks})
    eyes = McpEyes(server, [declared], "")
    (one,) = eyes.tools(view())
    assert (one.name, one.description) == ("tickets_ticket_read_one", "Good for: whether it is known")


async def test_an_mcp_server_whose_tools_cannot_be_pinned_is_off(tmp_path):
    program = tmp_path / "odd.py"
    program.write_text(ODD_SERVER, encoding="utf-8")
    eyes = await McpEyes.look(Server(name="odd", command=(sys.executable, str(program))))
    assert "cannot be pinned" in eyes.why_off


ODD_SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    said = {
        "initialize": lambda: {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                               "serverInfo": {"name": "odd", "version": "1"}},
        "tools/list": lambda: {"tools": [{"name": "count", "inputSchema": {"type": "object", "maximum": 10**30}}]},
    }.get(asked.get("method"))
    if "id" in asked:
        body = {"result": said()} if said else {"error": {"code": -32601, "message": "no such method"}}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **body}), flush=True)
"""


@respx.mock
async def test_an_answer_that_is_packed_is_not_unpacked_however_small_it_is():
    inner = gzip.compress(gzip.compress(b"0" * 1_000_000))
    packed = httpx.Response(200, headers={"Content-Encoding": "gzip, gzip"}, stream=httpx.ByteStream(inner))
    asked = respx.get(f"{URL}/status").mock(return_value=packed)

    with pytest.raises(ReadRefused, match="packs what it answers"):
        await HttpSource("status", URL).text("/status")

    assert asked.calls.last.request.headers["Accept-Encoding"] == "identity"


class Flood(BaseHTTPRequestHandler):
    """An MCP server over HTTP whose every answer goes on and on, or unpacks to much."""

    sent, packs = 0, False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if self.packs:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with suppress(OSError):
            for _ in range(64):
                self.wfile.write(gzip.compress(b"0" * 1_000_000) if self.packs else b" " * 1_000_000)
                type(self).sent += 1_000_000

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("packs", [False, True])
async def test_no_mcp_server_decides_how_much_memory_its_answer_takes(packs, monkeypatch):
    monkeypatch.setattr(Flood, "sent", 0)
    monkeypatch.setattr(Flood, "packs", packs)
    with ThreadingHTTPServer(("127.0.0.1", 0), Flood) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        eyes = await McpEyes.look(Server(name="flood", url=f"http://127.0.0.1:{server.server_port}/mcp"))
        server.shutdown()
        thread.join()

    assert eyes.why_off.endswith(f"does not answer ({'DecodingError' if packs else 'ReadError'})")
    assert packs or Flood.sent < 40_000_000


FLOOD = """
import os, sys
with open(sys.argv[1], "w") as told:
    told.write(str(os.getpid()))
for _ in range(64):
    sys.stdout.write(" " * 1_000_000)
    sys.stdout.flush()
    with open(sys.argv[1], "a") as told:
        told.write(" more")
"""


@pytest.mark.parametrize(
    "ending", ["sys.stdin.read()", "import time, signal; signal.signal(15, signal.SIG_IGN); time.sleep(600)"]
)
async def test_nor_does_one_that_is_a_program_and_it_is_ended_whatever_it_does(ending, tmp_path, monkeypatch):
    monkeypatch.setattr("agent.toolsets.programs.GRACE_SECONDS", 0.5)
    heard = 0
    feed = asyncio.StreamReader.feed_data

    def fed(self, data):
        nonlocal heard
        feed(self, data)
        heard = max(heard, len(self._buffer))

    monkeypatch.setattr(asyncio.StreamReader, "feed_data", fed)
    told = tmp_path / "told"
    eyes = await McpEyes.look(Server(name="flood", command=(sys.executable, "-c", FLOOD + ending, str(told))))

    assert eyes.why_off.endswith("does not answer (LineTooLong)")
    assert heard < 3 * MOST_BYTES  # and not 64 MB, which it wrote in the end
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text().split()[0]), 0)


async def test_a_program_that_is_not_there_or_ends_at_once_is_no_server():
    gone = await McpEyes.look(Server(name="gone", command=("/nowhere/at/all",)))
    mute = await McpEyes.look(Server(name="mute", command=(sys.executable, "-c", "")))

    assert gone.why_off.endswith("does not answer (FileNotFoundError)")
    assert "does not answer (" in mute.why_off


LEAVES_ONE = """
import subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import time, signal; signal.signal(15, 1); time.sleep(600)"])
with open(sys.argv[1], "w") as told:
    told.write(str(left.pid))
sys.stdin.read()
"""


async def test_what_a_program_has_begun_ends_with_it_though_it_ends_by_itself(tmp_path):
    told = tmp_path / "told"
    async with spoken_with((sys.executable, "-c", LEAVES_ONE, str(told)), {}, most=MOST_BYTES):
        async with asyncio.timeout(30):
            while not (told.exists() and told.read_text()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async with asyncio.timeout(30):
        while _lives(int(told.read_text())):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _lives(pid: int) -> bool:
    """One that nobody has waited for is over too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
