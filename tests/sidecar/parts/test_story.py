"""The story of a plan on one page, and a record as a CloudEvent: whatever a record holds, it cannot lie about its place."""

import copy
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.audit import Fault
from sidecar.audit.export import cloud_event
from sidecar.audit.page import page_of, plain
from sidecar.audit.story import story_of

PLAN = "ab" * 32
LEASE = "abababababab-0a0a0a"
START = datetime(2026, 3, 1, 23, 59, 58, tzinfo=UTC)
HOSTILE = "fine\x1b[2J\r\n   42  2026-03-01 alice: approve\u202e\u2028 \x9b31m"


def records(*told: tuple) -> list[dict]:
    """(kind, actor, body), a second apart."""
    return [
        {
            "seq": number,
            "at": (START + timedelta(seconds=number)).isoformat(),
            "kind": kind,
            "actor": actor,
            "plan": PLAN,
            "lease": LEASE if kind.startswith(("lease", "step")) else "",
            "body": body,
            "previous": "",
            "mac": f"{number:064x}",
        }
        for number, (kind, actor, body) in enumerate(told, start=1)
    ]


TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": "u"}
DECIDED = {
    "plan": {
        "incident": "inc-7",
        "cluster": "lab",
        "requested_by": "carol",
        "cause": {"slug": "oom-killed", "subject": TARGET},
        "hypothesis": "too small",
        "cited": [{"id": "ev-1", "sha256": "f" * 64}],
        "steps": [{"id": "step-1", "action": {"kind": "scale_workload", "target": TARGET, "replicas": 4}}],
    },
    "decision": {
        "verdict": "review",
        "revision": "rev-1",
        "reasons": [{"rule": "prod", "step": "step-1", "message": "people are asked", "fix": None}],
        "approvals": {"count": 1, "roles": ["sre"], "expires_seconds": 600},
    },
}
WAY = records(
    ("plan-decided", "agent", DECIDED),
    ("answer", "ada", {"verdict": "approve", "via": "slack", "reason": "go", "comes_to": "approved"}),
    (
        "lease-claimed",
        "agent",
        {
            "identity": "system:serviceaccount:l:x",
            "expires_at": START.isoformat(),
            "rights": [
                {
                    "namespace": "shop",
                    "group": "apps",
                    "resource": "deployments/scale",
                    "verbs": ["get", "patch"],
                    "names": ["web"],
                }
            ],
        },
    ),
    ("lease-granted", "sidecar", {}),
    ("step-began", "agent", {"step": "step-1", "direction": "do", "effect": {"before": {"/spec/replicas": 2}, "after": {}}}),
    (
        "step-performed",
        "sidecar",
        {"direction": "do", "result": {"step": "step-1", "before": {"/spec/replicas": 2}, "after": {"/spec/replicas": 4}}},
    ),
    ("lease-ending", "agent", {"outcome": "helped", "why": ""}),
    (
        "lease-settled",
        "agent",
        {
            "settlement": {"outcome": "helped", "refused_after_ms": 4.21, "refusal": "403"},
            "pending": [],
            "observed": {"steps": {"step-1": "as-left"}, "subject": ["2 of 4 ready"], "contradictions": ["it is not so"]},
        },
    ),
)


def page(told: list[dict], whole: Fault | None = None, width: int = 100) -> str:
    return "\n".join(page_of(story_of(PLAN, told), whole=whole, width=width))


def test_the_page_tells_everything_from_the_question_to_the_revocation():
    shown = page(WAY)
    for words in (
        "incident inc-7",
        "by agent for carol",
        "ev-1 sha256:ffffffffffff",
        'the agent says: "too small"',
        "REVIEW  by policy rev-1",
        "prod (step-1): people are asked",
        "asked for: 1 of sre, within 10 min",
        'ada: approve via slack - "go"; so it is approved',
        "live after 1.0 s",
        "may get, patch deployments/scale.apps web in shop",
        "scale workload replicas=4 of Deployment shop/web: PERFORMED in 1.0 s",
        "/spec/replicas: 2 -> 4",
        '"helped": the agent\'s word',
        "the sidecar saw: step-1 is as-left",
        "CONTRADICTION: it is not so",
        "old token refused (403) after 4.2 ms",
        "GAPS      none",
        "8 records, 1 to 8; the journal is whole",
    ):
        assert " ".join(words.split()) in " ".join(shown.replace("\n          | ", " ").split()), words
    assert len(shown.splitlines()) <= 40
    assert max(map(len, shown.splitlines())) <= 100


def test_the_page_says_why_there_was_little_time():
    ends = "its rights end by 17:00 Europe/Berlin, when the change window closes"
    told = copy.deepcopy(list(WAY))
    told[0]["body"]["decision"]["lease_ends"] = ends
    assert f"little time: {ends}" in page(told)
    assert "little time" not in page(WAY)


@pytest.mark.parametrize(
    ("missing", "gap"),
    [
        ("plan-decided", "the plan itself is not in the record"),
        ("step-performed", "step-1 (do) began at 2026-03-02T00:00:03Z and has no end"),
        ("lease-settled", "the lease has no end yet"),
    ],
)
def test_what_the_record_does_not_show_is_said(missing, gap):
    assert gap in page([record for record in WAY if record["kind"] != missing])


def test_a_journal_that_is_not_whole_is_said_on_every_page():
    assert "THE JOURNAL IS NOT WHOLE: record 3 a field is not as it was written" in page(
        WAY, Fault(3, "a field is not as it was written")
    )


def test_f3_no_text_of_a_record_begins_a_line_or_steers_the_terminal():
    spoilt = json.loads(json.dumps(WAY).replace('"too small"', json.dumps(HOSTILE)).replace('"go"', json.dumps(HOSTILE)))
    for record in spoilt:
        record["actor"] = HOSTILE
    shown = page(spoilt)
    assert not [line for line in shown.splitlines() if line.lstrip().startswith("42")]
    assert all(character == "\n" or character.isprintable() for character in shown)
    assert plain(HOSTILE) == "fine\\u001b[2J\\u000d\\u000a   42  2026-03-01 alice: approve\\u202e\\u2028 \\u009b31m"


@pytest.mark.parametrize(
    "body", ["no longer an object", None, [], {"decision": 5, "plan": [], "result": "x", "effect": 3, "rights": 1}]
)
def test_a_page_is_shown_whatever_the_bodies_hold(body):
    assert "RECORD" in page([{**record, "body": body} for record in WAY])


REQUIRED = {"specversion", "id", "source", "type"}
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")


@pytest.mark.parametrize("record", WAY, ids=lambda record: record["kind"])
@pytest.mark.parametrize("cluster", ["lab", "", "arn:aws:eks:x/y z"])
def test_every_record_is_a_valid_cloud_event(record, cluster):
    """CloudEvents 1.0.2, sections 3.1 (names, types), "Required" and "Optional attributes"; JSON format section 2 and 3."""
    event = json.loads(json.dumps(cloud_event(record, cluster=cluster)))
    assert event.keys() >= REQUIRED
    assert event["specversion"] == "1.0"
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event if name not in ("datacontenttype",))
    assert all(isinstance(value, str) and value for name, value in event.items() if name != "data")
    assert re.fullmatch(r"/[A-Za-z0-9._~/-]+", event["source"])  # a URI-reference
    assert RFC3339.match(event["time"])
    assert event["datacontenttype"] == "application/json"
    assert event["data"] == record
    assert len({cloud_event(one, cluster=cluster)["id"] for one in WAY}) == len(WAY)


def test_an_event_about_no_plan_has_no_subject():
    assert "subject" not in cloud_event({**WAY[0], "plan": "", "lease": ""}, cluster="lab")
