"""The policy engine and its bundle, attacked and broken: by the sidecar's own socket, with a real OPA server and impostors.

Whatever becomes of them is a denial with its reason, a record, and no write; and it passes without a restart.
"""

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.policy import load
from sidecar.policy.admission import SEAL, seal_of
from tests.fakes.opa_impostor import Impostor, impostor
from tests.servers import ROOT, OpaServer, free_port, program
from tests.sidecar.policy.builders import ALLOWS_ALL, SLOW_ON_DEMAND
from tests.sidecar.process.harness import Sidecar, good, running, wait_for
from tests.sidecar.process.test_lab_way import plan, scale

SOON = 60  # seconds: OPA compiles all rules anew for each that is put there, and a test machine may be busy
BOUND = 2.0  # seconds from the plan to its denial, whatever the engine does


pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A laboratory with a sidecar on the embedded engine; others join it with folders of their own."""
    with running(tmp_path_factory.mktemp("engine")) as sidecar:
        yield sidecar.start()


@contextmanager
def beside(place: Sidecar, folder: Path, **environment: str) -> Iterator[Sidecar]:
    other = Sidecar(lab=place.lab, folder=folder, environment=environment)
    try:
        yield other
    finally:
        if other.process is not None:
            other.kill()


def sealed(folder: Path) -> None:
    """As if examined: what the examination finds has rows of its own."""
    (folder / SEAL).write_text(seal_of(load(folder)) + "\n")


def only(sidecar: Sidecar, decision: str) -> None:
    """This rule, and no other."""
    shutil.rmtree(sidecar.policies / "remediation")
    (sidecar.policies / "remediation").mkdir()
    (sidecar.policies / "remediation" / "decision.rego").write_text(decision)
    sealed(sidecar.policies)


def policy(sidecar: Sidecar) -> dict[str, Any]:
    return good(sidecar.person("ada").get("/v1/policy"))


def look_now(sidecar: Sidecar) -> None:
    assert sidecar.process is not None
    sidecar.process.send_signal(signal.SIGHUP)


def writes(sidecar: Sidecar) -> int:
    return len([entry for entry in sidecar.lab.writes() if entry.identity != "admin"])


def denied(sidecar: Sidecar, rule: str) -> float:
    """A new plan: denied by this rule alone, in time, on record once, and nothing is written. How long it took."""
    before, document = writes(sidecar), plan(sidecar, scale(sidecar))
    began = time.monotonic()
    status = sidecar.submit(document)
    took = time.monotonic() - began
    assert (status["state"], status["decision"]["verdict"]) == ("denied", "deny")
    assert [reason["rule"] for reason in status["decision"]["reasons"]] == [rule], status["decision"]["reasons"]
    assert status["decision"]["reasons"][0]["fix"]["op"] == "wait"
    assert took < BOUND
    records = good(sidecar.person("ada").get("/v1/audit", params={"about": status["plan"]}))["records"]
    assert [record["kind"] for record in records] == ["plan-decided"]
    assert sidecar.agent.post(f"/v1/plans/{status['plan']}/lease").status_code == 409
    assert writes(sidecar) == before
    return took


def judged(sidecar: Sidecar) -> bool:
    """Whether plans are judged by rules again."""
    decision = sidecar.submit(plan(sidecar, scale(sidecar)))["decision"]
    ours = {"policy-unavailable", "policy-malformed"} & {reason["rule"] for reason in decision["reasons"]}
    assert ours or decision["verdict"] != "deny", decision["reasons"]
    return not ours


def recovered(sidecar: Sidecar) -> None:
    """Without a restart: the engine can answer, and does."""
    wait_for(lambda: policy(sidecar)["unavailable"] == "", what="the engine can answer", seconds=SOON)
    assert judged(sidecar)


# D1


@pytest.fixture(scope="module")
def on_opa(place: Sidecar, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sidecar, OpaServer]]:
    server = OpaServer(program("opa"), free_port())
    server.start()
    try:
        with beside(place, tmp_path_factory.mktemp("on-opa"), LESTRADE_OPA_URL=server.url) as sidecar:
            only(sidecar, ALLOWS_ALL)  # how long OPA takes for thirty modules is no part of this
            sidecar.start()
            recovered(sidecar)
            yield sidecar, server
    finally:
        server.stop()


def test_D1_opa_killed_is_a_denial_in_time_and_passes_without_a_restart(on_opa: tuple[Sidecar, OpaServer]) -> None:
    sidecar, server = on_opa
    server.stop()
    denied(sidecar, "policy-unavailable")
    with sidecar.person("ada") as people:
        assert people.get("/readyz").status_code == 503
        assert "lestrade_sidecar_policy_available 0.0" in people.get("/metrics").text
    server.start()
    recovered(sidecar)


def test_D1_opa_hung_is_a_denial_in_time_and_passes_without_a_restart(on_opa: tuple[Sidecar, OpaServer]) -> None:
    sidecar, server = on_opa
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)  # connections are still accepted, by the kernel
    try:
        denied(sidecar, "policy-unavailable")
        denied(sidecar, "policy-unavailable")
    finally:
        server.process.send_signal(signal.SIGCONT)
    recovered(sidecar)


NONSENSE: dict[str, tuple[str, Any, str]] = {
    "an error of its own": ("error", None, "policy-unavailable"),
    "a redirect": ("redirect", None, "policy-unavailable"),
    "a byte now and then": ("drip", None, "policy-unavailable"),
    "a body without end": ("flood", None, "policy-unavailable"),
    "a page": ("raw", b"<html><title>Sign in</title></html>", "policy-unavailable"),
    "bytes": ("raw", b"\x00\xff\xfe{", "policy-unavailable"),
    "undefined": ("json", {}, "policy-unavailable"),
    "true": ("json", {"result": True}, "policy-unavailable"),
    "another revision": ("json", {"result": {"revision": "0" * 64, "value": {}}}, "policy-unavailable"),
    "allow as a text": ("value", {"allow": "true"}, "policy-malformed"),
    "a verdict that is none": (
        "value",
        {"verdict": True, "reasons": [], "approvals": None, "lease_seconds": 900},
        "policy-malformed",
    ),
    "a yes without end": (
        "value",
        {"verdict": "allow", "reasons": [], "approvals": None, "lease_seconds": 10**9},
        "policy-malformed",
    ),
}


def speaks(there: Impostor, mode: str, said: Any, revision: str) -> None:
    there.text = said if mode == "raw" else b""
    there.answer = {"result": {"revision": revision, "value": said}} if mode == "value" else said
    there.mode = "json" if mode == "value" else mode


def test_D1_nonsense_in_the_place_of_opa_is_a_denial_in_time_every_time(on_opa: tuple[Sidecar, OpaServer]) -> None:
    sidecar, server = on_opa
    revision = policy(sidecar)["revision"]
    server.stop()
    try:
        with impostor(server.port) as there:
            for what, (mode, said, rule) in NONSENSE.items():
                speaks(there, mode, said, revision)
                took = denied(sidecar, rule)
                assert took < BOUND, what
    finally:
        server.start()
    recovered(sidecar)


# D2


BROKEN: dict[str, tuple[str, str, str]] = {
    "empty": ("remediation", "", "no rules|platform/data.yaml"),
    "does not compile": ("remediation/decision.rego", "package remediation\n\ndecision := {", "compile|engine down|circle"),
    "another package": ("remediation/decision.rego", "package authz\n\nallow := true\n", "outside of package remediation"),
    "data of another shape": ("platform/data.yaml", "version: 1\n", "platform/data.yaml"),
}


@contextmanager
def spoilt(sidecar: Sidecar, path: str, text: str) -> Iterator[None]:
    """The bundle's folder with one place changed, and as it was afterwards."""
    kept = sidecar.policies.with_name("kept")
    shutil.copytree(sidecar.policies, kept)
    there = sidecar.policies / path
    shutil.rmtree(there) if there.is_dir() else there.write_text(text)
    try:
        yield
    finally:
        shutil.rmtree(sidecar.policies)
        kept.rename(sidecar.policies)
        look_now(sidecar)
        wait_for(lambda: not policy(sidecar)["pending"], what="the good bundle is what judges")


def refused(sidecar: Sidecar, why: str, times: int = 1) -> str:
    """The bundle that lies there now is refused, for this reason; shown, and on record once."""

    def shown() -> str:
        found = policy(sidecar)
        return found["refusal"] if found["pending"] and re.search(why, found["refusal"]) else ""

    look_now(sidecar)
    reason: str = wait_for(shown, seconds=SOON, what=f"a refusal for {why}")
    records = good(sidecar.person("ada").get("/v1/audit", params={"limit": 1000}))["records"]
    assert [r["body"]["reason"] for r in records if r["kind"] == "policy-refused"].count(reason) == times
    assert "lestrade_sidecar_policy_pending 1.0" in sidecar.person("ada").get("/metrics").text
    return reason


@pytest.mark.parametrize("what", BROKEN)
def test_D2_a_broken_bundle_is_not_loaded_and_the_last_good_one_stays(place: Sidecar, what: str) -> None:
    path, text, why = BROKEN[what]
    before = policy(place)
    with spoilt(place, path, text):
        refused(place, why)
        now = policy(place)
        assert (now["revision"], now["loaded_at"]) == (before["revision"], before["loaded_at"])
        assert judged(place)


def test_D2_an_unsigned_a_forged_and_an_older_bundle_are_not_loaded(place: Sidecar, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    with beside(place, tmp_path / "signed", LESTRADE_SIDECAR_POLICY_KEY_FILE=str(public)) as sidecar:

        def sign(version: int) -> None:
            (sidecar.policies / ".manifest").write_text(json.dumps({"metadata": {"version": version}}))
            command = [program("opa"), "sign", "--signing-alg", "ES256", "--signing-key", str(private), "--bundle", "."]
            subprocess.run(command, cwd=sidecar.policies, check=True, capture_output=True)

        sidecar.start()  # nothing is signed yet: never loaded, not ready, and everything is denied
        assert sidecar.person("ada").get("/readyz").status_code == 503
        denied(sidecar, "policy-unavailable")
        assert policy(sidecar)["revision"] == "none"

        sign(7)
        look_now(sidecar)
        wait_for(lambda: policy(sidecar)["version"] == 7, what="the signed bundle")
        assert judged(sidecar)
        revision = policy(sidecar)["revision"]

        rule = sidecar.policies / "remediation" / "decision.rego"
        good_rule = rule.read_bytes()
        rule.write_bytes(good_rule.replace(b"count(objections) == 0", b"count(objections) >= 0"))
        refused(sidecar, "decision.rego is not as it was signed")
        rule.write_bytes(good_rule + b"\n# as it was before\n")
        sealed(sidecar.policies)
        sign(6)
        refused(sidecar, "version 6, but version 7 was loaded before")
        (sidecar.policies / ".signatures.json").unlink()
        refused(sidecar, "is not signed", times=2)  # at the start, and now
        assert policy(sidecar)["revision"] == revision
        assert judged(sidecar)


# D3


def another_policy(sidecar: Sidecar) -> None:
    """Sound, examined, and another one than before."""
    before = policy(sidecar)["revision"]
    rule = sidecar.policies / "remediation" / "decision.rego"
    rule.write_text(rule.read_text() + "\n# looked at again\n")
    sealed(sidecar.policies)
    wait_for(lambda: policy(sidecar)["revision"] != before, what="the other policy, without being told")


def test_D3_an_approval_under_another_policy_is_void(place: Sidecar) -> None:
    before = writes(place)
    status = place.submit(plan(place, scale(place)))
    assert good(place.approve(status))["state"] == "approved"
    another_policy(place)

    answer = place.agent.post(f"/v1/plans/{status['plan']}/lease")

    assert (answer.status_code, answer.json()["code"]) == (409, "policy-changed")
    records = good(place.person("ada").get("/v1/audit", params={"about": status["plan"]}))["records"]
    assert [record["kind"] for record in records].count("plan-void") == 1
    assert writes(place) == before


def test_D3_a_lease_under_another_policy_performs_nothing(place: Sidecar) -> None:
    lease = place.leased(plan(place, scale(place, 3)))
    spec = place.lab.get("Deployment", "shop", "web")["spec"]
    another_policy(place)

    assert place.perform(lease)["reason"] == "plan-void"
    assert place.lab.get("Deployment", "shop", "web")["spec"] == spec
    place.settle(lease, "not-performed")


# D4


def test_D4_a_bundle_that_lets_a_malformed_plan_pass_is_refused_with_that_plan(place: Sidecar) -> None:
    with spoilt(place, "remediation/decision.rego", ALLOWS_ALL):
        for cases in place.policies.rglob("*_cases.yaml"):
            cases.unlink()  # nothing but the battery speaks against it
        reason = refused(place, r"cases/\w+\.yaml with .+: allow, where only a denial may come")
        printed = wait_for(
            lambda: [json.loads(line) for line in place.lines if "this input got through" in line], what="the input"
        )
        assert set(printed[-1]["input"]) >= {"plan", "facts", "clock"}, reason
        assert judged(place)


# D5


@pytest.mark.parametrize(
    "call",
    [
        'http.send({"method": "GET", "url": "http://127.0.0.1:9/"})',
        "opa.runtime()",
        'net.lookup_ip_addr("x")',
        'rego.parse_module("", "")',
    ],
)
def test_D5_a_rule_that_reaches_out_is_refused(place: Sidecar, call: str) -> None:
    with spoilt(place, "remediation/guards/reaches.rego", f"package remediation.guards.reaches\n\nx := {call}\n"):
        assert call.partition("(")[0] in refused(place, "is not permitted|not a permitted built-in")
        assert judged(place)


@pytest.mark.parametrize("engine", ["embedded", "opa"])
def test_D5_a_rule_that_never_ends_is_a_denial_and_the_next_plan_is_judged(place: Sidecar, tmp_path: Path, engine: str) -> None:
    server = OpaServer(program("opa"), free_port()) if engine == "opa" else None
    if server is not None:
        server.start()
    try:
        environment = {"LESTRADE_OPA_URL": server.url} if server is not None else {}
        with beside(place, tmp_path / "slow", **environment) as sidecar:
            only(sidecar, SLOW_ON_DEMAND)
            sidecar.start()
            quick = {**plan(sidecar, scale(sidecar)), "incident": "quick"}
            wait_for(lambda: sidecar.submit(quick)["state"] == "approved", what="quick plans are judged", seconds=SOON)
            for _ in range(3):
                denied(sidecar, "policy-unavailable")
            again = {**plan(sidecar, scale(sidecar, 5)), "incident": "quick", "attempt": 2}
            assert sidecar.submit(again)["state"] == "approved"
    finally:
        if server is not None:
            server.stop()


# F12


def test_F12_messages_of_another_schema_than_the_pinned_one_are_refused(place: Sidecar) -> None:
    """The agent's tools at the sidecar are its messages: their schema is pinned beside the rules, and closed."""
    pinned = json.loads((ROOT / "policies" / "schemas" / "plan.schema.json").read_text())
    served = good(place.agent.get("/openapi.json"))["components"]["schemas"]["Plan"]
    assert set(served["properties"]) == set(pinned["properties"])
    assert served["additionalProperties"] is pinned["additionalProperties"] is False
    before, document = writes(place), plan(place, scale(place))
    drifted: list[dict[str, Any]] = [
        {**document, "approved": True},
        {**document, "steps": [{**document["steps"][0], "tool": "kubectl"}]},
        {**document, "steps": [{**document["steps"][0], "action": {**scale(place), "kind": "exec_in_pod"}}]},
        {**document, "steps": [{**document["steps"][0], "action": {**scale(place), "force": True}}]},
    ]
    for changed in drifted:
        answer: httpx.Response = place.agent.post("/v1/plans", json=changed)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert writes(place) == before
