"""Slack's Web API as it fails: every failure is one of two, a pause is kept, nothing of what was sent comes out."""

import time

import pytest

from sidecar.approvals.slack.signature import objection
from sidecar.approvals.slack.web import Slack, SlackRefused, SlackUnavailable, client
from tests.fakes.slack import BOT_TOKEN, SECRET, FakeSlack, signed


@pytest.fixture(scope="module")
def slack():
    found = FakeSlack().start()
    yield found
    found.end()


@pytest.fixture
def api(slack):
    slack.down, slack.too_many, slack.retry_after = False, 0, "1"
    slack.refusing.clear()
    return Slack(client(BOT_TOKEN, slack.api_url))


async def test_a_short_pause_is_waited_for_and_a_long_one_is_handed_on(slack, api):
    slack.too_many = 1
    began = time.monotonic()
    assert await api.post("C0", "text", ())
    assert time.monotonic() - began >= 1

    slack.too_many, slack.retry_after = 1, "300"
    with pytest.raises(SlackUnavailable) as caught:
        await api.post("C0", "text", ())
    assert caught.value.wait == 300
    for nonsense in ("soon", "9" * 30):
        slack.too_many, slack.retry_after = 5, nonsense
        with pytest.raises(SlackUnavailable):
            await api.post("C0", "text", ())


async def test_down_is_later_and_no_is_no(slack, api):
    slack.down = True
    with pytest.raises(SlackUnavailable, match="http 503"):
        await api.post("C0", "text", ())
    slack.down = False
    slack.refusing = {"chat.postMessage": "channel_not_found", "users.info": "missing_scope"}
    with pytest.raises(SlackRefused, match="channel_not_found"):
        await api.post("C0", "text", ())
    with pytest.raises(SlackUnavailable, match="missing_scope"):
        await api.user("UADA")
    with pytest.raises(SlackUnavailable) as caught:
        await Slack(client(BOT_TOKEN, "http://127.0.0.1:9/api/")).post("C0", "text", ())
    assert BOT_TOKEN not in str(caught.value)


async def test_what_slack_does_not_say_of_an_account_counts_against_it(slack, api):
    slack.person("UADA")
    found = await api.user("UADA")
    assert found.active
    assert found.human
    slack.users["UADA"] = {"id": "UADA"}
    found = await api.user("UADA")
    assert not found.active
    assert not found.human
    slack.users["UADA"] = {"id": "UOTHER", "deleted": False, "is_bot": False}
    with pytest.raises(SlackUnavailable):
        await api.user("UADA")


def test_a_signature_is_of_these_bytes_this_secret_and_now():
    body, now = b"payload=%7B%7D\xff", 1_700_000_000.0
    headers = signed(body, at=now)
    given = {"timestamp": headers["X-Slack-Request-Timestamp"], "signature": headers["X-Slack-Signature"]}
    assert objection(SECRET, body=body, now=now, **given) == ""
    assert objection(SECRET, body=body, now=now + 300, **given) == ""
    assert objection(SECRET, body=body, now=now + 301, **given) == "stale"
    assert objection(SECRET, body=body, now=now - 301, **given) == "stale"
    assert objection(SECRET, body=body + b" ", now=now, **given) == "bad-signature"
    assert objection(SECRET + "x", body=body, now=now, **given) == "bad-signature"
    assert objection(SECRET, body=body, now=now, timestamp=given["timestamp"], signature="v0=\udce9") == "bad-signature"
    assert objection(SECRET, body=body, now=now, timestamp="1e9", signature=given["signature"]) == "bad-timestamp"
    assert objection(SECRET, body=body, now=now, timestamp=None, signature=given["signature"]) == "no-signature"
