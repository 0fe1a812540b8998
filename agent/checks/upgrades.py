"""Node pools being upgraded or grown: drains that a budget stops, groups that cannot grow, version skew, and images that break
what ran before. A mixture of versions within what Kubernetes supports, and a cordon alone, are no faults."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, earliest, quote_event, quote_field
from agent.checks.scheduling import pods_said, unplaced
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Happening, Topology
from agent.topology.fields import (
    at,
    condition,
    controller_of,
    created_at,
    items,
    labels_of,
    mapping,
    name_of,
    number,
    ref_of,
    text,
    time_at,
)
from agent.topology.pods import is_finished, is_ready, unready_since
from agent.topology.selectors import matches
from agent.topology.workloads import live_pods, wanted
from sidecar.contract import Json

_DRAIN_TAINTS = (
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "node.kubernetes.io/out-of-service",
)
_BUDGET = re.compile(r"disruption budget|PodDrainFailure|cannot evict pod", re.I)
_NO_GROWTH = re.compile(
    r"max node group size reached|max cluster (?:cpu|memory|limit)|in backoff after failed scale-up|max total nodes", re.I
)
_GROWTH_EVENTS = ("FailedToScaleUpGroup", "ScaleUpTimedOut", "ScaleUpFailed", "FailedScaleUp", "FailedToScaleUp")
_MINOR = re.compile(r"v?1\.(\d+)")
_UPGRADE = re.compile(
    r"upgrade.{0,12}fail|fail.{0,12}(?:upgrade|drain|surge)|surge.{0,12}fail|drain.{0,8}(?:fail|timed ?out|error)", re.I
)
DRAINS = timedelta(minutes=5)
LATELY = timedelta(minutes=60)
SUPPORTED = 3  # minor versions that a kubelet may be behind the API server (Kubernetes version skew policy)


def _drained(node: Manifest) -> tuple[bool, str]:
    """Whether the node is being emptied, and the mark that says so."""
    for taint in items(node, "spec", "taints"):
        if text(taint, "key") in _DRAIN_TAINTS:
            return True, f"taint {text(taint, 'key')}"
    return at(node, "spec", "unschedulable") is True, "spec.unschedulable: true"


def _left(topology: Topology, node: str) -> list[Manifest]:
    """Pods that a drain would have to evict: no DaemonSet's, no static ones, none that ended or go away."""
    found = []
    for pod in topology.of_kind("Pod"):
        owner = controller_of(pod)
        if text(pod, "spec", "nodeName") != node or is_finished(pod) or at(pod, "metadata", "deletionTimestamp") is not None:
            continue
        if owner is None or owner.kind not in ("DaemonSet", "Node"):
            found.append(pod)
    return found


@check("drain-blocked-by-budget", weight=0.94)
def drain_blocked(topology: Topology) -> Iterator[Finding]:
    """A node is being emptied, and a PodDisruptionBudget that allows no disruption holds pods on it: evictions are refused
    (429), or nothing but such pods is left."""
    budgets = [one for one in topology.of_kind("PodDisruptionBudget")
               if number(one, "status", "disruptionsAllowed") == 0 and number(one, "status", "expectedPods") > 0]  # fmt: skip
    for node in topology.of_kind("Node") if budgets else ():
        draining, mark = _drained(node)
        if not draining:
            continue
        left = _left(topology, name_of(node))
        since = next((time_at(one, "timeAdded") for one in items(node, "spec", "taints") if time_at(one, "timeAdded")), None)
        for budget in budgets:
            held = [pod for pod in left if ref_of(pod).namespace == ref_of(budget).namespace
                    and matches(mapping(budget, "spec", "selector"), labels_of(pod))]  # fmt: skip
            said = _refused(topology, node, held)
            only_these = len(held) == len(left) and (since is None or topology.now - since >= DRAINS)
            if held and (said is not None or only_these):
                yield _blocked(topology, node, budget, held, said, mark)


def _refused(topology: Topology, node: Manifest, held: list[Manifest]) -> Happening | None:
    """The last event that says that an eviction was refused."""
    abouts = [ref_of(node), *(ref_of(pod) for pod in held)]
    said = [one for about in abouts for one in topology.events_about(about) if _BUDGET.search(f"{one.reason} {one.message}")]
    return max(said, key=lambda one: (str(one.last), one.message), default=None)


def _blocked(
    topology: Topology, node: Manifest, budget: Manifest, held: list[Manifest], said: Happening | None, mark: str
) -> Finding:
    ref, units = ref_of(budget), tuple(sorted({topology.unit(ref_of(pod)) for pod in held}))
    healthy, desired = number(budget, "status", "currentHealthy"), number(budget, "status", "desiredHealthy")
    expected = number(budget, "status", "expectedPods")
    ill = healthy < expected
    rule = next(
        (
            f"{field} {at(budget, 'spec', field)}"
            for field in ("minAvailable", "maxUnavailable")
            if at(budget, "spec", field) is not None
        ),
        "",
    )
    why = (
        f"only {healthy} of {expected} pods are healthy and it wants {desired}"
        if ill
        else f"it wants {desired} of {expected} pods ({rule}), which leaves none to spare"
    )
    workload = topology.objects.get(units[0]) if len(units) == 1 else None
    params: dict[str, Json] = {"node": name_of(node), "healthy": healthy, "desired": desired}
    if not ill and workload is not None and units[0].kind == "Deployment":
        params |= {
            "suggested_replicas": wanted(workload) + 1,
            "workload": f"{units[0].kind}/{units[0].namespace}/{units[0].name}",
        }
    return Finding(
        cause="drain-blocked-by-budget",
        subject=ref,
        symptom_only=ill,  # then what makes the pods ill is the cause
        since=said.first
        if said is not None
        else next((time_at(one, "timeAdded") for one in items(node, "spec", "taints")), None),
        affects=(ref_of(node), *units),
        params=params,
        quotes=(
            quote_field(
                ref,
                "status",
                f"disruptionsAllowed 0, currentHealthy {healthy}, desiredHealthy {desired}, expectedPods {expected}",
            ),
            quote_field(ref_of(node), "spec", mark),
            *((quote_event(said),) if said is not None else ()),
        ),
        statement=f"{ref_of(node)} cannot be drained: {ref} allows no disruption of {', '.join(map(str, units))}, because {why}.",
    )


@check("node-group-cannot-grow", weight=0.91)
def cannot_grow(topology: Topology) -> Iterator[Finding]:
    """The cluster autoscaler says why it adds no node for waiting pods: its bound, or the cloud's refusal."""
    failed = [one for ones in topology.events.values() for one in ones if one.reason in _GROWTH_EVENTS
              and (one.last is None or topology.now - one.last < LATELY)]  # fmt: skip
    for one in unplaced(topology):
        said = [event for pod in one.pods for event in topology.events_about(ref_of(pod))
                if event.reason == "NotTriggerScaleUp" and _NO_GROWTH.search(event.message)]  # fmt: skip
        if not said and not (failed and "Insufficient" in one.words):
            continue
        last = max(failed, key=lambda event: (str(event.last), event.message)) if failed else said[-1]
        bound = bool(said) and "size reached" in said[-1].message
        yield Finding(
            cause="node-group-cannot-grow",
            subject=one.unit,
            since=one.since,
            affects=one.refs,
            params={"at_bound": bound, "reason": last.reason},
            quotes=(*one.quotes, *(quote_event(event) for event in said[-1:]), *((quote_event(last),) if failed else ())),
            statement=f"{pods_said(one)} wait for a node, and the autoscaler adds none:"
            f" {'its node groups are at their upper bound' if bound else last.message[:250].rstrip('.')}.",
        )


def _minor(version: str) -> int | None:
    match = _MINOR.match(version)
    return int(match[1]) if match else None


@check("kubelet-version-skew", weight=0.6)
def versions_apart(topology: Topology) -> Iterator[Finding]:
    """A kubelet more than three minor versions behind the newest, or newer than the API server (where that is in view)."""
    nodes = [(node, _minor(text(node, "status", "nodeInfo", "kubeletVersion"))) for node in topology.of_kind("Node")]
    known = [minor for _, minor in nodes if minor is not None]
    servers = [_minor(text(box, "image").rpartition(":")[2]) for pod in topology.of_kind("Pod")
               if labels_of(pod).get("component") == "kube-apiserver" for box in items(pod, "spec", "containers")]  # fmt: skip
    server = min((one for one in servers if one is not None), default=None)
    for node, minor in nodes:
        newest = server if server is not None else max(known, default=0)
        if minor is None or (newest - minor <= SUPPORTED and (server is None or minor <= server)):
            continue
        ref, version = ref_of(node), text(node, "status", "nodeInfo", "kubeletVersion")
        newer = server is not None and minor > server
        yield Finding(
            cause="kubelet-version-skew",
            subject=ref,
            since=created_at(node),
            params={"kubelet": version, "newest_minor": newest},
            quotes=(quote_field(ref, "status.nodeInfo", f"kubeletVersion {version}"),),
            statement=f"The kubelet of {ref} ({version}) is {'newer than' if newer else 'too far behind'}"
            f" {'the API server' if server is not None else 'the other nodes'} (1.{newest}), which Kubernetes does not support.",
        )


def _image(node: Manifest) -> tuple[str, ...]:
    info = mapping(node, "status", "nodeInfo")
    return tuple(text(info, field) for field in ("osImage", "kernelVersion", "containerRuntimeVersion", "kubeletVersion"))


@check("new-node-image-breaks", weight=0.9)
def breaks_on_new_nodes(topology: Topology) -> Iterator[Finding]:
    """The same revision of workloads runs on nodes of one image and fails on every node of another, newer one."""
    nodes = {name_of(node): node for node in topology.of_kind("Node") if text(condition(node, "Ready"), "status") == "True"}
    if len({_image(node) for node in nodes.values()}) < 2:
        return
    broken: dict[tuple[str, ...], list[tuple[Ref, Manifest]]] = {}
    for unit in sorted(topology.pods_by_owner):
        sick, well, hashes = [], set(), set()
        for pod in live_pods(topology, unit):
            node = nodes.get(text(pod, "spec", "nodeName"))
            if node is None:
                continue
            since = unready_since(pod)
            hashes.add(labels_of(pod).get("pod-template-hash") or labels_of(pod).get("controller-revision-hash", ""))
            if is_ready(pod):
                well.add(_image(node))
            elif since is None or topology.now - since >= DRAINS:
                sick.append((_image(node), node))
        images = {image for image, _ in sick}
        if well and len(images) == 1 and not images & well and len(hashes) == 1:
            broken.setdefault(sick[0][0], []).append((unit, sick[0][1]))
    for image, ones in sorted(broken.items()):
        mine = [node for node in nodes.values() if _image(node) == image]
        others = [node for node in nodes.values() if _image(node) != image]
        newer = min(str(created_at(node)) for node in mine) > max(str(created_at(node)) for node in others)
        if len(ones) >= 2 and newer:
            yield _breaks(image, ones, mine, others)


def _breaks(image: tuple[str, ...], ones: list[tuple[Ref, Manifest]], mine: list[Manifest], others: list[Manifest]) -> Finding:
    before = _image(others[0])
    changed = [f"{old} -> {new}" for old, new in zip(before, image, strict=True) if old != new]
    node, units = ref_of(ones[0][1]), tuple(unit for unit, _ in ones)
    return Finding(
        cause="new-node-image-breaks",
        subject=node,
        since=earliest(*(created_at(one) for one in mine)),
        affects=units,
        params={"nodes": [name_of(one) for one in mine], "changed": [*changed]},
        quotes=(quote_field(node, "status.nodeInfo", "; ".join(changed)),),
        statement=f"{', '.join(map(str, units))} fail on the nodes of the new image"
        f" ({', '.join(sorted(name_of(one) for one in mine))}) and run, at"
        f" the same revision, on the older ones: {'; '.join(changed)}.",
    )


@check("node-upgrade-failed", weight=0.85)
def upgrade_failed(topology: Topology) -> Iterator[Finding]:
    """Warning events of the last hour on a node that say that its upgrade, surge or drain failed."""
    for node in topology.of_kind("Node"):
        ref = ref_of(node)
        said = [
            one
            for one in topology.events_about(ref)
            if one.kind == "Warning"
            and _UPGRADE.search(f"{one.reason}: {one.message}")
            and (one.last is None or topology.now - one.last < LATELY)
        ]
        if said:
            yield Finding(
                cause="node-upgrade-failed",
                subject=ref,
                since=said[0].first,
                params={"reason": said[-1].reason},
                quotes=(quote_event(said[-1]),),
                statement=f"The upgrade or drain of {ref} failed ({said[-1].reason}): {said[-1].message[:300].rstrip('.')}.",
            )
