"""A plan that goes straight is answered as on the ordinary way, and is judged once."""

import json
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from sidecar.agent_api import agent_api
from sidecar.agent_api.plans import plans_straight
from sidecar.contract import MalformedMessage
from sidecar.errors import ClusterUnavailable
from sidecar.gate.intake import Intake
from tests.fakes.sidecar_gate import World, deployment, make_world, plan, scale
from tests.sidecar.gate.test_crashes import full_after

TOKEN = "t" * 32
LINE = b"POST /v1/plans HTTP/1.1"


def asked() -> bytes:
    return plan(scale(5)).canonical()


def put(world: World, body: bytes, **headers: str) -> bytes | None:
    """The whole answer; None where the ordinary way has to give one."""
    told = {name.encode(): value.encode() for name, value in {"authorization": f"Bearer {TOKEN}", **headers}.items()}
    work = plans_straight(world.desk, TOKEN)[LINE](told, body)
    return work() if work is not None else None


def put_ordinarily(world: World, body: bytes):
    app = agent_api(world.desk, token=TOKEN, ready=lambda: "", version="1")
    return TestClient(app).post("/v1/plans", content=body, headers={"Authorization": f"Bearer {TOKEN}"})


def test_a_verdict_is_the_same_on_both_ways(tmp_path):
    world = make_world(tmp_path)
    world.cluster.put("deployments", deployment(), "apps")
    head, _, body = (put(world, asked()) or b"").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
    assert json.loads(body) == put_ordinarily(world, asked()).json()
    assert len(world.facts.asked) == 1


@pytest.mark.parametrize("failing", ["journal", "cluster"])
def test_a_plan_that_cannot_be_decided_now_is_looked_at_once_and_said_as_on_the_ordinary_way(tmp_path, failing):
    world = make_world(tmp_path)
    if failing == "journal":
        world.restart(full_after(0))
    else:

        def away(*_: object, **__: object) -> None:
            world.facts.asked.append(None)
            raise ClusterUnavailable("the API server does not answer")

        world.facts.gather = away
    head, _, body = (put(world, asked()) or b"").partition(b"\r\n\r\n")
    looks = len(world.facts.asked)
    ordinary = put_ordinarily(world, asked())
    assert (head.splitlines()[0], looks) == (b"HTTP/1.1 503 Service Unavailable", 1)
    assert f"content-type: {ordinary.headers['content-type']}".encode() in head.splitlines()
    assert (ordinary.status_code, ordinary.json()) == (503, json.loads(body))
    assert f"{failing}-unavailable" == ordinary.json()["code"]


def test_whatever_is_refused_goes_the_ordinary_way_which_puts_it_on_record(tmp_path):
    world = make_world(tmp_path)
    for wrong in (b"", b"{}", b"[NaN]", asked()[:-1] + b',"attempt":1}', asked()[:-1] + b',"more":1}'):
        work = plans_straight(world.desk, TOKEN)[LINE]({b"authorization": f"Bearer {TOKEN}".encode()}, wrong)
        with pytest.raises(MalformedMessage):
            work()
    assert put(world, asked(), authorization="Bearer " + "u" * 32) is None
    assert put(world, asked(), authorization=TOKEN) is None
    world.desk = replace(world.desk, intake=Intake(1))
    assert world.desk.intake.wait() == 0
    assert put(world, asked()) is None
    assert put_ordinarily(world, asked()).status_code == 429
    assert world.facts.asked == []
