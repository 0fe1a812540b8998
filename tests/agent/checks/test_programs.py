"""Words that the field shares: who says them in earnest, and who in passing."""

import pytest

from agent.checks import run
from tests.agent.builders import active, app, container, deployment, pod, replica_set, topology
from tests.agent.checks.logbooks import edited, reading, repeated


def found(*objects, logs):
    return {one.cause: one for one in run(topology(*objects, logs=logs)) if one.state == "active" and not one.symptom_only}


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("java.lang.OutOfMemoryError: unable to create new native thread", "process-limit-reached"),
        ("RuntimeError: can't start new thread", "process-limit-reached"),
        ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", "heap-exhausted"),
        ("MemoryError", "heap-exhausted"),
        ("Error: EMFILE: too many open files, open '/tmp/x'", "too-many-open-files"),
        ("ERROR 1054 (42S22): Unknown column 'orders.coupon' in 'field list'", "database-schema-mismatch"),
        ("sqlite3.OperationalError: no such table: sessions", "database-schema-mismatch"),
        ("ERROR 1205 (HY000): Lock wait timeout exceeded; try restarting transaction", "database-locks"),
        ("error: https://hooks.example.com/x ThrottlingException: Rate exceeded", "rate-limited-by-peer"),
        ("Error: EACCES: permission denied, mkdir '/var/lib/app/cache'", "file-permission-denied"),
        ('nginx: [emerg] unknown directive "proxy_pas" in /etc/nginx/nginx.conf:3', "configuration-invalid"),
    ],
)
def test_many_wordings_have_one_name(line, cause):
    objects = app("web", minutes=600)

    assert cause in found(*objects, logs=[repeated(objects[2], line)])


@pytest.mark.parametrize(
    "line",
    [
        "INFO retried after 429 Too Many Requests",
        'level=info msg="deadlock detected, transaction was run again"',
        "DEBUG open /data/optional.yaml: permission denied, using defaults",
        '{"level":"info","msg":"no such table: legacy, skipped"}',
    ],
)
def test_what_is_said_in_passing_is_no_fault(line):
    objects = app("web", minutes=600)

    assert active(run(topology(*objects, logs=[repeated(objects[2], line)]))) == []


def test_a_database_that_tells_of_its_clients_statements_is_not_to_blame():
    objects = app("db", minutes=600, containers=[container(image="postgres:16.4")])

    assert "database-schema-mismatch" not in found(*objects, logs=[repeated(objects[2], 'ERROR: relation "x" does not exist')])


def test_a_schema_that_a_release_expects_can_be_rolled_back():
    owner = deployment("web", replicas=1, minutes=600)
    new = replica_set(owner, 2, minutes=5)
    old = replica_set(owner, 1, ready=0, minutes=600, image="registry.example.com/app:0.9")
    one = pod(new, minutes=5)

    finding = found(owner, new, old, one, logs=[repeated(one, 'ERROR: column "discount" does not exist')])[
        "database-schema-mismatch"
    ]

    assert finding.params["rollback_to"] == 1


def test_the_volume_that_a_path_lies_on_is_named():
    mount = container(volumeMounts=[{"name": "index", "mountPath": "/data"}])
    objects = app("web", minutes=600, containers=[mount], pod={"securityContext": {"runAsUser": 1000}})

    finding = found(*objects, logs=[repeated(objects[2], "ERROR open /data/lock: permission denied")])["file-permission-denied"]

    assert finding.params["volume"] == "index"
    assert any("runAsUser: 1000" in quote.text for quote in finding.quotes)


def test_a_configuration_that_was_edited_lately_is_to_blame():
    objects = app("web", minutes=600, containers=[reading("ConfigMap", "settings")])

    finding = found(
        *objects, edited("ConfigMap", "settings", minutes=20), logs=[repeated(objects[2], "ERROR invalid configuration: pool")]
    )["configuration-invalid"]

    assert str(finding.subject) == "ConfigMap shop/settings"
    assert "was edited by kubectl-edit" in finding.statement
