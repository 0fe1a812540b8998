"""The laboratory as tests and the demonstration hold it: one simulated cluster with its APIs on loopback, and a scenario
that can be brought to the point where its fault shows."""

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from lab.admitting import Admission
from lab.api.cluster import LogLine, LogQuery
from lab.api.request import Call
from lab.api.server import ApiServer, RequestEntry
from lab.clock import LabClock
from lab.playing import Player
from lab.scenarios.scenario import Node, Scenario
from lab.store import Key, Store
from lab.telemetry.loki import Loki
from lab.telemetry.prometheus import Prometheus
from lab.telemetry.sampling import Sampler
from lab.telemetry.series import SeriesStore
from lab.telemetry.serving import Server
from lab.world import World
from lab.world.kinds import key_of
from lab.world.logbook import LogBook, Stream
from lab.world.measuring import Measuring

VERSION = "v1.36.2"


class LabError(RuntimeError):
    """The laboratory could not do what was asked: the text is the API server's answer."""


class ContainerLogs:
    """The LogSource of pods/log: what the kubelets' programs wrote."""

    def __init__(self, logbook: LogBook, clock: LabClock) -> None:
        self._logbook, self._clock = logbook, clock

    def lines(self, query: LogQuery) -> list[LogLine] | None:
        wanted = (query.namespace, query.pod, query.container)
        streams: list[Stream] = [s for s in self._logbook.streams() if (s.namespace, s.pod, s.container) == wanted]
        runs = [run for stream in streams for run in self._logbook.of(stream)]
        index = -2 if query.previous else -1
        if len(runs) < abs(index):
            return None
        return [LogLine(at.timestamp(), text) for at, text in runs[index].lines(self._clock.now())]


class LateLogs:
    """The API server wants its LogSource before the world that has the logs can be made."""

    def __init__(self) -> None:
        self.source: ContainerLogs | None = None

    def lines(self, query: LogQuery) -> list[LogLine] | None:
        return self.source.lines(query) if self.source is not None else None


class Laboratory:
    """Use `Laboratory.start(...)`, as a context manager or with `stop()`."""

    def __init__(self, scenario: Scenario | None, *, speed: float, seed: int) -> None:
        self.scenario = scenario
        self.speed = speed
        began = datetime.now(UTC) - (scenario.duration + timedelta(minutes=2) if scenario else timedelta())
        self.clock = LabClock(start=began, speed=0.0)
        self.store = Store(self.clock)
        logs = LateLogs()
        self.server = ApiServer(self.store, self.clock, logs=logs)
        self.world = World(
            self.store,
            seed=seed,
            faults=Player.faults(scenario),
            conditions=scenario.conditions if scenario else None,
            can_pull=scenario.cluster.can_pull if scenario else lambda image: True,
            admit=Admission(self.server.cluster),
            housekeeping=False,  # the API server does it
            asides=scenario.asides if scenario else (),
        )
        logs.source = ContainerLogs(self.world.logbook, self.clock)
        self.server.cluster.measurer = Measuring(self.world.cluster, self.world.kubelet, self.clock)
        self.series = SeriesStore()
        self.sampler = Sampler(
            self.world.cluster, self.world.kubelet, self.series, scenario.metrics if scenario else (), self.world.logbook.prune
        )
        self.world.add(self.sampler)
        prometheus = Prometheus(self.series, self.sampler.rules, lambda: self.clock.now().timestamp())
        loki = Loki(self.world.logbook, lambda: self.clock.now().timestamp())
        self._prometheus = Server(prometheus.answer, name="lab-prometheus")
        self._loki = Server(loki.answer, name="lab-loki")
        self._folder = tempfile.TemporaryDirectory(prefix="lab-")
        self._configs: dict[str, Path] = {}

    @classmethod
    def start(cls, scenario: Scenario | None = None, *, speed: float = 60.0, seed: int = 1) -> "Laboratory":
        """A cluster that answers. Without a scenario it has two nodes and its time runs; with one, time waits for `play`."""
        lab = cls(scenario, speed=speed, seed=seed)
        lab.server.start()
        lab._prometheus.start()
        lab._loki.start()
        lab._furnish()
        if scenario is None:
            lab.run()
        return lab

    def __enter__(self) -> "Laboratory":
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.world.stop()
        self._prometheus.stop()
        self._loki.stop()
        self.server.stop()
        self._folder.cleanup()

    def run(self) -> None:
        """Let time run by itself from here on."""
        self.clock.set_speed(self.speed)
        self.world.start()

    def _furnish(self) -> None:
        nodes = self.scenario.cluster.nodes if self.scenario else (Node(name="worker-1"), Node(name="worker-2"))
        for node in nodes:
            self.store.create(key_of("Node", "", node.name), node_object(node))
        for manifest in self.scenario.cluster.storage_classes if self.scenario else ():
            self.apply([manifest], manager="kubectl-client-side-apply")
        self.world.step()

    # where it can be reached

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def ca_file(self) -> Path:
        return self.server.ca_file

    @property
    def prometheus_url(self) -> str:
        return self._prometheus.url

    @property
    def loki_url(self) -> str:
        return self._loki.url

    def kubeconfig(self, identity: str = "admin") -> Path:
        """A file (mode 0600) for "admin" or "namespace/serviceaccount", which must exist: KeyError. Its token lives thirty
        days of lab time, which at sixtyfold speed outlasts any run."""
        path = Path(self._folder.name) / f"{identity.replace('/', '-')}.kubeconfig"
        name = self.scenario.cluster.name if self.scenario else "lab"
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        user = {"token": self.server.mint(identity, seconds=30 * 24 * 3600)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": identity, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": identity}}],
            "preferences": {},
        }
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return path

    # what happens in it

    def play(self) -> None:
        """Objects, then history, in lab time and without sleeping; then time runs at `speed`. The request log begins here."""
        if self.scenario is None:
            return
        Player(self, self.scenario).play()
        self.server.requests.clear()
        self.run()

    def alerts(self) -> list[dict[str, Any]]:
        """Alertmanager webhook payloads (version 4), one a group, with times as of now."""
        return Player(self, self.scenario).alerts() if self.scenario else []

    @property
    def alert(self) -> dict[str, Any] | None:
        return next(iter(self.alerts()), None)

    def healed(self) -> bool:
        """Whether the truth's `healed` condition holds of the world now. True where a scenario has none to hold."""
        return self.scenario is None or Player(self, self.scenario).healed()

    def advance(self, seconds: float) -> None:
        """Lab time passes at once, in steps small enough for everything that watches it."""
        left = seconds
        while left > 0:
            self.clock.advance(min(left, 10.0))
            left -= 10.0

    def apply(self, manifests: Sequence[dict[str, Any]], *, manager: str = "kubectl") -> None:
        """Server-side apply as admin. Raises LabError."""
        for manifest in manifests:
            path = self.path_of(manifest["apiVersion"], manifest["kind"], manifest["metadata"])
            body = {k: v for k, v in manifest.items() if k != "status"}
            self.request("PATCH", f"{path}?fieldManager={manager}&force=true", body, content_type="application/apply-patch+yaml")

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        """As admin, in process: the parsed answer. Raises LabError when it is not a success."""
        status, answer = self.server.call(method, path, body, content_type=content_type)
        if status >= 300:
            message = answer.get("message") if isinstance(answer, dict) else answer
            raise LabError(f"{method} {path}: {status}: {message}")
        self.world.step()
        return answer

    def path_of(self, api_version: str, kind: str, metadata: dict[str, Any]) -> str:
        """The path of one object. Raises LabError for a kind that is not served."""
        resource = self.server.cluster.resources.by_kind(api_version, kind)
        if resource is None:
            raise LabError(f"no kind {kind} in {api_version}")
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        namespace = metadata.get("namespace", "default")
        place = f"/namespaces/{namespace}" if resource.namespaced else ""
        return f"{root}{place}/{resource.plural}/{metadata['name']}"

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """As stored, for tests that look at what changed."""
        key: Key = key_of(kind, namespace, name)
        return self.store.get(key)

    # what was asked of it

    @property
    def requests(self) -> list[RequestEntry]:
        return list(self.server.requests)

    def writes(self) -> list[RequestEntry]:
        """Changes that happened over the API since `play` (of everybody, admin included)."""
        return [r for r in self.requests if r.is_write]

    def on_request(self, callback: Callable[[Call], None]) -> None:
        """Called with each request before it is handled: `call.target`, `call.identity.label`, `call.dry_run`."""
        self.server.on_request(callback)


def node_object(node: Node) -> dict[str, Any]:
    taints = [dict(t) for t in node.taints]
    if node.unschedulable:
        taints.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    amounts = {"cpu": node.cpu, "memory": node.memory, "pods": str(node.pods), "ephemeral-storage": "100Gi"}
    base = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": {**base, **node.labels}},
        "spec": {**({"taints": taints} if taints else {}), **({"unschedulable": True} if node.unschedulable else {})},
        "status": {
            "capacity": dict(amounts),
            "allocatable": dict(amounts),
            "addresses": [{"type": "Hostname", "address": node.name}],
            "nodeInfo": {
                "architecture": "amd64",
                "operatingSystem": "linux",
                "kubeletVersion": VERSION,
                "containerRuntimeVersion": "containerd://2.1.9",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
                "kernelVersion": "6.12.0",
                "bootID": "",
                "machineID": "",
                "systemUUID": "",
                "kubeProxyVersion": "",
            },
        },
    }
