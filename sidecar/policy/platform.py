"""The shape of `platform/data.yaml`: what a platform team may say, key by key. It knows no rule.

Unknown keys are refused, because a misspelt fence is none; rules of one's own keep their data under `custom`.
"""

from typing import Literal

from pydantic import Field, model_validator

from sidecar.contract import Json
from sidecar.policy.calendar import Freeze, Window
from sidecar.policy.sections import (
    Amount,
    Approvals,
    Autonomy,
    BlastRadius,
    Bounds,
    Budgets,
    ChangeableKind,
    Combination,
    CreatableKind,
    Criticality,
    Environment,
    Environments,
    Evidence,
    FactsTold,
    Fenced,
    Gitops,
    Images,
    LeaseTerm,
    Name,
    Ownership,
    Reading,
    Silences,
    Strict,
)


class Platform(Strict):
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
    facts: FactsTold = Field(default_factory=FactsTold)
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
        document: dict[str, Json] = self.model_dump(mode="json", exclude={"facts", "freezes", "windows"})
        document["freezes"] = [freeze.document() for freeze in self.freezes]
        document["windows"] = {
            name: windows if windows == "always" else [window.document() for window in windows]
            for name, windows in self.windows.items()
        }
        return document
