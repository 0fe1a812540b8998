"""Logs and series that were made to break the reading of them: an answer comes and nothing is raised. A pattern that explodes
would take hours, and meet the time limit of every test."""

import math

import pytest

from agent.domain.objects import Series
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import NOW, app, asked, log, measured, observed

TEXTS = {
    "one endless line": "ERROR " + "a" * 400_000,
    "nothing but line ends": "\n" * 30_000,
    "nulls and escapes": "\x00\x1b[31mERROR\x1b[0m \u202e failed\r\n" * 500,
    "paths of slashes": ("ERROR open " + "/" * 1900 + " permission denied\n") * 60,
    "open, again and again": ("open " * 380 + "/x" * 40 + " permission denied\n") * 60,
    "words that begin like hosts": ("ERROR dial tcp " + "a-" * 480 + ": connection refused\n") * 60,
    "times out of range": "9999-99-99T99:99:99Z ERROR failed\n0000-00-00T00:00:00+99:99 ERROR failed\n" * 500,
    "times of all centuries": "".join(f"{year:04d}-01-01T00:00:00Z ERROR write {year} failed\n" for year in range(1, 9999, 7)),
    "pairs without end": ("level=error " + "k=v " * 480 + "\n") * 60,
    "hex that is no number": ("ERROR " + "0" + "abcdef" * 300 + "g failed\n") * 60,
    "retries that never end": "connection refused, retrying " * 8_000,
}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_log_of_any_shape_gets_an_answer(name):
    objects = app("web", minutes=600)

    diagnosis = OfflineReasoner().diagnose(asked("why does web fail?"), observed(*objects, logs=[log(objects[2], TEXTS[name])]))

    assert diagnosis.outcome in ("fault", "healthy", "unknown")
    assert len(diagnosis.statement) < 5000


@pytest.mark.parametrize(
    "samples",
    [
        (),
        ((1e300, 1.0),) * 20,
        ((-5.0, 1.0),) * 20,
        tuple((NOW.timestamp(), float(n)) for n in range(40)),
        tuple((NOW.timestamp() - 30 * n, float(n)) for n in range(40)),
        tuple((NOW.timestamp() + 30 * n, math.inf if n % 2 else math.nan) for n in range(40)),
        tuple((NOW.timestamp() - 1200 + 30 * n, 1e308 * (-1) ** n) for n in range(40)),
    ],
    ids=["none", "far future", "before time", "one moment", "backwards", "no numbers", "too large"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_series_of_any_shape_get_an_answer(samples):
    names = (
        "http_request_duration_seconds_sum", "http_request_duration_seconds_count", "http_requests_total",
        "container_cpu_cfs_throttled_periods_total", "container_cpu_cfs_periods_total", "container_memory_working_set_bytes",
        "container_oom_events_total", "node_nf_conntrack_entries", "node_nf_conntrack_entries_limit", "jobs_queue_depth",
        "kubelet_volume_stats_available_bytes", "process_open_fds", "process_max_fds", "container_cpu_usage_seconds_total",
    )  # fmt: skip
    labels = {"namespace": "shop", "pod": "web-00001abcde-axyz0", "container": "app", "node": "node-1", "code": "500"}
    series = tuple(Series(labels={"__name__": name, **labels}, samples=samples) for name in names)
    limit = measured("kube_pod_container_resource_limits", [1.0], resource="memory", **labels)

    diagnosis = OfflineReasoner().diagnose(asked("is web slow?"), observed(*app("web")), (*series, limit))

    assert diagnosis.outcome in ("fault", "healthy", "unknown")
