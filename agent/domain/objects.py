"""Identity of a Kubernetes object as the diagnosis uses it, and the object itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Manifest: TypeAlias = Mapping[str, Any]
"""A Kubernetes object as the API gives it, plain JSON. Any, because CRDs make every shape possible; checks read it
through `agent.topology`."""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Group-free identity: what people say. `namespace` is "" for cluster-scoped kinds. An object may not exist: a
    missing ConfigMap has a Ref too."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerLog:
    """The text of one container's log as the API returned it. `previous`: of the run before the last restart. `keeper`: who
    else kept it, such as Loki, where the cluster has it no more."""

    namespace: str
    pod: str
    container: str
    previous: bool
    text: str
    keeper: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One Prometheus series: labels with `__name__`, and (unix seconds, value) samples in time order."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]

    @property
    def name(self) -> str:
        return self.labels.get("__name__", "")
