"""What we write in Slack is taken by Slack whatever the cluster said, and says what a person needs."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings

from agent.chat.slack.answer import answered
from agent.chat.slack.picture import font_file, picture
from agent.chat.slack.summaries import summary_message
from agent.chat.slack.text import fitted, notification, question_of
from agent.chat.slack.words import told
from agent.delivery.paper import Paper
from agent.ports import RunRow
from agent.rendering.summary import summary_as_markdown, title_of
from agent.stages.summarise import Ended, summary_of
from tests.agent.slack.limits import is_harmless, is_within_limits
from tests.agent.slack.reports import AT, TEXTS, chart, hostile, report
from tests.fakes.slack import words_of

ROOT = Path(__file__).parents[3]
QUICK = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@QUICK
@given(hostile())
def test_no_report_makes_a_message_that_slack_refuses(found):
    made = answered(found, url="https://lestrade.example/runs/run-1", hint="more")
    is_within_limits(made.blocks)
    is_harmless(made.text)
    assert 0 < len(made.text) <= 300 or not found.headline.strip()


def test_a_diagnosis_says_cause_evidence_confidence_what_it_was_not_and_what_to_do():
    said = words_of({"blocks": [*answered(report(), url="https://lestrade.example/runs/run-1").blocks]})
    for fact in (
        "is killed for memory at its limit of 64Mi",
        "oom-killed",
        "93% sure",
        "the limit was lowered from 256Mi to 64Mi",
        "OOMKilled, exitCode 137",
        "Pod shop/cart-1 waits for its image",
        "Next step",
        "+  memory: 256Mi",
        "logs of the last run",
        "run-1f2e3d4c5b6a",
    ):
        assert fact in said, fact


@QUICK
@given(TEXTS)
def test_no_entity_is_cut_in_half(text):
    for limit in (5, 6, 17, 300):
        shown = fitted(text, limit)
        is_harmless(shown)
        assert len(shown) <= limit


def test_nothing_in_a_notification_can_be_taken_for_a_link_or_a_mention():
    shown = notification("see https://evil.example @here <!channel>")
    assert "://evil" not in shown
    assert "@" not in shown
    assert "<" not in shown


def test_a_question_is_what_the_person_wrote_without_slacks_markup():
    asked = "<@U0BOT> why is <https://shop.example/checkout|checkout> &lt;slow&gt; in <#C01|prod>, <@U0ADA|ada>? <!here>"
    assert question_of(asked, bot="U0BOT") == "why is checkout <slow> in prod, ada?"
    assert len(question_of("<@U0BOT> " + "x" * 9000, bot="U0BOT")) == 2000


def test_the_app_asks_slack_for_nothing_that_it_does_not_use():
    manifest = yaml.safe_load((ROOT / "deploy" / "slack" / "agent-app.yaml").read_text())
    assert manifest["oauth_config"]["scopes"] == {"bot": ["app_mentions:read", "im:history", "chat:write", "files:write"]}
    assert manifest["settings"]["event_subscriptions"]["bot_events"] == ["app_mention", "message.im"]
    assert manifest["settings"]["event_subscriptions"]["request_url"].endswith("/slack/events")
    assert manifest["settings"]["interactivity"] == {"is_enabled": False}


def test_markdown_of_ours_becomes_blocks_and_nothing_in_it_more_than_that():
    text = (
        "**Cause** of \\<b\\>:\n\n- *why?* one\n- two\n\n"
        "| a | b |\n| --- | --- |\n| 1 | <!channel> |\n\n```text\n<@U0> **raw**\n```\n## End"
    )
    made = told(text, hint="Say next: fix it")
    is_within_limits(made.blocks)
    said = words_of({"blocks": [*made.blocks]})
    for fact in ("Cause of <b>:", "why? one", "<!channel>", "<@U0> **raw**", "End", "Say next: fix it"):
        assert fact in said, fact


@QUICK
@given(TEXTS)
@example("\U0001f600" * 5000)
@example("```text\n" + "a line of a log\n" * 900 + "```")
@example("- an item\n" * 400)
def test_no_answer_makes_a_message_that_slack_refuses(text):
    made = told(text)
    is_within_limits(made.blocks)
    assert made.blocks
    assert len(text) < 6000 or "Not all of it fits" in words_of({"blocks": [*made.blocks]})


@QUICK
@given(hostile())
def test_a_summary_is_a_message_that_slack_takes(found):
    row = RunRow(
        id=found.run, incident=found.incident, state="finished", outcome=found.outcome, headline=found.headline,
        created_at=AT, updated_at=AT,
    )  # fmt: skip
    many = [Ended(row=row, report=found, cause_at=AT)] * 8
    summary = summary_of(many, since=AT, until=AT, cluster=found.incident.cluster)
    paper = Paper(
        name="summary-1", kind="summary", title=title_of(summary), at=AT, facts={}, form=lambda _: summary_as_markdown(summary)
    )
    is_within_limits(summary_message(paper).blocks)
    assert "Time to cause" in words_of({"blocks": [*summary_message(paper).blocks]})


@pytest.mark.usefixtures("font")
def test_a_chart_is_a_picture_with_its_words_or_none_at_all(monkeypatch):
    drawn = picture(chart())
    assert drawn is not None
    assert drawn.startswith(b"\x89PNG")
    monkeypatch.setattr("agent.chat.slack.picture.FONT_FILES", ("/nowhere.ttf",))
    font_file.cache_clear()
    assert picture(chart()) is None, "without its font every word would be missing"
    font_file.cache_clear()
