"""Where an alert goes: with what it belongs to, first by group, then by what it is about; what is not looked into says why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.domain.alerting import NEW, OVERFLOW, ChangeReach, KnownAlert, OpenRun
from agent.domain.finding import Changed, Diagnosis, Finding, RankedCause
from agent.domain.incident import Alert
from agent.domain.objects import Ref
from agent.stages.place import IntakeBounds, folded, place
from agent.stages.relate import neighbourhood, reach, relation

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def alert(fingerprint: str = "f1", name: str = "Down", resolved: bool = False, **labels: str) -> Alert:
    return Alert(name=name, labels={"severity": "warning", **labels}, fingerprint=fingerprint, starts_at=NOW, resolved=resolved)


def run(identity: str = "run-1", group: str = "g0", minutes: int = 0, running: bool = False, **labels: str) -> OpenRun:
    return OpenRun(
        id=identity,
        is_running=running,
        priority=1,
        group_key=group,
        place=neighbourhood(labels),
        last_alert_at=NOW - timedelta(minutes=minutes),
    )


def known(fingerprint: str = "f1", **changes: object) -> dict[str, KnownAlert]:
    row = {
        "fingerprint": fingerprint,
        "name": "Down",
        "severity": "warning",
        "group_key": "g",
        "state": "firing",
        "starts_at": NOW,
        "first_seen": NOW,
        "last_seen": NOW,
        "times": 1,
        "done": "opened",
        "why": "nothing open is about it",
        "run": "run-1",
        "run_state": "queued",
        **changes,
    }
    return {fingerprint: KnownAlert(**row)}


def placed(*alerts: Alert, rows=None, runs=(), silenced=frozenset(), group="g", **bounds: object):
    return place(alerts, rows or {}, runs, NOW, group_key=group, silenced=silenced, bounds=IntakeBounds(**bounds))


def told(*alerts: Alert, **more):
    return [(one.done, one.run) for one in placed(*alerts, **more)]


def test_alerts_of_one_notification_open_one_run():
    assert told(alert("a", namespace="x"), alert("b", namespace="y")) == [("opened", NEW), ("opened", NEW)]


def test_an_alert_that_is_in_an_open_run_stays_there_whatever_else_is_open():
    assert told(alert(namespace="shop"), rows=known(), runs=[run("run-2", namespace="shop"), run("run-1")]) == [
        ("opened", "run-1")
    ]


def test_the_open_run_of_its_group_takes_it():
    assert told(alert(), runs=[run("run-7", group="g")]) == [("joined", "run-7")]


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        (
            {"namespace": "shop", "deployment": "cart"},
            {"namespace": "shop", "pod": "cart-7d4b9c6f5d-x2kqz"},
            "same workload shop/cart",
        ),
        ({"namespace": "shop", "statefulset": "db"}, {"namespace": "shop", "pod": "db-0"}, "same workload shop/db"),
        ({"namespace": "shop", "pod": "agent-x2kqz"}, {"namespace": "shop", "daemonset": "agent"}, "same workload shop/agent"),
        ({"namespace": "shop", "job_name": "mail-29012345"}, {"namespace": "shop", "cronjob": "mail"}, "same workload shop/mail"),
        ({"namespace": "shop", "service": "cart"}, {"namespace": "shop", "deployment": "cart"}, "same workload shop/cart"),
        ({"node": "n1"}, {"namespace": "shop", "pod": "db-0", "node": "n1"}, "in the neighbourhood of node n1"),
        ({"namespace": "shop"}, {"namespace": "shop", "pod": "db-0"}, "in the neighbourhood of namespace shop"),
        ({"namespace": "shop", "pod": "db-0", "node": "n1"}, {"namespace": "shop", "pod": "web-0", "node": "n1"}, ""),
        ({"namespace": "shop", "deployment": "cart"}, {"namespace": "bank", "deployment": "cart"}, ""),
        ({"alertname": "Down"}, {"alertname": "Down"}, ""),
        # Who measured is not what was measured.
        (
            {"namespace": "shop", "deployment": "cart", "service": "kube-state-metrics", "job": "kube-state-metrics"},
            {"namespace": "shop", "deployment": "web", "service": "kube-state-metrics", "job": "kube-state-metrics"},
            "",
        ),
        (
            {"namespace": "monitoring", "job": "node-exporter", "instance": "10.0.0.1:9100"},
            {"namespace": "monitoring", "job": "node-exporter", "instance": "10.0.0.2:9100"},
            "",
        ),
    ],
)
def test_what_alerts_have_to_do_with_one_another(one, other, says):
    assert relation(neighbourhood(one), neighbourhood(other)) == says
    assert relation(neighbourhood(other), neighbourhood(one)) == says


def test_an_alert_about_the_same_workload_joins_and_says_why():
    (found,) = placed(alert(namespace="shop", pod="cart-7d4b9c6f5d-x2kqz"), runs=[run(namespace="shop", deployment="cart")])

    assert (found.done, found.run, found.why) == ("joined", "run-1", "same workload shop/cart")


def test_what_was_touched_too_long_ago_is_not_joined():
    runs = [run(namespace="shop", deployment="cart", minutes=11)]

    assert told(alert(namespace="shop", deployment="cart"), runs=runs) == [("opened", NEW)]


@pytest.mark.parametrize(
    ("given", "done"),
    [
        (alert(name="Watchdog"), "ignored"),
        (alert(name="InfoInhibitor"), "ignored"),
        (alert(severity="info"), "ignored"),
        (alert(severity="none"), "ignored"),
        (alert("s1"), "silenced"),
        (alert("r1", resolved=True), "unopened"),
    ],
)
def test_what_is_never_looked_into_is_kept_with_the_reason(given, done):
    (found,) = placed(given, silenced=frozenset({"s1"}))

    assert (found.done, found.run) == (done, "")
    assert found.why


def test_an_alert_that_goes_on_firing_after_its_run_ended_is_not_looked_into_again_at_once():
    ended = {"run_state": "finished", "run_outcome": "human-needed", "run_updated_at": NOW - timedelta(minutes=59)}
    later = {**ended, "run_updated_at": NOW - timedelta(minutes=61)}

    assert told(alert(), rows=known(**ended)) == [("settled", "run-1")]
    assert told(alert(), rows=known(**later)) == [("opened", NEW)]


@pytest.mark.parametrize(
    "changes",
    [{"run_outcome": "failed"}, {"state": "resolved"}, {"starts_at": NOW - timedelta(hours=1)}, {"run_outcome": "resolved"}],
)
def test_what_fires_anew_or_was_never_settled_opens_another(changes):
    ended = {"run_state": "finished", "run_outcome": "repaired", "run_updated_at": NOW}

    assert told(alert(), rows=known(**{**ended, **changes})) == [("opened", NEW)]


def test_what_is_more_than_may_wait_goes_to_one_run_and_critical_alerts_have_a_fifth_more_room():
    waiting = [run(f"run-{number}", namespace=f"n{number}") for number in range(5)]
    critical = alert(namespace="z", severity="critical")

    assert told(alert(namespace="z"), runs=waiting, queued=5) == [("overflow", OVERFLOW)]
    assert told(critical, runs=waiting, queued=5) == [("opened", NEW)]
    assert told(critical, runs=[*waiting, run("run-6", namespace="n6")], queued=5) == [("overflow", OVERFLOW)]
    taking = [*waiting, run("run-o", group=OVERFLOW)]
    assert told(alert(namespace="z"), runs=taking, queued=5) == [("overflow", "run-o")]


def test_the_same_alert_of_another_pod_is_not_looked_into_again_once_its_workload_was():
    place_ = {"namespace": "shop", "deployment": "cart"}
    ended = replace(run(**place_), outcome="human-needed", names=frozenset({"Down"}))
    pod = {"namespace": "shop", "pod": "cart-7d4b9c6f5d-x2kqz"}

    assert told(alert("f9", **pod), runs=[ended]) == [("settled", "run-1")]
    assert told(alert("f9", name="Slow", **pod), runs=[ended]) == [("opened", NEW)]
    assert told(alert("f9", **pod), runs=[replace(ended, outcome="failed")]) == [("opened", NEW)]
    assert told(alert("f9", namespace="shop", pod="web-0"), runs=[ended]) == [("opened", NEW)]


def test_runs_that_are_worked_on_do_not_wait():
    working = [run(f"run-{number}", namespace=f"n{number}", running=True) for number in range(5)]

    assert told(alert(namespace="z"), runs=working, queued=5) == [("opened", NEW)]


def test_a_resolved_alert_goes_to_its_run_even_when_that_has_ended():
    ended = known(run_state="finished", run_outcome="repaired", run_updated_at=NOW)

    assert told(alert(resolved=True), rows=known()) == [("opened", "run-1")]
    assert told(alert(resolved=True), rows=ended) == [("opened", "run-1")]


# The same change ----------------------------------------------------------------------------------------------------------


def changed(minutes: float = 20) -> Changed:
    about = Ref("ConfigMap", "shop", "db")
    return Changed(about=about, at=NOW - timedelta(minutes=minutes), what="edit of data", who="kubectl-edit")


def of_a_change(*affects: Ref, confidence: float = 0.8, change: Changed | None = None, **more: object) -> Diagnosis:
    """The database is down since its configuration was edited."""
    finding = Finding(
        cause="bad-config", subject=Ref("StatefulSet", "shop", "db"), statement="db does not start", affects=affects
    )
    cause = RankedCause(finding=finding, confidence=confidence, change=change, explains=("no-endpoints@Service/bank/ledger",))
    return Diagnosis(**{"outcome": "fault", "statement": "db does not start", "causes": (cause,), **more})


def after_a_change(**changes: object) -> OpenRun:
    """A run about shop/db, untouched for long, that has found the change."""
    found = reach(of_a_change(Ref("Deployment", "web", "front"), Ref("Node", "", "n7"), change=changed(**changes)))
    return replace(run(minutes=60, namespace="shop", statefulset="db"), change=found)


@pytest.mark.parametrize(
    "labels",
    [
        {"namespace": "web", "pod": "front-7d4b9c6f5d-x2kqz"},
        {"namespace": "bank", "service": "ledger"},
        {"node": "n7"},
        {"namespace": "shop", "statefulset": "db"},
    ],
)
def test_what_one_change_explains_is_one_incident_and_the_change_is_told(labels):
    (found,) = placed(alert(**labels), runs=[after_a_change()])

    assert (found.done, found.run) == ("joined", "run-1")
    assert found.why.startswith("same change as ")
    assert found.why.endswith("ConfigMap shop/db, edit of data, by kubectl-edit, 2026-03-02 08:40:00Z")


@pytest.mark.parametrize(
    ("labels", "minutes"),
    [
        ({"namespace": "web", "deployment": "other"}, 20),  # the change does not explain it
        ({"namespace": "web"}, 20),  # about more than what it explains
        ({"namespace": "web", "deployment": "front"}, -5),  # it fired before the change
        ({"namespace": "web", "deployment": "front"}, 121),  # it fired long after
    ],
)
def test_what_a_change_does_not_explain_is_an_incident_of_its_own(labels, minutes):
    assert told(alert(**labels), runs=[after_a_change(minutes=minutes)]) == [("opened", NEW)]


def test_a_run_that_waits_goes_to_the_one_that_has_found_the_change_behind_all_of_it():
    front, ledger = alert(namespace="web", deployment="front"), alert(namespace="bank", service="ledger")

    assert [(one.run, one.done) for one in folded([front, ledger], [after_a_change()], NOW)] == [("run-1", "joined")] * 2
    assert folded([front, alert(namespace="web", deployment="other")], [after_a_change()], NOW) == []
    assert folded([front], [replace(after_a_change(), outcome="repaired")], NOW) == []


def test_a_change_of_a_run_that_has_ended_joins_nothing():
    ended = replace(after_a_change(), outcome="repaired")

    assert told(alert(namespace="web", deployment="front"), runs=[ended]) == [("opened", NEW)]


@pytest.mark.parametrize(
    "found",
    [
        of_a_change(Ref("Deployment", "web", "front")),
        of_a_change(Ref("Deployment", "web", "front"), change=changed(), confidence=0.4),
        of_a_change(Ref("Deployment", "web", "front"), change=changed(), outcome="unknown"),
        Diagnosis(outcome="healthy", statement="all is well"),
    ],
)
def test_without_a_likely_cause_and_a_change_before_it_nothing_is_taken_for_its_doing(found):
    assert reach(found) is None


def test_one_change_explains_a_bounded_number_of_objects():
    many = (Ref("Deployment", "web", f"front-{number}") for number in range(5000))
    found = reach(of_a_change(*many, change=changed()))

    assert isinstance(found, ChangeReach)
    assert len(found.about) <= 200
