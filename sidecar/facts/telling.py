"""What is told of one target that is there, each fact by its name. Pure: it asks nobody, and must know no rule."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from sidecar.contract import Json
from sidecar.facts.aims import AUTOSCALERS, BUDGETS, SERVICES, Aim
from sidecar.facts.demand import scales
from sidecar.facts.managing import as_planned
from sidecar.facts.portrait import Portrait
from sidecar.facts.projection import Document, budget_facts, mapping, number, own_facts, selects, text
from sidecar.facts.relation import Seen, service_covers


class Target(NamedTuple):
    """`lists`: of each kind that `aim` asks for, all in its namespace."""

    aim: Aim
    seen: Seen
    lists: Mapping[tuple[str, str], list[Document]]

    def told(self, names: "Names") -> Document:
        own = self.seen.portrait.facts
        found = {name: own[name] for name in names.own}
        for name, tell in names.more:
            found[name] = tell(self)
        return found

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
_OWN = frozenset(own_facts({}))
NAMES = _OWN.union(_MORE)


class Names(NamedTuple):
    """Names of facts, sorted: what an object's own facts hold, and how the others are told."""

    own: Sequence[str]
    more: Sequence[tuple[str, Callable[[Target], Json]]]

    @classmethod
    @lru_cache(maxsize=64)  # what a bundle reads, and what it does not
    def of(cls, names: frozenset[str]) -> "Names":
        """`names`: of NAMES."""
        return cls(own=tuple(sorted(names & _OWN)), more=tuple((name, _MORE[name]) for name in sorted(names - _OWN)))


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
