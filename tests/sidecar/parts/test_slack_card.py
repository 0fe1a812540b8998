"""What a card says, and that nothing in a plan can make it say something else."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from sidecar.approvals.slack import blocks as kit
from sidecar.approvals.slack.card import APPROVE, DENY, PAGE, card
from sidecar.approvals.slack.modal import Question, question_from, why
from sidecar.approvals.slack.summary import summary
from sidecar.approvals.slack.text import fitted, visible
from sidecar.contract import Answer, ChangePreview, Settlement
from tests.fakes.slack import buttons_of, words_of
from tests.sidecar.parts.slack_views import AT, DIFF, asked, hostile

ROOT = Path(__file__).resolve().parents[3]
PAGE_URL = "https://lestrade.example"
ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")


def message(made) -> dict:
    return {"text": made.text, "blocks": list(made.blocks)}


def test_a_card_says_what_where_why_how_bad_until_when_and_who():
    said = words_of(message(card(asked(requested_by="carol"), page_url=PAGE_URL)))
    for needed in (
        "PROD: approve? scale Deployment shop/checkout from 2 to 6 replicas",
        "cluster eu-1",
        "cpu-throttled",
        "Deployment checkout is in prod",
        "2026-03-01 03:32 UTC",
        "no answer is a no",
        "1 person with a role of: sre, platform",
        "carol, who cannot approve it",
        "-  replicas: 2\n+  replicas: 6",
        "can be undone: the number of replicas of now again",
        "running pods replaced or removed: none",
        "2 of 2 replicas ready",
        "The agent's words, checked by nobody",
        "ev-1 sha256 aaaaaaaaaaaa…",
        "3f9a0c1d2e4b",
    ):
        assert needed in said, needed
    assert buttons_of(message(card(asked(), page_url=PAGE_URL))) == [APPROVE, DENY, PAGE]


def test_a_button_carries_the_digest_and_the_revision_that_were_shown_and_no_plan():
    made = card(asked())
    values = {element["value"] for block in made.blocks if block["type"] == "actions" for element in block["elements"]}
    assert values == {f"{asked().view.plan}:{asked().view.revision}"}


@pytest.mark.parametrize(
    ("state", "word", "buttons"),
    [
        ("approved", "approved:", [DENY]),
        ("leased", "under way", [DENY]),
        ("refused", "REFUSED", []),
        ("expired", "EXPIRED, not approved", []),
        ("void", "NO LONGER VALID", []),
    ],
)
def test_a_card_that_was_answered_says_how_it_ended_and_asks_no_more(state, word, buttons):
    answers = (
        Answer(person="ada", verdict="approve", via="slack", at=AT),
        Answer(person="bob", verdict="deny", via="page", at=AT, reason="sale"),
    )
    made = message(card(asked(state=state, answers=answers)))
    said = words_of(made)
    assert word in said
    assert "ada said YES (slack), 2026-03-01 03:02 UTC" in said
    assert "bob said NO (page): sale" in said
    assert buttons_of(made) == buttons
    assert "replicas: 6" in said  # what it was about stays


def test_a_settled_card_says_what_came_of_it():
    settlement = Settlement(lease="l", plan="a" * 64, state="settled", outcome="did-not-help", settled_at=AT)
    said = words_of(message(card(asked(state="settled", lease="settled", settlement=settlement))))
    assert "the agent says: performed, and it did not help; the rights are taken back" in said


def test_of_two_wanted_the_first_yes_is_shown_and_the_buttons_stay():
    made = message(card(asked(count=2, answers=(Answer(person="ada", verdict="approve", via="slack", at=AT),))))
    assert "2 different people" in words_of(made)
    assert "1 so far" in words_of(made)
    assert buttons_of(made) == [APPROVE, DENY]


def test_what_cannot_be_undone_is_said_in_so_many_words():
    change = ChangePreview(step="step-1", summary="delete Pod shop/web-1", diff="-x\n", reversible=False)
    said = words_of(message(card(asked(changes=(change,), final=("the pod's memory and its temporary files",)))))
    assert "CANNOT BE UNDONE" in said
    assert "temporary files" in said
    assert "every step can be undone" not in said


def test_a_diff_that_does_not_fit_takes_the_approve_button_away_and_is_whole_in_the_file():
    long = "".join(f"+  line {number}\n" for number in range(1300))
    made = card(
        asked(changes=(ChangePreview(step="step-1", summary="change data", diff=long, reversible=True, undo="back"),)),
        page_url=PAGE_URL,
    )
    said = words_of(message(made))
    assert buttons_of(message(made)) == [DENY, PAGE]
    hidden = re.search(r"CUT: (\d+) characters", said)
    shown = said.count("+  line ")
    assert hidden is not None
    assert int(hidden[1]) == sum(len(f"+  line {n}\n") for n in range(shown, 1300))
    assert long in made.file
    assert "on the approvals page" in said
    assert "lestrade-sidecar approvals show 3f9a0c1d2e4b" in words_of(message(card(asked(changes=asked_long(long)))))


def test_a_word_that_is_longer_than_a_piece_is_shown_whole_or_not_approved_here():
    """Of which only the last letter is Latin, so that all of it is written out."""
    made = card(asked(changes=asked_long("+  image: " + "\u0430" * 600 + "z\n")))
    assert APPROVE in buttons_of(message(made))
    assert words_of(message(made)).count("\\u0430") == 600
    assert made.file == ""


def asked_long(diff: str) -> tuple[ChangePreview, ...]:
    return (ChangePreview(step="step-1", summary="change data", diff=diff, reversible=True, undo="back"),)


def test_twenty_usual_steps_either_fit_or_are_not_approved_here():
    changes = tuple(
        ChangePreview(step=f"step-{n}", summary=f"scale Deployment shop/web-{n}", diff=DIFF, reversible=True, undo="back")
        for n in range(1, 21)
    )
    made = card(asked(changes=changes))
    shown = sum(f"shop/web-{n}" in words_of(message(made)) for n in range(2, 21))
    assert (APPROVE in buttons_of(message(made))) == (shown == 19) == (not made.file)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(hostile())
def test_no_view_makes_a_card_that_slack_refuses_or_that_lies(found):
    made = card(found, page_url=PAGE_URL)
    is_within_limits(made.blocks)
    is_harmless(made.text)
    assert len(made.text) <= 300
    approve = APPROVE in buttons_of(message(made))
    assert approve <= (not made.file and found.state == "waiting")
    if not made.file:  # everything that a yes is about stands in it, character by character
        said = words_of(message(made))
        for change in found.view.changes:
            assert visible(change.summary) in said
            for line in change.diff.split("\n"):
                assert visible(line)[:250] in said
        assert all(visible(final) in said for final in found.view.final)
    if len(found.view.hypothesis) > 20 and not found.is_over:
        assert "checked by nobody" in words_of(message(made)) or not found.view.hypothesis.strip()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(hostile())
def test_dialogues_and_summaries_are_harmless_too(found):
    is_within_limits(summary([found] * 30, shown=2, page_url=PAGE_URL).blocks)
    question = Question(plan=found.view.plan, revision=found.view.revision, channel="C0", ts="1.1")
    dialogue = why(found.view, question)
    assert question_from(dialogue["private_metadata"]) == question
    is_within_limits(dialogue["blocks"])
    assert len(dialogue["title"]["text"]) <= 24


def is_within_limits(blocks) -> None:
    assert len(blocks) <= 50
    assert len(json.dumps(list(blocks))) <= 13_000
    assert kit.size(blocks) <= 13_000
    for block in blocks:
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150
        if block["type"] == "context":
            assert len(block["elements"]) <= 10
        if block["type"] == "actions":
            assert 1 <= len(block["elements"]) <= 25
        for node in nodes(block):
            if "text" in node and isinstance(node["text"], str):
                assert 1 <= len(node["text"]) <= 3000
                is_harmless(node["text"])
                assert node["type"] in ("plain_text", "text"), "nothing of others is markup"
            if node.get("type") == "button":
                assert len(node["text"]["text"]) <= 75
                assert len(node.get("value", "")) <= 2000
                if "confirm" in node:
                    assert len(node["confirm"]["title"]["text"]) <= 100
                    assert len(node["confirm"]["text"]["text"]) <= 300
            assert node.get("type") not in ("link", "user", "usergroup", "broadcast", "channel", "emoji", "mrkdwn", "image")


def nodes(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from nodes(item)


def is_harmless(text: str) -> None:
    assert "<" not in text
    assert ">" not in text
    assert not ENTITY.search(text)
    assert all(
        character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")
        for character in text
    )


def test_no_entity_is_cut_in_half_and_what_is_hidden_is_counted():
    assert fitted("<<<<", 9) == ("&lt;&lt;…", 2)
    assert fitted("abc", 3) == ("abc", 0)
    assert fitted("a\u200bb", 7) == ("a…", 2)
    assert visible("a\u202eb\u00a0c\u3164\ufe0fe\u0301") == "a\\u202eb\\u00a0c\\u3164\\ufe0fe\u0301"


def test_the_app_asks_slack_for_nothing_that_it_does_not_use():
    manifest = yaml.safe_load((ROOT / "deploy" / "slack" / "approvals-app.yaml").read_text())
    assert manifest["oauth_config"]["scopes"] == {"bot": ["chat:write", "files:write", "users:read"]}
    assert set(manifest["settings"]) == {
        "interactivity",
        "socket_mode_enabled",
        "org_deploy_enabled",
        "token_rotation_enabled",
    }
    assert manifest["settings"]["interactivity"]["request_url"].endswith("/slack/interactions")


def test_who_is_asked_shortly_before_a_freeze_is_told_when_it_has_to_be_over():
    ends = "its rights end by 2026-12-19T00:00:00Z, when the freeze year end begins"
    assert ends in words_of(message(card(asked(lease_ends=ends))))
    assert "Little time" not in words_of(message(card(asked())))
