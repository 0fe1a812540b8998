"""What is told of one target that is there, each fact by its name. Pure: it asks nobody, and must know no rule."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sidecar.contract import Json
from sidecar.facts.aims import AUTOSCALERS, BUDGETS, SERVICES, Aim
from sidecar.facts.demand import scales
from sidecar.facts.managing import as_planned
from sidecar.facts.portrait import Portrait
from sidecar.facts.projection import Document, budget_facts, mapping, number, own_facts, selects, text
from sidecar.facts.relation import Seen, service_covers


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`lists`: of each kind that `aim` asks for, all in its namespace."""

    aim: Aim
    seen: Seen
    lists: Mapping[tuple[str, str], list[Document]]

    def told(self, names: Iterable[str]) -> Document:
        """The facts of these names (see NAMES)."""
        own = self.seen.portrait.facts
        return {name: own[name] if name in own else _MORE[name](self) for name in names}

    def owners(self) -> list[Json]:
        return [owner.reference for owner in self.seen.owners]

    def gitops(self) -> Document | None:
        return next((one.gitops for one in self.seen.chain if one.gitops is not None), None)

    def helm(self) -> Document | None:
        return next((one.helm for one in self.seen.chain if one.helm is not None), None)

    def disruption_budgets(self) -> list[Json]:
        labels = self.seen.portrait.labels
        return [budget_facts(budget) for budget in self.lists.get(BUDGETS, ()) if selects(budget, labels)]

    def workload(self) -> str:
        workload = workload_of(self.seen)
        return workload_key(workload, self.aim.ref.namespace) if workload is not None else ""

    def services(self) -> list[Json]:
        labels = self.seen.portrait.labels
        covering = [one for one in self.lists.get(SERVICES, ()) if service_covers(one, labels)]
        return [*sorted(text(mapping(one, "metadata"), "name") for one in covering)]

    def autoscalers(self) -> list[Json]:
        ref = self.aim.ref
        return [_bounds(one) for one in self.lists.get(AUTOSCALERS, ()) if scales(one)[1:] == (ref.kind, ref.name)]

    def live(self) -> Document:
        return as_planned(self.seen.portrait, self.aim.steps)


# Beside what its own live object shows: what takes a look at others, or at the plan.
_MORE: Mapping[str, Callable[[Target], Json]] = {
    "owners": Target.owners,
    "gitops": Target.gitops,
    "helm": Target.helm,
    "disruption_budgets": Target.disruption_budgets,
    "workload": Target.workload,
    "services": Target.services,
    "autoscalers": Target.autoscalers,
    "live": Target.live,
}
NAMES = (*own_facts({}), *_MORE)


def workload_of(seen: Seen | None) -> Portrait | None:
    """The topmost that has a number of pods; nothing for what runs none."""
    for portrait in reversed(seen.chain if seen is not None else ()):
        if portrait.is_counted:
            return portrait
    return None


def workload_key(workload: Portrait, namespace: str) -> str:
    """As key_of gives it, of what stands above a target; `namespace`: the target's, which owners do not leave."""
    kind, name, _ = workload.identity
    return f"{kind}/{namespace}/{name}"


def _bounds(autoscaler: Document) -> Document:
    spec = mapping(autoscaler, "spec")
    least = number(spec, "minReplicas")
    return {
        "name": text(mapping(autoscaler, "metadata"), "name"),
        "min": 1 if least is None else least,
        "max": number(spec, "maxReplicas"),
    }
