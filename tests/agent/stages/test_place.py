"""Where an alert goes: with what it belongs to, first by group, then by what it is about; what is not looked into says why."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.domain.alerting import NEW, OVERFLOW, KnownAlert, OpenRun
from agent.domain.incident import Alert
from agent.stages.place import IntakeBounds, place
from agent.stages.relate import neighbourhood, relation

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
