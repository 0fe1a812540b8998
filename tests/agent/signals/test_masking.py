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


@pytest.mark.parametrize("filling", ["a", "-", "a-", "a.", "secret", "--key"])
def test_a_long_line_without_an_end_to_its_word_holds_nobody_up(filling):
    """Time that grows with the square of a line would be minutes here, and anybody who writes a log could take them."""
    line = f"{filling * (40_000 // len(filling))} password=hunter22"
    assert mask(line).endswith("password=[masked]")


@pytest.mark.parametrize(
    "text", ["--password hunter22", r"x\n--db-password hunter22", "---token hunter22", "my.secret.token=hunter22"]
)
def test_secrets_after_flags_and_in_longer_names_are_masked(text):
    assert "hunter22" not in mask(text)
