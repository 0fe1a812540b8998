"""What people are shown beside the diffs, looked up when a plan comes in and kept with it. Nothing of it is the agent's word."""

from collections import Counter
from collections.abc import Iterator

from sidecar import contract
from sidecar.approvals import store as approvals
from sidecar.contract import Json, Plan, target_of
from sidecar.errors import ClusterUnavailable
from sidecar.execution import escaped, observed, read
from sidecar.execution.pointer import value_at
from sidecar.ports import Cluster, Facts

_LABEL = "lestrade.dev/environment"
_MOST_TARGETS = 8
_UNSEEN = ("Secret",)  # kinds that are never read for being shown


def card_of(plan: Plan, facts: Facts, *, through: Cluster, dry_run: str = "") -> approvals.Shown:
    """Never raises: what cannot be seen is said. `dry_run`: whose the diffs are."""
    return approvals.Shown(
        environment=_environment(facts.document),
        observed=_observed(plan, through),
        blast_radius=tuple(line[:500] for line in _blast_radius(plan, facts.document)),
        dry_run=dry_run,
    )


def _observed(plan: Plan, cluster: Cluster) -> tuple[str, ...]:
    subject = plan.cause.subject
    if subject.kind in _UNSEEN:
        return (f"{subject} is not looked at: it holds secrets",)
    try:
        return observed(subject, read(subject, cluster))
    except ClusterUnavailable as exc:
        return (escaped(f"not known: {exc}")[:500],)


def _environment(facts: dict[str, Json]) -> str:
    """As the cluster's settings and labels say it, the cluster's first; what a rule makes of it is the rule's."""
    said = [value_at(facts, ("cluster", "environment")), value_at(facts, ("cluster", "labels", _LABEL))]
    namespaces = facts.get("namespaces")
    if isinstance(namespaces, dict):
        said += [value_at(found, ("labels", _LABEL)) for found in namespaces.values()]
    words = dict.fromkeys(word for word in said if isinstance(word, str) and word)
    return escaped(", ".join(words))[:100]


def _blast_radius(plan: Plan, facts: dict[str, Json]) -> Iterator[str]:
    targets = {str(target): target for step in plan.steps for target in target_of(step.action)}
    kinds = Counter(target.kind for target in targets.values())
    spaces = sorted({target.namespace for target in targets.values()} - {""})
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    where = f" in {len(spaces)} namespace{'s' * (len(spaces) != 1)} ({', '.join(spaces[:5])}{', …' * (len(spaces) > 5)})"
    yield f"{_many(len(plan.steps), 'step')} on {_many(len(targets), 'object')}: {counted}{where if spaces else ''}"
    pods = sum(_pods_gone(step.action, facts) for step in plan.steps)
    yield f"running pods replaced or removed: {f'at most {pods}' if pods else 'none'}"
    for name, target in list(targets.items())[:_MOST_TARGETS]:
        about = value_at(facts, ("targets", f"{target.kind}/{target.namespace}/{target.name}"))
        told = list(_about(about))
        if told:
            yield f"{name}: {', '.join(told)}"


def _about(facts: Json) -> Iterator[str]:
    replicas, ready = value_at(facts, ("replicas",)), value_at(facts, ("ready",))
    if isinstance(replicas, int):
        yield f"{replicas} replicas, {ready if isinstance(ready, int) else '?'} ready"
    budgets = value_at(facts, ("disruption_budgets",))
    for budget in budgets if isinstance(budgets, list) else []:
        allowed = value_at(budget, ("disruptions_allowed",))
        yield f"disruption budget {value_at(budget, ('name',))} allows {allowed if isinstance(allowed, int) else '?'}"
    if value_at(facts, ("gitops",)):
        yield "kept by a GitOps controller, which may turn the change back"


def _pods_gone(action: contract.Action, facts: dict[str, Json]) -> int:
    target = action.target
    replicas = value_at(facts, ("targets", f"{target.kind}/{target.namespace}/{target.name}", "replicas"))
    now = replicas if isinstance(replicas, int) else 0
    match action:
        case contract.DeletePod() | contract.EvictPod():
            return 1
        case contract.DrainNode(pods=pods):
            return len(pods)
        case contract.RestartWorkload() | contract.RollbackWorkload():
            return now
        case contract.ScaleWorkload(replicas=wanted):
            return max(0, now - wanted)
        case contract.ChangeFields(changes=changes):
            fewer = [now - c.after for c in changes if c.path == "/spec/replicas" and isinstance(c.after, int)]
            return now if any(c.path.startswith("/spec/template") for c in changes) else max([0, *fewer])
        case _:
            return 0


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
