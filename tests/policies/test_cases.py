"""One table of cases, on both engines. The cases themselves lie beside the rules: policies/remediation/**/*_cases.yaml."""

import json
import urllib.request
from collections.abc import Callable

import pytest

from sidecar.contract import Json
from sidecar.policy import PolicyBundle, load, policies_folder
from sidecar.policy.caged import EmbeddedEngine
from sidecar.policy.cases import Case, failure, read
from sidecar.policy.engine import Engine
from sidecar.policy.opa import OpaEngine
from sidecar.policy.tokens import in_order
from sidecar.ports import nothing
from tests.servers import OpaServer

CASES = list(read(load(policies_folder())))


class BareOpa:
    """The modules as they are, on a server of their own, so that a case's data is one request and not a whole revision."""

    def __init__(self, server: OpaServer, bundle: PolicyBundle) -> None:
        self.revision = bundle.revision
        self._url = server.url
        self.put(bundle)
        for path, text in in_order(bundle.modules):
            self._send("PUT", f"/v1/policies/bare/{path}", text.encode(), "text/plain")

    def put(self, bundle: PolicyBundle) -> "BareOpa":
        self._send("PUT", "/v1/data/platform", json.dumps(bundle.data["platform"]).encode(), "application/json")
        return self

    def ask(self, document: dict[str, Json], *, meanwhile: Callable[[], None] = nothing) -> Json:
        path = "/v1/data/remediation/decision?strict-builtin-errors=true"
        body = json.dumps({"input": document}).encode()
        answer: Json = json.loads(self._send("POST", path, body, "application/json"))["result"]
        return answer

    def _send(self, method: str, path: str, body: bytes, media_type: str) -> bytes:
        request = urllib.request.Request(self._url + path, body, {"Content-Type": media_type}, method=method)
        with urllib.request.urlopen(request, timeout=20) as response:
            came: bytes = response.read()
        return came


@pytest.fixture(scope="session")
def bare(opa_server: OpaServer, bundle: PolicyBundle) -> BareOpa:
    return BareOpa(opa_server, bundle)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.where.split('/')[-1]}")
def test_the_embedded_engine_says_what_the_case_expects(case: Case, embedded: EmbeddedEngine) -> None:
    with_data = case.bundle.revision != embedded.revision
    engine = EmbeddedEngine(case.bundle, seconds=20) if with_data else embedded
    try:
        assert failure(case, engine) == ""
    finally:
        if with_data:
            engine.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.where.split('/')[-1]}")
def test_a_real_opa_server_says_the_same(case: Case, bare: BareOpa) -> None:
    assert failure(case, bare.put(case.bundle)) == ""


@pytest.mark.parametrize("name", ["scale", "delete-pod", "drain", "create"])
def test_the_moved_rules_say_what_the_rules_say(
    name: str,
    bundle: PolicyBundle,
    embedded: EmbeddedEngine,
    opa: OpaEngine,
    same: Callable[[Engine, Engine, dict[str, Json]], None],
) -> None:
    whole = bundle.documents[name]
    assert isinstance(whole, dict)
    same(embedded, opa, {**whole, "clock": {}})


def test_every_guard_and_permit_has_cases(bundle: PolicyBundle) -> None:
    with_cases = {path.removesuffix("_cases.yaml") for path, _ in bundle.cases}
    guards = {path.removesuffix(".rego") for path, _ in bundle.modules if path.startswith("remediation/guards/")}

    assert guards <= with_cases
    assert "remediation/permits/permits" in with_cases
    kinds = {document["plan"]["steps"][0]["action"]["kind"] for document in bundle.documents.values()}  # type: ignore[index, call-overload]
    assert kinds == set(bundle.data["platform"]["permits"])  # type: ignore[index, call-overload, arg-type]


def test_every_guard_says_what_it_is(bundle: PolicyBundle) -> None:
    for path, text in bundle.modules:
        assert text.startswith("# METADATA\n# title: "), path
        assert "# description:" in text, path
        package = text.split("\npackage ", 1)[1].splitlines()[0]
        assert package == path.removesuffix(".rego").replace("/", ".") or path == "remediation/decision.rego", path
