"""A scenario on a cluster that is given by its admin's kubeconfig: made, brought to its fault by waiting, and removed again.

It is the stage that the laboratory's Player plays on, so that a scenario file means the same here and there. Only namespaces that
this suite made itself are ever written to or deleted: one that was there before is somebody's.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

from agent.cli.governed import deploy_folder, manifests
from lab.playing import Player
from lab.scenarios import Scenario
from lab.world.kinds import GROUPS
from lab.world.network import parse
from tests.cluster.admin import Admin, ClusterSaid, Manifest

OURS = "lestrade.dev/end-to-end"
QUIET = timedelta(seconds=30)  # nothing has changed for so long, by the cluster's clock
LONGEST_WAIT = timedelta(minutes=4)  # for one advance of the history, by the cluster's clock
SHOWN_WITHIN = timedelta(minutes=8)
CRASHES = 3  # restarts after which a container that crashes is seen to be crashing
PAUSE = 0.5
GONE_WITHIN = 300.0
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


class NotHere(RuntimeError):
    """The scenario cannot be played on this cluster; one line that says why."""


class Governance:
    """`deploy/rbac` on the cluster, for as long as this is entered. Refuses where Lestrade is installed already."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._documents = list(
            {
                (one["kind"], one["metadata"]["name"], one["metadata"].get("namespace", "")): one
                for file in ("sidecar.yaml", "reader.yaml", "own-rights.yaml")
                for one in manifests(deploy_folder() / "rbac" / file)
            }.values()
        )

    def __enter__(self) -> "Governance":
        for one in self._documents:
            _refuse_if_anothers(self._admin, one)
        try:
            for one in self._documents:
                self._admin.apply(_marked(one), manager="lestrade-tests")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()

    def remove(self) -> None:
        _remove(self._admin, self._documents)


class Clock:
    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def now(self) -> datetime:
        return self._admin.now()


class Stage:
    """What Player asks for (`clock`, `world`, `apply`, `request`, `path_of`, `advance`, `on_request`). A context manager: what
    was made is gone afterwards."""

    def __init__(self, admin: Admin, scenario: Scenario, *, quiet: timedelta = QUIET) -> None:
        self.admin, self.scenario, self._quiet = admin, scenario, quiet
        self.clock = Clock(admin)
        self.left_out: list[str] = []
        self._player = Player(self, scenario)
        self._made: list[Manifest] = []
        self._mine: set[str] = set()

    def __enter__(self) -> "Stage":
        try:
            self._claim()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()

    @property
    def namespaces(self) -> list[str]:
        return sorted(self._mine)

    @property
    def world(self) -> "LiveWorld":
        return LiveWorld(self.admin, self.namespaces)

    def _claim(self) -> None:
        """Make the namespaces. Bystanders whose namespace is somebody's are left out; a scenario's own must be free."""
        needed = {target.namespace for target in (self.scenario.truth.resource, *self.scenario.truth.writes) if target}
        needed |= {alert.labels["namespace"] for alert in self.scenario.alerts if "namespace" in alert.labels}
        for manifest in (one for one in self.scenario.objects if one["kind"] == "Namespace"):
            name = manifest["metadata"]["name"]
            try:
                _refuse_if_anothers(self.admin, manifest)
            except NotHere:
                if name in needed:
                    raise
                self.left_out.append(f"what belongs in {name}: the namespace was there before")
                continue
            _remove(self.admin, [manifest])  # what an earlier run of ours that was killed has left
            self._mine.add(name)

    # What Player asks for. ----------------------------------------------------------------------------------------------

    def apply(self, objects: Iterable[Manifest], *, manager: str = "kubectl") -> None:
        for manifest in objects:
            is_namespace = manifest["kind"] == "Namespace"
            namespace = manifest["metadata"]["name" if is_namespace else "namespace"] if is_namespace or _place(manifest) else ""
            if namespace and namespace not in self._mine:
                continue
            if not namespace:
                _refuse_if_anothers(self.admin, manifest)
            self._made.append(manifest)
            self.admin.apply(manifest if namespace and not is_namespace else _marked(manifest), manager=manager)
            if is_namespace:
                self.admin.await_account(namespace)

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Any:
        return self.admin.request(method, path, body, content_type=content_type)

    def path_of(self, api_version: str, kind: str, metadata: Manifest) -> str:
        return self.admin.path_of(api_version, kind, metadata)

    def on_request(self, callback: object) -> None:
        """Nobody can look into a real API server: see `interfere`."""

    def advance(self, seconds: float) -> None:
        """Wait until nothing changes any more; at most as long as the history says, and never longer than LONGEST_WAIT."""
        if seconds < 1:
            return
        self._watch(min(timedelta(seconds=seconds), LONGEST_WAIT), until_shown=False)

    # Beyond it. ---------------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """To the point where the fault shows. Raises NotHere when it does not."""
        for cls in self.scenario.cluster.storage_classes:
            if self.admin.get(self.path_of(cls["apiVersion"], cls["kind"], cls["metadata"])) is None:
                # Never the default class of a cluster that has workloads of others.
                self.apply([{**cls, "metadata": {"name": cls["metadata"]["name"]}}], manager="ci")
        self._player.play()
        if self.scenario.truth.outcome == "healthy":
            return
        self._watch(SHOWN_WITHIN, until_shown=True)
        if self.healed():
            raise NotHere("the fault does not show on this cluster")

    def interfere(self) -> None:
        """Someone else's hand, as early as it can be seen from outside: when the first approval is about to be given."""
        for interference in self.scenario.governance.interference:
            self._player.do(interference.do)

    def alerts(self) -> list[Manifest]:
        return self._player.alerts()

    def healed(self) -> bool:
        return self._player.healed()

    def _watch(self, longest: timedelta, *, until_shown: bool) -> None:
        began = since = self.clock.now()
        seen: Any = None
        while (now := self.clock.now()) - began < longest:
            world = self.world
            picture, restarts = world.picture()
            if picture != seen:
                seen, since = picture, now
            crashing = any(0 < count < CRASHES for count in restarts)
            if now - since >= self._quiet and not crashing and not world.is_starting() and not (until_shown and self.healed()):
                return
            time.sleep(PAUSE)

    def remove(self) -> None:
        _remove(self.admin, self._made)
        self._made = []


class LiveWorld:
    """The part of the laboratory's world that a truth is asked of, read from the cluster when it is made."""

    def __init__(self, admin: Admin, namespaces: Sequence[str]) -> None:
        self.now = admin.now()
        self.cluster = self.network = self
        self._seen: dict[str, list[Manifest]] = {}
        self._admin, self._namespaces = admin, namespaces

    def holding(self) -> "nullcontext[None]":
        return nullcontext()

    def of(self, kind: str) -> list[Manifest]:
        if kind not in self._seen:
            _, plural, api_version = GROUPS[kind]
            is_there = kind != "Secret" and self._admin.serves(api_version, kind)
            everywhere = self._admin.list(api_version, plural) if is_there else []
            self._seen[kind] = [one for one in everywhere if not _place(one) or _place(one) in self._namespaces]
        return self._seen[kind]

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        where = (namespace, name)
        return next((o for o in self.of(kind) if (_place(o), o["metadata"]["name"]) == where), None)

    def resolves(self, text: str, namespace: str) -> bool:
        return self._service(text, namespace) is not None

    def _service(self, text: str, namespace: str) -> Manifest | None:
        address = parse(text)
        parts = address.host.removesuffix(".cluster.local").removesuffix(".svc").split(".") if address else []
        return self.find("Service", parts[1] if len(parts) > 1 else namespace, parts[0]) if parts else None

    def reachable(self, text: str, namespace: str) -> bool:
        """By what the cluster says of itself: a ready endpoint whose pod declares the port. No connection is made."""
        address, service = parse(text), self._service(text, namespace)
        if address is None or service is None:
            return False
        port = next((one.get("name") for one in service["spec"].get("ports") or [] if one["port"] == address.port), "?")
        mine = {"kubernetes.io/service-name": service["metadata"]["name"]}.items()
        for part in self.of("EndpointSlice"):
            if _place(part) != _place(service) or not mine <= (part["metadata"].get("labels") or {}).items():
                continue
            targets = {one["port"] for one in part.get("ports") or [] if (one.get("name") or None) == (port or None)}
            for endpoint in part.get("endpoints") or []:
                pod = self.find("Pod", _place(service), (endpoint.get("targetRef") or {}).get("name", ""))
                if pod is not None and (endpoint.get("conditions") or {}).get("ready") and targets & _ports(pod):
                    return True
        return False

    def picture(self) -> tuple[list[Any], list[int]]:
        """What changes while a cluster is not quiet yet, and how often each container was started again."""
        picture: list[Any] = []
        for kind in WORKLOADS:
            for one in self.of(kind):
                status = {k: v for k, v in (one.get("status") or {}).items() if isinstance(v, int)}
                picture.append((kind, _place(one), one["metadata"]["name"], sorted(status.items())))
        picture += [(_place(one), one["metadata"]["name"], (one.get("status") or {}).get("phase")) for one in self.of("Pod")]
        restarts = [
            int(container.get("restartCount") or 0)
            for pod in self.of("Pod")
            for container in (pod.get("status") or {}).get("containerStatuses") or []
        ]
        return picture, restarts

    def is_starting(self) -> bool:
        """A container is being made: its image is fetched, perhaps."""
        return any(
            ((container.get("state") or {}).get("waiting") or {}).get("reason") in ("ContainerCreating", "PodInitializing")
            for pod in self.of("Pod")
            for container in (pod.get("status") or {}).get("containerStatuses") or []
        )


def _place(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("namespace") or "")


def _ports(pod: Manifest) -> set[int]:
    return {port["containerPort"] for container in pod["spec"]["containers"] for port in container.get("ports") or []}


def _marked(manifest: Manifest) -> Manifest:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), OURS: "true"}}}


def _refuse_if_anothers(admin: Admin, manifest: Manifest) -> None:
    """Raises NotHere when such an object is there and does not carry our mark."""
    found = admin.get(admin.path_of(manifest["apiVersion"], manifest["kind"], manifest["metadata"]))
    if found is not None and (found["metadata"].get("labels") or {}).get(OURS) != "true" and not _in_ours(admin, found):
        raise NotHere(f"{manifest['kind']} {manifest['metadata']['name']} was in the cluster before: it is not touched")


def _in_ours(admin: Admin, manifest: Manifest) -> bool:
    namespace = admin.get(f"/api/v1/namespaces/{_place(manifest)}") if _place(manifest) else None
    return namespace is not None and (namespace["metadata"].get("labels") or {}).get(OURS) == "true"


def _remove(admin: Admin, objects: Sequence[Manifest]) -> None:
    """Cluster-scoped objects with our mark, and with namespaces all that is in them; returns when they are gone."""
    paths = []
    for one in objects:
        if _place(one):
            continue
        path = admin.path_of(one["apiVersion"], one["kind"], one["metadata"])
        found = admin.get(path)
        if found is None or (found["metadata"].get("labels") or {}).get(OURS) != "true":
            continue
        try:
            admin.request("DELETE", path)
        except ClusterSaid as exc:
            if exc.status not in (404, 409):  # gone, or going
                raise
        paths.append(path)
    deadline = time.monotonic() + GONE_WITHIN
    while paths := [path for path in paths if admin.get(path) is not None]:
        if time.monotonic() > deadline:
            raise NotHere(f"not gone after {GONE_WITHIN:.0f} s: {', '.join(paths)}")
        time.sleep(PAUSE)
