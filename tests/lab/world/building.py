"""A small world without HTTP, and builders for what does not matter to a test."""

from datetime import UTC, datetime
from typing import Any

from lab.clock import LabClock
from lab.laboratory import node_object
from lab.scenarios.scenario import Node
from lab.store import Store
from lab.world import World
from lab.world.conditions import Conditions
from lab.world.faults import Behaviour, Faults, Program
from lab.world.kinds import api_version, key_of

NAMESPACE = "shop"
Manifest = dict[str, Any]


class Town:
    """Two nodes, one namespace, time that only moves when told."""

    def __init__(self, *behaviours: Behaviour, images: frozenset[str] | None = None, nodes: int = 2, cpu: str = "2") -> None:
        self.clock = LabClock(start=datetime(2026, 5, 4, 9, 0, tzinfo=UTC), speed=0.0)
        self.store = Store(self.clock)
        self.conditions = Conditions()
        self.world = World(
            self.store,
            seed=7,
            faults=Faults(behaviours),
            conditions=self.conditions,
            can_pull=lambda image: images is None or image in images,
        )
        for index in range(nodes):
            self.store.create(key_of("Node", "", f"node-{index}"), node_object(Node(name=f"node-{index}", cpu=cpu)))
        self.add("Namespace", {"metadata": {"name": NAMESPACE}})

    def add(self, kind: str, manifest: Manifest) -> None:
        obj = {"apiVersion": api_version(kind), "kind": kind, **manifest}
        if kind not in ("Namespace", "StorageClass", "PersistentVolume"):
            obj["metadata"].setdefault("namespace", NAMESPACE)
        self.store.create(key_of(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]), obj)

    def get(self, kind: str, name: str) -> Manifest:
        namespace = "" if kind in ("Node", "Namespace") else NAMESPACE
        found = self.store.get(key_of(kind, namespace, name))
        assert found is not None, f"{kind} {name}"
        return found

    def all(self, kind: str) -> list[Manifest]:
        key = key_of(kind, "", "")
        return self.store.list(key.group, key.resource)

    def pods(self, app: str = "web") -> list[Manifest]:
        return [p for p in self.all("Pod") if p["metadata"].get("labels", {}).get("app") == app]

    def events(self, reason: str) -> list[Manifest]:
        return [e for e in self.all("Event") if e["reason"] == reason]

    def edit(self, kind: str, name: str, change: Any) -> None:
        namespace = "" if kind in ("Node", "Namespace") else NAMESPACE
        self.world.cluster.edit(kind, namespace, name, change)

    def delete(self, kind: str, name: str) -> None:
        self.world.cluster.delete(kind, NAMESPACE, name)
        self.world.step()

    def after(self, seconds: float) -> None:
        self.clock.advance(seconds)


def pod_spec(**fields: Any) -> Manifest:
    container = {
        "name": "web",
        "image": "web:1",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    }
    top = {k: fields.pop(k) for k in list(fields) if k in ("nodeSelector", "affinity", "volumes", "restartPolicy", "tolerations")}
    return {"containers": [container | fields], **top}


def workload(name: str = "web", *, replicas: int = 2, spec: Manifest | None = None, **fields: Any) -> Manifest:
    template = {"metadata": {"labels": {"app": name}}, "spec": spec or pod_spec()}
    return {
        "metadata": {"name": name, "generation": 1},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **fields},
    }


def service(name: str = "web", target: Any = "http") -> Manifest:
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": target}]},
    }


def when(town_conditions: Conditions, text: str, **then: Any) -> Behaviour:
    return Behaviour(when=town_conditions.compile(text), program=Program(**then))


def always(**then: Any) -> Behaviour:
    return Behaviour(program=Program(**then))


def image(town: Town, wanted: str) -> None:
    town.edit("Deployment", "web", lambda d: d["spec"]["template"]["spec"]["containers"][0].update(image=wanted))
    town.world.step()
