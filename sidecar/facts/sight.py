"""One plan's objects as they are in the cluster: its targets, the subject of its cause, and what lies between them.

Lists are asked for only where a step needs them. It must know no rule.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidecar.contract import (
    ChangeFields,
    CreateObject,
    DeletePod,
    DrainNode,
    EvictPod,
    Json,
    ObjectRef,
    Plan,
    ScaleWorkload,
    Step,
    target_of,
)
from sidecar.facts.demand import added, replicas_of, scales
from sidecar.facts.looking import NOT_THERE, Look, Query, list_call, namespace_call
from sidecar.facts.managing import as_planned
from sidecar.facts.projection import Document, absent, key_of, mapping, number, pod_labels, selects, target_facts, text
from sidecar.facts.relation import RUNS_PODS, WORKLOADS, Seen, relation, service_covers
from sidecar.ports import ApiCall, resource_of

_UNREAD = "Secret"  # the kind whose values are never read
_SCALER = "HorizontalPodAutoscaler"
_COUNTS = "/spec/replicas"
_BUDGETED = RUNS_PODS - {"CronJob"}
_BUDGETS = ("policy/v1", "PodDisruptionBudget")
_SERVICES = ("v1", "Service")
_AUTOSCALERS = ("autoscaling/v2", _SCALER)
_PODS = ("v1", "Pod")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """`refs`: what the plan writes to, each thing once, by its key. `seen`: those and the cause's subject, each with the
    controllers above it; None for what could not be had, or is not looked at. `steps`: those about a target. `emptied`: the
    namespaces that the plan takes pods from.
    """

    plan: Plan
    look: Look
    refs: Mapping[str, ObjectRef]
    seen: Mapping[ObjectRef, Seen | None]
    steps: Mapping[ObjectRef, Sequence[Step]]
    emptied: frozenset[str]

    @classmethod
    def of(cls, plan: Plan, look: Look, *, namespaces: Iterable[str]) -> "Sight":
        """Looks at everything, in as few rounds as it takes: what the plan alone tells (and `namespaces`), then what
        stands above it, level by level."""
        refs = {key_of(ref): ref for step in plan.steps for ref in target_of(step.action)}
        steps: dict[ObjectRef, list[Step]] = {}
        for step in plan.steps:
            steps.setdefault(step.action.target, []).append(step)
        seen: dict[ObjectRef, Seen | None] = {}
        emptied = frozenset(ref.namespace for step in plan.steps if _takes(step) for ref in target_of(step.action))
        sight = cls(plan=plan, look=look, refs=refs, seen=seen, steps=steps, emptied=emptied)
        look.ahead([*map(namespace_call, namespaces), *sight._foreseen()])
        seen.update(sight._seen())
        look.ahead(call for ref in refs.values() for call in sight._calls_between(ref))
        return sight

    def targets(self) -> Document:
        found = {key: self._target(ref) for key, ref in self.refs.items()}
        return {key: facts for key, facts in found.items() if facts is not None}

    def workloads(self) -> Document:
        """What the targets are, or belong to, as far as they have a number of pods."""
        found: Document = {}
        for ref in self.refs.values():
            seen = self.seen[ref]
            workload = _workload(seen) if seen is not None else None
            if workload is not None:
                ready = "numberReady" if workload.get("kind") == "DaemonSet" else "readyReplicas"
                found[_key(workload, ref.namespace)] = {
                    "replicas": replicas_of(workload),
                    "ready": number(mapping(workload, "status"), ready) or 0,
                }
        return found

    def cause(self) -> Document:
        """`exists` "unread": of a kind that is not looked at, or not known; only its name can be referred to."""
        subject = self.plan.cause.subject
        if self._call(subject) is None:
            return {"key": key_of(subject), "exists": "unread", "uid": ""}
        found = self.seen[subject]
        if found is None:
            return {"key": key_of(subject)}
        uid = text(mapping(found.live, "metadata"), "uid")
        return {"key": key_of(subject), "exists": bool(found.live), "uid": uid}

    def related(self) -> Document:
        """How each target and the cause's subject depend on each other; "" where nothing shows it, or it cannot be seen."""
        return {key: self._relation(ref) for key, ref in self.refs.items()}

    def adds(self) -> dict[str, Json]:
        live = {key_of(ref): seen.live for ref, seen in self.seen.items() if seen is not None and seen.live}
        scaled: dict[str, Document] = {}
        for step in self.plan.steps:
            ref, action = step.action.target, step.action
            if ref.kind == _SCALER:
                of = action.manifest if isinstance(action, CreateObject) else live.get(key_of(ref), {})
                found = self._scaled(of, ref.namespace)
                if found is not None:
                    scaled[key_of(ref)] = found
        return added(self.plan.steps, live, scaled)

    def _foreseen(self) -> Iterator[ApiCall | None]:
        """What the plan alone says will be asked for."""
        lists: set[tuple[tuple[str, str], str]] = set()
        yield self._call(self.plan.cause.subject)
        for ref in self.refs.values():
            call = self._call(ref)
            if call is None:
                continue
            yield call
            created = self._created(ref)
            if created is None:
                lists.update((kind, ref.namespace) for kind in self._listed_for(ref))
            elif ref.kind == _SCALER:
                yield self._scaled_call(created.manifest, ref.namespace)
        yield from (list_call(*kind, namespace) for kind, namespace in lists)

    def _listed_for(self, ref: ObjectRef) -> Iterator[tuple[str, str]]:
        """The kinds of which all in its namespace are asked for, to see which of them are about it."""
        if ref.kind in _BUDGETED:
            yield _BUDGETS
        if ref.kind in RUNS_PODS and ref.namespace in self.emptied:
            yield _SERVICES
        if ref.kind in WORKLOADS and self._scales(ref):
            yield _AUTOSCALERS

    def _seen(self) -> dict[ObjectRef, Seen | None]:
        subject = self.plan.cause.subject
        found: dict[ObjectRef, Seen | None] = {}
        there: dict[ObjectRef, Document] = {}
        for ref in (*self.refs.values(), *(() if self._call(subject) is None else (subject,))):
            live = self._live(ref)
            if live is not None and live != NOT_THERE:
                there[ref] = {**live, "apiVersion": ref.api_version, "kind": ref.kind}
            else:
                found[ref] = None if live is None else Seen(ref=ref)
        scaled = (
            self._scaled_call(live, ref.namespace) for ref, live in there.items() if ref.kind == _SCALER and ref in self.steps
        )
        owners = self.look.owners([(live, ref.namespace) for ref, live in there.items()], along=scaled)
        for (ref, live), above in zip(there.items(), owners, strict=True):
            found[ref] = None if above is None else Seen(ref=ref, live=live, owners=above)
        return found

    def _call(self, ref: ObjectRef) -> ApiCall | None:
        """None for what is not looked at."""
        return None if ref.kind == _UNREAD else self.look.call(ref)

    def _live(self, ref: ObjectRef) -> Document | None:
        if ref.kind == _UNREAD:
            self.look.missing.append(f"{ref}: Secrets are not looked at")
            return None
        return self.look.object(ref)

    def _target(self, ref: ObjectRef) -> Document | None:
        seen = self.seen[ref]
        if seen is None:
            return None
        return self._facts_of(seen) if seen.live else absent()

    def _facts_of(self, seen: Seen) -> Document | None:
        ref, namespace = seen.ref, seen.ref.namespace
        lists = {kind: self.look.listed(*kind, namespace) for kind in self._listed_for(ref)}
        budgets, services, autoscalers = (lists.get(kind, []) for kind in (_BUDGETS, _SERVICES, _AUTOSCALERS))
        if budgets is None or services is None or autoscalers is None:
            return None
        labels = pod_labels(seen.live)
        covering = [budget for budget in budgets if selects(budget, labels)]
        workload = _workload(seen)
        return {
            **target_facts(seen.live, owners=list(seen.owners), budgets=covering),
            "workload": _key(workload, namespace) if workload is not None else "",
            "services": _names(one for one in services if service_covers(one, labels)),
            "autoscalers": [_bounds(one) for one in autoscalers if scales(one)[1:] == (ref.kind, ref.name)],
            "live": as_planned(seen.live, self.steps.get(ref, ())),
        }

    def _relation(self, ref: ObjectRef) -> str:
        target, subject = self._pair(ref)
        workload = _between(target, subject)
        if workload is None:
            return relation(target, subject)
        kinds, namespace = {target.ref.kind, subject.ref.kind}, workload.ref.namespace
        services = self.look.listed(*_SERVICES, namespace) if "Ingress" in kinds else []
        query = _picking_pods(workload)
        pods = self.look.listed(*_PODS, namespace, query) if "Node" in kinds and query else []
        return relation(target, subject, services=services or [], pods=pods or [])

    def _calls_between(self, ref: ObjectRef) -> Iterator[ApiCall | None]:
        """What `_relation` will ask for."""
        target, subject = self._pair(ref)
        workload = _between(target, subject)
        if workload is None:
            return
        kinds, namespace = {target.ref.kind, subject.ref.kind}, workload.ref.namespace
        query = _picking_pods(workload)
        yield list_call(*_SERVICES, namespace) if "Ingress" in kinds else None
        yield list_call(*_PODS, namespace, query) if "Node" in kinds and query else None

    def _pair(self, ref: ObjectRef) -> tuple[Seen, Seen]:
        subject = self.plan.cause.subject
        target, other = self.seen[ref] or Seen(ref=ref), self.seen.get(subject) or Seen(ref=subject)
        created = self._created(ref)
        if created is not None and not target.live:
            target = Seen(ref=ref, live=created.manifest)
        return target, other

    def _created(self, ref: ObjectRef) -> CreateObject | None:
        """Of the first step that is about it."""
        first = next(iter(self.steps.get(ref, ())), None)
        return first.action if first is not None and isinstance(first.action, CreateObject) else None

    def _scales(self, ref: ObjectRef) -> bool:
        return any(_sets_count(step) for step in self.steps.get(ref, ()))

    def _scaled_call(self, autoscaler: Document, namespace: str) -> ApiCall | None:
        ref = _scaled_by(autoscaler, namespace)
        return self.look.call(ref) if ref is not None else None

    def _scaled(self, autoscaler: Document, namespace: str) -> Document | None:
        ref = _scaled_by(autoscaler, namespace)
        found = self.look.object(ref) if ref is not None else None
        return None if ref is None or found is None or found == NOT_THERE else {**found, "kind": ref.kind}


def _workload(seen: Seen) -> Document | None:
    """The topmost that has a number of pods; nothing for what runs none."""
    counted = [found for found in seen.chain() if found.get("kind") in WORKLOADS and replicas_of(found) is not None]
    return counted[-1] if counted else None


def _between(target: Seen, subject: Seen) -> Seen | None:
    """The one of the two that runs pods, where only lists could show what it has to do with an Ingress or a Node."""
    kinds = {target.ref.kind, subject.ref.kind}
    if kinds.isdisjoint({"Ingress", "Node"}) or kinds.isdisjoint(RUNS_PODS) or relation(target, subject):
        return None
    return subject if subject.ref.kind in RUNS_PODS else target


def _picking_pods(workload: Seen) -> Query:
    """Empty where it selects none."""
    selector = mapping(mapping(mapping(workload.live, "spec"), "selector"), "matchLabels")
    words = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
    return (("labelSelector", words),) if words else ()


def _scaled_by(autoscaler: Document, namespace: str) -> ObjectRef | None:
    api_version, kind, name = scales(autoscaler)
    if not name or resource_of(api_version, kind) is None:
        return None
    try:
        return ObjectRef(api_version=api_version, kind=kind, namespace=namespace, name=name, uid="unknown")
    except ValueError:
        return None


def _takes(step: Step) -> bool:
    return isinstance(step.action, DeletePod | EvictPod | DrainNode) or _sets_count(step)


def _sets_count(step: Step) -> bool:
    match step.action:
        case ScaleWorkload():
            return True
        case ChangeFields(changes=changes):
            return any(change.path == _COUNTS for change in changes)
        case _:
            return False


def _key(live: Document, namespace: str) -> str:
    return f"{text(live, 'kind')}/{namespace}/{text(mapping(live, 'metadata'), 'name')}"


def _names(found: Iterable[Document]) -> list[Json]:
    return [*sorted(text(mapping(one, "metadata"), "name") for one in found)]


def _bounds(autoscaler: Document) -> Document:
    spec = mapping(autoscaler, "spec")
    least = number(spec, "minReplicas")
    return {
        "name": text(mapping(autoscaler, "metadata"), "name"),
        "min": 1 if least is None else least,
        "max": number(spec, "maxReplicas"),
    }
