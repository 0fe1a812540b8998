"""What a scenario file says, as nouns: the cluster, its history, how its programs fail, and the truth about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from lab.world.conditions import Condition, Conditions
from lab.world.faults import Behaviour

Manifest: TypeAlias = dict[str, Any]
Approver = Literal["approve", "deny", "nobody"]


class ScenarioError(ValueError):
    """A scenario that does not exist or is not well formed; one line that says which and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectName:
    kind: str
    namespace: str = ""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()
    cpu: str = "4"
    memory: str = "8Gi"
    pods: int = 110
    unschedulable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSetting:
    """`images`: None means every image exists; else exactly these (a trailing * matches the rest)."""

    name: str = "lab"
    nodes: tuple[Node, ...]
    images: tuple[str, ...] | None = None
    storage_classes: tuple[Manifest, ...] = ()

    def can_pull(self, image: str) -> bool:
        if self.images is None:
            return True
        return any(image == known or (known.endswith("*") and image.startswith(known[:-1])) for known in self.images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Server-side apply by `manager`."""

    manager: str = "ci"
    objects: tuple[Manifest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    manager: str = "kubectl-edit"
    target: ObjectName
    type: Literal["merge", "strategic", "json"] = "strategic"
    patch: Any
    subresource: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    target: ObjectName


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    by: timedelta


Step: TypeAlias = Apply | Patch | Delete | Advance


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert as Alertmanager groups it: a payload of its own. `age` is how long it has been firing at the end of play."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    age: timedelta = timedelta(minutes=5)
    group_by: tuple[str, ...] = ("alertname", "namespace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A gauge, or a counter that grows by `value` a second, for every running container that matches."""

    name: str
    type: Literal["gauge", "counter"] = "gauge"
    namespace: str = ""
    match: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    value: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Interference:
    """Someone else's hand: `do` happens just before anyone first writes to the object that it changes."""

    when: Literal["before-first-write"]
    do: Patch | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    policy: Mapping[str, Any] = field(default_factory=dict)  # merged over the platform's data
    approver: Approver = "approve"
    interference: tuple[Interference, ...] = ()
    sidecar: Literal["up", "down"] = "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    verb: str
    resource: str  # plural, with "/scale" and the like for a subresource
    namespace: str = ""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """`writes` are exactly those that a lease may be seen to make; `healed` is asked of the world after the run."""

    outcome: str
    cause: str = ""
    resource: ObjectName | None = None
    writes: tuple[Write, ...] = ()
    healed: Condition | None = None
    must_mention: tuple[str, ...] = ()
    denied_rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`conditions` compiled everything in it and answers `world.reachable` for whoever evaluates. `asides` stand behind the
    messages of events; no file says any, whoever tries the scenario out may."""

    name: str
    title: str
    story: str
    question: str = ""
    alerts: tuple[Alert, ...] = ()
    cluster: ClusterSetting
    objects: tuple[Manifest, ...] = ()
    behaviours: tuple[Behaviour, ...] = ()
    history: tuple[Step, ...] = ()
    metrics: tuple[Metric, ...] = ()
    governance: Governance = field(default_factory=Governance)
    real_cluster: bool = False
    truth: Truth
    asides: tuple[str, ...] = ()
    conditions: Conditions

    @property
    def duration(self) -> timedelta:
        """Lab time that its history takes."""
        return sum((step.by for step in self.history if isinstance(step, Advance)), timedelta())
