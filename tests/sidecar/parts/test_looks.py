"""Looks ahead: several questions at once, each of them once, and a failure to whoever asks."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.errors import ClusterUnavailable
from sidecar.execution import Looks, Recent
from sidecar.ports import ApiAnswer, ApiCall
from tests.fakes.sidecar_cluster import FakeCluster

CALLS = [ApiCall(method="GET", path=f"/api/v1/namespaces/{name}") for name in ("a", "b", "c", "d")]


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    for name in "abcd":
        made.put("namespaces", {"metadata": {"name": name}})
    return made


def asked(cluster: FakeCluster) -> list[str]:
    return sorted(request.path for request in cluster.requests)


def test_they_are_all_under_way_at_once(cluster: FakeCluster) -> None:
    together = threading.Barrier(len(CALLS), timeout=10)

    def wait(call: ApiCall, identity: str) -> None:
        together.wait()  # breaks, and the look with it, unless all four are here

    cluster.before = wait
    looks = Looks(cluster)

    looks.ahead(CALLS)

    assert [looks.send(call).status for call in CALLS] == [200] * 4
    assert asked(cluster) == [call.path for call in CALLS]
    assert looks.waited > 0


def test_what_is_at_hand_is_not_asked_for_again(cluster: FakeCluster) -> None:
    recent = Recent()
    Looks(cluster, recent=recent).ahead(CALLS[:2])
    looks = Looks(cluster, recent=recent, reuse=True)
    looks.send(CALLS[2])
    cluster.requests.clear()

    looks.ahead([*CALLS, *CALLS])
    [looks.send(call) for call in CALLS]

    assert asked(cluster) == [CALLS[3].path]
    assert looks.reused


def test_the_time_is_that_of_the_latest_answer_whoever_asked_for_it(cluster: FakeCluster) -> None:
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    seconds = iter((0, 5, 3))

    def date(call: ApiCall, identity: str) -> ApiAnswer:
        return ApiAnswer(status=200, body={}, date=noon + timedelta(seconds=next(seconds)))

    cluster.before = date
    clock = [10.0]
    recent = Recent(now=lambda: clock[0])
    first = Looks(cluster, recent=recent)
    assert first.by_now is None
    for call in CALLS[:2]:
        first.send(call)
    clock[0] += 1.5
    later = Looks(cluster, recent=recent, reuse=True)

    later.ahead(CALLS[:2])
    later.send(CALLS[2])

    assert first.by_now == noon + timedelta(seconds=5)
    assert later.by_now == noon + timedelta(seconds=6.5)


def test_a_failure_is_everybodys_who_asks_and_not_tried_again(cluster: FakeCluster) -> None:
    sent = []

    def fail(call: ApiCall, identity: str) -> ApiAnswer | None:
        sent.append(call.path)
        if call.path.endswith("b"):
            raise ClusterUnavailable("no answer")
        return None

    cluster.before = fail
    looks = Looks(cluster)

    looks.ahead(CALLS)

    for _ in range(2):
        with pytest.raises(ClusterUnavailable):
            looks.send(CALLS[1])
    assert looks.send(CALLS[0]).status == 200
    assert sorted(sent) == [call.path for call in CALLS]


def test_a_question_is_sent_once_however_often_it_is_asked(cluster: FakeCluster) -> None:
    looks = Looks(cluster)

    assert looks.send(CALLS[0]) is looks.send(CALLS[0])
    assert asked(cluster) == [CALLS[0].path]


def test_a_single_question_goes_out_when_it_is_asked_for_and_not_ahead(cluster: FakeCluster) -> None:
    looks = Looks(cluster)

    looks.ahead(CALLS[:1])
    assert asked(cluster) == []

    assert looks.send(CALLS[0]).status == 200
    assert asked(cluster) == [CALLS[0].path]


def test_what_somebody_else_looked_at_is_taken_by_whoever_asks_without_a_word_ahead(cluster: FakeCluster) -> None:
    recent = Recent()
    kept = Looks(cluster, recent=recent).send(CALLS[0])
    looks = Looks(cluster, recent=recent, reuse=True)
    cluster.requests.clear()

    assert looks.send(CALLS[0]) is kept
    assert asked(cluster) == []
    assert looks.reused


def test_nothing_is_reused_where_nothing_is_kept(cluster: FakeCluster) -> None:
    looks = Looks(cluster, recent=Recent(), reuse=True)

    looks.ahead(CALLS[:2])
    looks.send(CALLS[2])

    assert not looks.reused
    assert asked(cluster) == [call.path for call in CALLS[:3]]


def test_what_it_has_seen_itself_stays_as_it_was_whatever_others_see_later(cluster: FakeCluster) -> None:
    recent = Recent()
    looks = Looks(cluster, recent=recent, reuse=True)
    first = looks.send(CALLS[0])
    cluster.put("namespaces", {"metadata": {"name": "a", "labels": {"changed": "yes"}}})
    assert Looks(cluster, recent=recent).send(CALLS[0]).body != first.body

    looks.ahead(CALLS[:2])

    assert looks.send(CALLS[0]) is first
    assert not looks.reused
