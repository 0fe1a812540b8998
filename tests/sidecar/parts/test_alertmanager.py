"""Alertmanager as it may be, and as nobody wants it: what it says is checked, and what it is told in secret goes nowhere else."""

import time
from datetime import UTC, datetime

import httpx
import pytest
import respx

from sidecar.contract import Matcher, ObjectRef, canonical
from sidecar.errors import AlertmanagerRefused, AlertmanagerUnavailable, SettingsError
from sidecar.execution import alertmanager as adapter
from sidecar.execution.alertmanager import Alertmanager, Login
from sidecar.facts.alerts import is_about, silence_facts
from sidecar.gate.alerting import open_silencer
from sidecar.ports import FiringAlert, NewSilence
from sidecar.settings import load
from tests.fakes.sidecar_alertmanager import CRASHES

URL = "https://alerts.example:9093/team"
API = f"{URL}/api/v2"
CANARY = "s3cret-canary"
SHOP = (Matcher(name="alertname", value="KubePodCrashLooping"), Matcher(name="namespace", value="shop"))
FIRING = {"labels": CRASHES, "status": {"state": "active", "silencedBy": []}}


def silence(comment: str, state: str = "active", by: str = "lestrade-sidecar", id_: str = "s-1") -> dict:
    return {"id": id_, "status": {"state": state}, "endsAt": "2026-03-01T13:00:00Z", "createdBy": by, "comment": comment}


@pytest.fixture
def alerts():
    found = Alertmanager(URL, login=Login(token=lambda: CANARY))
    with respx.mock:
        yield found
    found.close()


def test_what_a_silence_covers_is_told_by_equality_whatever_a_filter_lets_through(alerts):
    other = {"labels": {**CRASHES, "namespace": "payments"}, "status": {"silencedBy": []}}
    muted = {"labels": {**CRASHES, "pod": "b"}, "status": {"silencedBy": ["s-9"]}}
    asked = respx.get(f"{API}/alerts").respond(200, json=[FIRING, other, muted])
    found = alerts.firing((*SHOP, Matcher(name="severity", value="warning")))
    assert [(alert.labels["namespace"], alert.silenced) for alert in found] == [("shop", False), ("shop", True)]
    assert alerts.firing((Matcher(name="alertname", value='a"} or {b'),)) == ()
    assert [call.request.url.params.get_list("filter") for call in asked.calls] == [
        ['alertname="KubePodCrashLooping"', 'namespace="shop"', 'severity="warning"'],
        [],  # what a filter could read otherwise is not put into one
    ]
    assert asked.calls[0].request.headers["authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"alerts": []}),
        httpx.Response(200, json=[{"labels": 7}]),
        httpx.Response(401, text=CANARY),
        httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
        httpx.Response(503),
        httpx.ConnectError(f"no way to {CANARY}"),
        httpx.ReadTimeout("late"),
    ],
    ids=str,
)
def test_no_answer_and_no_usable_one_are_one_failure_that_repeats_nothing_secret(alerts, answer):
    respx.get(f"{API}/alerts").mock(side_effect=[answer])
    with pytest.raises(AlertmanagerUnavailable, match=r"Alertmanager at https://alerts\.example:9093") as said:
        alerts.firing(SHOP)
    assert CANARY not in str(said.value) + repr(said.value.__cause__) + repr(
        Login(token=lambda: CANARY, user="u", password=lambda: CANARY)
    )


def test_an_answer_that_comes_a_byte_at_a_time_is_not_waited_for_for_ever():
    def drips():
        for _ in range(100):
            time.sleep(0.01)
            yield b" "

    found = Alertmanager(URL, seconds=0.03)
    with respx.mock:
        respx.get(f"{API}/alerts").respond(200, content=drips())
        with pytest.raises(AlertmanagerUnavailable, match="takes longer"):
            found.firing(SHOP)
    found.close()


def test_what_a_hostile_alert_says_is_kept_within_what_can_be_recorded():
    long, many = {"note": "x" * 1_000_000, "n" * 1000: "y"}, {f"label_{number}": "z" for number in range(10_000)}
    posted = FiringAlert(labels={**CRASHES, "nul": "a\0b", **long, **many}, silenced=False)
    found = silence_facts(
        [posted] * 100, ObjectRef(apiVersion="apps/v1", kind="Deployment", namespace="shop", name="web", uid="u")
    )
    assert len(canonical(found)) < 500_000
    assert found["alerts"][0]["about_target"]
    assert CRASHES.items() <= found["alerts"][0]["labels"].items()


def test_an_answer_without_an_end_is_not_read_to_it(alerts, monkeypatch):
    monkeypatch.setattr(adapter, "MOST_BYTES", 1000)
    respx.get(f"{API}/alerts").respond(200, content=b"[" + b" " * 2000)
    with pytest.raises(AlertmanagerUnavailable, match="longer than 1000 bytes"):
        alerts.firing(SHOP)


def test_one_s_own_silence_is_known_by_its_end_and_its_maker_and_one_that_stands_goes_first(alerts):
    mine = "(lestrade abc-1 step-1)"
    listed = [
        silence(f"x {mine}", by="mallory"),
        silence(f"{mine} x"),
        silence(f"y {mine}", "expired"),
        silence(f"y {mine}", id_="s-2"),
    ]
    respx.get(f"{API}/silences").respond(200, json=listed)
    assert alerts.made(mine).id == "s-2"
    assert alerts.made("(lestrade abc-1 step-2)") is None
    respx.get(f"{API}/silence/s-3").respond(404)
    assert alerts.made(mine, "s-3") is None


def test_the_end_of_what_is_over_is_no_error_and_of_what_stands_is_one(alerts):
    respx.delete(f"{API}/silence/s-1").respond(500, text="already expired")
    state = respx.get(f"{API}/silence/s-1").respond(200, json=silence("", "expired"))
    alerts.expire("s-1")
    state.respond(200, json=silence("", "active"))
    with pytest.raises(AlertmanagerUnavailable, match="answered 500"):
        alerts.expire("s-1")


def test_a_refusal_and_an_unknown_end_of_making_are_two_things(alerts):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    wanted = NewSilence(matchers=SHOP, starts_at=now, ends_at=now, comment="c", marker="m")
    respx.post(f"{API}/silences").mock(
        side_effect=[httpx.Response(400), httpx.Response(502), httpx.Response(200, json={"silenceID": "s-7"})]
    )
    with pytest.raises(AlertmanagerRefused):
        alerts.make(wanted)
    with pytest.raises(AlertmanagerUnavailable):
        alerts.make(wanted)
    assert alerts.make(wanted) == "s-7"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"URL": "alerts.example"}, "is no address"),
        ({"URL": f"https://u:{CANARY}@alerts.example"}, "without user, password"),
        ({"URL": URL, "CA_FILE": "/nowhere.pem"}, "holds no certificate"),
        ({"URL": URL, "TOKEN_FILE": "/nowhere"}, "the token for Alertmanager"),
        ({"URL": URL, "USER": "lestrade"}, "belong together"),
    ],
    ids=lambda given: str(given)[:40],
)
def test_settings_that_cannot_be_used_are_said_at_the_start(given, says):
    with pytest.raises(SettingsError, match=says) as said:
        open_silencer(load(environ={f"LESTRADE_SIDECAR_ALERTMANAGER_{name}": value for name, value in given.items()}))
    assert CANARY not in str(said.value)


def ref(kind: str, name: str, api: str = "apps/v1", namespace: str = "shop") -> ObjectRef:
    return ObjectRef(api_version=api, kind=kind, namespace=namespace, name=name, uid="u")


NODE = ref("Node", "node-1", "v1", "")


@pytest.mark.parametrize(
    ("labels", "target", "about"),
    [
        ({"pod": "web-7d9f5c8b64-x2kqz"}, ref("Deployment", "web"), True),
        ({"pod": "web-api-7d9f5c8b64-x2kqz"}, ref("Deployment", "web"), False),
        ({"deployment": "web", "pod": "kube-state-metrics-5d4f6c7b8d-zzzzz"}, ref("Deployment", "web"), True),
        ({"deployment": "api", "pod": "web-7d9f5c8b64-x2kqz"}, ref("Deployment", "web"), False),
        ({"statefulset": "db"}, ref("Pod", "db-0", "v1"), True),
        ({"job_name": "backup-29001234"}, ref("CronJob", "backup", "batch/v1"), True),
        ({"service": "web"}, ref("Deployment", "web"), True),  # names no workload: of the whole namespace
        ({"service": "api"}, ref("Service", "web", "v1"), False),
        ({"namespace": "payments", "deployment": "web"}, ref("Deployment", "web"), False),
        ({"instance": "node-1:9100"}, ref("Node", "node-1", "v1", ""), True),
        ({"namespace": "shop", "pod": "web-api-x2kqz"}, ref("Deployment", "web"), False),  # of DaemonSet web-api
        ({"namespace": "shop", "replicaset": "web-api"}, ref("Deployment", "web"), False),
        ({"namespace": "m", "pod": "node-exporter-x2kqz", "job": "node-exporter", "instance": "node-1:9100"}, NODE, True),
        ({"namespace": "m", "pod": "p-ksm-x2kqz", "service": "p-ksm", "job": "ksm", "node": "node-1"}, NODE, True),
        ({"namespace": "payments", "pod": "ledger-0", "job": "kubelet", "node": "node-1"}, NODE, False),  # runs there
        ({"namespace": "payments", "pod": "ledger-0", "node": "node-1"}, NODE, False),
        ({"namespace": "payments", "statefulset": "ledger", "node": "node-1"}, NODE, False),
        ({"node": "node-2", "instance": "node-1:9100"}, ref("Node", "node-1", "v1", ""), False),
    ],
    ids=str,
)
def test_what_an_alert_is_about_is_read_from_its_most_telling_label(labels, target, about):
    assert is_about({"alertname": "X", **labels}, target) is about
