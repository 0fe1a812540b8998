"""What is apart from all others, and what only looks so."""

import pytest

from agent.checks import run
from tests.agent.builders import active, ago, app, container, ended, lines, log, obj, pod, topology
from tests.agent.checks.cases import CASES


def causes(objects, logs=()):
    return active(run(topology(*objects, logs=logs)))


def test_two_workloads_that_resolve_nothing_are_not_each_apart():
    objects, logs = CASES["workload-lookups-failing"][1]()
    other = app("other")
    same = log(other[2], logs[0].text)
    assert "workload-lookups-failing" not in causes([*objects, *other], [*logs, same])


@pytest.mark.parametrize("hosts", [("api",), ("pay.example.com", "mail.example.org")], ids=["one-name", "outside-only"])
def test_one_name_or_names_outside_only_are_no_lack_of_dns(hosts):
    objects, _ = CASES["workload-lookups-failing"][1]()
    said = [f"ERROR dial tcp: lookup {host} on 10.96.0.10:53: server misbehaving" for host in hosts * 6]
    assert "workload-lookups-failing" not in causes(objects, [log(objects[2], lines(*said))])


@pytest.mark.parametrize(
    "said",
    [
        "x509: certificate has expired or is not yet valid: current time 2026-05-04T11:59:00Z is after 2026-05-01T00:00:00Z",
        "x509: certificate has expired or is not yet valid: current time 2026-05-04T11:59:30Z is before 2026-05-05T00:00:00Z",
        "x509: certificate has expired or is not yet valid: current time 2024-01-01T00:00:00Z is before 2027-01-01T00:00:00Z",
    ],
    ids=["expired", "not-yet", "not-yet-for-anybody"],
)
def test_a_certificate_that_nobody_takes_is_no_matter_of_the_clock(said):
    objects = app("web")
    assert "workload-clock-off" not in causes(objects, [log(objects[2], lines(*[f"ERROR {said}"] * 4))])


@pytest.mark.parametrize(
    "image", ["mirror.example.org/cache/app:1.0", "registry.example.com/app:1.1", "registry.example.com/app@sha256:1"]
)
def test_a_mirror_or_another_tag_is_the_same_program(image):
    objects = app("web")
    objects[2] = pod(objects[1], ready=False, since=4)
    objects[2]["spec"] = {**objects[2]["spec"], "containers": [{**objects[2]["spec"]["containers"][0], "image": image}]}
    assert "image-changed-in-place" not in causes(objects)


@pytest.mark.parametrize("writes", [(), (60,)], ids=["nobody-kept-who-wrote", "written-once"])
def test_an_image_that_was_put_in_from_the_start_was_changed_by_nobody(writes):
    objects = app("web", containers=[container(image="auto")])
    restarts = [ended(1)] if writes else None
    objects[2] = pod(objects[1], ready=False, since=4, statuses=restarts)
    objects[2]["metadata"]["managedFields"] = [
        {
            "manager": "controller",
            "time": ago(minutes),
            "fieldsV1": {"f:spec": {"f:containers": {'k:{"name":"app"}': {"f:image": {}}}}},
        }
        for minutes in writes
    ]
    objects[2]["spec"] = {**objects[2]["spec"], "containers": [container(image="example.org/proxyv2:1.22")]}
    assert "image-changed-in-place" not in causes(objects)


def test_a_pod_of_the_template_before_was_changed_by_nobody():
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container(image="example.org/postgresql:16")]}}
    owner = obj("StatefulSet", "db", api="apps/v1", spec={"replicas": 1, "template": template}, status={"updateRevision": "db-b"})
    one = pod(owner, ready=False, statuses=[ended(1)])
    one["metadata"]["labels"]["controller-revision-hash"] = "db-a"
    one["spec"] = {**one["spec"], "containers": [container(image="example.org/postgres:15")]}
    assert "image-changed-in-place" not in causes([owner, one])


def test_a_certificate_that_came_a_few_seconds_early_is_no_clock_that_is_off():
    objects = app("web")
    said = "ERROR x509: certificate is not yet valid: current time 2026-05-04T11:48:00Z is before 2026-05-04T11:48:05Z"
    assert "workload-clock-off" not in causes(objects, [log(objects[2], lines(said, minutes=12))])
