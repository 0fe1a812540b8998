"""Hosts outside that fail, credentials that are refused: whose fault it is, and what only looks like it."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks import candidates, load_library
from tests.agent.builders import active, ago, app, asked, container, obj, observed, topology
from tests.agent.checks.logbooks import edited, reading, repeated

REFUSED = 'ERROR connection to server at "db" (10.0.0.7), port 5432 failed: FATAL: password authentication failed for user "shop"'


def first(*objects, logs):
    seen = observed(*objects, logs=logs)
    reasoner = OfflineReasoner()
    cause = reasoner.diagnose(asked("what is wrong in shop?"), seen).causes[0]
    return cause.finding, candidates(cause, load_library(), reasoner.topology(seen))


@pytest.mark.parametrize(
    ("said", "host", "kind"),
    [
        ("ERROR GET https://mail.example.org/send: connection refused", "mail.example.org", "refused"),
        ("ERROR dial tcp: lookup rates.example.net on 10.96.0.10:53: no such host", "rates.example.net", "dns"),
        ("ERROR https://login.example.com:8443/token x509: certificate has expired", "login.example.com", "tls"),
        ("error: connect ETIMEDOUT s3.eu.example.com:443", "s3.eu.example.com", "timeout"),
    ],
)
def test_the_host_and_the_kind_of_failure_are_named(said, host, kind):
    objects = app("web", minutes=600)

    found = {one.cause: one for one in run(topology(*objects, logs=[repeated(objects[2], said)]))}

    assert found["external-dependency-failing"].params["host"] == host
    assert found["external-dependency-failing"].params["kind"] == kind
    assert host in found["external-dependency-failing"].statement


def test_callers_of_one_host_are_one_finding():
    one, two = app("web", minutes=600), app("api", minutes=600)
    said = "ERROR https://mail.example.org/send: connection refused"

    finding, _ = first(*one, *two, logs=[repeated(one[2], said), repeated(two[2], said)])

    assert {finding.subject.name, *(ref.name for ref in finding.affects)} == {"web", "api"}


def test_a_service_of_the_cluster_is_not_outside():
    objects = app("web", minutes=600)
    space = obj("Namespace", "data", namespace="")
    told = [repeated(objects[2], f"ERROR dial {host}:5432: connection refused") for host in ("db", "db.data", "db.data.svc")]

    assert "external-dependency-failing" not in active(run(topology(*objects, space, logs=told)))


def test_pods_that_hold_the_old_password_are_restarted():
    objects = app("web", minutes=600, containers=[reading("Secret", "login")])

    finding, remedies = first(*objects, edited("Secret", "login", minutes=9), logs=[repeated(objects[2], REFUSED)])

    assert finding.cause == "credentials-refused"
    assert finding.params["stale"] is True
    assert remedies[0].actions[0].kind == "restart_workload"


def test_a_new_password_that_was_read_and_is_refused_is_the_secret_s_fault():
    objects = app("web", minutes=600, containers=[reading("Secret", "login")])
    for one in objects[2:4]:
        one["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = ago(5)

    finding, remedies = first(*objects, edited("Secret", "login", minutes=9), logs=[repeated(objects[2], REFUSED)])

    assert str(finding.subject) == "Secret shop/login"
    assert all(one.human for one in remedies)


def test_a_secret_that_nobody_edited_is_not_blamed():
    objects = app("web", minutes=600, containers=[reading("Secret", "login")])

    finding, _ = first(*objects, obj("Secret", "login", data={"password": "x"}), logs=[repeated(objects[2], REFUSED)])

    assert str(finding.subject) == "Deployment shop/web"
    assert "user shop" in finding.statement


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("registry.example.com/web:1", "ERROR login of anna refused: invalid credentials"),
        ("registry.example.com/web:1", "INFO token has expired, renewed it from https://login.example.com/token"),
        ("docker.io/library/postgres:16", 'FATAL:  password authentication failed for user "shop"'),
    ],
    ids=["a person mistyped", "a token was renewed", "a database that refuses"],
)
def test_who_refuses_is_not_who_is_refused(image, said):
    objects = app("web", minutes=600, containers=[container(image=image)])

    assert "credentials-refused" not in active(run(topology(*objects, logs=[repeated(objects[2], said)])))
