"""What the record says of the end of a lease, and what of a plan's values is kept after it."""

import json

import pytest
from sqlalchemy import text

from sidecar.approvals import store as approvals
from sidecar.audit.page import page_of
from sidecar.gate.database import engine_for
from sidecar.gate.perform import perform
from sidecar.gate.reap import reap
from sidecar.gate.settle import settle
from sidecar.gate.standing import standing
from sidecar.gate.submit import submit
from sidecar.gate.telling import stories
from sidecar.gate.undo import undo
from tests.fakes.sidecar_gate import change, deployment, make_world, plan, ref, scale
from tests.sidecar.gate.test_refusals import WEB, approved, leased

CANARY = "canary-hunter2-of-the-tests"


@pytest.fixture
def world(tmp_path, database):
    world = make_world(tmp_path, database())
    world.cluster.put("deployments", deployment(replicas=3), "apps")
    world.cluster.put("configmaps", {"kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "shop"}, "data": {}})
    return world


def last(world, kind: str) -> dict:
    return next(record for record in reversed(world.desk.ledger.documents()) if record["kind"] == kind)


def ready(world, replicas: int) -> None:
    world.cluster.objects[WEB]["status"] = {"readyReplicas": replicas}


def test_an_end_that_fits_what_is_seen_has_no_contradiction(world):
    granted = leased(world, scale(5))
    perform(granted.id, "step-1", desk=world.desk)
    ready(world, 5)
    settlement = settle(granted.id, "helped", desk=world.desk)
    assert (settlement.outcome, settlement.contradictions) == ("helped", ())
    assert settlement.observed[0] == "step-1 is as-left"
    assert last(world, "lease-settled")["body"]["observed"]["steps"] == {"step-1": "as-left"}


def test_helped_is_contradicted_where_pods_are_not_ready(world):
    granted = leased(world, scale(5))
    perform(granted.id, "step-1", desk=world.desk)
    ready(world, 1)
    settlement = settle(granted.id, "helped", desk=world.desk)
    assert settlement.contradictions == ('it is said to be "helped", but 1 of 5 replicas are ready',)


def test_helped_is_contradicted_where_a_step_was_not_performed_or_is_no_longer_there(world):
    granted = leased(world, scale(5), change("/spec/paused", None, True))
    perform(granted.id, "step-1", desk=world.desk)
    world.cluster.objects[WEB]["spec"]["replicas"] = 0
    ready(world, 0)
    said = settle(granted.id, "helped", desk=world.desk).contradictions
    assert said == (
        'it is said to be "helped", but step-1 is changed-since',
        'it is said to be "helped", but step-2 is not-performed',
    )


@pytest.mark.parametrize("said", ["undone", "not-performed"])
def test_what_was_performed_and_stands_contradicts(world, said):
    granted = leased(world, scale(5))
    perform(granted.id, "step-1", desk=world.desk)
    ready(world, 5)
    assert settle(granted.id, said, desk=world.desk).contradictions != ()


def test_a_cluster_that_cannot_be_read_is_not_known_and_contradicts_nothing(world):
    granted = leased(world, scale(5))
    perform(granted.id, "step-1", desk=world.desk)
    world.cluster.down = True
    settlement = settle(granted.id, "helped", desk=world.desk)
    assert settlement.state == "revocation_pending"
    assert settlement.observed[0] == "step-1 is not-known"
    assert settlement.contradictions == ()


def stored(world) -> str:
    engine = engine_for(world.url)
    with engine.connect() as connection:
        rows = [
            str(tuple(row))
            for table in ("plans", "steps", "journal", "leases")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        ]
    engine.dispose()
    return "\n".join(rows)


def secretive() -> tuple[dict, dict]:
    settings = ref("ConfigMap", "settings", api_version="v1")
    env = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "extra", "namespace": "shop"},
        "data": {"password": CANARY},
    }
    made = {"kind": "create_object", "target": ref("ConfigMap", "extra", api_version="v1", uid="new"), "manifest": env}
    return change("/data/DB_PASSWORD", None, CANARY, settings), made


def test_a_secret_value_is_carried_out_but_never_recorded_and_forgotten_at_the_end(world):
    granted = leased(world, *secretive())
    assert CANARY in stored(world)  # the store that carries it out has it
    assert CANARY not in json.dumps(world.desk.ledger.documents())
    for step in ("step-1", "step-2"):
        assert perform(granted.id, step, desk=world.desk).status == "performed"
    assert world.cluster.objects[("", "configmaps", "shop", "settings")]["data"]["DB_PASSWORD"] == CANARY
    settle(granted.id, "helped", desk=world.desk)
    reap(desk=world.desk)
    assert CANARY not in stored(world)
    known = standing(granted.plan, desk=world.desk)
    assert (known.plan, known.state) == (granted.plan, "settled")
    assert world.desk.ledger.verify()[1] is None


def test_a_denied_plan_is_forgotten_too_and_judged_anew_when_it_comes_again(world):
    world.judge.verdict = "deny"
    given = plan(*secretive())
    assert submit(given, desk=world.desk).state == "denied"
    reap(desk=world.desk)
    assert CANARY not in stored(world)
    world.judge.verdict = "review"
    came = submit(given, desk=world.desk)
    assert (came.plan, came.state) == (given.digest, "waiting")


def test_a_token_in_the_agents_words_is_not_recorded(world):
    token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    submit(plan(scale(5), hypothesis=f"the log said token={token}"), desk=world.desk)
    assert token not in json.dumps(world.desk.ledger.documents())


def test_the_clear_text_of_a_plan_that_is_not_over_stays(world):
    digest = approved(world, *secretive())
    reap(desk=world.desk)
    assert CANARY in stored(world)
    assert standing(digest, desk=world.desk).state == "approved"


def test_what_can_still_be_taken_back_is_kept_whole_until_it_cannot(world):
    granted = leased(world, *secretive())
    for step in ("step-1", "step-2"):
        perform(granted.id, step, desk=world.desk)
    world.clock.advance(seconds=301)
    reap(desk=world.desk)  # the lease is over, and nobody said what came of it
    assert CANARY in stored(world)
    came = undo(granted.id, desk=world.desk)
    assert came.complete, came
    assert world.cluster.objects[("", "configmaps", "shop", "settings")]["data"] == {}
    page = "\n".join(page_of(stories(granted.id, ledger=world.desk.ledger)[0][0], whole=None))
    assert f"LEASE     {granted.granted_at:%H:%M}" in page
    assert granted.id in page
    assert "to take back after its time" in page
    world.clock.advance(seconds=3600 + 301)
    reap(desk=world.desk)
    assert CANARY not in stored(world)
    assert world.desk.ledger.verify()[1] is None


URL = f"url: postgres://shop:{CANARY}@db/shop"


def test_a_credential_within_a_file_of_settings_is_in_no_record_and_forgotten_at_the_end(world):
    settings = ref("ConfigMap", "settings", api_version="v1")
    granted = leased(world, change("/data/app.yaml", None, URL, settings))
    perform(granted.id, "step-1", desk=world.desk)
    assert world.cluster.objects[("", "configmaps", "shop", "settings")]["data"]["app.yaml"] == URL
    settle(granted.id, "helped", desk=world.desk)
    assert CANARY not in json.dumps(world.desk.ledger.documents())
    reap(desk=world.desk)
    assert CANARY not in stored(world)
    assert (
        standing(granted.plan, desk=world.desk).approval.changes[0].summary == "change /data/app.yaml of ConfigMap shop/settings"
    )


LONG = "a token=x " * 49
LOOKS_LIKE = "sk-inference4gateway4shop"  # a name like any other, and like a key of an API
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "keys", "namespace": "shop"},
    "stringData": {"plain": CANARY},
}


@pytest.mark.parametrize(
    ("action", "more"),
    [
        (scale(5, LOOKS_LIKE), {"incident": LOOKS_LIKE}),
        (scale(5), {"hypothesis": LONG * 4, "requested_by": "token=x " * 25}),
        (scale(5), {"cited": [{"id": LOOKS_LIKE, "sha256": "0" * 64}]}),
        (scale(5), {"verification": [{"description": LONG, "promql": LONG, "within_seconds": 60}]}),
        ({"kind": "create_object", "target": ref("Secret", "keys", api_version="v1", uid="new"), "manifest": SECRET}, {}),
        (change("/data/app.yaml", "token='x'", "token=x", ref("ConfigMap", "settings", api_version="v1")), {}),
        (
            {
                "kind": "silence_alert",
                "target": ref("Deployment", "web"),
                "minutes": 5,
                "matchers": [{"name": "alertname", "value": "token=x " * 32}],
                "comment": LONG,
            },
            {},
        ),
    ],
    ids=["names", "texts", "citations", "verification", "secret", "quotes", "silence"],
)
def test_what_is_left_of_a_plan_can_still_be_read_and_says_what_it_was_about(world, action, more):
    given = plan(action, **more)
    world.judge.verdict = "deny"
    assert submit(given, desk=world.desk).state == "denied"
    recorded = last(world, "plan-decided")["body"]["plan"]
    reap(desk=world.desk)

    assert standing(given.digest, desk=world.desk).state == "denied"  # nobody's page breaks over it
    with world.desk.ledger.read() as connection:
        left = approvals.get(connection, given.digest).plan
    assert (left.incident, left.cited) == (given.incident, given.cited)
    assert left.steps[0].action.target == given.steps[0].action.target
    assert recorded["incident"] == given.incident
    assert recorded["steps"][0]["action"]["target"] == given.steps[0].action.target.document()
    assert CANARY not in stored(world)


def test_the_newest_records_about_something_come_first_page_by_page(world):
    digest = leased(world, scale(5)).plan
    incident = plan(scale(5)).incident
    with world.desk.ledger.write() as transaction:
        for number in range(5):
            transaction.record("test", actor="a", plan=digest, body={"number": number})
            transaction.record("test", actor="a", plan="f" * 64, lease="lease-other")
    every = [record["seq"] for record in world.desk.ledger.documents(about=digest)]

    for about in (digest, digest[:12], incident):
        first = world.desk.ledger.latest(limit=4, about=about)
        rest = world.desk.ledger.latest(limit=100, before=first[-1]["seq"], about=about)
        assert [record["seq"] for record in (*first, *rest)] == every[::-1], about
    assert [record["body"] for record in world.desk.ledger.latest(limit=2, about=digest)] == [{"number": 4}, {"number": 3}]
    assert {record["lease"] for record in world.desk.ledger.latest(limit=9, about="lease-other")} == {"lease-other"}
    assert world.desk.ledger.latest(limit=9, about="nothing") == world.desk.ledger.latest(limit=9, about="\x00") == []
    assert len(world.desk.ledger.latest(limit=3)) == 3
