"""The whole way from objects to an answer: victims and causes, stale alerts, gaps, questions, further namespaces."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agent.domain.incident import Alert, Incident
from agent.domain.objects import Ref
from agent.ports import Gap
from agent.reasoning.evidence import collect
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import NOW, ago, app, asked, container, ended, event, lines, log, obj, observed, pod, replica_set
from tests.agent.builders import deployment as deployed
from tests.agent.checks.cases import CASES

REASONER = OfflineReasoner()


def alert(name, **labels):
    return Incident(id="inc-2", cluster="test", opened_at=NOW, alerts=(Alert(name=name, labels={"namespace": "shop", **labels}),))


def database_down(callers=3):
    """A database scaled to 0 and services that crash because of it."""
    off = deployed("db", replicas=0)
    objects, logs = [off, *[one for one in app("db") if one["kind"] == "Service"]], []
    objects.append(event(off, "ScalingReplicaSet", "Scaled down replica set db-1 from 1 to 0", kind="Normal", minutes=10))
    for name in ["orders", "payments", "stock"][:callers]:
        owner = deployed(name, replicas=1, ready=0, containers=[container(env=[{"name": "DB_HOST", "value": "db"}])])
        set_ = replica_set(owner, ready=0)
        one = pod(set_, ready=False, statuses=[ended(1)], minutes=9)
        objects += [owner, set_, one]
        logs.append(log(one, lines(*["FATAL dial tcp: cannot reach db:80: connection refused"] * 3)))
    return objects, logs


def test_one_cause_upstream_explains_three_loud_victims():
    objects, logs = database_down()

    diagnosis = REASONER.diagnose(asked("orders, payments and stock all crash"), observed(*objects, logs=logs))

    assert [one.finding.id for one in diagnosis.causes] == ["scaled-to-zero@Deployment/shop/db"]
    assert {one.name for one in diagnosis.victims if one.kind == "Deployment"} == {"orders", "payments", "stock"}
    assert any(found.startswith("crash-loop@") for found in diagnosis.causes[0].explains)


def test_an_alert_that_names_a_victim_leads_to_the_cause():
    objects, logs = database_down()

    diagnosis = REASONER.diagnose(alert("KubePodCrashLooping", deployment="payments"), observed(*objects, logs=logs))

    assert diagnosis.causes[0].finding.subject == Ref("Deployment", "shop", "db")


def test_a_stale_alert_on_a_healthy_cluster_is_no_fault():
    diagnosis = REASONER.diagnose(alert("KubeDeploymentReplicasMismatch", deployment="web"), observed(*app("web")))

    assert diagnosis.outcome == "healthy"
    assert diagnosis.statement.startswith("No active fault")
    assert diagnosis.causes == ()


def test_symptoms_without_a_cause_are_unknown_and_say_what_was_not_seen():
    owner = deployed("web", replicas=1, ready=0)
    set_ = replica_set(owner, ready=0)
    gap = Gap(what="Event objects in shop", why="no rights")

    diagnosis = REASONER.diagnose(
        asked("why does web crash?"), observed(owner, set_, pod(set_, ready=False, statuses=[ended(1)]), gaps=[gap])
    )

    assert diagnosis.outcome == "unknown"
    assert "no rights" in diagnosis.statement
    assert diagnosis.missing == ("Event objects in shop: no rights", "logs of Deployment shop/web: none were seen")
    assert diagnosis.victims == (Ref("Deployment", "shop", "web"),)


def test_a_fault_elsewhere_is_told_apart_from_what_was_asked():
    objects, logs = CASES["oom-killed"][1]()

    diagnosis = REASONER.diagnose(asked("is api healthy?"), observed(*objects, *app("api"), logs=logs))

    assert diagnosis.outcome == "healthy"
    assert "Not related to the question" in diagnosis.statement


def test_absence_is_not_concluded_from_what_could_not_be_read():
    objects, _ = CASES["storageclass-missing"][1]()
    classless = [one for one in objects if one["kind"] != "StorageClass"]
    gap = Gap(what="StorageClass objects", why="no rights")

    diagnosis = REASONER.diagnose(asked("namespace shop"), observed(*classless, gaps=[gap]))

    assert "storageclass-missing" not in [one.finding.cause for one in diagnosis.causes]


def test_namespaces_of_a_question_and_of_an_alert():
    known = ("shop", "data", "kube-system")
    assert REASONER.namespaces_of(asked("what is wrong in namespace data?"), known) == ("data",)
    assert REASONER.namespaces_of(asked("why is everything slow?"), known) == known
    assert REASONER.namespaces_of(alert("X"), known) == ("shop",)


def test_configuration_that_points_to_another_namespace_asks_for_it():
    owner = app("web", containers=[container(env=[{"name": "DB_URL", "value": "postgres://db.data.svc:5432/x"}])])
    spaces = [obj("Namespace", name, namespace="") for name in ("shop", "data")]

    diagnosis = REASONER.diagnose(asked("why does web fail?"), observed(*owner, *spaces))

    assert diagnosis.wants == ("ns:data",)


def test_names_in_a_question_are_matched_with_tolerance():
    objects, _ = CASES["oom-killed"][1]()
    for one in objects:
        one["metadata"]["name"] = one["metadata"]["name"].replace("web", "price-index")
    for one in objects[1:3]:
        owner = one["metadata"]["ownerReferences"][0]
        owner["name"] = owner["name"].replace("web", "price-index")

    for question in ("why does price-indx restart?", "the index of prices restarts", "PRICE-INDEX is down"):
        diagnosis = REASONER.diagnose(asked(question), observed(*objects, *app("other"), logs=[]))
        assert diagnosis.causes[0].finding.cause == "oom-killed", question


def test_evidence_is_numbered_hashed_and_masked_and_the_same_every_time():
    objects, _ = CASES["missing-env-var"][1]()
    secret = log(
        next(one for one in objects if one["kind"] == "Pod"),
        lines("FATAL environment variable PAYMENT_URL is not set, token=abc12345"),
    )

    diagnosis = REASONER.diagnose(asked("namespace shop"), observed(*objects, logs=[secret]))
    again, evidence = collect(diagnosis, [Gap(what="logs of x", why="gone")])

    assert [one.id for one in evidence] == [f"ev-{n}" for n in range(1, len(evidence) + 1)]
    assert again.causes[0].evidence
    assert all(len(one.sha256) == 64 for one in evidence)
    assert evidence[-1].missing == "gone"
    assert "abc12345" not in str((again, evidence))
    assert collect(diagnosis, [Gap(what="logs of x", why="gone")]) == (again, evidence)


def test_what_was_changed_before_it_began_and_by_whom_is_told():
    objects, logs = CASES["service-selector-mismatch"][1]()
    edited = next(one for one in objects if one["kind"] == "Service")
    spec = {"f:spec": {"f:selector": {}}}
    edited["metadata"]["managedFields"] = [{"manager": "kubectl-edit", "time": ago(12), "fieldsV1": spec}]

    (cause,) = REASONER.diagnose(asked("namespace shop"), observed(*objects, logs=logs)).causes

    assert any("spec.selector, by kubectl-edit" in one for one in cause.because)
    assert cause.change is not None
    assert (cause.change.about.kind, cause.change.what, cause.change.who) == ("Service", "edit of spec.selector", "kubectl-edit")


def test_a_cluster_that_may_not_be_read_is_not_called_healthy():
    seen = replace(observed(), gaps=(Gap(what="Pod objects in shop", why='403 pods is forbidden: User "nobody" cannot list'),))

    diagnosis = REASONER.diagnose(asked("is shop well?"), seen)

    assert diagnosis.outcome == "unknown"
    assert "Pod objects could not be read (403 pods is forbidden" in diagnosis.statement


def test_a_kind_that_health_does_not_rest_on_may_be_missing():
    seen = replace(observed(*app("web")), gaps=(Gap(what="Event objects in shop", why="403"),))

    diagnosis = REASONER.diagnose(asked("is shop well?"), seen)

    assert diagnosis.outcome == "healthy"
    assert diagnosis.missing == ("Event objects in shop: 403",)


def _alert(cluster, minutes=5, **more):
    return Alert(name="KubePodCrashLooping", labels={"namespace": "shop", "cluster": cluster, **more},
                 starts_at=NOW - timedelta(minutes=minutes))  # fmt: skip


@pytest.mark.parametrize(
    ("alerts", "says"),
    [
        ((_alert("eu"), _alert("us", 9), _alert("ap")), "KubePodCrashLooping fires in 3 clusters at once (ap, eu, us)"),
        ((_alert("eu"), _alert("eu", pod="x")), ""),
        ((_alert("eu"), _alert("us", 600)), ""),
    ],
)
def test_an_alert_of_many_clusters_says_that_what_all_of_them_share_comes_first(alerts, says):
    incident = Incident(id="i", cluster="eu", opened_at=NOW, alerts=alerts)
    found = OfflineReasoner().diagnose(incident, observed(*app("web")))
    assert found.statement.startswith(says)
    assert ("clusters at once" in found.statement) == bool(says)
