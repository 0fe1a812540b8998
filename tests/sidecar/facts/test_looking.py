"""One gathering that shares its looks with nobody: each thing is asked for once, and the time is that of all its answers."""

from datetime import UTC, datetime, timedelta

import pytest

from sidecar.contract import ObjectRef
from sidecar.errors import ClusterUnavailable
from sidecar.facts.looking import Look
from sidecar.ports import ApiAnswer, ApiCall
from tests.fakes.sidecar_cluster import FakeCluster

WEB = ObjectRef(api_version="apps/v1", kind="Deployment", namespace="shop", name="web", uid="uid-web")


@pytest.mark.parametrize("answer", [ApiAnswer(status=403, body={}), None], ids=["refused", "silent"])
def test_what_could_not_be_had_is_asked_for_and_named_as_missing_once(answer: ApiAnswer | None) -> None:
    cluster = FakeCluster()
    sent: list[str] = []

    def fail(call: ApiCall, identity: str) -> ApiAnswer:
        sent.append(call.path)
        if answer is None:
            raise ClusterUnavailable("no answer")
        return answer

    cluster.before = fail
    look = Look(cluster=cluster)

    assert [look.object(WEB), look.object(WEB)] == [None, None]
    assert len(sent) == len(look.missing) == 1


def test_the_time_is_that_of_the_latest_answer_in_whatever_order_they_come() -> None:
    cluster = FakeCluster()
    noon = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
    seconds = iter((3, 9, 5))
    cluster.before = lambda call, identity: ApiAnswer(status=200, body={}, date=noon + timedelta(seconds=next(seconds)))
    look = Look(cluster=cluster)

    for name in ("a", "b", "c"):
        look.namespace(name)

    assert look.by_now() == noon + timedelta(seconds=9)
