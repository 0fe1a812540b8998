"""Dashboard and alerts use what the programs export, all of it, and the alerts fire on what they are for."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.core import CollectorRegistry

from agent.app.meters import Meters
from sidecar.people_api import people_api
from tests.deploy.built import DEPLOY, ROOT
from tests.fakes.sidecar_gate import make_world
from tests.servers import program, running_alertmanager

MONITORING = DEPLOY / "monitoring"
NAME = re.compile(r"\blestrade_[a-z0-9_]+")
RULES = [rule for group in yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"] for rule in group["rules"]]


def of_agent() -> set[str]:
    registry: CollectorRegistry = Meters().registry
    return {name for family in registry.collect() for name in names_of(family.name, family.type)}


def names_of(name: str, kind: str) -> set[str]:
    """As they are asked for: a histogram by its buckets."""
    return {"counter": {f"{name}_total"}, "histogram": {f"{name}_bucket"}}.get(kind, {name})


def of_sidecar(folder: Path) -> set[str]:
    world = make_world(folder)
    app = people_api(world.desk, ready=lambda: "", version="0")
    with TestClient(app) as http:
        text = http.get("/metrics").text
    world.desk.ledger.close()
    types = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    return {name if kind == "counter" else next(iter(names_of(name, kind))) for name, kind in types}


def used() -> tuple[set[str], set[str]]:
    """By the dashboard, by the rules."""
    board = json.loads((MONITORING / "dashboard.json").read_text())
    shown = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    return set(NAME.findall(shown)), set(NAME.findall(" ".join(rule["expr"] for rule in RULES)))


def test_what_is_shown_and_alerted_on_is_exported_and_all_that_is_exported_is_shown(tmp_path):
    exported = of_agent() | of_sidecar(tmp_path)
    shown, alerted = used()

    assert shown - exported == set()
    assert alerted - exported == set()
    assert exported - shown == set()


def test_the_rules_are_good_and_fire_on_what_they_are_for():
    promtool = program("promtool")
    for words in (("check", "rules", "rules.yaml"), ("test", "rules", "rules-test.yaml")):
        done = subprocess.run([promtool, *words], cwd=MONITORING, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_operator_s_rules_are_the_plain_ones():
    assert yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())["spec"] == yaml.safe_load(
        (MONITORING / "rules.yaml").read_text()
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_says_what_to_do_about_it(rule):
    page, _, section = rule["annotations"]["runbook_url"].partition("#")
    headings = {line.strip("# ").lower() for line in (ROOT / page).read_text().splitlines() if line.startswith("#")}

    assert section == rule["alert"].lower()
    assert section in headings
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_a_real_alertmanager_takes_the_receiver_of_the_guide(tmp_path):
    ours = yaml.safe_load((MONITORING / "alertmanager.yaml").read_text())
    receivers = [{"name": "somebody"}, *ours["receivers"]]
    whole = {"route": {"receiver": "somebody", **ours["route"]}, "receivers": receivers}

    with running_alertmanager(tmp_path, yaml.safe_dump(whole)) as url:
        status = httpx.get(f"{url}/api/v2/status").json()

    taken = yaml.safe_load(status["config"]["original"])
    [hook] = next(one for one in taken["receivers"] if one["name"] == "lestrade")["webhook_configs"]
    assert hook["send_resolved"] is True
    assert taken["route"]["routes"][0]["continue"] is True
