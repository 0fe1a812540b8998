"""The Deployment controller: a ReplicaSet a revision, rolling between them within maxSurge and maxUnavailable, and the
conditions that say how that goes."""

import zlib
from dataclasses import dataclass, field
from datetime import datetime

from lab.store import copied
from lab.world.cluster import SUFFIX, Cluster, Refused
from lab.world.events import Recorder
from lab.world.kinds import Object
from lab.world.progress import Progress
from lab.world.reading import owner_reference, set_condition
from lab.world.rollout import bounds, canonical

BY = "deployment-controller"
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


@dataclass
class Deployments:
    cluster: Cluster
    recorder: Recorder
    name: str = BY
    watches: frozenset[str] = frozenset({"Deployment", "ReplicaSet", "Pod"})  # pods: Recreate waits until they are gone
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress(self.cluster)

    @property
    def due(self) -> datetime | None:
        return self.progress.due

    def reconcile(self) -> None:
        present = set()
        for deployment in self.cluster.of("Deployment"):
            if deployment["metadata"].get("deletionTimestamp"):
                continue
            present.add(deployment["metadata"]["uid"])
            self._one(deployment)
        self.progress.keep(present)

    def _one(self, deployment: Object) -> None:
        paused = bool(deployment["spec"].get("paused"))
        sets = self.cluster.owned("ReplicaSet", deployment)
        new = self._new(deployment, sets, create=not paused)
        old = [s for s in sets if new is None or s["metadata"]["uid"] != new["metadata"]["uid"]]
        if paused:
            self._proportional(deployment, [s for s in sets if s["spec"].get("replicas", 0) > 0])
        elif deployment["spec"].get("strategy", {}).get("type") == "Recreate":
            self._recreate(deployment, new, old)
        else:
            self._roll(deployment, new, old)
        self._forget(deployment, old)
        self._status(deployment, new)

    # revisions

    def _new(self, deployment: Object, sets: list[Object], *, create: bool) -> Object | None:
        template = canonical(deployment["spec"]["template"])
        found = next((s for s in sets if canonical(s["spec"]["template"]) == template), None)
        if found is None and not create:
            return None
        revision = max((number(s) for s in sets if found is None or s is not found), default=0) + 1
        if found is None:
            found = self._create(deployment, revision)
        elif create and number(found) < revision:
            self._annotate("ReplicaSet", found, revision)
        if found is not None:
            self._annotate("Deployment", deployment, max(number(found), revision if create else 0))
        return found

    def _annotate(self, kind: str, obj: Object, revision: int) -> None:
        def change(target: Object) -> None:
            target["metadata"].setdefault("annotations", {})[REVISION] = str(revision)

        if number(obj) != revision:
            self.cluster.edit(kind, obj["metadata"]["namespace"], obj["metadata"]["name"], change)

    def _create(self, deployment: Object, revision: int) -> Object | None:
        metadata = deployment["metadata"]
        template = copied(deployment["spec"]["template"])
        digest = template_hash(template)
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = digest
        selector = copied(deployment["spec"]["selector"])
        selector.setdefault("matchLabels", {})[HASH] = digest
        wanted = deployment["spec"].get("replicas", 1)
        annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if not k.startswith("kubectl.kubernetes.io/")}
        new = {
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": dict(template["metadata"]["labels"]),
                "annotations": {
                    **annotations,
                    REVISION: str(revision),
                    "deployment.kubernetes.io/desired-replicas": str(wanted),
                    "deployment.kubernetes.io/max-replicas": str(wanted + bounds(deployment)[0]),
                },
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
            "status": {"replicas": 0},
        }
        try:
            created = self.cluster.create("ReplicaSet", new, user=BY)
        except Refused as exc:
            self.recorder.record(
                deployment, "Warning", "ReplicaSetCreateError", f"Failed to create new replica set: {exc}", by=BY
            )
            return None
        entry = {
            "type": "Progressing",
            "status": "True",
            "reason": "NewReplicaSetCreated",
            "message": f'Created new replica set "{created["metadata"]["name"]}"',
        }
        self._condition(deployment, entry)
        return created

    def _condition(self, deployment: Object, entry: Object) -> None:
        def change(obj: Object) -> None:
            set_condition(obj.setdefault("status", {}), entry, self.cluster.stamp, updated=True)

        self.cluster.edit("Deployment", deployment["metadata"]["namespace"], deployment["metadata"]["name"], change)

    def _forget(self, deployment: Object, old: list[Object]) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        empty = [s for s in old if s["spec"].get("replicas", 0) == 0 and (s.get("status") or {}).get("replicas", 0) == 0]
        for extra in sorted(empty, key=number)[: max(0, len(empty) - limit)]:
            self.cluster.remove("ReplicaSet", extra["metadata"]["namespace"], extra["metadata"]["name"])

    # scaling

    def _scale(self, deployment: Object, target: Object, size: int) -> None:
        before = target["spec"].get("replicas", 0)
        metadata = target["metadata"]
        wanted = deployment["spec"].get("replicas", 1)

        def change(obj: Object) -> None:
            obj["spec"]["replicas"] = size
            annotations = obj["metadata"].setdefault("annotations", {})
            annotations["deployment.kubernetes.io/desired-replicas"] = str(wanted)
            annotations["deployment.kubernetes.io/max-replicas"] = str(wanted + bounds(deployment)[0])

        if size == before:
            return
        self.cluster.edit("ReplicaSet", metadata["namespace"], metadata["name"], change)
        way = "up" if size > before else "down"
        text = f"Scaled {way} replica set {metadata['name']} from {before} to {size}"
        self.recorder.record(deployment, "Normal", "ScalingReplicaSet", text, by=BY)

    def _recreate(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        busy = False
        for one in old:
            self._scale(deployment, one, 0)
            busy = busy or bool(self.cluster.owned("Pod", one))
        if new is not None and not busy:
            self._scale(deployment, new, deployment["spec"].get("replicas", 1))

    def _proportional(self, deployment: Object, active: list[Object]) -> None:
        """Paused: only the size of what runs follows."""
        if len(active) == 1:
            self._scale(deployment, active[0], deployment["spec"].get("replicas", 1))

    def _roll(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        if new is None:
            return
        wanted = deployment["spec"].get("replicas", 1)
        surge, unavailable = bounds(deployment)
        running = [s for s in old if s["spec"].get("replicas", 0) > 0]
        total = new["spec"].get("replicas", 0) + sum(s["spec"].get("replicas", 0) for s in running)
        size = new["spec"].get("replicas", 0)
        if size > wanted:
            self._scale(deployment, new, wanted)
        elif size < wanted:
            room = max(wanted + surge - total, 0)
            self._scale(deployment, new, min(wanted, size + room))
        fresh = self.cluster.find("ReplicaSet", new["metadata"]["namespace"], new["metadata"]["name"]) or new
        self._shrink(deployment, fresh, running, wanted - unavailable)

    def _shrink(self, deployment: Object, new: Object, running: list[Object], least: int) -> None:
        """Old sets: unhealthy replicas first, then as far as availability allows."""
        if not running:
            return
        every = [new, *running]
        pods = sum(s["spec"].get("replicas", 0) for s in every)
        new_unavailable = new["spec"].get("replicas", 0) - available(new)
        room = pods - least - new_unavailable
        for one in sorted(running, key=number):
            size = one["spec"].get("replicas", 0)
            sick = min(max(size - available(one), 0), max(room, 0))
            if sick:
                self._scale(deployment, one, size - sick)
                room -= sick
        spare = sum(available(s) for s in every) - least
        for one in sorted(running, key=number):
            fresh = self.cluster.find("ReplicaSet", one["metadata"]["namespace"], one["metadata"]["name"]) or one
            size = fresh["spec"].get("replicas", 0)
            cut = min(size, max(spare, 0))
            if cut:
                self._scale(deployment, fresh, size - cut)
                spare -= cut

    # status

    def _status(self, deployment: Object, new: Object | None) -> None:
        metadata = deployment["metadata"]
        sets = self.cluster.owned("ReplicaSet", deployment)
        if new is not None:
            new = self.cluster.find("ReplicaSet", metadata["namespace"], new["metadata"]["name"])
        wanted = deployment["spec"].get("replicas", 1)
        counts = {
            "replicas": sum(s.get("status", {}).get("replicas", 0) for s in sets),
            "updatedReplicas": (new or {}).get("status", {}).get("replicas", 0),
            "readyReplicas": sum(s.get("status", {}).get("readyReplicas", 0) for s in sets),
            "availableReplicas": sum(available(s) for s in sets),
        }
        total = max(counts["replicas"], wanted)
        counts["unavailableReplicas"] = max(total - counts["availableReplicas"], 0)

        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            progressed = any(status.get(k, 0) < counts[k] for k in ("updatedReplicas", "readyReplicas", "availableReplicas"))
            progressed = progressed or status.get("replicas", 0) > counts["replicas"]
            for name, count in counts.items():
                if count:
                    status[name] = count
                else:
                    status.pop(name, None)
            status["observedGeneration"] = obj["metadata"].get("generation", 1)
            self.progress.available(obj, status, counts["availableReplicas"])
            self.progress.failure(status, sets)
            self.progress.note(obj, status, new, counts, progressed)

        self.cluster.edit("Deployment", metadata["namespace"], metadata["name"], change)


def available(replica_set: Object) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))


def number(obj: Object) -> int:
    return int((obj["metadata"].get("annotations") or {}).get(REVISION, 0))


def template_hash(template: Object) -> str:
    """Ten characters from the template; not the real FNV of a Go dump, but as stable."""
    first = zlib.crc32(canonical(template).encode())
    second = zlib.adler32(canonical(template).encode())
    value = (first << 32) | second
    letters = []
    for _ in range(10):
        value, index = divmod(value, len(SUFFIX))
        letters.append(SUFFIX[index])
    return "".join(letters)
