"""Secrets do not pass, whatever they look like; ordinary words do. Control and bidi characters become visible."""

import pytest

from agent.signals.masking import mask, printable, safe


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("dsn=postgresql://app:Zk7-pQ2w@db:5432/x", "Zk7-pQ2w"),
        ("Authorization: Bearer abc.def-123456", "abc.def-123456"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "eyJhbGciOiJIUzI1NiJ9"),
        ('{"password": "hunter22"}', "hunter22"),
        ("DB_PASSWORD=hunter22 started", "hunter22"),
        ("api key=hk_live_51Nf0aTESTKEYd93bA0 used", "hk_live_51Nf0aTESTKEYd93bA0"),
        ("aws_secret_access_key=AbCdEfGhIjKlMnOp", "AbCdEfGhIjKlMnOp"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ],
)
def test_secrets_are_masked(text, secret):
    assert secret not in mask(text)
    assert "[masked]" in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        'couldn\'t find key password in Secret shop/login',
        "required environment variable PAYMENT_GATEWAY_URL is not set",
        "exceeded quota: team, requested: limits.memory=64Mi",
        "Get http://api.shop.svc:80/x: connection refused",
    ],
)  # fmt: skip
def test_ordinary_words_stay(text):
    assert mask(text) == text


def test_control_and_bidi_characters_become_visible():
    assert printable("a\x1b[31mb\u202ec") == "a\\u001b[31mb\\u202ec"
    assert printable("a\nb\tc") == "a\nb\tc"


def test_long_text_is_cut():
    assert len(safe("x" * 5000)) == 1200
