"""Nodes for a control plane that has none: the laboratory's kubelets on a real API server.

Scheduling, rollouts, endpoints, quotas, garbage, admission and rights are the real ones; what containers do is what the scenario
says, because images are neither pulled nor run. The kubelets see the cluster in a mirror that watches keep fresh, and what they
write to the mirror is written to the API server first.
"""

import json
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx

from lab.clock import LabClock
from lab.laboratory import node_object
from lab.scenarios.scenario import Node, Scenario
from lab.store import Change, Key, Object, Store, copied
from lab.world import World
from lab.world.conditions import Conditions
from lab.world.faults import Faults
from lab.world.kinds import KIND_OF, api_version
from tests.cluster.kubelet import KubeletApi
from tests.cluster.server import ControlPlane

WATCHED = (("", "nodes"), ("", "pods"), ("", "configmaps"), ("", "secrets"), ("", "services"), ("", "endpoints"))
CLAIMS = ("", "persistentvolumeclaims")
TWO = (Node(name="worker-1"), Node(name="worker-2"))
LEASE_SECONDS = 10.0
MERGE = {"Content-Type": "application/merge-patch+json"}
log = logging.getLogger(__name__)


class Mirror(Store):
    """A Store whose objects are those of an API server. Writes that the server refuses are left for the next look."""

    def __init__(self, clock: LabClock, http: httpx.Client) -> None:
        super().__init__(clock)
        self._http = http

    # What the server says. ----------------------------------------------------------------------------------------------

    def take(self, kind: str, key: Key, obj: Object) -> None:
        """One watch event; an older one than what is known is left out."""
        with self.lock:
            before = self._objects.get(key)
            if before is not None and _version(before) >= _version(obj) and kind != "DELETED":
                return
            if kind == "DELETED":
                if before is None or before["metadata"]["uid"] != obj["metadata"]["uid"]:
                    return
                del self._objects[key]
            else:
                self._objects[key] = obj
            self._tell("DELETED" if kind == "DELETED" else "MODIFIED" if before else "ADDED", key, obj, before)

    def keep_only(self, group: str, resource: str, items: list[Object]) -> None:
        """After a list: what is not in it is gone."""
        with self.lock:
            there = {(one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in items}
            for key in [k for k in self._objects if (k.group, k.resource) == (group, resource)]:
                if (key.namespace, key.name) not in there:
                    self._tell("DELETED", key, before := self._objects.pop(key), before)

    def _tell(self, kind: str, key: Key, obj: Object, before: Object | None) -> None:
        change = Change(_version(obj), kind, key, copied(obj), before)
        for listener in list(self._listeners):
            listener(change)

    # What the kubelets write. -------------------------------------------------------------------------------------------

    def create(self, key: Key, obj: Object) -> Object:
        """Events, nearly always. One that is refused (its namespace goes) is as good as recorded."""
        answer = self._http.post(path_of(key, named=False), json=obj)
        made = answer.json() if answer.is_success else copied(obj)
        made["metadata"].setdefault("resourceVersion", "0")
        with self.lock:
            self._objects[key] = made
            self._tell("ADDED", key, made, None)
        return copied(made)

    def update(self, key: Key, obj: Object) -> Object:
        with self.lock:
            before = self._objects[key]
            parts = {name: obj.get(name) for name in {*obj, *before} - {"metadata"} if obj.get(name) != before.get(name)}
            for name, value in parts.items():
                subresource = "/status" if name == "status" else ""
                known = self._objects.get(key, before)["metadata"]
                version = {} if key.resource == "events" else {"resourceVersion": known["resourceVersion"]}
                body = {"metadata": {"uid": before["metadata"]["uid"], **version} if version else {}, name: value}
                answer = self._http.patch(path_of(key) + subresource, content=json.dumps(body), headers=MERGE)
                if answer.is_success:
                    self.take("MODIFIED", key, answer.json())
                elif key.resource == "events":
                    self._objects.pop(key, None)  # written anew next time
                elif answer.status_code not in (404, 409):
                    log.warning("%s %s: %s", key.resource, key.name, answer.text[:300])
            return copied(self._objects.get(key, before))

    def remove(self, key: Key) -> Object:
        with self.lock:
            before = self._objects[key]
            wanted = {"gracePeriodSeconds": 0, "preconditions": {"uid": before["metadata"]["uid"]}}
            self._http.request("DELETE", path_of(key), json={"apiVersion": "v1", "kind": "DeleteOptions", **wanted})
            return copied(before)


class Nodes:
    """A context manager: entered, the nodes are there and ready; `play` gives them a scenario's programs."""

    def __init__(self, plane: ControlPlane) -> None:
        self._http = httpx.Client(
            base_url=plane.url, verify=_context(plane), headers={"User-Agent": "kubelet"}, timeout=30, trust_env=False
        )
        self._clock = LabClock(speed=1.0)
        self._store = Mirror(self._clock, self._http)
        self.world = World(self._store, housekeeping=False)
        self.world.controllers = [self.world.kubelet]
        self._kubelet = KubeletApi(plane.authority, self.world.logbook, self._clock)
        self._nodes: tuple[Node, ...] = ()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Nodes":
        self._kubelet.start()
        try:
            for group, resource in (*WATCHED, CLAIMS):
                self._begin(self._follow, group, resource)
            self._begin(self._renew)
            self.furnish(TWO)
            self.world.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self.world.stop()
        self._kubelet.stop()
        self._http.close()  # ends the watches
        for thread in self._threads:
            thread.join(10)

    def play(self, scenario: Scenario | None) -> None:
        """Its nodes, its programs and its images, from here on; None for healthy ones."""
        with self.world.holding():
            setting = self.world.kubelet.setting
            setting.faults = Faults(scenario.behaviours) if scenario else Faults()
            setting.conditions = scenario.conditions if scenario else Conditions()
            setting.can_pull = scenario.cluster.can_pull if scenario else lambda image: True
            setting.cached.clear()
        self.furnish(scenario.cluster.nodes if scenario else TWO)

    def furnish(self, nodes: tuple[Node, ...]) -> None:
        """Exactly these; one that is already there as it should be stays."""
        kept = [node for node in nodes if node in self._nodes]
        for node in self._nodes:
            if node not in kept:
                self._http.delete(f"/api/v1/nodes/{node.name}")
        for node in nodes:
            if node in kept:
                continue
            wanted = node_object(node)
            wanted["metadata"]["labels"]["node-role.kubernetes.io/worker"] = ""
            self._http.post("/api/v1/nodes", json=wanted).raise_for_status()
            status = wanted["status"] | {
                "addresses": [*wanted["status"]["addresses"], {"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self._kubelet.port}},
            }
            path = f"/api/v1/nodes/{node.name}/status"
            self._http.patch(path, content=json.dumps({"status": status}), headers=MERGE).raise_for_status()
        self._nodes = nodes
        self._renew_once()

    # ------------------------------------------------------------------------------------------------------------------------

    def _begin(self, what: Any, *arguments: str) -> None:
        thread = threading.Thread(target=what, args=arguments, name="-".join(("nodes", *arguments)), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _follow(self, group: str, resource: str) -> None:
        while not self._stop.wait(0.05):
            with suppress(httpx.HTTPError, RuntimeError):  # the client is closed at the end
                self._list_and_watch(group, resource)

    def _list_and_watch(self, group: str, resource: str) -> None:
        kind = KIND_OF[(group, resource)]
        path = path_of(Key(group, resource, "", ""), named=False)
        answer = self._http.get(path)
        answer.raise_for_status()
        listed = answer.json()
        items = [{"apiVersion": api_version(kind), "kind": kind, **one} for one in listed["items"]]
        self._store.keep_only(group, resource, items)
        for one in items:
            self._store.take("MODIFIED", _key(group, resource, one), one)
        query = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"], "allowWatchBookmarks": "true"}
        with self._http.stream("GET", path, params=query, timeout=httpx.Timeout(10, read=None)) as stream:
            for event in _events(stream):
                if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                    self._store.take(event["type"], _key(group, resource, event["object"]), event["object"])
                elif event["type"] == "ERROR":
                    return

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_SECONDS):
            with suppress(httpx.HTTPError, RuntimeError):
                self._renew_once()

    def _renew_once(self) -> None:
        """That the nodes live, told as kubelets tell it."""
        root = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        for node in self._nodes:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            spec = {"holderIdentity": node.name, "leaseDurationSeconds": 40, "renewTime": now}
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": node.name, "namespace": "kube-node-lease"},
                "spec": spec,
            }
            query = {"fieldManager": "kubelet", "force": "true"}
            headers = {"Content-Type": "application/apply-patch+yaml"}
            self._http.patch(f"{root}/{node.name}", params=query, content=json.dumps(lease), headers=headers)


def path_of(key: Key, *, named: bool = True) -> str:
    version = api_version(KIND_OF[(key.group, key.resource)])
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    place = f"/namespaces/{key.namespace}" if key.namespace else ""
    return f"{root}{place}/{key.resource}" + (f"/{key.name}" if named else "")


def _key(group: str, resource: str, obj: Object) -> Key:
    return Key(group, resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def _version(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


def _events(stream: httpx.Response) -> Iterator[Any]:
    for line in stream.iter_lines():
        if line:
            yield json.loads(line)


def _context(plane: ControlPlane) -> ssl.SSLContext:
    signed = plane.authority.sign("hollow-kubelets", "system:masters")
    context = ssl.create_default_context(cafile=str(plane.authority.certificate))
    context.load_cert_chain(signed.certificate, signed.key)
    return context
