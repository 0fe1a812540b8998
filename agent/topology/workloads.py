"""Workloads as people speak of them: wanted and ready replicas, revisions, what a new revision changed, what still serves."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import at, counted, created_at, items, labels_of, number, ref_of, text
from agent.topology.graph import Topology
from agent.topology.pods import ContainerState, container_states, is_finished, is_ready

REVISION = "deployment.kubernetes.io/revision"
SHOWS = timedelta(hours=2)  # what a release breaks shows that soon: what has run for days was broken by something else
CONTROLLED = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One ReplicaSet of a Deployment."""

    number: int
    replica_set: Manifest
    created: datetime | None
    images: tuple[str, ...]
    ready: int


def workloads(topology: Topology) -> list[Manifest]:
    return topology.of_kind(*CONTROLLED)


def wanted(workload: Manifest) -> int:
    if text(workload, "kind") == "DaemonSet":
        return number(workload, "status", "desiredNumberScheduled")
    return number(workload, "spec", "replicas", default=1)


def ready(workload: Manifest) -> int:
    field = "numberReady" if text(workload, "kind") == "DaemonSet" else "readyReplicas"
    return number(workload, "status", field)


def live_pods(topology: Topology, unit: Ref) -> list[Manifest]:
    """Pods of the unit that have not finished and are not being deleted."""
    return [pod for pod in topology.pods_of(unit) if not is_finished(pod) and at(pod, "metadata", "deletionTimestamp") is None]


def is_serving(topology: Topology, unit: Ref) -> bool:
    """Whether as many pods are ready as the workload wants (and it wants some)."""
    known: dict[Ref, bool] = topology.derived.setdefault("serving", {})
    if unit not in known:
        known[unit] = _is_serving(topology, unit)
    return known[unit]


def _is_serving(topology: Topology, unit: Ref) -> bool:
    manifest = topology.objects.get(unit)
    if manifest is None:
        return False
    if unit.kind in CONTROLLED:
        have = sum(1 for pod in live_pods(topology, unit) if is_ready(pod))
        return wanted(manifest) > 0 and max(have, 0) >= wanted(manifest)
    return True


def images_of(workload: Manifest) -> tuple[str, ...]:
    return tuple(text(one, "image") for one in items(workload, "spec", "template", "spec", "containers"))


def revisions(topology: Topology, deployment: Ref) -> list[Revision]:
    """Newest first."""
    return [
        Revision(
            number=revision,
            replica_set=one,
            created=created_at(one),
            images=images_of(one),
            ready=number(one, "status", "readyReplicas"),
        )
        for one in topology.replica_sets(deployment)
        if (revision := counted(text(one, "metadata", "annotations", REVISION))) is not None
    ]


def revision_of(topology: Topology, pod: Manifest) -> int:
    """The revision that a Deployment's pod was made from; 0 when there is none."""
    for owner in items(pod, "metadata", "ownerReferences"):
        replica_set = topology.get("ReplicaSet", text(pod, "metadata", "namespace"), text(owner, "name"))
        if replica_set is not None:
            value = text(replica_set, "metadata", "annotations", REVISION)
            return counted(value) or 0
    return 0


def current_pods(topology: Topology, unit: Ref) -> list[Manifest]:
    """Live pods of the newest revision (all live pods where there are no revisions)."""
    known = revisions(topology, unit) if unit.kind == "Deployment" else []
    pods = live_pods(topology, unit)
    if not known:
        return pods
    newest = labels_of(known[0].replica_set).get("pod-template-hash")
    return [pod for pod in pods if labels_of(pod).get("pod-template-hash") == newest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """The revision to go back to, and how the newest one differs from it in what it runs."""

    to: int
    newest: int
    began: datetime | None
    image_before: str
    image_after: str
    old_ready: int


def rollback(topology: Topology, unit: Ref, since: datetime | None, *, slack: float = 120) -> Rollback | None:
    """The last revision before the newest, if the trouble began with (not before) the newest one."""
    known = revisions(topology, unit) if unit.kind == "Deployment" else []
    if len(known) < 2:
        return None
    newest, older = known[0], known[1]
    began, first = newest.created, older.created
    if began is None or first is None or began <= first:
        # a revision that was rolled back to keeps its old ReplicaSet: nothing new began
        return None
    if since is not None and not began - timedelta(seconds=slack) <= since <= began + SHOWS:
        return None
    changed = [(old, new) for old, new in zip(older.images, newest.images, strict=False) if old != new]
    before, after = changed[0] if changed else (next(iter(older.images), ""), next(iter(newest.images), ""))
    return Rollback(
        to=older.number, newest=newest.number, began=began, image_before=before, image_after=after, old_ready=older.ready
    )


def tag(image: str) -> str:
    """The tag (or short digest) of an image reference, or the reference itself."""
    name, _, digest = image.partition("@")
    last = name.rpartition("/")[2]
    return last.partition(":")[2] or (digest[:19] if digest else last)


def still_serving(topology: Topology, unit: Ref) -> str:
    """A sentence on old pods that still serve, or on nobody serving; "" when there is nothing to say."""
    known = revisions(topology, unit) if unit.kind == "Deployment" else []
    manifest = topology.objects.get(unit)
    if manifest is None or not known:
        return ""
    old = [one for one in known[1:] if one.ready]
    if old:
        count = sum(one.ready for one in old)
        version = tag(next(iter(old[0].images), ""))
        return f"{count} pod{'s' if count != 1 else ''} of the old ReplicaSet ({version}) still serve{'s' if count == 1 else ''}"
    return ""


def previous_size(topology: Topology, unit: Ref) -> int | None:
    """The number of replicas before the last scale-down, from the workload's own events ("Scaled down ... from N to 0")."""
    found: list[tuple[datetime, int]] = []
    for event in topology.events_about(unit):
        if event.reason == "ScalingReplicaSet" and " from " in event.message and event.last is not None:
            before = counted(event.message.rpartition(" from ")[2].partition(" ")[0])
            if before:
                found.append((event.last, before))
    if found:
        return max(found)[1]
    for replica_set in topology.replica_sets(unit) if unit.kind == "Deployment" else ():
        annotation = text(replica_set, "metadata", "annotations", "deployment.kubernetes.io/desired-replicas")
        if size := counted(annotation):
            return size
    return None


def pods_with_unit(topology: Topology) -> Iterator[tuple[Manifest, Ref]]:
    """Every pod that has not finished, with the workload it belongs to."""
    for unit, pods in topology.pods_by_owner.items():
        for pod in pods:
            if not is_finished(pod) and at(pod, "metadata", "deletionTimestamp") is None:
                yield pod, topology.unit(ref_of(pod)) if unit.kind == "Pod" else unit


def troubled_containers(topology: Topology) -> list[tuple[Manifest, Ref, ContainerState]]:
    """(pod, workload, container) of every container that waits or has ended at least once, of pods that have not finished; worked
    out once a topology, because of thousands of containers few are in trouble."""
    known: list[tuple[Manifest, Ref, ContainerState]] | None = topology.derived.get("troubled-containers")
    if known is None:
        known = topology.derived["troubled-containers"] = [
            (pod, unit, one)
            for pod, unit in pods_with_unit(topology)
            for one in container_states(pod)
            if one.waiting or one.ended
        ]
    return known
