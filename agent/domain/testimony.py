"""What sources beside the cluster and its metrics tell of the same time: alerts that fire, requests as they were traced, marks
that people leave on a time line. And what they are asked about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from agent.domain.incident import Alert, Window
from agent.domain.objects import Ref
from sidecar.contract import Json

Verdict = Literal["supports", "excludes", "tells"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A note on a time line, such as that of a deployment. `source` says where it stands, such as "grafana: annotation 12"."""

    at: datetime
    text: str
    tags: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One piece of a traced request. `parent` is "" for the first. `is_call`: it was measured by who asks (OpenTelemetry's
    client and producer kinds). `peer` is the host that was called and `port` its port, where the span says so. `pod`,
    `namespace` and `workload` are what the span's resource says of where it ran."""

    id: str
    parent: str
    service: str
    name: str
    begin: datetime
    took: timedelta
    failed: bool = False
    said: str = ""
    is_call: bool = False
    peer: str = ""
    port: int = 0
    namespace: str = ""
    pod: str = ""
    workload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """One request through the services, as a trace has it. `source` says where it stands, such as "tempo: trace 4bf9"."""

    id: str
    source: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a source says whose answers an operator has declared the meaning of: `text` is the operator's sentence, with words of
    the answer in it; `verdict` what it means for the finding of that id ("" where no cause was known); `settles` the question."""

    source: str
    about: Ref
    settles: str
    text: str
    verdict: Verdict = "tells"
    finding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """`alerts`: those that fire now, as `alerts_by` tells it."""

    alerts: tuple[Alert, ...] = ()
    alerts_by: str = "alertmanager"
    journeys: tuple[Journey, ...] = ()
    marks: tuple[Mark, ...] = ()
    statements: tuple[Statement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.alerts or self.journeys or self.marks or self.statements)

    def and_(self, other: "Testimony") -> "Testimony":
        return Testimony(
            alerts=(*self.alerts, *other.alerts),
            alerts_by=other.alerts_by if other.alerts and not self.alerts else self.alerts_by,
            journeys=(*self.journeys, *other.journeys),
            marks=(*self.marks, *other.marks),
            statements=(*self.statements, *other.statements),
        )


UNTOLD = Testimony()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One thing that a declared question may be about: a finding that is a cause, or, where no cause is known, an object in
    trouble or asked about (`finding`, `cause` and `state` are ""). `workload`, `pod` and `node` are names of what it runs as and
    where, "" where there is none."""

    about: Ref
    finding: str = ""
    cause: str = ""
    state: str = ""
    params: Mapping[str, Json] = field(default_factory=dict)
    namespace: str = ""
    workload: str = ""
    pod: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What the other sources are asked about, once a first diagnosis is there.

    `units` are the workloads in question and what they need; `services` the names under which those may appear in traces,
    nearest first. `gone` are pods of them that were there and are not; `measured`: whether metrics of containers were read.
    `is_open`: nobody knows a cause yet. `is_about_calls`: something between workloads is slow or fails, or may be.
    `only_changes`: what was changed is all that is wanted. `suspects` are what questions of an operator's own may be about, the
    likeliest first.
    """

    window: Window
    namespaces: tuple[str, ...] = ()
    units: tuple[Ref, ...] = ()
    services: tuple[str, ...] = ()
    gone: tuple[Ref, ...] = ()
    measured: bool = False
    is_open: bool = False
    is_about_calls: bool = False
    only_changes: bool = False
    suspects: tuple[Suspect, ...] = ()
