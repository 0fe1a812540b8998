"""The shape of `platform/data.yaml`: what a platform team may say, key by key. It knows no rule.

Unknown keys are refused, because a misspelt fence is none; rules of one's own keep their data under `custom`.
"""

from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from sidecar.contract import Json

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Environment = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Level = Literal["observe", "review", "auto"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Whole = Annotated[int, Field(ge=0, le=1_000_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Environments(_Strict):
    order: Annotated[list[Environment], Field(min_length=1)]
    by_cluster: dict[str, Environment]
    label: Name
    default: Environment
    namespace_may_relax: bool


class Autonomy(_Strict):
    label: Name
    default: dict[Environment, Level]
    ceiling: dict[Environment, Level]


class ChangeableKind(_Strict):
    api_version: Name
    kind: Name
    paths: Annotated[list[Annotated[str, StringConstraints(pattern=r"^(/[^/]+)+$")]], Field(min_length=1)]
    forbidden: list[Name] = Field(default_factory=list)


class CreatableKind(_Strict):
    api_version: Name
    kind: Name
    forbidden: list[Name] = Field(default_factory=list)


class Fenced(_Strict):
    namespaces: Annotated[list[Name], Field(min_length=1)]
    namespace_prefixes: list[Name]
    kinds: Annotated[list[Name], Field(min_length=1)]


class Freeze(_Strict):
    """No changes in these environments from `from` (included) until `until` (not)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    name: Name
    environments: Annotated[list[Environment], Field(min_length=1)]
    begins: AwareDatetime = Field(alias="from")
    until: AwareDatetime

    @field_validator("begins", "until", mode="before")
    @classmethod
    def _rfc3339(cls, value: object) -> object:
        return datetime.fromisoformat(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "Freeze":
        if self.until <= self.begins:
            raise ValueError("a freeze ends after it begins")
        return self

    def document(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "environments": list(self.environments),
            "from": self.begins.isoformat(),
            "from_epoch": int(self.begins.timestamp()),
            "until": self.until.isoformat(),
            "until_epoch": int(self.until.timestamp()),
        }


Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]


class Window(_Strict):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    days: Annotated[list[Weekday], Field(min_length=1)]
    opens: Clock = Field(alias="from")
    until: Clock
    zone: Name

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as exc:
            raise ValueError("is no IANA time zone that this machine knows") from exc
        return value

    @model_validator(mode="after")
    def _closes_after_it_opens(self) -> "Window":
        if _minutes(self.until) <= _minutes(self.opens):
            raise ValueError("a window closes after it opens, on the same day")
        return self

    def document(self) -> dict[str, Json]:
        return {
            "days": list(self.days),
            "from": self.opens,
            "from_minute": _minutes(self.opens),
            "until": self.until,
            "until_minute": _minutes(self.until),
            "zone": self.zone,
        }


class People(_Strict):
    count: Annotated[int, Field(ge=1, le=10)]
    roles: Annotated[list[Name], Field(min_length=1)]


class PeopleByReversibility(_Strict):
    reversible: People
    irreversible: People


class Approvals(_Strict):
    expires_seconds: Annotated[int, Field(ge=1, le=86_400)]
    label: Name
    label_roles: list[Name]
    by_environment: dict[Environment, PeopleByReversibility]


class LeaseTerm(_Strict):
    seconds: Annotated[int, Field(ge=60, le=3600)]


class Bounds(_Strict):
    min: Whole
    max: Whole


class Amount(_Strict):
    """CPU in thousandths, memory and storage in MiB."""

    cpu_millis: Whole
    memory_mib: Whole
    storage_mib: Whole


class BlastRadius(_Strict):
    targets: dict[Environment, Whole]
    namespaces: Whole
    nodes: Whole
    pods: dict[Environment, Whole]
    share: dict[Environment, Annotated[int, Field(ge=0, le=100)]]
    workloads_behind_service: Whole
    leased: Whole


class Budget(_Strict):
    hour: Whole
    day: Whole


class Moved(_Strict):
    """How much of one object is changed within a day, in however many plans."""

    replicas: dict[Environment, Whole]
    fields: Whole


class Budgets(_Strict):
    target: Budget
    namespace: Budget
    team: Budget
    incident: Budget
    cluster: Budget
    team_label: Name
    moved: Moved
    pods_hour: Whole


class Gitops(_Strict):
    owners: list[Name]
    live_kinds: list[Name]


class Images(_Strict):
    registries: list[Name]
    digest: dict[Environment, bool]
    forbidden_tags: list[Name]


class Evidence(_Strict):
    citations: Annotated[int, Field(ge=0, le=100)]
    related: bool


class Importance(_Strict):
    asks: bool
    count: Annotated[int, Field(ge=1, le=10)]


class Criticality(_Strict):
    label: Name
    levels: dict[Name, Importance]


class Ownership(_Strict):
    recent_minutes: Whole
    ignored: list[Name]


class Silences(_Strict):
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


class Combination(_Strict):
    name: Name
    why: Name
    first: Annotated[list[Trait], Field(min_length=1)]
    second: Annotated[list[Trait], Field(min_length=1)]
    where: Literal["anywhere", "namespace"]
    within: Literal["plan", "hour"]


class Reading(_Strict):
    """Names or patterns with `*`. Left out, everything that the sidecar's own rights let it read may be read."""

    namespaces: list[Name] = Field(default_factory=lambda: ["*"])
    hidden_namespaces: list[Name] = Field(default_factory=list)
    kinds: list[Name] = Field(default_factory=lambda: ["*"])
    hidden_kinds: list[Name] = Field(default_factory=list)


class Platform(_Strict):
    """Every key of `platform/data.yaml`; the file itself says what each is for."""

    version: Literal[1]
    environments: Environments
    autonomy: Autonomy
    reversible: list[Name]
    permits: dict[Name, list[Environment]]
    changeable: list[ChangeableKind]
    forbidden_keys: list[Name]
    sensitive_keys: list[Name]
    sensitive_variables: list[Name]
    creatable: list[CreatableKind]
    fenced: Fenced
    freeze_label: Name
    freezes: list[Freeze]
    windows: dict[Environment, Literal["always"] | list[Window]]
    approvals: Approvals
    lease: LeaseTerm
    scale: dict[Environment, Bounds]
    cost: dict[Environment, Amount]
    evidence: Evidence
    criticality: Criticality
    ownership: Ownership
    combinations: list[Combination]
    blast_radius: BlastRadius
    budgets: Budgets
    gitops: Gitops
    images: Images
    silences: Silences
    reading: Reading = Field(default_factory=Reading)
    custom: dict[str, Json] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_known_environments(self) -> "Platform":
        known = set(self.environments.order)
        named = {self.environments.default, *self.environments.by_cluster.values()}
        for place in (
            self.autonomy.default,
            self.autonomy.ceiling,
            self.windows,
            self.approvals.by_environment,
            self.scale,
            self.cost,
            self.blast_radius.targets,
            self.blast_radius.pods,
            self.blast_radius.share,
            self.budgets.moved.replicas,
            self.images.digest,
            self.silences.minutes,
            self.silences.alerts,
        ):
            named.update(place)
        for freeze in self.freezes:
            named.update(freeze.environments)
        for environments in self.permits.values():
            named.update(environments)
        if unknown := sorted(named - known):
            raise ValueError(f"names an environment that environments.order does not: {', '.join(unknown)}")
        return self

    def zones(self) -> tuple[str, ...]:
        """Every time zone that a window names."""
        return tuple(sorted({window.zone for windows in self.windows.values() if windows != "always" for window in windows}))

    def document(self) -> dict[str, Json]:
        """What the rules see as data.platform: times also as epoch seconds and minutes of the day."""
        document: dict[str, Json] = self.model_dump(mode="json", exclude={"freezes", "windows"})
        document["freezes"] = [freeze.document() for freeze in self.freezes]
        document["windows"] = {
            name: windows if windows == "always" else [window.document() for window in windows]
            for name, windows in self.windows.items()
        }
        return document


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
