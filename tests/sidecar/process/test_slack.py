"""The sidecar's process and Slack: the whole way over HTTP and by Socket Mode, and what Slack may do to it."""

import json
import subprocess
import sys
import time

import httpx
import pytest

from sidecar.approvals.slack.access import access_from
from sidecar.errors import SettingsError
from sidecar.settings import load
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, SECRET, buttons_of, form, send, signed, words_of
from tests.sidecar.process.harness import ROOT, good, wait_for
from tests.sidecar.process.slack_harness import VARIABLE, click, records, state_of, waiting, with_slack

APPROVE, DENY = "approval_approve", "approval_deny"
PAGE = "https://lestrade.example"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slack")
    with with_slack(folder, socket=True, slack_cards_a_minute="1000", most_cards_a_minute="1000", page_url=PAGE) as found:
        yield found


@pytest.fixture
def sidecar(both):
    return both[0]


@pytest.fixture
def slack(both):
    return both[1]


def says(slack, digest: str, words: str) -> dict:
    def card():
        found = slack.card_of(digest)
        return found if found is not None and words in words_of(found) else None

    return wait_for(card, what=f"the card says {words!r}")


def test_a_yes_in_slack_the_lease_the_step_and_the_outcome_on_the_same_card(sidecar, slack):
    digest, card = waiting(sidecar, slack)
    posted = len(slack.messages)
    assert f"{PAGE}/approvals/{digest}" in json.dumps(card["blocks"])
    assert click(sidecar, slack, card, APPROVE, "UADA").status_code == 200
    says(slack, digest, "ada said YES (slack)")

    lease = good(sidecar.agent.post(f"/v1/plans/{digest}/lease"))
    says(slack, digest, "under way")
    assert sidecar.perform(lease)["status"] == "performed"
    sidecar.settle(lease)
    done = says(slack, digest, "the rights are taken back")
    assert buttons_of(done) == ["approval_page"]
    assert len(slack.messages) == posted, "changed in place"
    assert [found["actor"] for found in records(sidecar, digest) if found["kind"] == "answer"] == ["ada"]
    sidecar.lab.request(
        "PATCH",
        "/apis/apps/v1/namespaces/shop/deployments/web",
        {"spec": {"replicas": 2}},
        content_type="application/merge-patch+json",
    )


def test_a_no_asks_for_the_reason_and_says_it_on_the_card(sidecar, slack):
    digest, card = waiting(sidecar, slack)
    click(sidecar, slack, card, DENY, "UBOB")
    dialogue = wait_for(lambda: [found for found in slack.dialogues if digest in found["private_metadata"]], what="the dialogue")[
        0
    ]
    empty = send(sidecar._people_url, slack.submission(dialogue, "UBOB", "   "))
    assert empty.json()["response_action"] == "errors"
    assert state_of(sidecar, digest) == "waiting"

    assert send(sidecar._people_url, slack.submission(dialogue, "UBOB", "not during <!channel> the sale")).status_code == 200
    refused = says(slack, digest, "bob said NO (slack): not during <!channel> the sale")
    assert buttons_of(refused) == ["approval_page"]
    assert "<!channel>" not in json.dumps(refused["blocks"])
    answers = [found for found in records(sidecar, digest) if found["kind"] == "answer"]
    assert answers[0]["body"]["reason"] == "not during <!channel> the sale"


def test_a_no_while_the_steps_are_performed_takes_the_rights_back(sidecar, slack):
    digest, card = waiting(sidecar, slack)
    click(sidecar, slack, card, APPROVE, "UADA")
    wait_for(lambda: state_of(sidecar, digest) == "approved")
    lease = good(sidecar.agent.post(f"/v1/plans/{digest}/lease"))
    card = says(slack, digest, "under way")
    assert buttons_of(card) == [DENY, "approval_page"]
    click(sidecar, slack, card, DENY, "UBOB")
    dialogue = wait_for(lambda: [found for found in slack.dialogues if digest in found["private_metadata"]])[0]
    send(sidecar._people_url, slack.submission(dialogue, "UBOB", "stop it"))
    wait_for(lambda: state_of(sidecar, digest) == "refused", what="the no counts")
    assert sidecar.perform(lease)["status"] == "refused"


def test_by_socket_mode_the_same_clicks_do_the_same(sidecar, slack):
    wait_for(slack.is_linked, what="the connection of Socket Mode")
    digest, card = waiting(sidecar, slack)
    name = slack.send_by_socket(slack.click(card, APPROVE, "UEVE"))
    wait_for(lambda: [found for found in slack.acknowledged if found["envelope_id"] == name], what="the envelope is acknowledged")
    wait_for(lambda: [found for found in slack.notices if found["user"] == "UEVE"], what="eve is told")
    assert state_of(sidecar, digest) == "waiting"
    foreign = slack.send_by_socket({**slack.click(card, APPROVE, "UADA"), "team": {"id": "T0OTHER"}})
    slack.send_by_socket(slack.click(card, APPROVE, "UADA"))
    says(slack, digest, "ada said YES (slack)")
    assert not [found for found in slack.acknowledged if found["envelope_id"] == foreign]


def test_a_429_is_waited_for(sidecar, slack):
    slack.too_many = 1
    began = time.monotonic()
    digest, _ = waiting(sidecar, slack)
    assert time.monotonic() - began >= 1
    assert len([message for message in slack.messages.values() if digest in json.dumps(message["blocks"])]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload={",
        b"payload=[]",
        b"payload=null",
        b"payload=%7B%7D",
        b"\xff\xfe",
        b"payload=" + b"[" * 100_000,
        form({"type": "block_actions", "team": [], "user": 5, "actions": {}}),
        form({"type": "block_actions", "team": {"id": "T0TEAM"}, "api_app_id": "A0APP", "actions": [{}], "user": {}}),
        form(
            {"type": "view_submission", "team": {"id": "T0TEAM"}, "api_app_id": "A0APP", "view": {"callback_id": "approval_why"}}
        ),
        b'{"type": "url_verification", "challenge": "x"}',
    ],
)
def test_signed_nonsense_is_a_4xx_or_nothing(sidecar, body):
    headers = signed(body)
    assert send_raw(sidecar, body, headers).status_code < 500
    assert send_raw(sidecar, body, {**headers, "Content-Type": "application/json"}).status_code < 500


def send_raw(sidecar, body: bytes, headers: dict) -> httpx.Response:
    return httpx.post(f"{sidecar._people_url}/slack/interactions", content=body, headers=headers, timeout=10)


def test_a_body_that_is_too_large_is_a_413(sidecar):
    body = b"x" * 1_100_000
    assert send_raw(sidecar, body, signed(body)).status_code == 413


def test_no_secret_of_slack_is_in_the_log_or_the_record(sidecar, slack):
    said = "".join(sidecar.lines) + json.dumps(records(sidecar)) + json.dumps(slack.messages)
    for secret in (BOT_TOKEN, APP_TOKEN, SECRET):
        assert secret not in said
    assert "Traceback" not in "".join(sidecar.lines)


def test_without_slack_its_library_is_not_imported():
    probe = (
        "import sys, sidecar.app, sidecar.cli; "
        "print([name for name in sys.modules if name.startswith(('slack_', 'aiohttp', 'sidecar.approvals.slack.bolt'))])"
    )
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert found.stdout.strip() == "[]"


def test_where_slacks_library_is_not_installed_the_setting_and_the_extra_are_named():
    probe = (
        "import sys; sys.modules['slack_bolt'] = None; from sidecar import app\n"
        "try: app.slack_channel(None, None)\n"
        "except app.SettingsError as exc: print(exc)"
    )
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert "SLACK_BOT_TOKEN_FILE" in found.stdout
    assert "install lestrade[slack]" in found.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"SLACK_TEAM": ""}, "SLACK_TEAM"),
        ({"SLACK_SIGNING_SECRET_FILE": ""}, "Socket Mode"),
        ({"SLACK_BOT_TOKEN_FILE": "/nowhere"}, "/nowhere"),
        ({"SLACK_CHANNEL": "#approvals"}, "not a channel id"),
        ({"SLACK_CHANNEL": "prod=C0PROD"}, "for everything else"),
        ({"SLACK_API_URL": "http://slack.example/api/"}, "https"),
        ({"SLACK_APP_ID": "U123"}, "SLACK_APP_ID"),
    ],
)
def test_a_setting_that_is_wrong_is_one_clear_line(tmp_path, change, said):

    (tmp_path / "bot").write_text("xoxb-0123456789abcdef")
    (tmp_path / "secret").write_text("0123456789abcdef")
    good_ones = {
        "SLACK_BOT_TOKEN_FILE": str(tmp_path / "bot"),
        "SLACK_SIGNING_SECRET_FILE": str(tmp_path / "secret"),
        "SLACK_CHANNEL": "C0123",
        "SLACK_TEAM": "T0123",
        "SLACK_APP_ID": "A0123",
    }

    def access(**over: str):
        return access_from(load(environ={f"LESTRADE_SIDECAR_{key}": value for key, value in {**good_ones, **over}.items()}))

    assert access() is not None
    assert "xoxb" not in repr(access())
    with pytest.raises(SettingsError, match=said) as caught:
        access(**change)
    assert "0123456789abcdef" not in str(caught.value)
    assert access_from(load(environ={})) is None


def test_a_token_of_another_kind_is_not_taken_and_not_shown(tmp_path):

    (tmp_path / "bot").write_text("xoxp-a-token-of-a-person")
    settings = {
        VARIABLE + "SLACK_BOT_TOKEN_FILE": str(tmp_path / "bot"),
        VARIABLE + "SLACK_SIGNING_SECRET_FILE": str(tmp_path / "bot"),
    }
    settings |= {VARIABLE + "SLACK_CHANNEL": "C0123", VARIABLE + "SLACK_TEAM": "T0123", VARIABLE + "SLACK_APP_ID": "A0123"}

    with pytest.raises(SettingsError, match="xoxb-") as caught:
        access_from(load(environ=settings))
    assert "of-a-person" not in str(caught.value)
