"""What a log says: errors, templates, times, and which connection failed how."""

import time

import pytest

from agent.signals.logs import connection_troubles, error_lines, first_error, flood, is_error, last_words, template, time_of


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


def test_a_flood_is_counted_by_template_and_the_first_error_found_before_it():
    text = "\n".join(
        ["INFO start", "ERROR disk read failed at block 17", *[f"ERROR request {n} failed after {n} ms" for n in range(50)]]
    )

    assert first_error(text).text == "ERROR disk read failed at block 17"
    assert flood(text)[0][:2] == ("ERROR request <n> failed after <n> ms", 50)
    assert last_words(text).text.startswith("ERROR request 49")


def test_equal_events_have_equal_templates():
    one = "2026-05-04T12:00:00Z ERROR user 4be0643f-1d98-573b-97cd-ca98a65347dd from 10.1.1.1:4321 failed 3 times"
    two = "2026-05-04T13:10:09Z ERROR user 1d98643f-4be0-573b-97cd-ca98a65347aa from 10.1.9.1:9999 failed 7 times"

    assert template(one) == template(two)


@pytest.mark.parametrize(
    "text", ["2026-05-04T12:00:00.123Z x", "2026-05-04 12:00:00,123 INFO x", "2026/05/04 12:00:00 [error] x"]
)
def test_times_of_many_forms(text):
    assert time_of(text).isoformat()[:19] == "2026-05-04T12:00:00"


def test_a_hundred_thousand_lines_are_read_in_a_moment():
    text = "\n".join(f"2026-05-04T12:00:00Z INFO request {n} took {n % 50} ms" for n in range(100_000)) + "\nFATAL needle failed"

    started = time.perf_counter()
    found = error_lines(text)

    assert found == ["FATAL needle failed"]
    assert time.perf_counter() - started < 3
