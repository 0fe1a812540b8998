"""Which policy judges, for people: revision, since when, the last refusal, the engine; and the same as metrics."""

from collections.abc import Callable, Iterator

from fastapi import APIRouter, Response
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from pydantic import AwareDatetime

from sidecar.contract import Message
from sidecar.edge import answer, refuses
from sidecar.ports import PolicyStanding

Standing = Callable[[], PolicyStanding]


def none_known() -> PolicyStanding:
    return PolicyStanding(revision="none")


class PolicyView(Message):
    """`revision` "none": no bundle was admitted yet, every plan is denied. `pending`: what lies in the folder is not what
    judges; `refusal` says why. `unavailable`: why every verdict is a denial just now, "" if that is not so."""

    revision: str
    engine: str
    loaded_at: AwareDatetime | None
    version: int | None
    signed_by: str
    pending: bool
    refusal: str
    refused_at: AwareDatetime | None
    unavailable: str


def policy_routes(routes: APIRouter, standing: Standing) -> None:
    @routes.get("/v1/policy", response_model=PolicyView, responses=refuses())
    def show_policy() -> Response:
        """By which revision plans are judged at present, and what became of the last bundle that was laid there."""
        found = standing()
        return answer(
            PolicyView(
                revision=found.revision,
                engine=found.engine,
                loaded_at=found.loaded_at,
                version=found.version,
                signed_by=found.signed_by,
                pending=found.pending,
                refusal=found.refusal,
                refused_at=found.refused_at,
                unavailable=found.unavailable,
            )
        )


class PolicyMetrics(Collector):
    """The engine is asked at each scrape."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily | InfoMetricFamily]:
        found = self._standing()
        labels = {"revision": found.revision, "engine": found.engine, "signed_by": found.signed_by}
        yield InfoMetricFamily("lestrade_sidecar_policy", "the policy that judges", value=labels)
        since = found.loaded_at.timestamp() if found.loaded_at is not None else 0.0
        yield GaugeMetricFamily("lestrade_sidecar_policy_loaded_timestamp_seconds", "since when it judges", value=since)
        yield GaugeMetricFamily(
            "lestrade_sidecar_policy_pending", "1 while the folder holds another policy than judges", value=float(found.pending)
        )
        available = float(not found.unavailable)
        yield GaugeMetricFamily("lestrade_sidecar_policy_available", "1 while the engine can give verdicts", value=available)
