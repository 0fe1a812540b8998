"""Who is asking: what opens the service, and what does not, over ASGI with a real (local) identity provider."""

import base64
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import Request

from agent.app import create_app
from agent.app.identity import Identity
from agent.app.people import PeopleFile
from agent.errors import InputError
from agent.settings import Settings
from identity import Seal
from tests.fakes.agent_shop import fake_shop
from tests.fakes.agent_world import Script
from tests.fakes.oidc_provider import AUDIENCE, CLIENT, Key, running_provider


@pytest.fixture(scope="module")
def provider():
    with running_provider() as provider:
        yield provider


@pytest.fixture
def ask(tmp_path):
    """Ask a service once: `ask(path, settings={...}, base_url=..., client=...)`."""

    async def ask(
        path="/v1/runs", *, settings=None, method="GET", base="http://127.0.0.1", client=("127.0.0.1", 1), bearers=(), **request
    ):
        app = create_app(lambda: fake_shop(tmp_path, Script(), settings=Settings(**(settings or {}))))
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=client)
            async with httpx.AsyncClient(transport=transport, base_url=base) as http:
                if bearers:
                    return [await http.get(path, headers={"Authorization": f"Bearer {bearer}"}) for bearer in bearers]
                return await http.request(method, path, **request)

    return ask


@pytest.fixture
def people(tmp_path):
    file = PeopleFile(tmp_path / "people.toml")
    return file, file.add("ada")


async def test_nothing_configured_answers_this_machine(ask):
    for base in ("http://127.0.0.1:8180", "http://localhost:8180", "http://[::1]:8180"):
        host = base.removeprefix("http://")
        assert (await ask(base="http://127.0.0.1", headers={"Host": host})).status_code == 200, base


@pytest.mark.parametrize(
    "how",
    [
        {"client": ("10.1.2.3", 1)},
        {"base": "http://10.1.2.3"},
        {"headers": {"Host": "rebound.example"}},
        {"headers": {"Host": "rebound.example:8180"}},
        {"headers": {"Host": "127.0.0.1.rebound.example"}},
        {"headers": {"Host": ""}},
    ],
)
async def test_nothing_configured_answers_nobody_else(ask, how):
    answer = await ask(**how)

    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "LESTRADE_PEOPLE_FILE" in answer.json()["detail"]


async def test_the_public_name_is_a_name_of_this_machine(ask):
    settings = {"public_url": "https://lestrade.example"}

    assert (await ask(settings=settings, headers={"Host": "lestrade.example"})).status_code == 200
    assert (await ask(settings=settings, headers={"Host": "other.example"})).status_code == 403


async def test_a_local_token_opens_and_another_does_not(ask, people):
    file, token = people
    settings = {"people_file": str(file.path)}

    assert (await ask(settings=settings, headers={"Authorization": f"Bearer {token}"})).status_code == 200
    for headers in ({}, {"Authorization": f"Bearer {token}x"}, {"Authorization": f"Basic {token}"}, {"Authorization": "Bearer "}):
        answer = await ask(settings=settings, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert token not in answer.text


async def test_whoever_is_taken_out_of_the_file_is_nobody_at_once(ask, people):
    file, token = people
    file.add("bob")
    file.remove("ada")

    answer = await ask(settings={"people_file": str(file.path)}, headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert file.names() == ("bob",)


def test_the_people_file_holds_no_token_and_says_what_is_wrong_with_it(people):
    file, token = people
    assert token not in file.path.read_text()
    assert file.path.stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="already"):
        file.add("ada")
    with pytest.raises(InputError, match="printable"):
        file.add("ada\u202e\n")
    file.path.write_text("[[person]]\nname = 'ada'\n")
    with pytest.raises(InputError, match="token_sha256"):
        file.names()
    assert file.by_token(token) is None


async def test_a_token_of_the_identity_provider_opens(ask, provider):
    settings = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT, "oidc_audience": AUDIENCE}

    answer = await ask(settings=settings, headers={"Authorization": f"Bearer {provider.token()}"})

    assert answer.status_code == 200


async def test_a_token_that_is_not_for_us_or_not_of_it_opens_nothing(ask, provider):
    settings = {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT,
        "oidc_audience": AUDIENCE,
        "oidc_groups": "sre, platform",
    }
    spoilt = [
        provider.token(groups=["sre"], aud="lestrade-another"),
        provider.token(groups=["sre"], iss="https://elsewhere.example"),
        provider.token(groups=["sre"], exp=int(time.time()) - 600),
        provider.token(groups=["sre"], key=Key.make("key-1")),
        provider.token(groups=["sre"], headers={"typ": "logout+jwt"}),
        provider.token(groups=["sre"], azp="sub-gil"),
        provider.token(groups=["sre"], sub=None),
        provider.token(groups=["sales"]),
        provider.token(),
        provider.token(groups="sre"),
    ]
    good = [provider.token(groups=[group]) for group in ("sre", "platform")]

    answers = await ask(settings=settings, bearers=[*spoilt, *good])

    assert [answer.status_code for answer in answers] == [401] * len(spoilt) + [200, 200]


async def test_while_the_provider_is_away_nobody_of_it_is_known_and_that_is_said(ask, provider, people):
    file, token = people
    settings = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT, "people_file": str(file.path)}
    provider.down = True
    try:
        answer = await ask(settings=settings, headers={"Authorization": f"Bearer {provider.token()}"})
        local = await ask(settings=settings, headers={"Authorization": f"Bearer {token}"})
    finally:
        provider.down = False

    assert answer.status_code == 503
    assert local.status_code == 200


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"oidc_issuer": "http://provider.example", "oidc_client_id": "x"}, "LESTRADE_OIDC_ISSUER"),
        ({"oidc_issuer": "https://provider.example"}, "LESTRADE_OIDC_CLIENT_ID"),
        ({"session_key_file": "/nowhere/key"}, "LESTRADE_SESSION_KEY_FILE"),
        ({"public_url": "lestrade.example"}, "LESTRADE_PUBLIC_URL"),
        ({"public_url": "https://lestrade.example/path"}, "LESTRADE_PUBLIC_URL"),
        ({"approvals_url": "javascript:alert(1)"}, "LESTRADE_APPROVALS_URL"),
        (
            {"oidc_issuer": "https://p.example", "oidc_client_id": "x", "oidc_client_secret_file": "/nowhere"},
            "LESTRADE_OIDC_CLIENT_SECRET_FILE",
        ),
    ],
)
async def test_settings_that_cannot_be_used_are_said_at_the_start(ask, settings, says):
    with pytest.raises(InputError, match=says):
        await ask(settings=settings)


async def test_a_host_that_is_shared_with_the_approvals_is_complained_about(ask, caplog):
    shared = {"public_url": "https://lestrade.example", "approvals_url": "https://lestrade.example:8443/"}
    await ask(settings=shared)
    assert "lestrade.example in common" in caplog.text
    caplog.clear()
    await ask(settings={**shared, "approvals_url": "https://approvals.example"})
    assert "in common" not in caplog.text


async def test_a_cookie_that_was_not_sealed_here_or_has_run_out_is_nobodys(people, tmp_path):
    file, _ = people
    at = [datetime(2026, 3, 2, 9, tzinfo=UTC)]
    identity = Identity(seal=Seal(b"k" * 32, "a program"), people=file, now=lambda: at[0])

    def known(cookie: str):
        scope = {"type": "http", "scheme": "http", "headers": [(b"cookie", f"lestrade-agent-session={cookie}".encode())]}
        return identity.by_cookie(Request(scope))

    good = identity.sealed(file.by_name("ada"), "file")
    body, _, mac = good.rpartition(".")
    forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(body).replace(b"ada", b"eve")).decode()
    assert known(good).person.name == "ada"
    for cookie in (
        f"{forged}.{mac}",
        f"{body}.{mac[:-1]}0" if mac[-1] != "0" else f"{body}.{mac[:-1]}1",
        Identity(seal=Seal(b"x" * 32, "a program"), people=file, now=identity.now).sealed(file.by_name("ada"), "file"),
        identity.sealed(file.by_name("ada"), "https://provider.example"),
        identity.seal.close("log-in", {"name": "ada", "by": "file"}, until=at[0] + timedelta(hours=1)),
        identity.seal.close("session", {}, until=at[0] + timedelta(hours=1)),
        "",
        ".",
        "a" * 5000,
    ):
        assert known(cookie) is None, cookie
    at[0] += timedelta(hours=8)
    assert known(good) is None
    at[0] -= timedelta(hours=7)
    file.remove("ada")
    file.add("ada")
    assert known(good) is None
