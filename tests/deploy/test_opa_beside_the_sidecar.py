"""The OPA of the component answers the sidecar and nobody else, though everybody in the pod can reach it."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from sidecar.errors import PolicyUnavailable
from sidecar.policy.bundle import PolicyBundle, load, policies_folder
from sidecar.policy.opa import OpaEngine
from tests.deploy.built import DEPLOY, built, container
from tests.servers import free_port, program

MODULES = (("remediation/decision.rego", "package remediation\n\ndecision := {}\n"),)
TOKEN = "a-token-of-the-sidecar-that-is-long-enough"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Started with the arguments and the environment of the manifest; only places and the port are the test's."""
    folder: Path = tmp_path_factory.mktemp("opa")
    (folder / "identity.json").write_text(json.dumps({"sidecar": TOKEN}))
    found = container(built("sqlite", ("opa",)), "opa")
    address = f"127.0.0.1:{free_port()}"
    places = {
        "--addr=127.0.0.1:8181": f"--addr={address}",
        "/etc/opa/authz.rego": str(DEPLOY / "components" / "opa" / "authz.rego"),
        "identity:/etc/opa-token/identity.json": f"identity:{folder / 'identity.json'}",
    }
    assert set(places) <= set(found["args"])
    environment = {**os.environ, **{each["name"]: each["value"] for each in found["env"]}}
    words = [program("opa"), *(places.get(word, word) for word in found["args"])]
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until_it_answers(f"http://{address}/health")
            yield f"http://{address}"
        finally:
            process.kill()


def until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


@pytest.fixture(scope="module")
def bundle() -> PolicyBundle:
    """A rule, and not all of them: OPA compiles everything anew for each that is put there."""
    return replace(load(policies_folder()), modules=MODULES, data={})


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer something-else-that-is-long-enough-too"}, {"Authorization": "Bearer x"}]
)
def test_who_has_no_token_can_neither_ask_nor_put_nor_read(url, headers):
    with httpx.Client(base_url=url, headers=headers) as http:
        answers = [
            http.put("/v1/policies/evil.rego", content="package evil"),
            http.put("/v1/data/identity", json={"sidecar": "mine-now-mine-now-mine-now-mine-now"}),
            http.get("/v1/data/identity"),
            http.post("/v1/data/lestrade", json={"input": {}}),
            http.post("/v1/query", json={"query": "data.identity"}),
            http.delete("/v1/policies/system/authz"),
        ]

    assert {answer.status_code for answer in answers} == {401}
    assert TOKEN not in "".join(answer.text for answer in answers)


def test_the_sidecar_puts_its_rules_there_and_is_answered(url, bundle):
    engine = OpaEngine(bundle, url, token=lambda: TOKEN)
    try:
        engine.load()
        assert engine.why_not() == ""
    finally:
        engine.close()


def test_a_sidecar_with_another_token_has_no_verdicts(url, bundle):
    engine = OpaEngine(bundle, url, token=lambda: "not-the-token-but-long-enough-as-well")
    try:
        with pytest.raises(PolicyUnavailable):
            engine.load()
        assert engine.why_not()
    finally:
        engine.close()
