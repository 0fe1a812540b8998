"""One plan's objects as they are in the cluster: its targets, the subject of its cause, and what lies between them.

Lists are asked for only where a step needs them. It must know no rule.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from sidecar.contract import ChangeFields, CreateObject, Json, ObjectRef, Plan, Step
from sidecar.facts.aims import SCALER, SERVICES, Aim
from sidecar.facts.demand import added, counts_nothing, scales
from sidecar.facts.looking import Look, Query, list_call, namespace_call
from sidecar.facts.naming import RUNS_PODS
from sidecar.facts.portrait import NOWHERE, Portrait
from sidecar.facts.projection import Document, absent, key_of, mapping
from sidecar.facts.relation import Seen, relation
from sidecar.facts.telling import NAMES, Names, Target, workload_key, workload_of
from sidecar.ports import ApiCall, look_at, resource_of

_UNREAD = "Secret"  # the kind whose values are never read
_PODS = ("v1", "Pod")
_FAR = frozenset({"Ingress", "Node"})  # what they have to do with what runs pods, only lists could show


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """`aims`: what the plan writes to, by key. `seen`: each of those with the controllers above it; None for what could not be
    had, or is not looked at. `subject`: so of the plan's cause. `scaled`: by the key of an autoscaler, what it scales."""

    plan: Plan
    look: Look
    aims: Mapping[str, Aim]
    seen: Mapping[str, Seen | None]
    subject: Seen | None
    scaled: Mapping[str, Document]

    @classmethod
    def of(cls, plan: Plan, aims: Mapping[str, Aim], look: Look, *, namespaces: Iterable[str]) -> "Sight":
        """Looks at everything, in as few rounds as it takes: what the plan alone tells (and `namespaces`), then what
        stands above it, level by level."""
        subject = [plan.cause.subject] if _call(plan.cause.subject) is not None else []
        look.ahead([*map(namespace_call, namespaces), *map(_call, subject), *_foreseen(aims.values())])
        found = _seen([*(aim.ref for aim in aims.values()), *subject], look, scaling={key for key in aims if aims[key].steps})
        seen = dict(zip(aims, found, strict=False))
        scaled = _scaled(plan, seen, look)
        sight = cls(plan=plan, look=look, aims=aims, seen=seen, subject=found[-1] if subject else None, scaled=scaled)
        look.ahead(sight._calls_between())
        return sight

    def targets(self, last: Set[str]) -> Document:
        """What is told of each, but for `last`."""
        names = Names.of(NAMES - last)
        found: Document = {}
        for key, seen in self.seen.items():
            if seen is not None and not seen.live:
                found[key] = absent()
            elif (target := self._target(key, seen)) is not None:
                found[key] = target.told(names)
        return found

    def completed(self, targets: Document, last: Set[str]) -> Document:
        """`targets` as they were told but for `last`, with that as well."""
        names = Names.of(NAMES & last)
        found: Document = {}
        for key in targets:
            facts, target = mapping(targets, key), self._target(key, self.seen[key])
            found[key] = {**facts, **target.told(names)} if target is not None else facts
        return found

    def workloads(self) -> Document:
        """What the targets are, or belong to, as far as they have a number of pods."""
        found: Document = {}
        for key, aim in self.aims.items():
            workload = workload_of(self.seen[key])
            if workload is not None:
                found[workload_key(workload, aim.ref.namespace)] = workload.strength
        return found

    def cause(self) -> Document:
        """`exists` "unread": of a kind that is not looked at, or not known; only its name can be referred to."""
        subject = self.plan.cause.subject
        if _call(subject) is None:
            return {"key": key_of(subject), "exists": "unread", "uid": ""}
        if self.subject is None:
            return {"key": key_of(subject)}
        portrait = self.subject.portrait
        return {"key": key_of(subject), "exists": bool(portrait.live), "uid": portrait.identity[2]}

    def related(self) -> Document:
        """How each target and the cause's subject depend on each other; "" where nothing shows it, or it cannot be seen."""
        subject = self._subject()
        return {key: self._relation(self._aimed_at(key, aim), subject) for key, aim in self.aims.items()}

    def adds(self) -> dict[str, Json]:
        live = {key: seen.live for key, seen in self.seen.items() if seen is not None and seen.live}
        return added(self.plan.steps, live, self.scaled, {step.id for step in self.plan.steps if self._adds_nothing(step)})

    def _adds_nothing(self, step: Step) -> bool:
        seen = self.seen.get(key_of(step.action.target))
        match step.action:
            case ChangeFields(changes=(change,)) if seen is not None and seen.live and counts_nothing(step):
                return seen.portrait.demand is not None and seen.portrait.at(change.path)[0] is not None
            case _:
                return False

    def _target(self, key: str, seen: Seen | None) -> Target | None:
        """None for what is not there, or not to be had whole."""
        if seen is None or not seen.live:
            return None
        aim = self.aims[key]
        lists: dict[tuple[str, str], list[Document]] = {}
        for kind in aim.lists:
            listed = self.look.listed(*kind, aim.ref.namespace)
            if listed is None:
                return None
            lists[kind] = listed
        return Target(aim=aim, seen=seen, lists=lists)

    def _relation(self, target: Seen, subject: Seen) -> str:
        workload = _between(target, subject)
        if workload is None:
            return relation(target, subject)
        kinds, namespace = {target.ref.kind, subject.ref.kind}, workload.ref.namespace
        services = self.look.listed(*SERVICES, namespace) if "Ingress" in kinds else []
        query = _picking_pods(workload)
        pods = self.look.listed(*_PODS, namespace, query) if "Node" in kinds and query else []
        return relation(target, subject, services=services or [], pods=pods or [])

    def _calls_between(self) -> Iterator[ApiCall | None]:
        """What `related` will ask for."""
        subject = self._subject()
        if _FAR.isdisjoint([subject.ref.kind, *[aim.ref.kind for aim in self.aims.values()]]):
            return
        for target in [self._aimed_at(key, aim) for key, aim in self.aims.items()]:
            workload = _between(target, subject)
            if workload is None:
                continue
            kinds, namespace = {target.ref.kind, subject.ref.kind}, workload.ref.namespace
            query = _picking_pods(workload)
            yield list_call(*SERVICES, namespace) if "Ingress" in kinds else None
            yield list_call(*_PODS, namespace, query) if "Node" in kinds and query else None

    def _aimed_at(self, key: str, aim: Aim) -> Seen:
        """What is not there yet, as the plan makes it."""
        seen = self.seen[key] or Seen(ref=aim.ref)
        if aim.created is None or seen.live:
            return seen
        return Seen(ref=aim.ref, portrait=Portrait(aim.created.manifest))

    def _subject(self) -> Seen:
        return self.subject or Seen(ref=self.plan.cause.subject)


def _scaled(plan: Plan, seen: Mapping[str, Seen | None], look: Look) -> dict[str, Document]:
    """By the key of each autoscaler that a step is about: the live object of what it scales, or would."""
    scaled: dict[str, Document] = {}
    for step in plan.steps:
        ref, action = step.action.target, step.action
        if ref.kind != SCALER:
            continue
        there = seen.get(key_of(ref))
        autoscaler = action.manifest if isinstance(action, CreateObject) else there.live if there is not None else {}
        named = _scaled_by(autoscaler, ref.namespace)
        found = look.object(named) if named is not None else None
        if found is not None and found is not NOWHERE:
            scaled[key_of(ref)] = found.live
    return scaled


def _call(ref: ObjectRef) -> ApiCall | None:
    """None for what is not looked at."""
    return None if ref.kind == _UNREAD else look_at(ref)


def _foreseen(aims: Iterable[Aim]) -> Iterator[ApiCall | None]:
    """What the plan's steps alone say will be asked for."""
    lists: set[tuple[tuple[str, str], str]] = set()
    for aim in aims:
        call = _call(aim.ref)
        if call is None:
            continue
        yield call
        if aim.created is None:
            lists.update([(kind, aim.ref.namespace) for kind in aim.lists])
        elif aim.ref.kind == SCALER:
            yield _scaled_call(aim.created.manifest, aim.ref.namespace)
    yield from (list_call(*kind, namespace) for kind, namespace in lists)


def _seen(refs: Sequence[ObjectRef], look: Look, *, scaling: set[str]) -> list[Seen | None]:
    """`scaling`: the keys of those that steps are about, so that what they scale is asked for as well."""
    portraits = [_portrait(ref, look) for ref in refs]
    there = [(ref, portrait) for ref, portrait in zip(refs, portraits, strict=True) if portrait is not None and portrait.live]
    scaled = (_scaled_call(one.live, ref.namespace) for ref, one in there if ref.kind == SCALER and key_of(ref) in scaling)
    owners = iter(look.owners([(portrait, ref.namespace) for ref, portrait in there], along=scaled))
    found: list[Seen | None] = []
    for ref, portrait in zip(refs, portraits, strict=True):
        if portrait is None:
            found.append(None)
        elif portrait is NOWHERE:
            found.append(Seen(ref=ref))
        else:
            above = next(owners)
            found.append(None if above is None else Seen(ref=ref, portrait=portrait, owners=above))
    return found


def _portrait(ref: ObjectRef, look: Look) -> Portrait | None:
    if ref.kind == _UNREAD:
        look.missing.append(f"{ref}: Secrets are not looked at")
        return None
    return look.object(ref)


def _between(target: Seen, subject: Seen) -> Seen | None:
    """The one of the two that runs pods, where only lists could show what it has to do with an Ingress or a Node."""
    kinds = {target.ref.kind, subject.ref.kind}
    if kinds.isdisjoint(_FAR) or kinds.isdisjoint(RUNS_PODS) or relation(target, subject):
        return None
    return subject if subject.ref.kind in RUNS_PODS else target


def _picking_pods(workload: Seen) -> Query:
    """Empty where it selects none."""
    selector = mapping(mapping(mapping(workload.live, "spec"), "selector"), "matchLabels")
    words = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
    return (("labelSelector", words),) if words else ()


def _scaled_call(autoscaler: Document, namespace: str) -> ApiCall | None:
    ref = _scaled_by(autoscaler, namespace)
    return look_at(ref) if ref is not None else None


def _scaled_by(autoscaler: Document, namespace: str) -> ObjectRef | None:
    api_version, kind, name = scales(autoscaler)
    if not name or resource_of(api_version, kind) is None:
        return None
    try:
        return ObjectRef(api_version=api_version, kind=kind, namespace=namespace, name=name, uid="unknown")
    except ValueError:
        return None
