"""Who may send alerts, and what people have silenced."""

import asyncio
import base64

import httpx
import pytest
import respx
from orjson import dumps

from agent.app.callers import Callers
from agent.errors import InputError
from agent.settings import Settings
from agent.stages.receive import receive
from agent.toolsets.alertmanager import AlertmanagerSilences
from tests.agent.app.test_service import elsewhere, notification, service
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def guarded(tmp_path):
    (tmp_path / "token").write_text("tok-en\n")
    (tmp_path / "password").write_text("pass word\n")
    return {
        "webhook_token_file": tmp_path / "token",
        "webhook_user": "am",
        "webhook_password_file": tmp_path / "password",
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer tok-en"}, 202),
        (basic("am", "pass word"), 202),
        ({}, 401),
        ({"Authorization": "Bearer tok-en2"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Basic %%%"}, 401),
        (basic("am", "wrong"), 401),
        (basic("", ""), 401),
        (basic("other", "pass word"), 401),
    ],
)
async def test_alerts_are_taken_from_whoever_has_the_token_or_the_password(tmp_path, guarded, headers, status):
    async with service(tmp_path, Script(answer="never"), **guarded) as http:
        answer = await http.post("/webhooks/alertmanager", json=notification(), headers=headers)

    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="lestrade", Basic realm="lestrade"'
        assert answer.headers["content-type"].startswith("application/problem+json")


def test_secrets_that_cannot_be_read_are_named_by_their_file(tmp_path):
    (tmp_path / "empty").write_text("\n")
    for settings in (
        Settings(webhook_token_file=tmp_path / "none"),
        Settings(webhook_token_file=tmp_path / "empty"),
        Settings(webhook_user="am"),
        Settings(webhook_password_file=tmp_path / "empty"),
    ):
        with pytest.raises(InputError):
            Callers.of(settings)
    assert "tok" not in repr(Callers(token=b"tok", basic=b""))


SILENCED = [
    {"fingerprint": "ab12", "labels": {}, "status": {"state": "suppressed", "silencedBy": ["s-1"], "inhibitedBy": []}},
    {"fingerprint": "ee99", "labels": {}, "status": {"state": "suppressed", "silencedBy": [], "inhibitedBy": ["x"]}},
]


@respx.mock
async def test_what_is_silenced_is_known_from_alertmanager_and_not_waited_for():
    respx.get("http://am:9093/api/v2/alerts").mock(return_value=httpx.Response(200, json=SILENCED))
    silences = AlertmanagerSilences("http://am:9093/")

    at_once = silences.known()
    async with asyncio.timeout(30):
        while not (later := silences.known()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await silences.close()

    assert (at_once, later) == (frozenset(), frozenset({"ab12"}))


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(200, json={"no": "list"}), httpx.ConnectError("no")])
@respx.mock
async def test_where_alertmanager_does_not_say_nothing_is_silenced(answer):
    respx.get("http://am:9093/api/v2/alerts").mock(side_effect=[answer])
    silences = AlertmanagerSilences("http://am:9093")

    assert await silences.look() == frozenset()
    await silences.close()


class Silent:
    def __init__(self, *fingerprints: str) -> None:
        self.found = frozenset(fingerprints)

    def known(self):
        return frozenset()

    async def look(self):
        return self.found


async def test_a_run_whose_alerts_were_silenced_while_it_waited_is_closed_and_not_worked_on(tmp_path):
    async with fake_shop(tmp_path, Script()) as shop:
        silenced = await shop.intake(receive(dumps(notification())))
        other = await shop.intake(receive(dumps(elsewhere(groupKey="other"))))
        shop._silences = Silent("ab12")
        for taken in (silenced, other):
            await shop.work(await shop.store.row(taken.run))
        outcomes = [(await shop.store.row(taken.run)).outcome for taken in (silenced, other)]

    assert outcomes == ["silenced", "repaired"]


async def test_a_page_in_a_browser_sends_no_alerts_also_where_no_token_is_wanted(tmp_path):
    async with service(tmp_path) as http:
        for told in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await http.post("/webhooks/alertmanager", content=dumps(notification()), headers=told)
            assert answer.status_code == 403
        runs = (await http.get("/v1/runs")).json()["runs"]
        assert (await http.post("/webhooks/alertmanager", json=notification())).status_code == 202

    assert runs == []
