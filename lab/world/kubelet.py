"""The kubelets of all nodes: every bound pod gets a run, which is looked at when it is due or when what it depends on has
changed. Also writes the nodes' own status."""

from datetime import datetime, timedelta

from lab.store import Change
from lab.world.kinds import Object
from lab.world.pods import PodRun, Setting
from lab.world.reading import finished, set_condition, stamp

CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
HEARTBEAT = timedelta(minutes=5)
WATCHED = frozenset({"Pod", "ConfigMap", "Secret", "Service", "Endpoints", "Node", "PersistentVolumeClaim"})
NODE_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


class Kubelet:
    name = "kubelet"
    watches = WATCHED

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.runs: dict[str, PodRun] = {}  # by uid
        self._names: dict[tuple[str, str], str] = {}
        self._addresses: dict[str, int] = {}
        self._stale: set[str] = set()
        self._surroundings = True  # something programs may depend on has changed
        self._heartbeat: datetime | None = None
        setting.cluster.on_change(self._note)

    def _note(self, kind: str, change: Change) -> None:
        if kind == "Pod":
            self._stale.add(change.object["metadata"]["uid"])
        elif kind in WATCHED:
            self._surroundings = True

    @property
    def due(self) -> datetime | None:
        moments = [r.due for r in self.runs.values()]
        moments.append(self._heartbeat)
        return min((m for m in moments if m is not None), default=None)

    def listening(self, namespace: str, name: str) -> frozenset[int]:
        run = self.find(namespace, name)
        return run.listening() if run else frozenset()

    def find(self, namespace: str, name: str) -> PodRun | None:
        uid = self._names.get((namespace, name))
        return self.runs.get(uid) if uid else None

    def reconcile(self) -> None:
        cluster = self.setting.cluster
        now = cluster.now
        self._nodes(now)
        self._cordons()
        stale, self._stale = self._stale, set()
        everything, self._surroundings = self._surroundings, False
        present = {p["metadata"]["uid"]: p for p in cluster.of("Pod") if p["spec"].get("nodeName")}
        for uid in [u for u in self.runs if u not in present]:
            self.runs.pop(uid).close(now)
        for uid, pod in present.items():
            run = self.runs.get(uid) or self._begin(pod)
            if run is None:
                continue
            due = run.due
            if uid in stale or (due is not None and due <= now) or (everything and not run.gone):
                run.sync(pod)

    def _begin(self, pod: Object) -> PodRun | None:
        if finished(pod):
            return None
        metadata, node = pod["metadata"], pod["spec"]["nodeName"]
        names = [n["metadata"]["name"] for n in self.setting.cluster.of("Node")]
        if node not in names:
            return None
        index = names.index(node)
        self._addresses[node] = self._addresses.get(node, 1) + 1
        count = self._addresses[node]
        run = PodRun(pod, self.setting, ip=f"10.244.{index + count // 250}.{count % 250 + 2}", host_ip=f"192.0.2.{index + 10}")
        self.runs[metadata["uid"]] = run
        self._names[(metadata["namespace"], metadata["name"])] = metadata["uid"]
        run.sync(pod)
        return run

    def _cordons(self) -> None:
        """spec.unschedulable becomes a taint (the node lifecycle controller's part) and an event (the kubelet's)."""
        for node in self.setting.cluster.of("Node"):
            wanted = bool(node["spec"].get("unschedulable"))
            has = any(t["key"] == CORDON["key"] for t in node["spec"].get("taints") or [])
            name = node["metadata"]["name"]
            if wanted == has:
                continue

            def change(obj: Object, wanted: bool = wanted) -> None:
                others = [t for t in obj["spec"].get("taints") or [] if t["key"] != CORDON["key"]]
                obj["spec"]["taints"] = [*others, *([dict(CORDON)] if wanted else [])]
                if not obj["spec"]["taints"]:
                    del obj["spec"]["taints"]

            self.setting.cluster.edit("Node", "", name, change)
            state = "NodeNotSchedulable" if wanted else "NodeSchedulable"
            about = {**node, "metadata": {"name": name, "uid": name}}  # the kubelet puts the node's name for its uid
            text = f"Node {name} status is now: {state}"
            self.setting.recorder.record(about, "Normal", state, text, by="kubelet", host=name)

    def _nodes(self, now: datetime) -> None:
        beat = self._heartbeat is None or now >= self._heartbeat
        for node in self.setting.cluster.of("Node"):
            fresh = not (node.get("status") or {}).get("conditions")
            if not beat and not fresh:
                continue

            def change(obj: Object) -> None:
                status = obj.setdefault("status", {})
                for kind, value, reason, message in NODE_CONDITIONS:
                    before = next((c for c in status.get("conditions") or [] if c["type"] == kind), None)
                    if before is None:
                        entry = {"type": kind, "status": value, "reason": reason, "message": message}
                        set_condition(status, {**entry, "lastHeartbeatTime": stamp(now)}, stamp(now))
                    else:
                        before["lastHeartbeatTime"] = stamp(now)

            self.setting.cluster.edit("Node", "", node["metadata"]["name"], change)
        if beat:
            self._heartbeat = now + HEARTBEAT
