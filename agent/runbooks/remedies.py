"""From a cause and its page to concrete remedies: templates filled, targets and before-values taken from live objects. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from agent.domain.finding import Finding, RankedCause
from agent.domain.objects import Manifest, Ref
from agent.domain.runbook import Page, Probe, Remedy
from agent.runbooks.conditions import compile_condition, spelled_out
from agent.runbooks.documents import document_of
from agent.runbooks.filling import Unfillable, Words, read_ref, spelled
from agent.runbooks.pages import Library
from agent.runbooks.reading import FINDING
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.fields import labels_of, ref_of, text
from agent.topology.kinds import plain
from sidecar.contract import Action, ObjectRef, Verification

_ACTION: TypeAdapter[Action] = TypeAdapter(Action)
_GROUP_VERSIONS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "EndpointSlice": "discovery.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodDisruptionBudget": "policy/v1",
    "StorageClass": "storage.k8s.io/v1",
    "PriorityClass": "scheduling.k8s.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "Lease": "coordination.k8s.io/v1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One remedy to propose. Without `actions` it is for a person, and `human` says what and why. `expects` has one
    entry for each action; `verification` says how it will be seen that it helped."""

    title: str
    actions: tuple[Action, ...] = ()
    expects: tuple[str, ...] = ()
    verification: tuple[Verification, ...] = ()
    human: str = ""
    why: str = ""


def api_version_of(kind: str, manifest: Manifest | None = None) -> str:
    """The object's own apiVersion where it says one (list items of the API do not), else the well-known one."""
    return (text(manifest, "apiVersion") if manifest is not None else "") or _GROUP_VERSIONS.get(kind, "v1")


def object_ref(topology: Topology, ref: Ref) -> ObjectRef | None:
    """The contract's identity of a live object; None when it is not in view or has no uid."""
    manifest = topology.objects.get(ref)
    uid = text(manifest, "metadata", "uid")
    if manifest is None or not uid:
        return None
    version = api_version_of(ref.kind, manifest)
    return ObjectRef(api_version=version, kind=plain(ref.kind), namespace=ref.namespace, name=ref.name, uid=uid)


def candidates(cause: RankedCause, library: Library, topology: Topology) -> tuple[Candidate, ...]:
    """Remedies of the cause's page in order, those whose condition holds and whose templates can be filled; a cause
    without a page, or whose remedies all need something that is not there, ends in one for a person."""
    finding = cause.finding
    page = library.for_finding(finding)
    if page is None:
        return (Candidate(title="a person", human=f"there is no runbook page for {finding.cause}"),)
    found: list[Candidate] = []
    unfilled: list[str] = []
    for remedy in page.remedies:
        if not compile_condition(remedy.when, FINDING).holds({"finding": document_of(finding)}):
            continue
        try:
            found.append(_candidate(remedy, page, finding, topology))
        except Unfillable as exc:
            unfilled.append(f"{remedy.title}: {exc}")
    if not found:
        reason = "; ".join(unfilled) or "no remedy of the page fits what was found"
        found.append(Candidate(title="a person", human=f"{reason} (see {page.path})"))
    return tuple(found)


def _candidate(remedy: Remedy, page: Page, finding: Finding, topology: Topology) -> Candidate:
    words = Words(finding, topology)
    why = str(words.fill(remedy.why)) or finding.statement[:480]
    if remedy.human:
        return Candidate(title=str(words.fill(remedy.title)), human=str(words.fill(remedy.human)), why=why)
    actions, expects = [], []
    expect = str(words.fill(remedy.expect))[:480]
    steps: Sequence[Mapping[str, Any]] = remedy.steps or ({"action": remedy.action},)
    for step in steps:
        for filler in _items(step, words):
            actions.append(_action(cast(Mapping[str, Any], step["action"]), filler, topology))
            expects.append(str(filler.fill(step.get("expect", "")))[:480] or expect)
    if not actions:
        raise Unfillable("there is nothing to do it to")
    checks = tuple(one for probe in page.probes for one in _verification(probe, words, topology))
    if not any(not one.optional for one in checks):
        raise Unfillable("it could not be seen whether it helped")
    return Candidate(
        title=str(words.fill(remedy.title)), actions=tuple(actions), expects=tuple(expects), verification=checks, why=why
    )


def own_action(finding: Finding, action: Mapping[str, Any], why: str, library: Library, topology: Topology) -> Candidate:
    """An action that no page names, such as a model's: of the contract, on what the cause is about, and seen to help or not."""
    kind, target = safe(str(action.get("kind", "")), limit=40), read_ref(safe(str(action.get("target", "")), limit=320))
    unit, words = topology.unit(finding.subject), Words(finding, topology)
    near = {finding.subject, unit, *finding.affects, *topology.depends_on(unit), *map(ref_of, topology.pods_of(unit))}
    page = library.page(finding.cause)
    probes = (*(page.probes if page else ()), Probe(kubernetes=spelled(unit), condition="workload-ready", within_seconds=180))
    try:
        if target not in near:
            raise Unfillable(f"{target} is not what the cause is about")
        done = _action(action, words, topology)
        checks = tuple(one for probe in probes for one in _verification(probe, words, topology))[:20]
        if not any(not one.optional for one in checks):
            raise Unfillable("it could not be seen whether it helped")
    except (Unfillable, ValueError, TypeError, KeyError, AttributeError) as exc:  # whoever proposed it may have sent anything
        why = str(exc) if isinstance(exc, Unfillable) else "it has not the form of an action"
        return Candidate(title="a person", human=f"a model proposed what is not possible: {kind} {target}: {why}")
    return Candidate(
        title=f"{kind} {target}", actions=(done,), expects=("the checks of the plan hold",), verification=checks, why=why
    )


def _items(step: Mapping[str, Any], words: Words) -> Iterator[Words]:
    if "for_each" not in step:
        yield words
        return
    listed = words.fill(step["for_each"])
    for item in listed if isinstance(listed, list) else []:
        yield words.with_item(item)


def _action(template: Mapping[str, Any], words: Words, topology: Topology) -> Action:
    filled = words.fill(dict(template))
    ref = read_ref(str(filled.get("target", "")))
    if filled.get("kind") == "create_object":
        version = text(filled.get("manifest"), "apiVersion")
        target: ObjectRef | None = ObjectRef(
            api_version=version, kind=ref.kind, namespace=ref.namespace, name=ref.name, uid="new"
        )
    else:
        target = object_ref(topology, ref)
    if target is None:
        raise Unfillable(f"{ref} is not there")
    if filled.get("kind") == "change_fields":
        live = topology.objects[ref]
        filled["changes"] = [_change(live, one) for one in filled.get("changes", [])]
    try:
        return _ACTION.validate_python({**filled, "target": target}, strict=False)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        raise Unfillable(f"no such action: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _change(live: Manifest, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The change with `before` from the live object. Where the parent of the field is missing too, the change moves up
    to the highest part that is missing, so that the patch has a place to stand on."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in str(wanted["path"]).split("/")[1:]]
    after = deepcopy(wanted["after"])
    value: Any = live
    for depth, part in enumerate(parts):
        below = _step(value, part)
        if below is None:
            for missing in reversed(parts[depth + 1 :]):
                after = {missing: after}
            return {"path": _pointer(parts[: depth + 1]), "before": None, "after": after}
        value = below
    return {"path": _pointer(parts), "before": deepcopy(value), "after": after}


def _step(value: Any, part: str) -> Any:
    if isinstance(value, list):
        return value[int(part)] if part.isdigit() and int(part) < len(value) else None
    return value.get(part) if isinstance(value, Mapping) else None


def _pointer(parts: Sequence[str]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _verification(probe: Probe, words: Words, topology: Topology) -> Iterator[Verification]:
    try:
        if probe.promql:
            promql = str(words.fill(probe.promql))
            yield Verification(
                description=f"PromQL: {promql}"[:480], promql=promql, within_seconds=probe.within_seconds, optional=probe.optional
            )
            return
        targets = words.fill(probe.kubernetes)
    except Unfillable:
        return
    for one in targets if isinstance(targets, list) else [targets]:
        subject = _subject(str(one), topology)
        condition = spelled_out(probe.condition, subject.kind) if subject is not None else ""
        if subject is not None and condition:
            try:
                filled = str(words.fill(condition))
            except Unfillable:
                continue
            yield Verification(
                description=f"{subject}: {probe.condition}"[:480],
                subject=subject,
                condition=filled,
                within_seconds=probe.within_seconds,
                optional=probe.optional,
            )


def _subject(words: str, topology: Topology) -> ObjectRef | None:
    if not words.startswith("endpoints of "):
        return object_ref(topology, read_ref(words))
    service = read_ref(words.removeprefix("endpoints of "))
    slices = [
        ref_of(one)
        for one in topology.in_namespace("EndpointSlice", service.namespace)
        if labels_of(one).get("kubernetes.io/service-name") == service.name
    ]
    return object_ref(topology, min(slices) if slices else Ref("Endpoints", service.namespace, service.name))
