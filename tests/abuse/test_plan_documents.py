"""The plan as bytes: changed after the approval, written differently, read differently by two parsers, or full of names that
are paths. Against the real process; the laboratory's request log says whether anything was written."""

import copy
import json
from typing import Any

import httpx
import pytest

from tests.sidecar.process.harness import Sidecar, good, running
from tests.sidecar.process.test_lab_way import plan, replicas, scale

CANARY = "cAnArY-in-a-plan-5520"
ONE_VALUE = {
    "attempt": 2,
    "cause/slug": "oom-killed-x",
    "cause/subject/name": "web2",
    "hypothesis": "too smalL",
    "incident": "inc-other",
    "requested_by": "ada",
    "steps/0/action/replicas": 9,
    "steps/0/action/target/name": "web2",
    "steps/0/expect": "bettes",
    "steps/0/why": "sO",
}
BAD_NAMES = [
    "../kube-system",
    "%2e%2e%2fx",
    "..;",
    "a/b",
    "web\n",
    "web\0",
    "Web",
    "w" * 254,
    "web\u202e",
    "*",
    "",
    " web",
    "wеb",
]

WELL_FORMED = {("uid", "Web"), ("namespace", "")}


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    with running(tmp_path_factory.mktemp("documents")) as sidecar:
        yield sidecar.start()


def post(sidecar: Sidecar, body: bytes | str) -> httpx.Response:
    return sidecar.agent.post("/v1/plans", content=body, headers={"Content-Type": "application/json"})


def is_refused(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), response.text
    assert response.json()["code"] == code
    assert CANARY not in response.text
    assert "Traceback" not in response.text


def looks(sidecar: Sidecar, since: int) -> list[str]:
    """What was asked of the API server; the reaper, which looks for what leases left, has nothing to do with a plan."""
    reaped = {"serviceaccounts", "roles", "rolebindings", "clusterroles", "clusterrolebindings"}
    return [entry.path for entry in sidecar.lab.requests[since:] if entry.resource not in reaped]


def with_value(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    copied = copy.deepcopy(document)
    *parents, last = path.split("/")
    place: Any = copied
    for name in parents:
        place = place[int(name) if name.isdigit() else name]
    place[last] = value
    return copied


@pytest.mark.parametrize("path", ONE_VALUE)
def test_B1_a_plan_changed_in_one_value_after_the_approval_is_another_plan(sidecar, path):
    before, log = replicas(sidecar), len(sidecar.lab.requests)
    document = plan(sidecar, scale(sidecar, before + 1))
    status = sidecar.submit(document)
    good(sidecar.approve(status))

    changed = sidecar.submit(with_value(document, path, ONE_VALUE[path]))

    assert changed["plan"] != status["plan"]
    assert changed["state"] in ("waiting", "denied")
    is_refused(sidecar.agent.post(f"/v1/plans/{changed['plan']}/lease"), 409, "not-approved")
    writes = [entry for entry in sidecar.lab.requests[log:] if entry.is_write and entry.identity != "admin"]
    assert writes == []
    assert replicas(sidecar) == before
    sidecar.approve(status, verdict="deny")


def test_B1_an_answer_to_another_digest_than_the_one_shown_is_a_409(sidecar):
    status = sidecar.submit(plan(sidecar, scale(sidecar, 5)))
    other = ("0" if status["plan"][0] != "0" else "1") + status["plan"][1:]
    body = {"plan": other, "verdict": "approve", "revision": status["decision"]["revision"], "reason": ""}
    with sidecar.person("ada") as people:
        is_refused(people.post(f"/approvals/{status['plan']}", json=body), 409, "stale-plan")
        is_refused(people.post(f"/approvals/{other}", json=body), 404, "unknown-plan")
    assert sidecar.agent.get(f"/v1/plans/{status['plan']}").json()["state"] == "waiting"
    sidecar.approve(status, verdict="deny")


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in sorted(value, reverse=True)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def test_B2_the_same_plan_written_differently_has_the_same_digest_and_one_approval_holds(sidecar):
    document = plan(sidecar, scale(sidecar, 6))
    status = sidecar.submit(document)
    spellings = [
        json.dumps(reordered(document)),
        json.dumps(document, indent=4),
        json.dumps(document).replace('"replicas": 6', '"replicas": 6.0').replace('"attempt": 1', '"attempt": 1e0'),
        json.dumps(document).replace('"oom-killed"', '"\\u006fom-killed"'),
    ]
    assert len(set(spellings)) == len(spellings)
    for spelling in spellings:
        assert good(post(sidecar, spelling))["plan"] == status["plan"]
    good(sidecar.approve(status))
    assert good(post(sidecar, spellings[0]))["state"] == "approved"
    sidecar.approve(status, verdict="deny")


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("a key twice", lambda text: text.replace('"attempt": 1', f'"attempt": 2, "attempt": 1, "{CANARY}": 1')),
        ("a key of the action twice", lambda text: text.replace('"replicas": 6', '"replicas": 60, "replicas": 6')),
        ("NaN", lambda text: text.replace('"replicas": 6', '"replicas": NaN')),
        ("Infinity", lambda text: text.replace('"replicas": 6', '"replicas": -Infinity')),
        ("a number too large", lambda text: text.replace('"replicas": 6', '"replicas": 1e400')),
        ("minus zero", lambda text: text.replace('"replicas": 6', '"replicas": -0')),
        ("a lone surrogate", lambda text: text.replace('"so"', '"\\ud800"')),
        ("a comment", lambda text: text.replace('"attempt"', '/* 1 */ "attempt"')),
        ("a comma too many", lambda text: text[:-1] + ",}"),
        ("something behind the end", lambda text: text + "{}"),
        ("a byte order mark", lambda text: "\ufeff" + text),
        ("an unknown field", lambda text: text.replace('"attempt"', '"surprise": 1, "attempt"')),
    ],
)
def test_B3_json_that_two_parsers_read_differently_is_a_400_before_policy(sidecar, what, spoil):
    text = json.dumps(plan(sidecar, scale(sidecar, 6)))
    spoilt = spoil(text)
    assert spoilt != text, what
    log = len(sidecar.lab.requests)

    is_refused(post(sidecar, spoilt), 400, "malformed")

    assert looks(sidecar, log) == [], "nothing was even looked up"


# A uid may have capital letters; a namespace may be empty, for kinds that have none.
@pytest.mark.parametrize(
    ("place", "name"),
    [(place, name) for place in ("namespace", "name", "uid") for name in BAD_NAMES if (place, name) not in WELL_FORMED],
    ids=ascii,
)
def test_B12_a_name_that_is_a_path_or_holds_control_characters_is_refused_by_the_schema(sidecar, place, name):
    document = plan(sidecar, scale(sidecar, 6))
    document["steps"][0]["action"]["target"][place] = name
    log = len(sidecar.lab.requests)

    response = post(sidecar, json.dumps(document))

    is_refused(response, 400, "malformed")
    assert looks(sidecar, log) == [], "no URL was built of it"


@pytest.mark.parametrize("name", ["../x", "%2e%2e", "a b", "A" * 65, "step-0", "step-1/../../settle", "\u202e"])
def test_B12_paths_of_our_own_api_are_names_only(sidecar, name):
    lease = sidecar.agent.post(f"/v1/leases/none/steps/{name}")
    assert lease.status_code in (400, 404, 405)
    assert lease.headers["content-type"] == "application/problem+json"
    assert sidecar.agent.get(f"/v1/plans/{name}").status_code in (400, 404)


def test_B12_a_namespaced_kind_without_a_namespace_is_denied(sidecar):
    document = plan(sidecar, scale(sidecar, 6))
    document["steps"][0]["action"]["target"]["namespace"] = ""
    log = len(sidecar.lab.requests)

    assert sidecar.submit(document)["state"] == "denied"

    assert not [entry for entry in sidecar.lab.requests[log:] if entry.is_write]
