"""What logs tell of trouble: what counts as trouble, what is only noise, and which change came right before it."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import active, app, asked, container, deployment, ended, log, obj, observed, pod, replica_set, topology
from tests.agent.checks.logbooks import edited, failing_log, reading, stamp


def found(*objects, logs):
    return {one.cause: one for one in run(topology(*objects, logs=logs)) if one.state == "active"}


def text(*lines):
    return "\n".join(lines)


def work(begin, end, *, per_minute=30):
    """Ordinary lines between so many and so many minutes ago."""
    count = int((begin - end) * per_minute)
    return [f"{stamp(begin - n / per_minute)} INFO request {n} served" for n in range(count)]


def test_the_statement_names_the_first_error_the_flood_and_when_it_began():
    objects = app("web", minutes=600)

    said = found(*objects, logs=[failing_log(objects[2])])["application-error"].statement

    assert "since 11:56:00Z" in said
    assert "price table is locked by migration 77" in said
    assert "lines like: <n> ERROR order <n> failed" in said


def test_the_statement_names_the_one_endpoint_that_fails():
    objects = app("web", minutes=600)
    well = [f"{stamp(20 - n / 30)} INFO GET {('/cart', '/search', '/export')[n % 3]} 200" for n in range(500)]
    bad = [f"{stamp(3 - n / 30)} ERROR GET /export failed: no rows" for n in range(60)]

    assert (
        "only for endpoint /export" in found(*objects, logs=[log(objects[2], text(*well, *bad))])["application-error"].statement
    )


@pytest.mark.parametrize(
    "lines",
    [
        [*work(20, 3), f"{stamp(3)} ERROR one request failed", *work(3, 0)],
        [line for n in range(20, 0, -1) for line in (f"{stamp(n)} ERROR telemetry was not sent", *work(n, n - 1))],
        [*work(90, 60), *[f"{stamp(60 - n / 60)} ERROR write {n} failed" for n in range(300)], *work(55, 0)],
        [*work(20, 1), *[f"{stamp(1 - n / 60)} WARN call failed, retrying" for n in range(30)]],
    ],
    ids=["a few errors", "noise that was always there", "trouble of an hour ago", "retries"],
)
def test_what_is_no_trouble(lines):
    objects = app("web", minutes=600)

    assert active(run(topology(*objects, logs=[log(objects[2], text(*lines))]))) == []


def test_of_a_workload_that_does_not_serve_one_line_is_enough():
    owner = deployment("web", replicas=1, ready=0, minutes=600)
    set_ = replica_set(owner, ready=0, minutes=600)
    one = pod(set_, ready=False, since=9, minutes=600)
    told = log(one, text(*work(20, 2), f"{stamp(2)} ERROR cannot parse rules.yaml line 7"))

    diagnosis = OfflineReasoner().diagnose(asked("why is web not ready?"), observed(owner, set_, one, logs=[told]))

    assert diagnosis.outcome == "fault"
    assert "rules.yaml line 7" in diagnosis.statement


def test_errors_that_began_with_a_release_are_the_release_s_and_can_be_rolled_back():
    owner = deployment("web", replicas=1, minutes=600)
    new, old = (
        replica_set(owner, 2, minutes=5),
        replica_set(owner, 1, ready=0, minutes=600, image="registry.example.com/app:0.9"),
    )
    one = pod(new, minutes=5)

    finding = found(owner, new, old, one, logs=[failing_log(one)])["bad-release"]

    assert finding.params["rollback_to"] == 1
    assert "from 0.9 to 1.0" in finding.statement


def test_an_edit_of_long_before_is_not_blamed():
    volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
    objects = app("web", minutes=600, pod={"volumes": volumes})

    told = found(*objects, edited("ConfigMap", "settings", minutes=90), logs=[failing_log(objects[2])])

    assert set(told) == {"application-error"}


@pytest.mark.parametrize(("kind", "begun"), [("ConfigMap", 4), ("Secret", 5)])
def test_pods_that_crash_since_they_read_an_edited_value_point_to_the_edit(kind, begun):
    owner = deployment("web", replicas=1, ready=0, minutes=600, containers=[reading(kind, "settings")])
    set_ = replica_set(owner, ready=0, minutes=600)
    one = pod(set_, ready=False, statuses=[ended(1)], minutes=begun)

    diagnosis = OfflineReasoner().diagnose(
        asked("why does web crash?"), observed(owner, set_, one, edited(kind, "settings", minutes=60, key="POOL"))
    )

    assert [str(cause.finding.subject) for cause in diagnosis.causes] == [f"{kind} shop/settings"]
    assert "(POOL) was edited by kubectl-edit" in diagnosis.statement


def test_an_edit_that_no_pod_has_read_yet_does_not_explain_an_older_crash():
    owner = deployment("web", replicas=1, ready=0, minutes=600, containers=[reading("ConfigMap", "settings")])
    set_ = replica_set(owner, ready=0, minutes=600)
    one = pod(set_, ready=False, statuses=[ended(1)], minutes=90)

    assert "errors-after-config-change" not in found(owner, set_, one, edited("ConfigMap", "settings", minutes=60), logs=[])


def test_what_a_finished_run_said_is_no_trouble_of_now():
    template = {"template": {"metadata": {"labels": {}}, "spec": {"containers": [container()]}}}
    job = obj("Job", "nightly", api="batch/v1", spec=template)
    one = pod(job, ready=False, phase="Succeeded", statuses=[ended(0, "Completed", restarts=0)])

    assert active(run(topology(job, one, logs=[failing_log(one)]))) == []


def test_trouble_that_ended_lately_is_told_as_over_with_its_time():
    objects = app("web", minutes=600)
    bad = [f"{stamp(30 - n / 60)} ERROR write {n} failed" for n in range(240)]
    told = log(objects[2], text(*work(60, 30), f"{stamp(30)} ERROR disk 3 is offline", *bad, *work(26, 0)))

    diagnosis = OfflineReasoner().diagnose(asked("is web healthy?"), observed(*objects, logs=[told]))

    assert diagnosis.outcome == "healthy"
    assert "logged errors from 11:30:00Z to 11:33:59Z" in diagnosis.statement
    assert "disk 3 is offline" in diagnosis.statement


def test_trouble_that_comes_back_every_quarter_of_an_hour_is_not_over_in_between():
    objects = app("web", minutes=600)
    lines = []
    for begin in (61, 46, 31, 16):
        lines += [*work(begin + 14, begin), *[f"{stamp(begin - n / 60)} ERROR batch {n} was refused" for n in range(60)]]
    told = log(objects[2], text(*lines, *work(15, 0)))

    assert "every 15 min" in found(*objects, logs=[told])["application-error"].statement


def test_errors_of_one_pod_of_several_name_it_and_its_node():
    owner = deployment("web", replicas=3, minutes=600)
    set_ = replica_set(owner, minutes=600)
    pods = [pod(set_, number=number, node=f"node-{number}") for number in range(3)]

    statement = found(owner, set_, *pods, logs=[failing_log(pods[1])])["application-error"].statement

    assert f"on 1 of 3 pods ({pods[1]['metadata']['name']}, all on Node node-1)" in statement
