"""One plan's objects as they are in the cluster: its targets, the subject of its cause, and what lies between them.

Lists are asked for only where a step needs them. It must know no rule.
"""

from collections.abc import Iterable, Sequence
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
from sidecar.facts.looking import NOT_THERE, Look
from sidecar.facts.managing import as_planned
from sidecar.facts.projection import Document, key_of, mapping, number, pod_labels, selects, target_facts, text
from sidecar.facts.relation import RUNS_PODS, WORKLOADS, Seen, relation, service_covers
from sidecar.ports import path_of, resource_of

_UNREAD = "Secret"  # the kind whose values are never read
_COUNTS = "/spec/replicas"
_BUDGETED = RUNS_PODS - {"CronJob"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    plan: Plan
    look: Look

    def seen(self, ref: ObjectRef) -> Seen | None:
        """A target and the controllers above it; None where that could not be had."""
        if ref.kind == _UNREAD:
            self.look.missing.append(f"{ref}: Secrets are not looked at")
            return None
        live = self.look.object(ref)
        if live is None or live == NOT_THERE:
            return None if live is None else Seen(ref=ref)
        live = {**live, "apiVersion": ref.api_version, "kind": ref.kind}
        owners = self.look.owners(live, ref.namespace)
        return None if owners is None else Seen(ref=ref, live=live, owners=owners)

    def facts_of(self, seen: Seen) -> Document | None:
        ref, namespace = seen.ref, seen.ref.namespace
        budgets: list[Document] | None = []
        if ref.kind in _BUDGETED:
            budgets = self.look.listed("policy/v1", "PodDisruptionBudget", namespace)
        services = self._services(namespace) if ref.kind in RUNS_PODS and self._takes_pods(namespace) else []
        autoscalers = self._autoscalers(namespace) if ref.kind in WORKLOADS and self._scales(ref) else []
        if budgets is None or services is None or autoscalers is None:
            return None
        labels = pod_labels(seen.live)
        covering = [budget for budget in budgets if selects(budget, labels)]
        workload = self._workload(seen)
        steps = [step for step in self.plan.steps if step.action.target == ref]
        return {
            **target_facts(seen.live, owners=list(seen.owners), budgets=covering),
            "workload": _key(workload, namespace) if workload is not None else "",
            "services": _names(one for one in services if service_covers(one, labels)),
            "autoscalers": [_bounds(one) for one in autoscalers if scales(one)[1:] == (ref.kind, ref.name)],
            "live": as_planned(seen.live, steps),
        }

    def workloads(self, refs: Sequence[ObjectRef]) -> Document:
        """What the targets are, or belong to, as far as they have a number of pods."""
        found: Document = {}
        for ref in refs:
            seen = self._again(ref)
            workload = self._workload(seen) if seen is not None else None
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
        found = self._subject()
        if found is None:
            readable = subject.kind != _UNREAD and path_of(subject) is not None
            return {"key": key_of(subject)} if readable else {"key": key_of(subject), "exists": "unread", "uid": ""}
        uid = text(mapping(found.live, "metadata"), "uid")
        return {"key": key_of(subject), "exists": bool(found.live), "uid": uid}

    def related(self, ref: ObjectRef) -> str:
        """How a target and the cause's subject depend on each other; "" where nothing shows it, or it cannot be seen."""
        target, subject = self._again(ref) or Seen(ref=ref), self._subject() or Seen(ref=self.plan.cause.subject)
        created = next((step.action for step in self.plan.steps if step.action.target == ref), None)
        if isinstance(created, CreateObject) and not target.live:
            target = Seen(ref=ref, live=created.manifest)
        direct = relation(target, subject)
        kinds = {target.ref.kind, subject.ref.kind}
        if direct or not (kinds & {"Ingress", "Node"}) or not kinds & RUNS_PODS:
            return direct
        workload = subject if subject.ref.kind in RUNS_PODS else target
        services = self._services(workload.ref.namespace) if "Ingress" in kinds else []
        pods = self._pods(workload) if "Node" in kinds else []
        return relation(target, subject, services=services or [], pods=pods or [])

    def adds(self) -> dict[str, Json]:
        live: dict[str, Document] = {}
        scaled: dict[str, Document] = {}
        for step in self.plan.steps:
            ref, action = step.action.target, step.action
            seen = self._again(ref)
            if seen is not None and seen.live:
                live[key_of(ref)] = seen.live
            if ref.kind == "HorizontalPodAutoscaler":
                of = action.manifest if isinstance(action, CreateObject) else live.get(key_of(ref), {})
                found = self._scaled(of, ref.namespace)
                if found is not None:
                    scaled[key_of(ref)] = found
        return added(self.plan.steps, live, scaled)

    def _subject(self) -> Seen | None:
        """None for what cannot be looked at; without `live` what is not there."""
        subject = self.plan.cause.subject
        if subject.kind == _UNREAD or path_of(subject) is None:
            return None
        return self.seen(subject)

    def _again(self, ref: ObjectRef) -> Seen | None:
        """What `seen` found already; nothing new is asked for."""
        return None if ref.kind == _UNREAD or path_of(ref) is None else self.seen(ref)

    def _workload(self, seen: Seen) -> Document | None:
        """The topmost that has a number of pods; nothing for what runs none."""
        counted = [found for found in seen.chain() if found.get("kind") in WORKLOADS and replicas_of(found) is not None]
        return counted[-1] if counted else None

    def _takes_pods(self, namespace: str) -> bool:
        return any(_takes(step) and namespace in {ref.namespace for ref in target_of(step.action)} for step in self.plan.steps)

    def _scales(self, ref: ObjectRef) -> bool:
        return any(step.action.target == ref and _sets_count(step) for step in self.plan.steps)

    def _scaled(self, autoscaler: Document, namespace: str) -> Document | None:
        api_version, kind, name = scales(autoscaler)
        if not name or resource_of(api_version, kind) is None:
            return None
        try:
            ref = ObjectRef(api_version=api_version, kind=kind, namespace=namespace, name=name, uid="unknown")
        except ValueError:
            return None
        found = self.look.object(ref)
        return None if found is None or found == NOT_THERE else {**found, "kind": kind}

    def _services(self, namespace: str) -> list[Document] | None:
        return self.look.listed("v1", "Service", namespace)

    def _autoscalers(self, namespace: str) -> list[Document] | None:
        return self.look.listed("autoscaling/v2", "HorizontalPodAutoscaler", namespace)

    def _pods(self, workload: Seen) -> list[Document] | None:
        selector = mapping(mapping(mapping(workload.live, "spec"), "selector"), "matchLabels")
        words = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
        if not words:
            return []
        return self.look.listed("v1", "Pod", workload.ref.namespace, (("labelSelector", words),))


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
