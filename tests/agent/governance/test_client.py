"""The way to the sidecar: an answer that can be trusted, or GovernanceUnavailable; a refused lease is a value."""

import json

import httpx
import pytest
import respx

from agent.errors import GovernanceUnavailable, InputError
from agent.governance import Patience, PatientGovernance, SidecarClient
from agent.governance.client import read_token
from sidecar.contract import Lease, Plan, Problem
from tests.fakes.agent_runs import play
from tests.fakes.agent_world import Script, World, WorldClock, WorldGovernance

URL = "http://127.0.0.1:8181"


@pytest.fixture
async def plan(tmp_path) -> Plan:
    run = await play(tmp_path, Script())
    return run.report.rounds[0].plan


@pytest.fixture
async def status(tmp_path, plan) -> dict[str, object]:
    return (await WorldGovernance(World(tmp_path / "world.json")).status(plan.digest)).document()


@pytest.fixture
async def client():
    opened = SidecarClient.connect(URL, token="s3cret-token")
    yield opened
    await opened.close()


async def test_the_plan_goes_out_in_canonical_form_with_the_token(client, plan, status):
    with respx.mock:
        route = respx.post(f"{URL}/v1/plans").respond(json=status)
        answer = await client.submit(plan)

    assert answer.plan == plan.digest
    assert route.calls[0].request.content == plan.canonical()
    assert route.calls[0].request.headers["authorization"] == "Bearer s3cret-token"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, text="boom"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"result": True}),
        httpx.Response(204),
        httpx.Response(302, headers={"location": "http://elsewhere.test/"}),
        httpx.Response(401, json={"title": "no", "status": 401, "code": "unauthorized"}),
    ],
)
async def test_any_odd_answer_is_no_answer(client, plan, answer):
    with respx.mock:
        respx.post(f"{URL}/v1/plans").mock(return_value=answer)
        with pytest.raises(GovernanceUnavailable):
            await client.submit(plan)


@pytest.mark.parametrize("change", [{"plan": "0" * 64}, {"surprise": 1}, {"state": "allowed"}, {"state": None}])
async def test_an_answer_about_another_plan_or_of_another_shape_is_not_trusted(client, plan, status, change):
    with respx.mock:
        respx.post(f"{URL}/v1/plans").respond(json={**status, **change})
        with pytest.raises(GovernanceUnavailable):
            await client.submit(plan)


async def test_a_key_that_stands_twice_is_not_trusted(client, plan, status):
    raw = json.dumps(status)[:-1] + ', "state": "approved"}'
    with respx.mock:
        respx.post(f"{URL}/v1/plans").respond(content=raw.encode())
        with pytest.raises(GovernanceUnavailable):
            await client.submit(plan)


async def test_a_refused_lease_is_a_value_with_its_code(client, plan):
    problem = {"title": "Conflict", "status": 409, "code": "target-changed", "detail": "somebody edited it"}
    with respx.mock:
        respx.post(f"{URL}/v1/plans/{plan.digest}/lease").respond(
            409, json=problem, headers={"content-type": "application/problem+json"}
        )
        answer = await client.lease(plan.digest)

    assert isinstance(answer, Problem)
    assert answer.code == "target-changed"


async def test_a_problem_with_503_is_no_refusal(client, plan):
    problem = {"title": "Unavailable", "status": 503, "code": "journal-unavailable"}
    with respx.mock:
        respx.post(f"{URL}/v1/plans/{plan.digest}/lease").respond(
            503, json=problem, headers={"content-type": "application/problem+json"}
        )
        with pytest.raises(GovernanceUnavailable, match="journal-unavailable"):
            await client.lease(plan.digest)


async def test_a_lease_of_another_plan_is_not_taken(client, tmp_path, plan):
    lease = await WorldGovernance(World(tmp_path / "world.json")).lease(plan.digest)
    other = "1" * 64
    document = lease.document() if isinstance(lease, Lease) else made_lease(plan.digest)
    with respx.mock:
        respx.post(f"{URL}/v1/plans/{other}/lease").respond(201, json=document)
        with pytest.raises(GovernanceUnavailable):
            await client.lease(other)


async def test_nothing_answering_is_told_without_the_token(client, plan):
    with respx.mock:
        respx.post(f"{URL}/v1/plans").mock(side_effect=httpx.ConnectError("Bearer s3cret-token refused"))
        with pytest.raises(GovernanceUnavailable) as caught:
            await client.submit(plan)

    assert "s3cret" not in str(caught.value)


async def test_a_socket_that_is_not_there_is_no_answer(tmp_path, plan):
    client = SidecarClient.connect(f"unix://{tmp_path / 'none.sock'}", token="")
    with pytest.raises(GovernanceUnavailable):
        await client.submit(plan)
    await client.close()


def test_a_url_of_another_kind_is_wrong_input():
    with pytest.raises(InputError, match="unix:///path"):
        SidecarClient.connect("ftp://sidecar", token="")


def test_a_token_file_is_read_and_a_bad_one_is_named_but_not_quoted(tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("abc\n")
    bad.write_text("two words-secret\n")

    assert read_token(good) == "abc"
    with pytest.raises(InputError) as caught:
        read_token(bad)
    assert str(bad) in str(caught.value)
    assert "secret" not in str(caught.value).replace(str(bad), "")
    with pytest.raises(InputError):
        read_token(tmp_path / "missing")


class Flaky(WorldGovernance):
    """Does not answer the first `times` calls."""

    times = 0

    async def status(self, digest: str, *, wait_seconds: int = 0):
        if self.times:
            self.times -= 1
            raise GovernanceUnavailable("not yet")
        return await super().status(digest, wait_seconds=wait_seconds)


async def test_a_sidecar_that_is_being_restarted_is_waited_for(tmp_path, plan):
    world = World(tmp_path / "world.json")
    flaky = Flaky(world)
    patient = PatientGovernance(flaky, Patience(clock=WorldClock(world), seconds=20))
    await patient.submit(plan)
    flaky.times = 5

    assert (await patient.status(plan.digest)).plan == plan.digest


async def test_patience_ends(tmp_path, plan):
    world = World(tmp_path / "world.json")
    flaky = Flaky(world)
    flaky.times = 1000
    before = world.tick(0)

    with pytest.raises(GovernanceUnavailable):
        await PatientGovernance(flaky, Patience(clock=WorldClock(world), seconds=20)).status(plan.digest)

    assert (world.tick(0) - before).total_seconds() <= 2


class Hanging(Flaky):
    """Each call hangs until its own time limit."""

    asked = 0

    async def status(self, digest: str, *, wait_seconds: int = 0):
        self.asked += 1
        self._world.tick(15)
        return await super().status(digest, wait_seconds=wait_seconds)


async def test_what_the_calls_themselves_take_counts_too(tmp_path, plan):
    world = World(tmp_path / "world.json")
    hanging = Hanging(world)
    patient = PatientGovernance(hanging, Patience(clock=WorldClock(world), seconds=20))
    await patient.submit(plan)
    hanging.times = 1000

    with pytest.raises(GovernanceUnavailable):
        await patient.status(plan.digest)

    assert hanging.asked <= 3


def made_lease(digest: str) -> dict[str, object]:
    return {
        "id": "lease-1",
        "plan": digest,
        "state": "live",
        "identity": "x",
        "rights": [],
        "granted_at": "2026-03-02T09:00:00Z",
        "expires_at": "2026-03-02T09:05:00Z",
    }
