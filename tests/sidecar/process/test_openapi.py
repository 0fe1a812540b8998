"""What both sides say about themselves is true: generated calls, over TCP, against the real process. No server error, no status
that is not documented, no answer that is not of its schema; with credentials and without.

`LESTRADE_OPENAPI_EXAMPLES=100 pytest tests/sidecar/process/test_openapi.py` makes a hundred calls of each kind (as documented,
and not) to each operation, in place of ten.
"""

import os
from contextlib import suppress
from unittest import SkipTest

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation

from tests.sidecar.process.harness import AGENT_TOKEN, running, token
from tests.sidecar.process.test_lab_way import plan, scale

load_all_checks()
# Messages are read strictly: 0.0 is an integer to JSON Schema, and none to them.
LEFT_OUT = [CHECKS.get_one("positive_data_acceptance")]
NOBODY = "nobody"
OPEN = ("/healthz", "/readyz", "/metrics")
EXAMPLES = int(os.environ.get("LESTRADE_OPENAPI_EXAMPLES", "10"))


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    environment = {"LESTRADE_SIDECAR_LISTEN": "127.0.0.1:0"}
    with running(tmp_path_factory.mktemp("openapi"), environment=environment) as sidecar:
        yield sidecar.start()


def faults(url: str, bearer: str, *, examples: int) -> list[str]:
    """What is not as documented, a line for each operation and way of generating its calls."""
    schema = schemathesis.openapi.from_url(f"{url.rstrip('/')}/openapi.json")
    found: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in GenerationMode:
            try:
                check(operation, mode, bearer, examples=examples)
            except (FailureGroup, Failure, AssertionError) as exc:
                found.append(f"{operation.label} ({mode.value}): {exc}")
    return found


def check(operation: APIOperation, mode: GenerationMode, bearer: str, *, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: schemathesis.Case) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {bearer}"}, timeout=30)
        if bearer == NOBODY and operation.path not in OPEN:
            assert answer.status_code in (400, 401, 404, 405), answer.status_code
        case.validate_response(answer, excluded_checks=LEFT_OUT)

    with suppress(Unsatisfiable, SkipTest):
        one()


# First of all: those that come after press every button that there is, the stop too.
def test_the_answers_of_a_whole_way_are_of_their_schemas(sidecar):
    agents = schemathesis.openapi.from_url(f"{sidecar.agent_url}/openapi.json")
    peoples_url = str(sidecar.person("ada").base_url).rstrip("/")
    peoples = schemathesis.openapi.from_url(f"{peoples_url}/openapi.json")

    def said(schema, path, method, bearer=AGENT_TOKEN, **parts):
        case = schema[path][method].Case(**parts)
        came = case.call_and_validate(headers={"Authorization": f"Bearer {bearer}"}, excluded_checks=LEFT_OUT, timeout=30)
        assert came.status_code == 200, came.text
        return came.json()

    ada = token("ada")
    status = said(agents, "/v1/plans", "POST", body=plan(sidecar, scale(sidecar)), media_type="application/json")
    digest = {"digest": status["plan"]}
    said(peoples, "/approvals", "GET", ada)
    view = said(peoples, "/approvals/{digest}", "GET", ada, path_parameters=digest)
    yes = {"plan": view["plan"], "revision": view["revision"], "verdict": "approve", "reason": "so"}
    said(peoples, "/approvals/{digest}", "POST", ada, path_parameters=digest, body=yes, media_type="application/json")
    said(agents, "/v1/plans/{digest}", "GET", path_parameters=digest)
    lease = {"lease_id": said(agents, "/v1/plans/{digest}/lease", "POST", path_parameters=digest)["id"]}
    for step in ("step-1", "step-1"):
        said(agents, "/v1/leases/{lease_id}/steps/{step}", "POST", path_parameters={**lease, "step": step})
    said(agents, "/v1/leases/{lease_id}/undo", "POST", path_parameters=lease)
    ending = {"outcome": "undone"}
    said(agents, "/v1/leases/{lease_id}/settle", "POST", path_parameters=lease, body=ending, media_type="application/json")
    said(peoples, "/v1/leases", "GET", ada)
    said(peoples, "/v1/audit", "GET", ada)


@pytest.mark.parametrize(("bearer", "examples"), [(AGENT_TOKEN, EXAMPLES), (NOBODY, 2)], ids=["known", "unknown"])
def test_the_agents_side_is_as_it_says(sidecar, bearer, examples):
    assert faults(sidecar.agent_url, bearer, examples=examples) == []


@pytest.mark.parametrize(("bearer", "examples"), [(token("ada"), EXAMPLES), (NOBODY, 2)], ids=["known", "unknown"])
def test_the_peoples_side_is_as_it_says(sidecar, bearer, examples):
    assert faults(str(sidecar.person("ada").base_url), bearer, examples=examples) == []
