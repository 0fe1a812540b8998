"""The explanation that is kept: why this cause, what it explains, what was ruled out and by what, what was looked at, and what
could not be seen."""

from datetime import timedelta

from agent.domain.incident import Alert, Incident
from agent.ports import Gap
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import (
    NOW,
    ago,
    app,
    asked,
    container,
    deployment,
    ended,
    event,
    lines,
    log,
    measured,
    node,
    observed,
    pod,
    replica_set,
)
from tests.agent.checks.cases import CASES
from tests.agent.checks.cases_metrics import served
from tests.agent.checks.logbooks import edited, failing_log, repeated

REASONER = OfflineReasoner()


def alert(name, *, minutes=5, **labels):
    starts = NOW - timedelta(minutes=minutes)
    return Incident(
        id="inc-2",
        cluster="test",
        opened_at=NOW,
        alerts=(Alert(name=name, labels={"namespace": "shop", **labels}, starts_at=starts),),
    )


def caller(name, *others, **rest):
    env = [{"name": f"{one.upper()}_URL", "value": f"http://{one}:80"} for one in others]
    return app(name, containers=[container(env=env)], **rest)


def crashing(name, *others, minutes=9, exit_code=1):
    env = [{"name": f"{one.upper()}_URL", "value": f"http://{one}:80"} for one in others]
    owner = deployment(name, replicas=1, ready=0, containers=[container(env=env)])
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[ended(exit_code)], minutes=minutes)
    return [owner, set_, one]


def test_victims_louder_than_the_cause_do_not_hide_it():
    objects, logs = CASES["secret-key-missing"][1]()
    for one in objects:
        if one["kind"] == "Deployment":
            quiet = one
    loud = [crashing(f"shout-{n}", "web") for n in range(8)]
    told = [log(each[-1], lines(*["FATAL cannot reach http://web:80: connection refused"] * 50)) for each in loud]
    web = [one for one in app("web") if one["kind"] == "Service"]

    diagnosis = REASONER.diagnose(
        asked("everything in namespace shop is down"),
        observed(*objects, *web, *[one for each in loud for one in each], logs=[*logs, *told]),
    )

    assert quiet["metadata"]["name"] == "web"
    assert [one.finding.cause for one in diagnosis.causes] == ["secret-key-missing"]
    assert sum(one.startswith("crash-loop@Deployment/shop/shout-") for one in diagnosis.causes[0].explains) == 8


def test_what_is_ruled_out_says_by_what_and_how_it_hangs_together():
    objects, logs = CASES["secret-key-missing"][1]()
    front = crashing("front", "web", minutes=5)
    web = [one for one in app("web") if one["kind"] == "Service"]

    diagnosis = REASONER.diagnose(asked("why does front crash?"), observed(*objects, *web, *front, logs=logs))

    by = {one.finding.id: one.by for one in diagnosis.ruled_out}
    assert by["crash-loop@Deployment/shop/front"].startswith("explained by secret-key-missing@Secret/shop/login (")
    assert "Deployment shop/front depends on Secret shop/login" in by["crash-loop@Deployment/shop/front"]


def test_the_search_ends_where_everything_that_is_needed_is_well():
    objects = [*caller("front", "store"), *app("store")]
    series = (*served("front", (40, 0.05, 0.0), (20, 2.0, 0.0)), *served("store", (60, 0.05, 0.0)))

    (cause,) = REASONER.diagnose(asked("why is front slow?"), observed(*objects), series).causes

    assert any(
        one.startswith("nothing that it depends on has a fault that was seen") and "Service shop/store" in one
        for one in cause.because
    )


def test_errors_of_a_caller_are_explained_by_those_of_what_it_calls():
    objects = [*caller("front", "store"), *app("store")]
    logs = [
        repeated(objects[2], "ERROR GET /cart failed: http://store:80 answered 500", minutes=3),
        repeated(
            next(one for one in objects if one["metadata"]["name"].startswith("store-") and one["kind"] == "Pod"),
            "ERROR index 7 is corrupt",
        ),
    ]

    diagnosis = REASONER.diagnose(asked("why does front fail?"), observed(*objects, logs=logs))

    assert [str(one.finding.subject) for one in diagnosis.causes] == ["Deployment shop/store"]
    assert "index 7 is corrupt" in diagnosis.statement


def test_what_was_so_for_days_did_not_begin_what_began_now():
    objects, _ = CASES["hpa-missing-request"][1]()
    scaler = objects[-1]
    scaler["status"]["conditions"][0]["lastTransitionTime"] = ago(60 * 24 * 3)
    broken = crashing("web2", minutes=6, exit_code=139)

    diagnosis = REASONER.diagnose(alert("KubePodCrashLooping", minutes=5), observed(*objects, *broken))

    assert [one.finding.cause for one in diagnosis.causes] == ["native-crash"]
    by = {one.finding.cause: one.by for one in diagnosis.ruled_out}
    assert by["hpa-missing-request"].startswith("it has been so since 2026-05-01")


def test_without_a_known_beginning_what_is_wrong_for_days_is_told():
    objects, _ = CASES["hpa-missing-request"][1]()
    objects[-1]["status"]["conditions"][0]["lastTransitionTime"] = ago(60 * 24 * 3)

    assert (
        REASONER.diagnose(asked("what is wrong in namespace shop?"), observed(*objects)).causes[0].finding.cause
        == "hpa-missing-request"
    )


def test_an_old_event_is_no_cause():
    objects = app("web")
    old = event(objects[2], "OOMKilling", "Memory cgroup out of memory", minutes=110)

    diagnosis = REASONER.diagnose(asked("is web healthy?"), observed(*objects, old))

    assert diagnosis.outcome == "healthy"
    assert diagnosis.causes == ()


def test_a_recovered_incident_is_told_as_over():
    owner = deployment("web", replicas=1)
    set_ = replica_set(owner)
    one = pod(set_, statuses=[ended(137, "OOMKilled", restarts=1, minutes=20, up=True)])

    diagnosis = REASONER.diagnose(asked("is web broken?"), observed(owner, set_, one))

    assert diagnosis.outcome == "healthy"
    assert {out.by.partition(":")[0] for out in diagnosis.ruled_out} == {"it is over"}


def test_retries_that_ended_well_are_no_incident():
    objects = [*caller("front", "store"), *app("store")]
    tries = ["WARN connect to store:80 failed: connection refused, retrying (attempt 1 of 9)"] * 6
    told = log(objects[2], lines(*tries, "INFO connected to store:80"))

    diagnosis = REASONER.diagnose(asked("is front healthy?"), observed(*objects, logs=[told]))

    assert diagnosis.outcome == "healthy"


def test_an_alert_that_names_the_wrong_object_leads_to_the_right_one():
    objects = [*caller("front", "store"), *app("store")]
    series = (
        *served("front", (42, 0.05, 0.0), (18, 0.05, 0.9), per_second=300),
        *served("store", (40, 0.05, 0.0), (20, 0.05, 0.3), per_second=2),
    )

    diagnosis = REASONER.diagnose(alert("HighErrorRate", deployment="front"), observed(*objects), series)

    assert [one.finding.subject.name for one in diagnosis.causes] == ["store"]


def test_similar_names_are_not_mixed_up():
    broken = crashing("store-api", minutes=6, exit_code=139)
    objects = [*caller("front", "store"), *app("store"), *app("store-api-v2"), *broken]

    diagnosis = REASONER.diagnose(asked("is store healthy?"), observed(*objects))
    of_it = REASONER.diagnose(asked("why does store-api crash?"), observed(*objects))

    assert diagnosis.outcome == "healthy"
    assert [one.finding.subject.name for one in of_it.causes] == ["store-api"]


def test_a_change_right_before_decides_between_equals():
    one, two = app("one", minutes=600), app("two", minutes=600)
    fields = [{"manager": "kubectl-edit", "operation": "Update", "time": ago(5), "fieldsV1": {"f:spec": {"f:template": {}}}}]
    two[0]["metadata"]["managedFields"] = fields

    diagnosis = REASONER.diagnose(
        asked("what is wrong in namespace shop?"), observed(*one, *two, logs=[failing_log(one[2]), failing_log(two[2])])
    )

    assert diagnosis.causes[0].finding.subject.name == "two"
    assert any("by kubectl-edit" in reason for reason in diagnosis.causes[0].because)
    assert any(out.by.startswith("less likely than application-error@Deployment/shop/two") for out in diagnosis.ruled_out)


def test_what_was_looked_at_and_is_well_is_kept():
    objects = app("web", minutes=600)
    quiet = tuple(
        measured("container_memory_working_set_bytes", [5e7] * 40, pod=objects[2]["metadata"]["name"]) for _ in range(1)
    )

    diagnosis = REASONER.diagnose(asked("why does web fail?"), observed(*objects, node(), logs=[failing_log(objects[2])]), quiet)

    told = " | ".join(diagnosis.looked_at)
    assert "nodes: the only one is ready" in told
    assert "changes: none by a person or a tool" in told
    assert "metrics: of 1 series of Deployment shop/web none behaves unlike before" in told
    assert "logs: 825 lines of 1 container in 1 pod were read" in told


def test_rights_that_are_missing_give_an_answer_with_the_gap():
    objects, logs = CASES["oom-killed"][1]()
    gaps = [
        Gap(what="Event objects in shop", why="403: events is forbidden"),
        Gap(what="metrics", why="Prometheus at http://prometheus does not answer: ConnectionError"),
        Gap(what="Node objects", why="403: nodes is forbidden"),
    ]

    diagnosis = REASONER.diagnose(asked("why does web restart?"), observed(*objects, logs=logs, gaps=gaps))

    assert diagnosis.causes[0].finding.cause == "oom-killed"
    assert len(diagnosis.missing) == 3
    sure = REASONER.diagnose(asked("why does web restart?"), observed(*objects, logs=logs))
    assert diagnosis.causes[0].confidence < sure.causes[0].confidence


def test_logs_that_are_gone_are_said_to_be_gone():
    owner = deployment("web", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[ended(1)], minutes=9)
    said = log(one, "unable to retrieve container logs for containerd://77aa", previous=True)

    diagnosis = REASONER.diagnose(asked("why does web crash?"), observed(owner, set_, one, logs=[said]))

    assert diagnosis.outcome == "unknown"
    assert "logs of Deployment shop/web: none were seen" in diagnosis.statement


def test_an_edit_that_nobody_suffers_from_is_no_fault():
    diagnosis = REASONER.diagnose(asked("is shop well?"), observed(*app("web"), edited("ConfigMap", "settings", minutes=3)))

    assert diagnosis.outcome == "healthy"


def test_a_pool_that_waits_for_a_full_database_is_not_the_cause():
    objects = [*caller("front", "store"), *app("store")]
    store = next(one for one in objects if one["kind"] == "Pod" and one["metadata"]["name"].startswith("store-"))
    logs = [
        repeated(objects[2], "ERROR pool timed out: remaining connection slots are reserved (host=store:80)", minutes=3),
        repeated(store, "FATAL: sorry, too many clients already", minutes=4),
    ]

    diagnosis = REASONER.diagnose(asked("why does front fail?"), observed(*objects, logs=logs))

    assert [str(one.finding.subject) for one in diagnosis.causes] == ["Deployment shop/store"]
