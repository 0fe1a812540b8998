"""Tokens of an identity provider: what is believed, and what is not. The provider is a real one on loopback, with real keys."""

import base64
import hashlib
import hmac
import json
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from identity import IdentityUnavailable, Provider, Verifier, is_safe
from identity.provider import UNKNOWN_KEY_PAUSE
from tests.fakes.oidc_provider import AUDIENCE, CLIENT, FakeProvider, Key, running_provider


@pytest.fixture(scope="module")
def running():
    with running_provider() as provider:
        yield provider


@pytest.fixture
def fake(running: FakeProvider):
    running.keys, running.down, running.discovery = running.keys[:1], False, {}
    running.asked.clear()
    return running


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def verifier(fake, clock):
    return Verifier(provider=Provider(fake.issuer, elapsed=lambda: clock[0]), audience=AUDIENCE)


def test_a_token_of_the_provider_says_who_it_is(fake, verifier):
    claims = verifier.verify(fake.token(groups=["sre-team"], email="gil@example.com", email_verified=True))
    assert (claims.subject, claims.called, claims.email, claims.groups) == ("sub-gil", "Gil", "gil@example.com", {"sre-team"})


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256"])
def test_asymmetric_algorithms_are_taken(fake, verifier, alg):
    fake.keys.append(Key.make("other", alg))
    assert verifier.verify(fake.token(key=fake.keys[-1])) is not None


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "somebody-else"},
        {"aud": None},
        {"aud": [AUDIENCE, "other"], "azp": "other"},
        {"exp": NOW - 3600},
        {"exp": None},
        {"exp": "soon"},
        {"iat": NOW + 3600},
        {"iat": None},
        {"nbf": NOW + 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"client_id": "sub-gil"},
        {"azp": "sub-gil"},
    ],
)
def test_a_claim_that_is_missing_or_wrong_makes_it_nobodys(fake, verifier, claims):
    assert verifier.verify(fake.token(**claims)) is None


def test_a_minute_between_two_clocks_is_forgiven(fake, verifier):
    assert verifier.verify(fake.token(exp=int(time.time()) - 30)) is not None


def unsigned(fake: FakeProvider, alg: str) -> str:
    header, body, _ = fake.token().split(".")
    forged = json.loads(base64.urlsafe_b64decode(header + "==")) | {"alg": alg}
    return f"{base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b'=').decode()}.{body}."


def test_no_signature_another_key_and_another_algorithm_are_not_believed(fake, verifier):
    stranger = Key.make("key-1")
    pem = fake.keys[0].private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = unsigned(fake, "HS256").rstrip(".")  # the public key as if it were a secret that both sides share
    mac = hmac.new(pem, signed.encode(), hashlib.sha256).digest()
    symmetric = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    altered = fake.token().replace(".", ".e", 1)
    tokens = [
        unsigned(fake, "none"),
        unsigned(fake, "None"),
        unsigned(fake, "RS256"),
        fake.token(key=stranger),
        symmetric,
        altered,
        fake.token(headers={"crit": ["b64"]}),
        fake.token(headers={"typ": "logout+jwt"}),
        fake.token(headers={"kid": "nobody-has-it"}),
        "a.b.c",
        "..",
        fake.token() + "." + fake.token(),
        "é." * 2,
    ]
    assert [verifier.verify(token) for token in tokens] == [None] * len(tokens)


def test_a_key_that_the_token_brings_along_is_not_used(fake, verifier):
    stranger = Key.make("stranger")
    with running_provider() as other:
        other.keys = [stranger]
        headers = {"jku": f"{other.issuer}/keys", "jwk": stranger.public(), "x5u": other.issuer}
        assert verifier.verify(fake.token(key=stranger, headers=headers)) is None
        assert other.asked == []


def test_a_new_key_is_looked_for_but_not_at_every_token(fake, verifier, clock):
    assert verifier.verify(fake.token()) is not None
    fake.keys.append(Key.make("key-2"))
    clock[0] += UNKNOWN_KEY_PAUSE
    assert verifier.verify(fake.token(key=fake.keys[1])) is not None
    asked = len(fake.asked)
    for number in range(20):
        assert verifier.verify(fake.token(headers={"kid": f"unknown-{number}"})) is None
    assert len(fake.asked) == asked
    clock[0] += UNKNOWN_KEY_PAUSE
    assert verifier.verify(fake.token(headers={"kid": "unknown"})) is None
    assert len(fake.asked) == asked + 1


def test_a_key_that_was_taken_back_counts_until_the_keys_are_fetched_again(fake, verifier, clock):
    old = fake.keys[0]
    token = fake.token()
    assert verifier.verify(token) is not None
    try:
        fake.keys = [Key.make("key-9")]
        clock[0] += 601
        assert verifier.verify(token) is None
    finally:
        fake.keys = [old]


def test_a_provider_that_is_down_lets_nobody_in_and_is_asked_again_later(fake, verifier, clock):
    token = fake.token()
    fake.down = True
    for _ in range(5):
        with pytest.raises(IdentityUnavailable):
            verifier.verify(token)
    assert len(fake.asked) == 1
    fake.down = False
    clock[0] += 6
    assert verifier.verify(token) is not None
    fake.down = True
    clock[0] += 601
    with pytest.raises(IdentityUnavailable):
        verifier.verify(token)


def test_a_provider_that_drips_or_is_silent_holds_nobody_up(monkeypatch):
    """It takes every connection, sends a head, and then a blank now and then."""
    monkeypatch.setattr("identity.provider.MOST_SECONDS", 0.5)
    with dripping() as (issuer, asked):
        provider = Provider(issuer)
        took = []

        def ask() -> None:
            began = time.monotonic()
            with pytest.raises(IdentityUnavailable):
                provider.endpoints() if len(took) % 2 else provider.key("any")
            took.append(time.monotonic() - began)

        ask()
        assert took[0] < 2
        callers = [threading.Thread(target=ask) for _ in range(20)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(10)
        assert len(took) == 21
        assert max(took[1:]) < 0.4
        assert len(asked) == 1


@contextmanager
def dripping():
    asked: list[str] = []
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while not ended.wait(0.1):
                    self.wfile.write(b" ")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://elsewhere.example"},
        {"jwks_uri": "http://keys.example/keys"},
        {"jwks_uri": ""},
        {"jwks_uri": "file:///etc"},
    ],
)
def test_a_discovery_document_that_does_not_fit_lets_nobody_in(fake, verifier, discovery):
    fake.discovery = discovery
    with pytest.raises(IdentityUnavailable):
        verifier.verify(fake.token())


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://idp.example", True),
        ("http://localhost:8080/x", True),
        ("http://127.0.0.1:1", True),
        ("http://idp.example", False),
        ("https://u:p@idp.example", False),
        ("http://localhost.evil.example", False),
        ("ftp://localhost", False),
        ("", False),
        ("https://[", False),
    ],
)
def test_only_https_and_loopback_are_asked(url, safe):
    assert is_safe(url) is safe


def test_groups_may_lie_deeper_and_only_a_list_of_names_counts(fake, verifier):
    deep = Verifier(provider=verifier.provider, audience=CLIENT, groups_claim="realm_access.roles")
    assert deep.verify(fake.token(aud=CLIENT, realm_access={"roles": ["a", 7, None]})).groups == {"a"}
    assert deep.verify(fake.token(aud=CLIENT, realm_access="a")).groups == frozenset()
