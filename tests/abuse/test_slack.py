"""The approvers' channel under abuse: the sidecar's process, a laboratory, and a Slack that anybody may shout at."""

import json
import sqlite3
import time
from contextlib import closing

import httpx
import pytest

from tests.fakes.slack import SECRET, buttons_of, form, send, signed, words_of
from tests.sidecar.process.harness import good, wait_for
from tests.sidecar.process.slack_harness import (
    PEOPLE,
    card_of,
    click,
    delete_pod,
    plan,
    records,
    scale,
    state_of,
    waiting,
    with_slack,
    write_people,
)

APPROVE, DENY = "approval_approve", "approval_deny"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    with with_slack(tmp_path_factory.mktemp("slack"), slack_cards_a_minute="1000", most_cards_a_minute="1000") as found:
        yield found


@pytest.fixture
def sidecar(both):
    sidecar, slack = both
    writes = len(sidecar.lab.writes())
    write_people(sidecar, PEOPLE)
    for user, _ in PEOPLE.values():
        slack.person(user)
    slack.notices.clear()
    yield sidecar
    assert len(sidecar.lab.writes()) == writes, "nothing of this list may write to the cluster"
    write_people(sidecar, PEOPLE)
    for found in good(sidecar.person("ada").get("/approvals"))["approvals"]:  # so that no test meets the plans of another
        body = {"plan": found["plan"], "verdict": "deny", "revision": found["revision"], "reason": "the test is over"}
        good(sidecar.person("bob").post(f"/approvals/{found['plan']}", json=body))


@pytest.fixture
def slack(both):
    return both[1]


def post(sidecar, body: bytes, headers: dict) -> httpx.Response:
    return httpx.post(f"{sidecar._people_url}/slack/interactions", content=body, headers=headers, timeout=10)


def kept_card(sidecar, digest: str) -> str:
    """Slack's name of the card as it stands in the sidecar's database."""
    with closing(sqlite3.connect(sidecar.folder / "sidecar.db")) as database:
        found = database.execute("SELECT ts FROM slack_cards WHERE plan = ?", (digest,)).fetchone()
    return found[0] if found else ""


def refusals(sidecar, code: str, about: str = "") -> list[dict]:
    return [found for found in records(sidecar, about) if found["kind"] == "answer-refused" and found["body"]["code"] == code]


def is_refused(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert "canary" not in response.text
    assert SECRET not in response.text


def is_told(slack, user: str, words: str) -> None:
    notice = wait_for(lambda: [found for found in slack.notices if found["user"] == user], what=f"{user} is told")[-1]
    assert words in json.dumps(notice)


def test_C2_a_forged_slack_request_is_refused(sidecar, slack):
    digest, card = waiting(sidecar, slack)
    body = form(slack.click(card, APPROVE, "UADA"))
    genuine = signed(body)
    before = len(refusals(sidecar, "slack-bad-signature"))

    is_refused(post(sidecar, body, {"Content-Type": genuine["Content-Type"]}), 401, "slack-no-signature")
    is_refused(post(sidecar, body, signed(body, secret="another0secret0of0another0app00")), 401, "slack-bad-signature")
    is_refused(post(sidecar, body + b"&more=1", genuine), 401, "slack-bad-signature")
    is_refused(post(sidecar, body.replace(b"UADA", b"UBOB"), genuine), 401, "slack-bad-signature")
    is_refused(post(sidecar, body, {**genuine, "X-Slack-Signature": "v0=" + "0" * 64}), 401, "slack-bad-signature")
    is_refused(post(sidecar, body, {**genuine, "X-Slack-Signature": b"\xe9"}), 401, "slack-bad-signature")
    # Nothing is parsed before: what no parser takes is a 401 like everything else.
    is_refused(post(sidecar, b"\xff{[", {**genuine, "Content-Type": "application/json"}), 401, "slack-bad-signature")
    is_refused(post(sidecar, b"ssl_check=1&token=x", {"Content-Type": genuine["Content-Type"]}), 401, "slack-no-signature")

    assert state_of(sidecar, digest) == "waiting"
    assert len(refusals(sidecar, "slack-bad-signature")) == before + 6


def test_C2_a_flood_of_forged_requests_does_not_fill_the_journal(sidecar):
    before = len(records(sidecar))
    answers = [post(sidecar, b"payload={}", {"X-Slack-Signature": "v0=0"}).status_code for _ in range(45)]
    assert set(answers) == {401}
    assert len(records(sidecar)) - before <= 41  # at most twenty a minute, and a minute may turn


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        (lambda: str(int(time.time()) - 360), "slack-stale"),
        (lambda: str(int(time.time()) + 360), "slack-stale"),
        (lambda: "yesterday", "slack-bad-timestamp"),
        (lambda: "1e9", "slack-bad-timestamp"),
        (lambda: "-5", "slack-bad-timestamp"),
        (lambda: "9" * 400, "slack-bad-timestamp"),
        (lambda: "\u0661\u0662", "slack-bad-timestamp"),
        (lambda: "", "slack-no-signature"),
    ],
)
def test_C3_a_slack_request_of_another_time_is_a_401(sidecar, timestamp, code):
    body, at = form({"type": "block_actions"}), timestamp()
    numeric = at.isascii() and at.isdigit() and len(at) < 20
    headers = signed(body, at=float(at) if numeric else None)
    headers["X-Slack-Request-Timestamp"] = at
    raw = [(name.encode(), value.encode("utf-8")) for name, value in headers.items()]
    is_refused(httpx.post(f"{sidecar._people_url}/slack/interactions", content=body, headers=raw), 401, code)


def test_C4_a_slack_request_sent_again_has_no_second_effect(sidecar, slack):
    digest, card = waiting(sidecar, slack, delete_pod(sidecar))  # two people are wanted
    body = form(slack.click(card, APPROVE, "UADA"))
    headers = signed(body)
    assert [post(sidecar, body, headers).status_code for _ in range(3)] == [200, 200, 200]

    wait_for(lambda: len([found for found in records(sidecar, digest) if found["kind"] == "answer-repeated"]) == 2)
    assert len([found for found in records(sidecar, digest) if found["kind"] == "answer"]) == 1
    assert state_of(sidecar, digest) == "waiting"

    # And a yes that is played again after the same person said no does not bring it back.
    click(sidecar, slack, card, DENY, "UADA")
    dialogue = wait_for(lambda: [found for found in slack.dialogues if digest in found["private_metadata"]])[-1]
    send(sidecar._people_url, slack.submission(dialogue, "UADA", "on second thoughts, no"))
    wait_for(lambda: state_of(sidecar, digest) == "refused", what="the no counts")
    assert post(sidecar, body, headers).status_code == 200
    wait_for(lambda: len([found for found in records(sidecar, digest) if found["kind"] == "answer-repeated"]) >= 3)
    assert state_of(sidecar, digest) == "refused"


def test_C5_the_requester_and_bots_do_not_approve(sidecar, slack):
    digest, card = waiting(sidecar, slack, requested_by="ada")
    assert click(sidecar, slack, card, APPROVE, "UADA").status_code == 200
    is_told(slack, "UADA", "own-request")

    slack.person("UBOB", is_bot=True)
    click(sidecar, slack, card, APPROVE, "UBOB")
    is_told(slack, "UBOB", "A bot never answers")
    assert len(refusals(sidecar, "own-request", digest)) == len(refusals(sidecar, "bot", digest)) == 1

    slack.person("UBOB")
    write_people(sidecar, {"ada": PEOPLE["ada"]}, '[[person]]\nname = "bob"\nroles = ["sre"]\nslack_user = "UBOB"\nbot = true\n')
    click(sidecar, slack, card, APPROVE, "UBOB")
    wait_for(lambda: len(refusals(sidecar, "bot", digest)) == 2, what="a bot of the people file is refused too")
    assert state_of(sidecar, digest) == "waiting"


def test_C6_a_member_of_the_channel_who_is_no_approver_is_refused_and_told(sidecar, slack):
    digest, card = waiting(sidecar, slack)
    slack.person("UMALLORY")
    click(sidecar, slack, card, APPROVE, "UMALLORY")
    is_told(slack, "UMALLORY", "not among the people")
    click(sidecar, slack, card, APPROVE, "UEVE")  # known, but with another role
    is_told(slack, "UEVE", "no-role")
    click(sidecar, slack, card, DENY, "UMALLORY")
    wait_for(lambda: len(refusals(sidecar, "not-known", digest)) == 2)

    assert len(refusals(sidecar, "no-role", digest)) == 1
    assert not [found for found in slack.dialogues if digest in found["private_metadata"]]
    assert all(found["channel"] == card["channel"] for found in slack.notices)
    assert state_of(sidecar, digest) == "waiting"


def test_C7_two_slack_accounts_of_one_person_count_once(sidecar, slack):
    slack.person("UADA2")
    write_people(sidecar, PEOPLE, '[[person]]\nname = "ada"\nroles = ["sre"]\nslack_user = "UADA2"\n')
    digest, card = waiting(sidecar, slack, delete_pod(sidecar))
    click(sidecar, slack, card, APPROVE, "UADA")
    wait_for(lambda: "said YES" in words_of(slack.card_of(digest) or {}), what="the card says so")
    click(sidecar, slack, card, APPROVE, "UADA2")
    wait_for(lambda: [found for found in records(sidecar, digest) if found["kind"] == "answer-repeated"])
    assert state_of(sidecar, digest) == "waiting"

    click(sidecar, slack, card, APPROVE, "UBOB")
    wait_for(lambda: state_of(sidecar, digest) == "approved", what="a second person makes it two")


def test_C8_who_was_deactivated_or_lost_the_role_after_the_card_was_posted_does_not_count(sidecar, slack):
    digest, card = waiting(sidecar, slack)
    slack.person("UADA", deleted=True)
    click(sidecar, slack, card, APPROVE, "UADA")
    is_told(slack, "UADA", "deactivated")
    assert len(refusals(sidecar, "slack-deactivated", digest)) == 1

    click(sidecar, slack, card, APPROVE, "UBOB")
    wait_for(lambda: state_of(sidecar, digest) == "approved")
    write_people(sidecar, {"ada": PEOPLE["ada"]})  # bob leaves between his yes and the execution
    refused = sidecar.agent.post(f"/v1/plans/{digest}/lease")
    assert refused.status_code == 409, refused.text


def test_C8_a_slack_account_deactivated_between_yes_and_execution_counts_no_longer(sidecar, slack):
    digest, card = waiting(sidecar, slack)
    click(sidecar, slack, card, APPROVE, "UBOB")
    wait_for(lambda: state_of(sidecar, digest) == "approved")
    slack.person("UBOB", deleted=True)
    refused = sidecar.agent.post(f"/v1/plans/{digest}/lease")
    assert (refused.status_code, refused.json()["code"]) == (409, "approval-lapsed"), refused.text
    assert [found["body"]["code"] for found in records(sidecar, digest) if found["kind"] == "plan-void"] == ["approval-lapsed"]


def test_C8_while_slack_does_not_say_whether_an_approver_is_still_there_nothing_is_leased(sidecar, slack):
    digest, card = waiting(sidecar, slack)
    click(sidecar, slack, card, APPROVE, "UBOB")
    wait_for(lambda: state_of(sidecar, digest) == "approved")
    slack.down = True
    try:
        refused = sidecar.agent.post(f"/v1/plans/{digest}/lease")
        assert (refused.status_code, refused.json()["code"]) == (503, "approver-unconfirmed"), refused.text
    finally:
        slack.down = False
    assert state_of(sidecar, digest) == "approved"  # to be asked for again


def test_C12_another_workspace_app_channel_or_response_address_is_refused(sidecar, slack):
    digest, card = waiting(sidecar, slack)
    before = {code: len(refusals(sidecar, code)) for code in ("slack-other-workspace", "slack-other-app", "slack-response-url")}
    other = {"team": {"id": "T0OTHER", "domain": "evil"}}
    is_refused(click(sidecar, slack, card, APPROVE, "UADA", **other), 403, "slack-other-workspace")
    is_refused(click(sidecar, slack, card, APPROVE, "UADA", api_app_id="A0OTHER"), 403, "slack-other-app")
    for url in ("https://evil.example/x", "https://hooks.slack.com.evil.example/x", "http://hooks.slack.com/x", "//slack.com"):
        is_refused(click(sidecar, slack, card, APPROVE, "UADA", response_url=url), 403, "slack-response-url")
    assert {code: len(refusals(sidecar, code)) - before[code] for code in before} == {
        "slack-other-workspace": 1,
        "slack-other-app": 1,
        "slack-response-url": 4,
    }

    elsewhere = {"type": "message", "message_ts": card["ts"], "channel_id": "C0ELSEWHERE"}
    another = {"type": "message", "message_ts": "1.1", "channel_id": card["channel"]}
    for container in (elsewhere, another):
        assert click(sidecar, slack, card, APPROVE, "UADA", container=container).status_code == 200
    guest = {"id": "UADA", "team_id": "T0OTHER"}  # a shared channel
    assert send(sidecar._people_url, {**slack.click(card, APPROVE, "UADA"), "user": guest}).status_code == 200
    wait_for(lambda: len(refusals(sidecar, "slack-not-the-card", digest)) == 2)
    wait_for(lambda: len(refusals(sidecar, "slack-other-workspace", digest)) == 1)
    assert state_of(sidecar, digest) == "waiting"
    assert not [found for found in slack.notices if found["channel"] == "C0ELSEWHERE"]  # only configured channels are answered


HOSTILE = (
    "<!channel> <@U123> <https://evil.example|the approvals page> *bold* ```fence``` APPROVED\u202e\u200b by alice "
    + '"}]},{"type":"actions","elements":[{"type":"button","action_id":"approval_approve","text":"OK"'
)


def test_C13_hostile_text_is_shown_as_text_and_a_long_diff_is_never_hidden_silently(sidecar, slack):
    digest, card = waiting(sidecar, slack, hypothesis=(HOSTILE * 9)[:2000])
    raw = json.dumps(card["blocks"], ensure_ascii=False) + card["text"]
    assert "<" not in raw
    assert "\u202e" not in raw
    assert "\u200b" not in raw
    assert buttons_of(card) == [APPROVE, DENY]
    assert card["text"].startswith("LAB") or "approve?" in card["text"]
    assert str(card["unfurl_links"]).lower() in ("false", "0")
    assert str(card["unfurl_media"]).lower() in ("false", "0")

    config = target_config(sidecar)
    long = "".join(f"line {number} <!channel> of many\n" for number in range(400))
    change = {"kind": "change_fields", "target": config, "changes": [{"path": "/data/mode", "before": "slow", "after": long}]}
    digest, card = waiting(sidecar, slack, change)
    assert APPROVE not in buttons_of(card)
    assert DENY in buttons_of(card)
    words = words_of(card)
    assert "CUT:" in words
    assert digest in words
    assert "sha256" in words
    uploaded = wait_for(lambda: [found for found in slack.files.values() if found.get("complete")], what="the whole is uploaded")[
        -1
    ]
    assert uploaded["thread_ts"] == card["ts"]
    assert "line 399 <!channel> of many" in uploaded["content"]

    click(sidecar, slack, card, APPROVE, "UADA", value=f"{digest}:{revision_of(sidecar, digest)}")
    wait_for(lambda: refusals(sidecar, "not-shown-whole", digest), what="who was not shown everything cannot say yes to it")
    assert state_of(sidecar, digest) == "waiting"


def target_config(sidecar) -> dict:
    found = sidecar.lab.get("ConfigMap", "shop", "settings")
    name, uid = found["metadata"]["name"], found["metadata"]["uid"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": name, "uid": uid}


def revision_of(sidecar, digest: str) -> str:
    return sidecar.agent.get(f"/v1/plans/{digest}").json()["decision"]["revision"]


def test_C15_slack_is_down_or_the_sidecar_starts_again_while_a_request_waits(sidecar, slack):
    slack.down = True
    try:
        pending = sidecar.submit(plan(sidecar, scale(sidecar, 3)))["plan"]
        answered = sidecar.submit(plan(sidecar, scale(sidecar, 5)))
        wait_for(lambda: len(slack.asked("chat.postMessage")) > 0)
        assert [state_of(sidecar, digest) for digest in (pending, answered["plan"])] == ["waiting", "waiting"]
        assert good(sidecar.approve(answered))["state"] == "approved"  # another channel works

        sidecar.kill()
        sidecar.start()
        assert [state_of(sidecar, digest) for digest in (pending, answered["plan"])] == ["waiting", "approved"]
    finally:
        slack.down = False
    card = card_of(slack, pending)  # comes by itself
    assert card_of(slack, pending)["ts"] == card["ts"]
    wait_for(lambda: kept_card(sidecar, pending) == card["ts"], what="the sidecar knows which message is the card")

    sidecar.kill()
    sidecar.start()
    click(sidecar, slack, card, APPROVE, "UADA")  # the old card still works
    wait_for(lambda: state_of(sidecar, pending) == "approved")
    wait_for(lambda: "said YES" in words_of(slack.card_of(pending) or {}), what="the card says who and when")
    posted = [given for given in slack.messages.values() if pending in json.dumps(given["blocks"])]
    assert len(posted) == 1, "no second card after a restart"


def test_C14_a_flood_of_requests_is_grouped(tmp_path):
    with with_slack(tmp_path, most_cards_a_minute="1000", most_cards_waiting="100") as (sidecar, slack):
        statuses = [sidecar.submit(plan(sidecar, scale(sidecar, 3 + number % 2))) for number in range(50)]
        pending = [status["plan"] for status in statuses if status["state"] == "waiting"]
        assert len(pending) >= 20
        listed = wait_for(
            lambda: (
                (found := [card for card in slack.messages.values() if "more plans wait" in words_of(card)])
                and f"{len(pending) - 5} more plans wait" in words_of(found[0])
                and found
            ),
            what="the rest is listed",
        )
        assert len(listed) == 1
        assert len(slack.messages) == 6
        assert all(action != APPROVE for action in buttons_of(listed[0]))  # nothing is approved from a list

        # Whoever wants to see one gets its card.
        grouped = next(digest for digest in pending if slack.card_of(digest) is listed[0])
        assert click(sidecar, slack, listed[0], "approval_show", "UADA", value=grouped).status_code == 200
        card = wait_for(lambda: (found := slack.card_of(grouped)) and APPROVE in buttons_of(found) and found, what="its card")
        click(sidecar, slack, card, APPROVE, "UADA")
        wait_for(lambda: state_of(sidecar, grouped) == "approved")
