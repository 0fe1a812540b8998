"""A whole run on a living cluster, with the sources beside it: what they tell stands in the report, as evidence with a hash."""

import hashlib
import json
from datetime import timedelta

import pytest
import respx

from agent.bootstrap import Source, workshop
from agent.settings import Settings
from lab import scenarios
from lab.laboratory import Laboratory

URL = "http://source.test"
LIMITS = {
    "endpoints": [
        {
            "name": "limits", "url": URL, "paths": ["/limits/*"],
            "asks": [
                {
                    "settles": "whether somebody raised the limit", "causes": ["oom-killed"], "path": "/limits/{namespace}",
                    "query": {"to": "{to}"},
                    "reads": [{"when": "!answer.raised", "says": "{answer.ticket} still waits", "verdict": "supports"}],
                }
            ],
        }
    ]
}  # fmt: skip


@pytest.fixture(scope="module")
def lab():
    with Laboratory.start(scenarios.load("memory-limit"), speed=0.0) as found:
        found.play()
        yield found


async def report_of(lab, folder, **more):
    settings = Settings(kubeconfig=lab.kubeconfig(), database_url=f"sqlite:///{folder / 'runs.db'}", **more)
    async with workshop(settings, Source()) as shop:
        row, _ = await shop.take(question="why does price-index crash?")
        await shop.work(row)
        told = [event.text for event in await shop.events.told(row.id)]
        return await shop.report(row.id), told


@respx.mock
async def test_a_run_asks_beside_the_cluster_and_cites_what_it_was_told(lab, tmp_path):
    now = lab.clock.now()
    alert = {
        "labels": {"alertname": "KubePodCrashLooping", "namespace": "shop", "deployment": "price-index"},
        "annotations": {"summary": "it crashes"}, "startsAt": f"{now - timedelta(minutes=3):%Y-%m-%dT%H:%M:%SZ}",
        "fingerprint": "f", "status": {"state": "active"},
    }  # fmt: skip
    respx.get(f"{URL}/api/v2/alerts").respond(json=[alert])
    mark = {"id": 7, "time": (now - timedelta(hours=3)).timestamp() * 1000, "text": "cart was deployed", "tags": []}
    respx.get(f"{URL}/api/annotations").respond(json=[mark])
    respx.get(f"{URL}/api/services").respond(503)
    limits = respx.get(f"{URL}/limits/shop").respond(json={"raised": False, "ticket": "OPS-12"})
    (tmp_path / "endpoints.yaml").write_text(json.dumps(LIMITS))

    report, told = await report_of(
        lab, tmp_path, alertmanager_url=URL, grafana_url=URL, jaeger_url=URL, endpoints_file=tmp_path / "endpoints.yaml"
    )

    cause = report.diagnosis.causes[0]
    assert cause.finding.cause == "oom-killed"
    (cited,) = [one for one in report.evidence if one.source == "alertmanager: alert KubePodCrashLooping"]
    assert cited.id in cause.evidence
    assert cited.sha256 == hashlib.sha256(cited.text.encode()).hexdigest()
    assert any("Jaeger at http://source.test answers HTTP 503" in one for one in report.diagnosis.missing)
    assert any(one.startswith("marks on the time line: 1") for one in report.diagnosis.looked_at)
    (said,) = [one for one in report.evidence if one.source == "http: limits /limits/shop"]
    assert said.text == "whether somebody raised the limit: OPS-12 still waits"
    assert said.id in cause.evidence
    assert limits.calls[0].request.url.params["to"].endswith("Z")
    assert any(one.startswith("for it: OPS-12 still waits (http: limits") for one in cause.because)
    assert "asked beside the cluster: alertmanager, grafana, http limits" in told


async def test_without_them_a_run_asks_nobody(lab, tmp_path):
    report, told = await report_of(lab, tmp_path)

    assert report.diagnosis.causes[0].finding.cause == "oom-killed"
    assert not [one for one in told if one.startswith("asked beside")]
