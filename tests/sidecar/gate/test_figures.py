"""What /metrics says of the gate: from the record where a restart must not forget it, and also while there is no record."""

import re
import stat
import sys
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sidecar.contract import Lease, Reason
from sidecar.credentials import store as leases
from sidecar.errors import SettingsError
from sidecar.gate.lease import lease
from sidecar.gate.perform import perform
from sidecar.gate.settle import settle
from sidecar.gate.submit import submit
from sidecar.listening import bound
from sidecar.people_api import people_api
from sidecar.people_api.shown import leases_of
from sidecar.settings import Settings
from sidecar.telemetry import open_tracing
from tests.fakes.sidecar_gate import World, deployment, make_desk, make_world, plan, scale
from tests.sidecar.gate.test_whole_way import approve


@pytest.fixture
def world(tmp_path):
    world = make_world(tmp_path)
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    yield world
    world.desk.ledger.close()


def figures(world: World) -> dict[str, float]:
    with TestClient(people_api(world.desk, ready=lambda: "", version="0")) as http:
        text = http.get("/metrics").text
    rows = re.findall(r"^(lestrade_sidecar_\S+?(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    return {name.removeprefix("lestrade_sidecar_"): float(value) for name, value in rows}


def test_a_plan_is_counted_on_its_whole_way(world):
    status = submit(plan(scale(5)), desk=world.desk)
    world.clock.advance(seconds=30)
    waiting = figures(world)
    approve(world, status)
    granted = lease(status.plan, desk=world.desk)
    perform(granted.id, "step-1", desk=world.desk)
    settle(granted.id, "helped", desk=world.desk)
    done = figures(world)

    assert waiting['decisions_total{verdict="review"}'] == 1
    assert (waiting["approvals_waiting"], waiting["approvals_waiting_oldest_seconds"]) == (1, 30)
    assert (done["approvals_waiting"], done["approvals_waiting_oldest_seconds"]) == (0, 0)
    assert done['steps_by_kind{direction="do",kind="scale_workload",result="performed"}'] == 1
    assert done['leases{state="settled"}'] == 1
    assert done['revocation_seconds_bucket{le="+Inf"}'] == 1
    assert done["leases_overdue"] == 0


def test_rights_that_are_not_proven_gone_are_shown_however_many_leases_came_after(world):
    with world.desk.ledger.write() as work:
        for number in range(250):
            made = Lease(
                id=f"l{number}",
                plan="a" * 64,
                state="settled" if number else "revocation_pending",
                identity="i",
                rights=(),
                granted_at=world.clock.now() + timedelta(seconds=number),
                expires_at=world.clock.now() + timedelta(seconds=number + 60),
            )
            leases.put(work.connection, made, incident="inc", targets=(), undoes=str(number))
    shown = leases_of(world.desk)

    assert [one["lease"].id for one in shown["live"]] == ["l0"]
    assert (shown["over"][0]["lease"].id, len(shown["over"])) == ("l249", 200)


def test_what_the_record_holds_outlives_a_restart_and_a_lease_over_its_time_is_seen(world):
    status = submit(plan(scale(5)), desk=world.desk)
    approve(world, status)
    lease(status.plan, desk=world.desk)
    world.desk.ledger.close()
    world.desk = make_desk(world)
    world.clock.advance(hours=1)

    after = figures(world)

    assert after["leases_overdue"] == 1
    assert after['decisions_total{verdict="review"}'] == 0  # a counter of the process, which begins anew


def test_a_plan_that_the_engine_gave_no_verdict_on_is_counted(tmp_path):
    world = make_world(tmp_path, verdict="deny", reasons=(Reason(rule="policy-unavailable", message="no verdict"),))
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    submit(plan(scale(5)), desk=world.desk)

    found = figures(world)
    world.desk.ledger.close()

    assert found['policy_failures_total{reason="policy-unavailable"}'] == 1
    assert found['decisions_total{verdict="deny"}'] == 1


def test_metrics_are_there_without_a_record_and_say_that_it_is_away(world):
    world.desk.ledger.close()
    (world.folder / "sidecar.db").unlink()

    found = figures(world)

    assert found["database_up"] == 0
    assert found["database_failures_total"] >= 1
    assert "plans" not in found


@pytest.mark.parametrize(("group", "mode"), [(False, 0o600), (True, 0o660)])
def test_the_socket_opens_to_the_group_only_where_that_is_wanted(tmp_path, group, mode):
    path = tmp_path / "agent.sock"
    with bound(FastAPI(), path, "", group=group):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_traces_are_off_unless_wanted_and_name_the_extra_where_it_is_missing(monkeypatch):
    assert open_tracing(Settings(), version="0", environ={}).active is False
    monkeypatch.setitem(sys.modules, "sidecar.telemetry.spans", None)

    with pytest.raises(SettingsError, match=r"lestrade\[telemetry\]"):
        open_tracing(Settings(), version="0", environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
