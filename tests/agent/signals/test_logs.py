"""What log lines say: errors and retries, times, and which connection failed how."""

import pytest

from agent.signals.connections import connection_troubles
from agent.signals.logs import error_lines, first_error, is_error, is_retry, last_words, time_of


@pytest.mark.parametrize(
    ("line", "host", "port", "kind"),
    [
        ("ERROR dial tcp: lookup stores on 10.96.0.10:53: no such host", "stores", 0, "dns"),
        ('level=error err="Get \\"http://api.shop.svc.cluster.local:80/x\\": dial tcp 10.1.1.1:80: connect: connection refused"',
         "api.shop.svc.cluster.local", 80, "refused"),
        ("ERROR cannot connect to db addr=db.shop:5433 error=dial tcp 10.96.1.1:5433: i/o timeout", "db.shop", 5433, "timeout"),
        ('FATAL connection to server at "pg-main" (10.1.1.1), port 5432 failed: Connection refused', "pg-main", 5432, "refused"),
        ("Error: connect ECONNREFUSED redis:6379", "redis", 6379, "refused"),
        ("error x509: certificate has expired while calling https://auth:8443/token", "auth", 8443, "tls"),
        ("error: postgres://shop:hunter2@db:5432/x: password authentication failed", "db", 5432, "auth"),
    ],
)  # fmt: skip
def test_a_failed_connection_names_its_target_and_kind(line, host, port, kind):
    (found,) = connection_troubles("\n".join([line] * 3))

    assert (found.host, found.port, found.kind, found.count) == (host, port, kind, 3)


def test_lines_of_an_info_level_are_no_errors():
    assert not is_error('ts=2026-05-04T12:00:00Z level=info msg="retried failed request, all good"')
    assert is_error('{"level":"error","msg":"boom"}')


def test_the_level_that_a_line_gives_itself_counts_before_its_words():
    assert is_error("E0504 12:00:00.1 controller.go:99] sync went wrong")
    assert is_error('{"level":50,"msg":"request failed"}')
    assert not is_error('{"level":30,"msg":"request failed before, now ok"}')
    assert not is_error("I0504 12:00:00.1 controller.go:99] error budget is fine")


def test_one_try_of_several_is_a_retry_until_the_writer_gives_up():
    assert is_retry("WARN connect to db:5432 failed, retrying in 2s (attempt 2/5)")
    assert not is_retry("ERROR connect to db:5432 failed, giving up after 5 attempts")
    assert not is_retry("ERROR connect to db:5432 failed")


def test_the_first_and_the_last_error():
    text = "\n".join(["INFO start", "ERROR disk read failed at block 17", *[f"ERROR request {n} failed" for n in range(50)]])

    assert first_error(text).text == "ERROR disk read failed at block 17"
    assert last_words(text).text.startswith("ERROR request 49")


def test_a_connection_that_stands_again_is_no_trouble():
    tries = ["WARN cannot connect to db:5432: connection refused, retrying"] * 4

    assert len(connection_troubles("\n".join(tries))) == 1
    assert connection_troubles("\n".join([*tries, "INFO connected to db:5432"])) == []
    assert len(connection_troubles("\n".join(["INFO connected to db:5432", *tries]))) == 1
    assert len(connection_troubles("\n".join([*tries, "INFO connected to cache:6379"]))) == 1


def test_a_failed_connection_is_found_in_the_midst_of_a_flood():
    flood = [f"ERROR order {n} could not be stored" for n in range(3000)]
    text = "\n".join([*flood, *["ERROR dial tcp: lookup ledger.bank.svc: no such host"] * 3, *flood])

    (found,) = connection_troubles(text)

    assert (found.host, found.kind, found.count) == ("ledger.bank.svc", "dns", 3)


@pytest.mark.parametrize(
    "text", ["2026-05-04T12:00:00.123Z x", "2026-05-04 12:00:00,123 INFO x", "2026/05/04 12:00:00 [error] x"]
)
def test_times_of_many_forms(text):
    assert time_of(text).isoformat()[:19] == "2026-05-04T12:00:00"


def test_one_error_in_a_hundred_thousand_lines():
    text = "\n".join(f"2026-05-04T12:00:00Z INFO request {n} took {n % 50} ms" for n in range(100_000)) + "\nFATAL needle failed"

    assert error_lines(text) == ["FATAL needle failed"]


@pytest.mark.parametrize(
    "line",
    [
        '{"msg":"done","error":null}',
        "reconciled err=<nil> took=3ms",
        "batch finished, 0 errors, 120 rows",
        "processed=100 failed=0 errors=0",
        'time=12:00 msg="sync done" error=""',
        "completed without errors",
    ],
)
def test_a_field_or_a_count_that_says_there_was_none_is_no_error(line):
    assert not is_error(line)


def test_a_field_that_says_there_was_one_is_an_error():
    assert is_error("processed=100 failed=10 error=denied")
