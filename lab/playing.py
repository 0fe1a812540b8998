"""Playing a scenario in a laboratory: its objects and history in lab time, its alerts, whether it is healed, and the hand
of someone else at the scripted moment. Knows no more of the laboratory than `Stage` says."""

import hashlib
import threading
from datetime import timedelta
from typing import Any, Protocol

from lab.api.request import Call
from lab.clock import LabClock
from lab.scenarios.scenario import Advance, Alert, Apply, Delete, Interference, Manifest, ObjectName, Patch, Scenario
from lab.world import World
from lab.world.faults import Faults
from lab.world.kinds import GROUPS, api_version

SETTLE = timedelta(seconds=60)  # for the healthy beginning, before the history
CONTENT = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


class Stage(Protocol):
    clock: LabClock
    world: World

    def apply(self, manifests: Any, *, manager: str = ...) -> None: ...
    def request(self, method: str, path: str, body: Any = None, *, content_type: str = ...) -> Any: ...
    def path_of(self, api_version: str, kind: str, metadata: dict[str, Any]) -> str: ...
    def advance(self, seconds: float) -> None: ...
    def on_request(self, callback: Any) -> None: ...


class Player:
    def __init__(self, stage: Stage, scenario: Scenario) -> None:
        self.stage, self.scenario = stage, scenario

    @staticmethod
    def faults(scenario: Scenario | None) -> Faults:
        return Faults(scenario.behaviours) if scenario else Faults()

    def play(self) -> None:
        order = {"Namespace": 0, "ServiceAccount": 1, "ConfigMap": 1, "Secret": 1, "ResourceQuota": 1, "Service": 2}
        manifests = sorted(self.scenario.objects, key=lambda m: order.get(m["kind"], 3))
        for manifest in manifests:
            self.stage.apply([manifest], manager="ci")
            if manifest["kind"] == "Namespace":
                self.stage.advance(0.001)  # its default account comes first
        self.stage.advance(SETTLE.total_seconds())
        for step in self.scenario.history:
            self._step(step)
        for interference in self.scenario.governance.interference:
            _Hand(self, interference).wait()

    def _step(self, step: Apply | Patch | Delete | Advance) -> None:
        match step:
            case Apply(manager=manager, objects=objects):
                self.stage.apply(objects, manager=manager)
            case Advance(by=by):
                self.stage.advance(by.total_seconds())
            case Patch() | Delete():
                self.do(step)

    def do(self, deed: Patch | Delete) -> None:
        path = self._path(deed.target)
        if isinstance(deed, Delete):
            self.stage.request("DELETE", path)
            return
        subresource = f"/{deed.subresource}" if deed.subresource else ""
        self.stage.request(
            "PATCH", f"{path}{subresource}?fieldManager={deed.manager}", deed.patch, content_type=CONTENT[deed.type]
        )

    def _path(self, target: ObjectName) -> str:
        metadata = {"namespace": target.namespace, "name": target.name}
        return self.stage.path_of(api_version(target.kind), target.kind, metadata)

    def alerts(self) -> list[dict[str, Any]]:
        return [self._payload(a) for a in self.scenario.alerts]

    def _payload(self, alert: Alert) -> dict[str, Any]:
        """https://prometheus.io/docs/alerting/latest/configuration/#webhook_config, version 4."""
        started = self.stage.clock.now() - alert.age
        group = {k: alert.labels[k] for k in alert.group_by if k in alert.labels}
        shown = ", ".join(f'{k}="{v}"' for k, v in sorted(group.items()))
        fingerprint = hashlib.sha256(repr(sorted(alert.labels.items())).encode()).hexdigest()[:16]
        one = {
            "status": "firing",
            "labels": dict(alert.labels),
            "annotations": dict(alert.annotations),
            "startsAt": started.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": f"http://prometheus.example/graph?g0.expr={alert.labels['alertname']}",
            "fingerprint": fingerprint,
        }
        return {
            "version": "4",
            "groupKey": f"{{}}:{{{shown}}}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "lestrade",
            "groupLabels": group,
            "commonLabels": dict(alert.labels),
            "commonAnnotations": dict(alert.annotations),
            "externalURL": "http://alertmanager.example",
            "alerts": [one],
        }

    def healed(self) -> bool:
        condition = self.scenario.truth.healed
        if condition is None:
            return True
        world = self.stage.world
        self.scenario.conditions.reachable = lambda address: world.network.reachable(address, "default")
        self.scenario.conditions.resolves = lambda address: world.network.resolves(address, "default")
        nothing: Manifest = {}
        variables: dict[str, Any] = dict.fromkeys(("pod", "container", "env", "files", "limits", "requests", "world"), nothing)
        variables |= {"image": "", "restarts": 0, "uptime": 0.0, "now": world.cluster.now, "objects": self._objects()}
        with world.holding():
            return condition.holds(variables)

    def _objects(self) -> dict[str, Manifest]:
        cluster = self.stage.world.cluster
        found: dict[str, Manifest] = {}
        for kind in GROUPS:
            if kind == "Event":
                continue
            for obj in cluster.of(kind):
                metadata = obj["metadata"]
                place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
                found[f"{kind}/{place}{metadata['name']}"] = obj
        return found


class _Hand:
    """Someone else, who edits the object just before the moment the scenario names. Once."""

    def __init__(self, player: Player, interference: Interference) -> None:
        self._player, self._interference = player, interference
        self._lock = threading.Lock()
        self._done = False

    def wait(self) -> None:
        self._player.stage.on_request(self._see)

    def _see(self, call: Call) -> None:
        if not self._is_moment(call):
            return
        with self._lock:
            if self._done:
                return
            self._done = True
        self._player.do(self._interference.do)

    def _is_moment(self, call: Call) -> bool:
        """The first real write to the object: who asks is not known yet at this point, and need not be."""
        target = call.target
        if not target.is_resource or target.verb not in ("patch", "update", "create", "delete") or call.dry_run:
            return False
        wanted = self._interference.do.target
        return target.name == wanted.name and target.namespace == wanted.namespace
