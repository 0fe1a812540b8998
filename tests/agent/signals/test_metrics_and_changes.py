"""Anomalous series are found with their onset, quiet ones are not; changes are dated and have a name behind them."""

import math
from datetime import timedelta

from agent.domain.objects import Series
from agent.signals.changes import changes
from agent.signals.metrics import anomalies, last_value
from tests.agent.builders import NOW, ago, app, deployment, obj, replica_set, topology


def series(name, values, **labels):
    start = (NOW - timedelta(seconds=30 * len(values))).timestamp()
    return Series(labels={"__name__": name, **labels}, samples=tuple((start + 30 * n, float(v)) for n, v in enumerate(values)))


def wave(size=60):
    return [10 + math.sin(n) for n in range(size)]


def test_the_series_that_shifts_is_named_with_its_onset():
    shifted = series("latency", [*wave(40), *[25 + math.sin(n) for n in range(20)]], app="web")

    (found,) = anomalies([series("quiet", wave()), shifted, series("flat", [3] * 60)])

    assert found.labels["app"] == "web"
    assert found.rises
    assert abs((found.onset - (NOW - timedelta(seconds=30 * 20))).total_seconds()) <= 120


def test_nothing_anomalous_is_an_answer():
    assert anomalies([series("quiet", wave()), series("flat", [3] * 60), series("short", [1, 9])]) == []


def test_counters_are_looked_at_as_rates():
    steady = series("requests_total", [n * 5 for n in range(60)])
    errors = series("errors_total", [*([0] * 40), *[n * 9 for n in range(20)]])

    assert [one.labels["__name__"] for one in anomalies([steady, errors])] == ["errors_total"]


def test_the_last_value_by_labels():
    found = [series("up", [1, 0], job="a"), series("up", [1, 1], job="b")]
    assert last_value(found, "up", job="b") == 1
    assert last_value(found, "up", job="c") is None


def test_an_edit_is_dated_and_has_a_name_and_controllers_are_left_out():
    fields = [
        {"manager": "kubectl-edit", "time": ago(7), "fieldsV1": {"f:data": {"f:url": {}}}},
        {"manager": "kube-controller-manager", "time": ago(3), "fieldsV1": {"f:data": {}}},
    ]
    config = obj("ConfigMap", "settings", metadata={"managedFields": fields}, data={"url": "x"})

    assert [(one.who, one.what, str(one.about)) for one in changes(topology(config))] == [
        ("kubectl-edit", "edit of data", "ConfigMap shop/settings")
    ]


def test_a_new_revision_is_a_change_of_its_image():
    owner = deployment("web")
    new, old = replica_set(owner, 2, minutes=9, image="r/app:2.0"), replica_set(owner, 1, minutes=99, image="r/app:1.0")

    assert [one.what for one in changes(topology(*app("api"), owner, new, old))] == ["revision 2: image 1.0 to 2.0"]
