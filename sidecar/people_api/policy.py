"""Which policy judges, for people: revision, since when, the last refusal, the engine; and the same as metrics."""

from collections.abc import Callable, Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from pydantic import AwareDatetime

from sidecar.contract import Decision, Json, Message, Plan
from sidecar.edge import answer, refuses, takes, whole_body
from sidecar.execution import masked
from sidecar.gate.desk import Desk
from sidecar.gate.policies import considered
from sidecar.ports import PolicyStanding

Standing = Callable[[], PolicyStanding]
Body = Annotated[bytes, Depends(whole_body)]


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


class Considered(Message):
    """What is known about a plan just now, and what the policy that judges says to it. Values that look secret are masked."""

    facts: dict[str, Json]
    missing: tuple[str, ...]
    decision: Decision


def policy_routes(routes: APIRouter, desk: Desk, standing: Standing) -> None:
    @routes.post("/v1/policy/consider", response_model=Considered, responses=refuses(413), openapi_extra=takes(Plan))
    def consider(body: Body) -> Response:
        """Look the facts of a plan up and judge it, as if it were submitted. Nothing is kept, and nobody is asked."""
        facts, decision = considered(Plan.from_bytes(body), desk=desk)
        shown = masked(facts.document)
        return answer(Considered(facts=shown if isinstance(shown, dict) else {}, missing=facts.missing, decision=decision))

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
