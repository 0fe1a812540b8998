"""What comes over the wire from anybody, and how the process starts and does not start."""

import json
import re
import socket
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from sidecar.agent_api import agent_api
from sidecar.approvals import Directory, PeopleFile
from sidecar.people_api import people_api
from sidecar.people_api.doorway import Doorway
from sidecar.people_api.pages import Pages
from sidecar.people_api.seal import Seal
from tests.fakes.sidecar_gate import deployment, make_world, plan, scale
from tests.forked import run
from tests.sidecar.process.harness import ROOT

AGENT = {"Authorization": "Bearer agent-token-1234567"}
PERSON = {"Authorization": "Bearer ada"}


@pytest.fixture
def world(tmp_path):
    world = make_world(tmp_path)
    world.cluster.put("deployments", deployment(), "apps")
    return world


@pytest.fixture
def agent(world):
    app = agent_api(world.desk, token="agent-token-1234567", ready=lambda: "", version="0")
    with TestClient(app, raise_server_exceptions=False, headers=AGENT) as client:
        yield client


@pytest.fixture
def people(world):
    app = people_api(world.desk, ready=lambda: "the cluster is away", version="0")
    with TestClient(app, raise_server_exceptions=False, headers=PERSON) as client:
        yield client


def is_problem(response, status: int, code: str) -> None:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), response.text
    assert response.json()["code"] == code
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"a":1,"a":2}',
        b'{"incident":NaN}',
        b'{"incident":1e400}',
        b'{"attempt":-0}',
        b'{"incident":"\\ud800"}',
        b"[" * 10_000 + b"]" * 10_000,
        json.dumps({**plan(scale(5)).document(), "extra": 1}).encode(),
        json.dumps({**plan(scale(5)).document(), "attempt": "1"}).encode(),
        json.dumps({**plan(scale(5)).document(), "steps": []}).encode(),
    ],
)
def test_what_is_no_plan_is_a_400_before_anything_is_asked(agent, world, body):
    is_problem(agent.post("/v1/plans", content=body), 400, "malformed")
    assert world.facts.asked == []


@pytest.mark.parametrize("name", ["*", "../x", "a%2fb", "A", "x" * 254, "a\nb", "", "a b"])
def test_a_name_that_is_none_is_refused_by_the_schema(agent, name):
    document = plan(scale(5)).document()
    document["steps"][0]["action"]["target"]["name"] = name
    is_problem(agent.post("/v1/plans", json=document), 400, "malformed")


def test_a_body_that_is_too_large_is_a_413(agent):
    is_problem(agent.post("/v1/plans", content=b"x" * 1_100_000), 413, "too-large")
    is_problem(agent.post("/v1/plans", content=iter([b"x" * 600_000, b"y" * 600_000])), 413, "too-large")


def test_a_request_that_ends_in_two_ways_is_refused_before_anything_of_it_is_read(agent, people):
    for side in (agent, people):
        answer = side.get("/healthz", headers={"Content-Length": "2", "Transfer-Encoding": "chunked"})
        is_problem(answer, 400, "malformed")
        assert answer.headers["connection"] == "close"
        assert side.get("/healthz", headers={"Content-Length": "0"}).status_code == 200


def test_what_is_not_there_is_a_problem_too(agent):
    is_problem(agent.get("/v2/plans"), 404, "not-found")
    is_problem(agent.delete("/v1/plans"), 405, "method-not-allowed")
    is_problem(agent.get("/v1/plans/xyz"), 400, "malformed")
    is_problem(agent.get("/v1/plans/" + "a" * 64), 404, "unknown-plan")
    is_problem(agent.get("/v1/plans/" + "a" * 64 + "?wait=x"), 400, "malformed")
    is_problem(agent.get("/v1/plans/" + "a" * 64 + "?wait=99999"), 400, "malformed")
    is_problem(agent.post("/v1/leases/none/steps/step-1"), 404, "unknown-lease")
    is_problem(agent.post("/v1/leases/none/settle", content=b'{"outcome":"great"}'), 400, "malformed")
    is_problem(agent.post("/v1/leases/none/undo"), 404, "unknown-lease")


def test_without_the_token_nothing_is_read(world, agent):
    for headers in ({}, {"Authorization": "Bearer ada"}, {"Authorization": b"Bearer \xe9\xff"}, {"Authorization": "bearer"}):
        client = TestClient(agent.app, raise_server_exceptions=False)
        is_problem(client.post("/v1/plans", content=plan(scale(5)).canonical(), headers=headers), 401, "not-authenticated")
        is_problem(client.get("/v1/read/lab/api/v1/pods", headers=headers), 401, "not-authenticated")
    assert TestClient(agent.app).get("/healthz").status_code == 200


OPEN_TO_ALL = {
    "agent": {"/healthz", "/readyz", "/openapi.json"},
    "people": {"/healthz", "/readyz", "/openapi.json", "/metrics", "/", "/style.css", "/favicon.ico"}
    | {"/login", "/login/provider", "/login/callback"},
}


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize("side", ["agent", "people"])
def test_every_route_but_the_few_that_are_open_wants_to_know_who_asks(world, tmp_path, side, accept):
    """Read from the applications: a route that is added tomorrow is asked too."""
    doorway = Doorway(directory=Directory(PeopleFile(tmp_path / "nobody.toml")), seal=Seal(b"k" * 32, "a program"))
    app = (
        agent_api(world.desk, token="agent-token-1234567", ready=lambda: "", version="0")
        if side == "agent"
        else people_api(world.desk, ready=lambda: "", version="0", pages=Pages(desk=world.desk, doorway=doorway))
    )
    other = PERSON if side == "agent" else AGENT
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    asked = set()
    for path, method in routes_of(app):
        if path in OPEN_TO_ALL[side]:
            continue
        asked.add(path)
        address = re.sub(r"\{[^}]*digest[^}]*\}", "a" * 64, path)
        address = re.sub(r"\{[^}]*\}", "step-1", address)
        for headers in ({}, other, {"Cookie": "lestrade-session=x.y"}):
            response = client.request(method, address, headers={"Accept": accept, "Origin": "http://testserver", **headers})
            to_the_door = response.status_code == 303 and response.headers["location"].startswith("/login")
            assert response.status_code == 401 or to_the_door, (method, address, response.status_code)
    assert len(asked) >= (7 if side == "agent" else 18)


def routes_of(app) -> list[tuple[str, str]]:
    """Every path and method, those of included routers too."""

    def found(routes) -> list[tuple[str, str]]:
        here = [(route.path, method) for route in routes for method in getattr(route, "methods", None) or ()]
        return here + [
            pair for route in routes for pair in found(getattr(getattr(route, "original_router", route), "routes", None) or ())
        ]

    return [(path, method) for path, method in found(app.routes) if method not in ("HEAD", "OPTIONS")]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.text(max_size=40))
def test_no_input_is_a_500(agent, body, path):
    assert agent.post("/v1/plans", content=body).status_code == 400
    quoted = "".join(f"%{byte:02x}" for byte in path.encode("utf-8", "surrogatepass"))
    assert agent.get(f"/v1/read/lab/{quoted}").status_code in (400, 403, 404)
    assert agent.get(f"/v1/plans/{quoted}").status_code < 500


def test_people_answer_and_a_wrong_answer_is_refused(world, people, agent):
    status = agent.post("/v1/plans", content=plan(scale(5)).canonical()).json()
    digest = status["plan"]
    said = {"plan": digest, "verdict": "approve", "reason": "", "revision": "rev-1"}
    is_problem(people.post(f"/approvals/{digest}", json={**said, "plan": "b" * 64}), 409, "stale-plan")
    is_problem(people.post(f"/approvals/{digest}", json={**said, "revision": "rev-0"}), 409, "stale-plan")
    is_problem(people.post(f"/approvals/{digest}", json={**said, "person": "bob"}), 400, "malformed")
    is_problem(people.post("/approvals/" + "b" * 64, json={**said, "plan": "b" * 64}), 404, "unknown-plan")
    assert people.post(f"/approvals/{digest}", json=said).json()["state"] == "approved"
    assert "lestrade_sidecar_plans" in people.get("/metrics").text
    is_problem(people.get("/readyz"), 503, "not-ready")
    assert "the cluster is away" in people.get("/readyz").json()["detail"]
    for headers in ({"Authorization": ""}, AGENT):
        is_problem(unknown := people.get("/readyz", headers=headers), 503, "not-ready")
        assert "the cluster is away" not in unknown.text


def test_a_record_that_cannot_be_kept_is_a_503(world, agent):
    (world.folder / "journal.anchor").mkdir()
    (world.folder / "journal.anchor" / "x").touch()
    is_problem(agent.post("/v1/plans", content=plan(scale(5)).canonical()), 503, "journal-unavailable")


def test_every_call_is_documented_with_its_refusals(agent, people):
    for client in (agent, people):
        schema = client.get("/openapi.json").json()
        for path, methods in schema["paths"].items():
            if path.startswith(("/v1", "/approvals")):
                for operation in methods.values():
                    assert {"200", "400", "401", "503"} <= set(operation["responses"]), path
        names = set(schema["components"]["schemas"])
        used = set(json.dumps(schema).split('"#/components/schemas/')[1:])
        assert {name.split('"')[0] for name in used} <= names


# starting

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: lab
clusters: [{name: lab, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: canary-of-the-kubeconfig}}]
contexts: [{name: lab, context: {cluster: lab, user: u}}]
"""


def serve(tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings_ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LESTRADE_SIDECAR_STATE": str(tmp_path), "HOME": str(tmp_path)}
    program = [sys.executable, "-m", "sidecar.cli", "serve"]
    return run(program, env={**settings_, **environment}, cwd=tmp_path, timeout=110)


@pytest.mark.parametrize(
    ("environment", "code", "says"),
    [
        ({"KUBECONFIG": "{tmp}/none"}, 2, "{tmp}/none: no such kubeconfig (name one with LESTRADE_SIDECAR_KUBECONFIG)"),
        ({"LESTRADE_SIDECAR_KUBECONFIG": "{tmp}/broken"}, 2, "kubeconfig"),
        ({"LESTRADE_SIDECAR_KUBECONFIG": "{tmp}/kubeconfig", "LESTRADE_SIDECAR_CONTEXT": "other"}, 2, "kubeconfig"),
        ({"LESTRADE_SIDECAR_KUBECONFIG": "{tmp}/kubeconfig"}, 4, "no answer"),
        ({"LESTRADE_SIDECAR_TOKEN_FILE": "{tmp}/none"}, 2, "the agent's token"),
        ({"LESTRADE_SIDECAR_PEOPLE_FILE": "{tmp}/none"}, 2, "people file"),
        ({"LESTRADE_SIDECAR_PEOPLE_FILE": "{tmp}/broken"}, 2, "people file"),
        ({"LESTRADE_SIDECAR_POLICIES": "{tmp}/none"}, 2, ""),
        ({"LESTRADE_SIDECAR_LISTEN": "0.0.0.0:0"}, 2, "loopback"),
        ({"LESTRADE_SIDECAR_PEOPLE_LISTEN": "nonsense"}, 2, "host:port"),
        ({"LESTRADE_SIDECAR_REAP_SECONDS": "soon"}, 2, "LESTRADE_SIDECAR_REAP_SECONDS"),
        ({"LESTRADE_SIDECAR_CONSOLE_URL": "lestrade.example.com"}, 2, "LESTRADE_SIDECAR_CONSOLE_URL"),
        ({"LESTRADE_SIDECAR_CONFIG": "{tmp}/broken"}, 2, "not TOML"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(tmp_path, environment, code, says):
    (tmp_path / "broken").write_text("{ [ not anything")
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    given_ = {name: value.replace("{tmp}", str(tmp_path)) for name, value in environment.items()}
    given_.setdefault("LESTRADE_SIDECAR_POLICIES", str(tmp_path / "policies-that-come-later"))
    if any(name.endswith("KUBECONFIG") for name in environment):
        from tests.sidecar.process.harness import sealed_policies

        given_["LESTRADE_SIDECAR_POLICIES"] = str(sealed_policies(tmp_path))
    ended = serve(tmp_path, **given_)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert says.replace("{tmp}", str(tmp_path)) in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "canary-of-the-kubeconfig" not in ended.stdout + ended.stderr


def test_a_port_that_is_taken_is_said_in_one_line():
    from sidecar.errors import SettingsError
    from sidecar.listening import bound

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match="cannot listen on"), bound(None, None, address):  # type: ignore[arg-type]
            pass
