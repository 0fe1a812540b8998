"""Masking: what it keeps in memory of what it has seen, and when it need not look."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.contract import canonical
from sidecar.execution import hides_nothing, masked
from sidecar.reading.shapes import Mask, names_a_credential

LONG = 200_000
NAMES = st.sampled_from(
    [
        *(
            "kind",
            "name",
            "value",
            "data",
            "stringData",
            "image",
            "Secret",
            "ConfigMap",
            "dbPassword",
            "API-KEY",
            "apiKey",
            "api_key",
        ),
        *("PRIVATE_KEY", "to\u212aen", "toKen", "\u017fecret", "DSN", "secretName", "credentials", "/spec/env/0/value", "é", "p"),
    ]
)
DOCUMENTS = st.recursive(
    NAMES | st.integers(0, 3) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


def test_names_of_any_length_that_a_plan_makes_up_do_not_stay_in_memory():
    tracemalloc.start()
    try:
        for number in range(40):
            name = f"{number}-" + "token" * (LONG // 5)
            assert str(masked({"data": {name: "v"}})).count("hidden") == 1
            assert str(masked({"env": [{"name": name, "value": "v"}]})).count("hidden") == 1
            assert not names_a_credential(name)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 5 * LONG


@given(DOCUMENTS)
def test_what_is_said_to_hide_nothing_hides_nothing(document):
    if hides_nothing(canonical(document)):
        assert masked(document) is document


def test_most_documents_are_known_to_hide_nothing():
    assert hides_nothing(
        canonical({"kind": "Deployment", "labels": {"app": "web"}, "fields": {"/spec/env/0/value": {"managers": []}}})
    )


@pytest.mark.parametrize(
    "credential",
    [
        "eyJhbGciOiJI.eyJzdWIi.c2ln",
        *(f"{kind}_{'a1' * 12}" for kind in ("ghp", "gho", "ghu", "ghs", "ghr", "github_pat", "rk_live", "sk_test")),
        *("glpat-" + "a" * 16, "xoxb-" + "1" * 9, "xapp-" + "1" * 9, "AKIA" + "A1" * 8, "ASIA" + "A1" * 8, "AIza" + "a" * 31),
        *("sk-" + "a1" * 16, "sk-proj-" + "aB1-" * 8, "hvs." + "a" * 21, "npm_" + "a" * 31, "dop_v1_" + "a" * 41),
        "https://hooks.slack.com/services/" + "T0" * 6,
    ],
)
def test_a_credential_of_a_known_shape_is_seen_without_any_other_mark_beside_it(credential):
    assert credential not in Mask().text(f"said {credential} again")
    assert credential not in Mask().text(credential)
    assert Mask().may_hide(f"said {credential} again")


@pytest.mark.parametrize(
    "text",
    [
        *("shop-sk-frontend-deployment-7d4b9c8f6d-x2x4z", "registry.example/sk-payments-service-api:1.2"),
        *("basic authentication failed", "Basic configuration loaded", "tests: pass=12 fail=1"),
    ],
)
def test_what_is_called_like_a_credential_is_not_hidden_from_whoever_is_on_call(text):
    assert Mask().text(text) == text


def test_a_header_has_a_credential_even_if_it_is_a_plain_word():
    assert "hunterhunter" not in Mask().text("Authorization: Bearer hunterhunter")
