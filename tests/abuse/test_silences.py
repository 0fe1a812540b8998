"""Silences that nobody should get, asked of the real sidecar with a real Alertmanager: by the shipped rules and data.

What is counted as harm is a silence that stands in Alertmanager; the good way is here too, kill -9 included.
"""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from agent.chat.silencing import Silencings
from agent.domain.document import to_document
from agent.domain.evidence import Evidence
from agent.domain.incident import Alert, Incident
from agent.domain.objects import Ref
from agent.domain.report import Report
from agent.eyes import SystemClock
from agent.governance import SidecarClient
from agent.settings import Settings
from agent.stages.silence import Wish, silence, silences
from tests.agent.slack import reports
from tests.fakes.agent_shop import fake_shop
from tests.servers import running_alertmanager
from tests.sidecar.process.harness import AGENT_TOKEN, Sidecar, good, running, wait_for

COUNT = itertools.count(1)
DEV = {"environments": {"by_cluster": {"lab": "dev"}}}
POD = "web-7d9f5c8b64-x2kqz"
CRASHES = {"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": POD, "severity": "warning"}
PAGES = {"alertname": "KubeDeploymentReplicasMismatch", "namespace": "shop", "deployment": "web", "severity": "critical"}
FOREIGN = (
    {"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": "ledger-0", "severity": "warning", "shared": "yes"},
    {"alertname": "KubePodCrashLooping", "namespace": "payments", "pod": POD, "severity": "warning"},
)
NAMED = ("alertname", "namespace", "severity", "pod")


class Alertmanager:
    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=20)

    def fire(self, *alerts: dict[str, str]) -> None:
        now = datetime.now(UTC)
        times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=2)).isoformat()}
        self.http.post("/api/v2/alerts", json=[{"labels": labels, **times} for labels in alerts]).raise_for_status()

    def silences(self, state: str = "active") -> list[dict[str, Any]]:
        return [one for one in self.http.get("/api/v2/silences").json() if one["status"]["state"] == state]

    def muted(self) -> list[dict[str, str]]:
        found = self.http.get("/api/v2/alerts", params={"active": "false", "inhibited": "false"}).json()
        return [one["labels"] for one in found if one["status"]["silencedBy"]]


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory):
    configuration = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n"
    with running_alertmanager(tmp_path_factory.mktemp("alertmanager"), configuration) as url:
        found = Alertmanager(url)
        found.fire(CRASHES, PAGES, *FOREIGN)
        wait_for(lambda: len(found.http.get("/api/v2/alerts").json()) == 4, what="the alerts fire")
        yield found


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory, alertmanager):
    with running(tmp_path_factory.mktemp("silences"), policy_data=DEV) as started:
        started.environment["LESTRADE_SIDECAR_ALERTMANAGER_URL"] = str(alertmanager.http.base_url)
        yield started.start()


def plan(sidecar: Sidecar, minutes: Any = 60, matchers: Any = None, **over: Any) -> dict[str, Any]:
    uid = sidecar.lab.get("Deployment", "shop", "web")["metadata"]["uid"]
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": uid}
    named = matchers if matchers is not None else [{"name": name, "value": CRASHES[name]} for name in NAMED]
    action = {"kind": "silence_alert", "target": web, "matchers": named, "minutes": minutes, "comment": "being repaired"}
    return {
        "incident": f"inc-{next(COUNT)}",
        "attempt": 1,
        "cluster": "lab",
        "cause": {"slug": "oom-killed", "subject": web},
        "hypothesis": "it is known, and somebody is at it",
        "cited": [{"id": "evidence-1", "sha256": "ab" * 32}],
        "steps": [{"id": "step-1", "action": action, "why": "so", "expect": "quiet"}],
        **over,
    }


def by(**labels: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in labels.items()]


def judged(sidecar: Sidecar, document: dict[str, Any]) -> dict[str, Any]:
    """An engine that was too late on a busy machine is asked again: what is denied may be submitted again."""
    status = sidecar.submit(document)
    late = [reason["rule"] for reason in status["decision"]["reasons"]] == ["policy-unavailable"]
    return sidecar.submit(document) if late else status


def denied(sidecar: Sidecar, alertmanager: Alertmanager, document: dict[str, Any]) -> set[str]:
    status = judged(sidecar, document)
    assert status["state"] == "denied", status["decision"]
    assert 400 <= sidecar.agent.post(f"/v1/plans/{status['plan']}/lease").status_code < 500
    assert alertmanager.silences() == []
    return {reason["rule"] for reason in status["decision"]["reasons"]}


@pytest.mark.parametrize(
    "odd",
    [
        [{"name": "alertname", "value": ".*", "isRegex": True}],
        [{"name": "alertname", "value": "X", "isEqual": False}],
        [{"name": "alertname", "value": ""}],
        [{"name": ".*", "value": "X"}],
        [{"name": 'x"}', "value": "X"}],
        [],
        None,
    ],
    ids=str,
)
def test_B11_a_matcher_is_a_name_and_a_value_and_nothing_else(sidecar, alertmanager, odd):
    document = plan(sidecar)
    document["steps"][0]["action"]["matchers"] = odd
    answer = sidecar.agent.post("/v1/plans", json=document)
    assert 400 <= answer.status_code < 500, answer.text
    assert alertmanager.silences() == []


@pytest.mark.parametrize(
    ("matchers", "rule"),
    [
        (by(alertname=".*", namespace="shop", severity="warning"), "silence-breadth"),  # read as it is: no alert is called so
        (by(alertname='.+"} or {', namespace="shop", severity="warning"), "silence-breadth"),
        (by(alertname="KubePodCrashLooping", namespace=".*", severity="warning"), "not-permitted"),
        (by(alertname="KubePodCrashLooping", severity="warning"), "not-permitted"),
        (by(namespace="shop", severity="warning"), "not-permitted"),
        (by(severity="warning"), "not-permitted"),
    ],
    ids=str,
)
def test_B11_what_could_cover_everything_covers_nothing(sidecar, alertmanager, matchers, rule):
    assert rule in denied(sidecar, alertmanager, plan(sidecar, matchers=matchers))


@pytest.mark.parametrize("minutes", [0, -1, 1441, 525_600, 1.5, "60", True, None])
def test_B10_a_silence_of_years_or_of_no_time_is_no_plan(sidecar, alertmanager, minutes):
    assert 400 <= sidecar.agent.post("/v1/plans", json=plan(sidecar, minutes)).status_code < 500
    assert alertmanager.silences() == []


def test_B10_a_longer_silence_than_the_rules_allow_is_cut_to_what_they_do(sidecar, alertmanager):
    status = judged(sidecar, plan(sidecar, 481))
    (reason,) = status["decision"]["reasons"]
    assert (reason["rule"], reason["fix"]["path"], reason["fix"]["value"]) == ("silence-length", "/steps/0/action/minutes", 480)


def test_E8_alerts_of_another_team_or_workload_are_not_muted_along(sidecar, alertmanager):
    wide = by(alertname="KubePodCrashLooping", namespace="shop", severity="warning")
    theirs = by(alertname="KubePodCrashLooping", namespace="payments", severity="warning")
    assert "silence-strangers" in denied(sidecar, alertmanager, plan(sidecar, matchers=wide))
    assert "not-permitted" in denied(sidecar, alertmanager, plan(sidecar, matchers=theirs))


@pytest.mark.parametrize("severity", [{"severity": "critical"}, {}], ids=["named", "left open"])
def test_A7_what_people_are_woken_for_is_not_muted_without_one(sidecar, alertmanager, severity):
    page = by(alertname="KubeDeploymentReplicasMismatch", namespace="shop", deployment="web", **severity)
    status = judged(sidecar, plan(sidecar, matchers=page))
    assert status["state"] == "waiting"
    assert [reason["rule"] for reason in status["decision"]["reasons"]] == ["silence-severity"]
    assert "deployment=web" in status["approval"]["changes"][0]["diff"]
    assert alertmanager.silences() == []
    assert good(sidecar.approve(status, verdict="deny"))["state"] == "refused"


def test_B16_nothing_is_muted_beside_what_takes_pods_away(sidecar, alertmanager):
    document = plan(sidecar)
    web = document["cause"]["subject"]
    down = {"id": "step-2", "action": {"kind": "scale_workload", "target": web, "replicas": 0}, "why": "so", "expect": "less"}
    document["steps"].append(down)
    assert "combination" in denied(sidecar, alertmanager, document)


def test_B6_a_silence_is_made_once_through_kill_9_and_ends_with_what_did_not_help(sidecar, alertmanager):
    status = judged(sidecar, plan(sidecar))
    assert status["state"] == "approved", status
    lease = good(sidecar.agent.post(f"/v1/plans/{status['plan']}/lease"))
    assert lease["rights"] == []
    first = sidecar.perform(lease)
    sidecar.kill()
    sidecar.start()
    again = sidecar.perform(lease)

    assert (first["status"], again["status"], again["repeated"]) == ("performed", "performed", True)
    (silence,) = alertmanager.silences()
    assert silence["id"] == first["after"]["/silence"]["id"]
    assert silence["createdBy"] == "lestrade-sidecar"
    assert status["plan"][:12] in silence["comment"]
    assert "allowed by policy" in silence["comment"]
    assert wait_for(alertmanager.muted, what="the alert is muted") == [CRASHES]
    settled = sidecar.settle(lease, "did-not-help")
    assert settled["state"] == "settled"
    assert alertmanager.silences() == []
    kinds = [
        record["kind"] for record in good(sidecar.person("ada").get("/v1/audit", params={"plan": status["plan"]}))["records"]
    ]
    assert "silence-ended" in kinds


class LabReader:
    """What the agent sees of the laboratory."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.lab = sidecar.lab
        self.name = "lab"

    async def get(self, api_version: str, ref: Ref) -> dict[str, Any] | None:
        return self.lab.get(ref.kind, ref.namespace, ref.name)


async def test_who_asks_the_agent_for_silence_gets_it_from_the_sidecar_once_people_agree(sidecar, alertmanager):
    told: list[str] = []

    async def tell(text: str, data: object = None) -> None:
        told.append(text)
        for digest in [data["plan"]] if isinstance(data, dict) and "plan" in data else []:
            status = good(sidecar.agent.get(f"/v1/plans/{digest}"))
            good(sidecar.approve(status))

    report = report_about(Alert(name=PAGES["alertname"], labels=PAGES), Alert(name="Gone", labels=PAGES, resolved=True))
    wish = Wish(minutes=30, comment="the disk is being replaced", asked_by="sam")
    (asked,), left = await silences(report, wish, reader=LabReader(sidecar))
    client = SidecarClient.connect(sidecar.agent_url, token=AGENT_TOKEN)
    done = await silence(asked, governance=client, clock=SystemClock(), wait_seconds=1, tell=tell)
    again = await silence(asked, governance=client, clock=SystemClock(), wait_seconds=1, tell=tell)
    await client.close()

    assert left == []
    assert done.end == "helped", done
    assert any("waiting for 1 approval" in line for line in told)
    (made,) = alertmanager.silences()
    assert made["comment"].startswith("the disk is being replaced [incident inc-silenced, plan ")
    assert {one["name"]: one["value"] for one in made["matchers"]} == PAGES
    assert again.end == "denied", "it is silenced already"
    assert "silenced already" in again.note
    alertmanager.http.delete(f"/api/v2/silence/{made['id']}").raise_for_status()


async def test_what_a_run_proposes_is_silenced_once_people_agree_whichever_process_is_there_then(tmp_path, sidecar, alertmanager):
    alert = Alert(name=PAGES["alertname"], labels=PAGES)
    client = SidecarClient.connect(sidecar.agent_url, token=AGENT_TOKEN)
    async with fake_shop(tmp_path, settings=Settings(propose_silence_minutes=45, approval_wait_seconds=1)) as shop:
        shop.reader, shop._governance = LabReader(sidecar), client
        row, _ = await shop.take(alerts=[alert], group_key="g")
        known = replace(reports.report(), run=row.id, incident=row.incident, rounds=())
        await shop.store.finish(row.id, "human-needed", "A person is needed", to_document(known))

        async def lines() -> str:
            return "\n".join(event.text for event in await shop.events.told(row.id))

        async def until(words: str) -> None:
            async with asyncio.timeout(30):
                while words not in await lines():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

        first, second = Silencings(shop), Silencings(shop)
        await first.look()
        await until("waiting for 1 approval")
        await first.close()
        await second.look()
        (digest,) = {event.data["plan"] for event in await shop.events.told(row.id) if "plan" in event.data}
        good(sidecar.approve(good(sidecar.agent.get(f"/v1/plans/{digest}"))))
        await until("silence: silenced: 1 alert about")
        await second.close()
    await client.close()

    (made,) = alertmanager.silences()
    assert made["comment"].startswith("known, and with people: A person is needed [incident ")
    alertmanager.http.delete(f"/api/v2/silence/{made['id']}").raise_for_status()


def report_about(*alerts: Alert) -> Report:
    now = datetime.now(UTC)
    incident = Incident(id="inc-silenced", cluster="lab", opened_at=now, alerts=alerts)
    seen = Evidence(id="ev-1", source="kubernetes", about=None, text="x", sha256="ab" * 32)
    none: dict[str, Any] = dict.fromkeys(("rounds", "timeline", "charts", "unknowns", "follow_ups", "victims"), ())
    return Report(
        run="run-1", incident=incident, outcome="unknown", headline="known", diagnosis=None, evidence=(seen,), **none,
        started_at=now, ended_at=now,
    )  # fmt: skip


def test_E4_what_the_kill_switch_finds_muted_is_heard_again_and_what_helped_stays_until_its_end(sidecar, alertmanager):
    kept = judged(sidecar, plan(sidecar, 2))
    lease = good(sidecar.agent.post(f"/v1/plans/{kept['plan']}/lease"))
    assert sidecar.perform(lease)["status"] == "performed"
    assert sidecar.settle(lease, "helped")["contradictions"] == []
    assert len(alertmanager.silences()) == 1
    page = by(alertname="KubeDeploymentReplicasMismatch", namespace="shop", deployment="web", severity="critical")
    running_ = sidecar.leased(plan(sidecar, matchers=page))
    assert sidecar.perform(running_)["status"] == "performed"
    (loud,) = [one for one in alertmanager.silences() if "approved by ada" in one["comment"]]

    good(sidecar.person("dan").post("/v1/stop", json={"reason": "enough"}))

    assert [one["id"] for one in alertmanager.silences("expired") if one["id"] == loud["id"]] == [loud["id"]]
    assert len(alertmanager.silences()) == 1
