"""The sections of `platform/data.yaml`, one class each; what is said about time has a file of its own. Knows no rule."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sidecar.policy.unread import Unread

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Environment = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Level = Literal["observe", "review", "auto"]
Whole = Annotated[int, Field(ge=0, le=1_000_000)]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Environments(Strict):
    order: Annotated[list[Environment], Field(min_length=1)]
    by_cluster: dict[str, Environment]
    label: Name
    default: Environment
    namespace_may_relax: bool


class Autonomy(Strict):
    label: Name
    default: dict[Environment, Level]
    ceiling: dict[Environment, Level]


class ChangeableKind(Strict):
    api_version: Name
    kind: Name
    paths: Annotated[list[Annotated[str, StringConstraints(pattern=r"^(/[^/]+)+$")]], Field(min_length=1)]
    forbidden: list[Name] = Field(default_factory=list)


class CreatableKind(Strict):
    api_version: Name
    kind: Name
    forbidden: list[Name] = Field(default_factory=list)


class Fenced(Strict):
    namespaces: Annotated[list[Name], Field(min_length=1)]
    namespace_prefixes: list[Name]
    kinds: Annotated[list[Name], Field(min_length=1)]


class People(Strict):
    count: Annotated[int, Field(ge=1, le=10)]
    roles: Annotated[list[Name], Field(min_length=1)]


class PeopleByReversibility(Strict):
    reversible: People
    irreversible: People


class Approvals(Strict):
    expires_seconds: Annotated[int, Field(ge=1, le=86_400)]
    label: Name
    label_roles: list[Name]
    by_environment: dict[Environment, PeopleByReversibility]


class LeaseTerm(Strict):
    seconds: Annotated[int, Field(ge=60, le=3600)]
    least_seconds: Annotated[int, Field(ge=1, le=3600)] = 60

    @model_validator(mode="after")
    def _least_is_no_more(self) -> "LeaseTerm":
        if self.least_seconds > self.seconds:
            raise ValueError("least_seconds is more than seconds: no lease would ever be given")
        return self


class Bounds(Strict):
    min: Whole
    max: Whole


class Amount(Strict):
    """CPU in thousandths, memory and storage in MiB."""

    cpu_millis: Whole
    memory_mib: Whole
    storage_mib: Whole


class BlastRadius(Strict):
    targets: dict[Environment, Whole]
    namespaces: Whole
    nodes: Whole
    pods: dict[Environment, Whole]
    share: dict[Environment, Annotated[int, Field(ge=0, le=100)]]
    workloads_behind_service: Whole
    leased: Whole


class Budget(Strict):
    hour: Whole
    day: Whole


class Moved(Strict):
    """How much of one object is changed within a day, in however many plans."""

    replicas: dict[Environment, Whole]
    fields: Whole


class Budgets(Strict):
    target: Budget
    namespace: Budget
    team: Budget
    incident: Budget
    cluster: Budget
    team_label: Name
    moved: Moved
    pods_hour: Whole


class Gitops(Strict):
    owners: list[Name]
    live_kinds: list[Name]


class Images(Strict):
    registries: list[Name]
    digest: dict[Environment, bool]
    forbidden_tags: list[Name]


class Evidence(Strict):
    citations: Annotated[int, Field(ge=0, le=100)]
    related: bool


class Importance(Strict):
    asks: bool
    count: Annotated[int, Field(ge=1, le=10)]


class Criticality(Strict):
    label: Name
    levels: dict[Name, Importance]


class Ownership(Strict):
    recent_minutes: Whole
    ignored: list[Name]


class Silences(Strict):
    minutes: dict[Environment, Annotated[int, Field(ge=0, le=1440)]]
    alerts: dict[Environment, Annotated[int, Field(ge=0, le=100)]]
    severity_label: Name
    by_itself: list[Name]


Trait = Literal[
    "takes-capacity",
    "scales-to-zero",
    "loosens-protection",
    "changes-autoscaler",
    "changes-data",
    "weakens-check",
    "reroutes",
    "raises-limits",
]


class Combination(Strict):
    name: Name
    why: Name
    first: Annotated[list[Trait], Field(min_length=1)]
    second: Annotated[list[Trait], Field(min_length=1)]
    where: Literal["anywhere", "namespace"]
    within: Literal["plan", "hour"]


class FactsTold(Strict):
    """`unread`: facts that no rule reads, which the engine is not told therefore (see sidecar.policy.unread)."""

    unread: list[Unread] = Field(default_factory=list)


class Reading(Strict):
    """Names or patterns with `*`. Left out, everything that the sidecar's own rights let it read may be read."""

    namespaces: list[Name] = Field(default_factory=lambda: ["*"])
    hidden_namespaces: list[Name] = Field(default_factory=list)
    kinds: list[Name] = Field(default_factory=lambda: ["*"])
    hidden_kinds: list[Name] = Field(default_factory=list)
