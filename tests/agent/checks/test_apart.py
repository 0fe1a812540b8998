"""What is apart from all others, and what only looks so."""

import pytest

from agent.checks import run
from tests.agent.builders import active, app, lines, log, pod, topology
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
