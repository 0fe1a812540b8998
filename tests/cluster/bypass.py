"""Plan-bound admission on a cluster that is given by its admin's kubeconfig: installed, a lease minted by the gate itself, its
token given to a thief, who asks the API server directly. Everything that was made is removed again.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from agent.cli.governed import deploy_folder, manifests
from sidecar.contract import Lease
from sidecar.credentials import Issuer, PlanBound
from sidecar.execution.cluster import KubernetesCluster
from sidecar.gate.answer import answer
from sidecar.gate.lease import lease
from sidecar.gate.opening import WallClock
from sidecar.gate.settle import settle
from sidecar.gate.submit import submit
from tests.cluster.admin import MERGE, Admin, ClusterSaid, Manifest
from tests.cluster.stage import OURS, NotHere, _marked, _refuse_if_anothers, _remove
from tests.fakes.sidecar_gate import make_world, plan, ref

SHOP, OTHER = "lestrade-bypass", "lestrade-bypass-other"
PUBLISHED = "/apis/lestrade.dev/v1/leasedwrites/lestrade"
WEB = f"/apis/apps/v1/namespaces/{SHOP}/deployments/web"
INSTALLED_WITHIN = 30.0
REFUSED = (401, 403, 405, 422)


class Shops:
    """Two namespaces with a workload, for as long as this is entered."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._installed: list[Manifest] = []
        self._shops = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {OURS: "true"}}}
            for name in (SHOP, OTHER)
        ]

    def __enter__(self) -> Self:
        for one in (*self._shops, *self._installed):
            if one["kind"] != "LeasedWrites":
                _refuse_if_anothers(self._admin, one)
        try:
            for one in self._shops:
                self._admin.apply(one, manager="lestrade-tests")
            for namespace in (SHOP, OTHER):
                self._admin.apply(workload(namespace, "web"), manager="lestrade-tests")
            self._admin.apply(workload(SHOP, "api"), manager="lestrade-tests")
            for one in self._installed:
                self._admin.apply_when_served(_marked(one), manager="lestrade-tests", within=INSTALLED_WITHIN)
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Bindings first: while they are there, the definition and the object may not go."""
        deadline = time.monotonic() + INSTALLED_WITHIN
        order = sorted(self._installed, key=lambda one: not one["kind"].startswith("ValidatingAdmissionPolicy"))
        while True:
            try:
                _remove(self._admin, [*order, *self._shops])
                return
            except ClusterSaid as exc:
                if exc.status != 403 or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)


class HeldToPlans(Shops):
    """And `deploy/admission`."""

    def __init__(self, admin: Admin) -> None:
        super().__init__(admin)
        files = [list(manifests(path)) for path in sorted((deploy_folder() / "admission").glob("*.yaml"))]
        self._installed = [one for file in files for one in file]

    def __enter__(self) -> Self:
        """Returns when the policies are enforced: an API server takes up to a second for new ones."""
        entered = super().__enter__()
        deadline = time.monotonic() + INSTALLED_WITHIN
        while status_of(self._admin, "DELETE", f"{PUBLISHED}?dryRun=All") != 403:
            if time.monotonic() > deadline:
                self.remove()
                raise NotHere(f"the policies are not enforced within {INSTALLED_WITHIN:.0f} s")
            time.sleep(0.1)
        return entered


def workload(namespace: str, name: str) -> Manifest:
    container = {"name": "main", "image": "registry.k8s.io/pause:3.10"}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


@dataclass
class Minted:
    """A live lease, the desk that minted it, and its token in a thief's kubeconfig."""

    lease: Lease
    thief: Admin
    desk: Any

    def settle(self) -> Any:
        return settle(self.lease.id, "not-performed", desk=self.desk)


def minted(admin: Admin, folder: Path, *actions: Manifest, held_to_plan: bool = True) -> Minted:
    """By the gate's own use cases, with the sidecar's identity; only judge and people are stood in for."""
    folder.mkdir(parents=True, exist_ok=True)
    world = make_world(folder)
    own = folder / "sidecar.kubeconfig"
    own.write_text(admin.kubeconfig_of("lestrade/lestrade-sidecar", cluster="lab"))
    cluster = KubernetesCluster.connect(kubeconfig=own, name="lab")
    bound = PlanBound(cluster, namespace="lestrade-leases", clock=WallClock()) if held_to_plan else None
    issuer = Issuer(cluster, namespace="lestrade-leases", clock=WallClock(), plan_bound=bound)
    desk = replace(world.desk, cluster=cluster, issuer=issuer, clock=WallClock())
    status = submit(plan(*actions, incident=f"bypass-{folder.name}"[:60]), desk=desk)
    if status.state != "waiting":
        raise NotHere(f"the plan is {status.state}: {status.decision.reasons}")
    revision = status.decision.revision
    answer(
        status.plan,
        person=world.people.known["ada"],
        verdict="approve",
        plan=status.plan,
        revision=revision,
        via="test",
        desk=desk,
    )
    granted = lease(status.plan, desk=desk)
    if not isinstance(granted, Lease):
        raise NotHere(f"no lease: {granted.code}: {granted.detail}")
    stolen = folder / "thief.kubeconfig"
    stolen.write_text(admin.kubeconfig_of(f"lestrade-leases/lestrade-{granted.id}", cluster="lab"))
    return Minted(lease=granted, thief=Admin(stolen), desk=desk)


def scale(admin: Admin, replicas: int) -> Manifest:
    return {"kind": "scale_workload", "target": web(admin), "replicas": replicas}


def image(admin: Admin, tag: str) -> Manifest:
    path = "/spec/template/spec/containers/0/image"
    before = admin.get(WEB)["spec"]["template"]["spec"]["containers"][0]["image"]
    change = {"path": path, "before": before, "after": f"registry.k8s.io/pause:{tag}"}
    return {"kind": "change_fields", "target": web(admin), "changes": [change]}


def web(admin: Admin) -> Manifest:
    return ref("Deployment", "web", SHOP, "apps/v1", uid=admin.get(WEB)["metadata"]["uid"])


def status_of(who: Admin, method: str, path: str, body: Any = None, *, content_type: str = MERGE) -> int:
    try:
        who.request(method, path, body, content_type=content_type)
    except ClusterSaid as exc:
        return exc.status
    return 200


def attempts(thief: Admin, container: Manifest, tag: str) -> dict[str, int]:
    """B4, every way: what each of them was answered. The plan holds this image tag, and 2 replicas through the scale."""
    approved = {**container, "image": f"registry.k8s.io/pause:{tag}"}
    leak = {"name": "K", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}

    def of(*containers: Manifest, **more: Any) -> Manifest:
        return {"spec": {"template": {"spec": {"containers": list(containers)}}}, **more}

    tried: dict[str, tuple[str, str, Any]] = {
        "another number": ("PATCH", f"{WEB}/scale", {"spec": {"replicas": 60}}),
        "none at all": ("PATCH", f"{WEB}/scale", {"spec": {"replicas": 0}}),
        "the number elsewhere": ("PATCH", WEB, {"spec": {"replicas": 2}}),
        "another image": ("PATCH", WEB, of({**container, "image": "registry.k8s.io/pause:1.0"})),
        "a secret beside it": ("PATCH", WEB, of({**approved, "env": [leak]})),
        "another container": ("PATCH", WEB, of(approved, {"name": "second", "image": "registry.k8s.io/pause:1.0"})),
        "a label alone": ("PATCH", WEB, {"metadata": {"labels": {"team": "thieves"}}}),
        "a label beside it": ("PATCH", WEB, of(approved, metadata={"labels": {"team": "thieves"}})),
        "an annotation": ("PATCH", WEB, {"metadata": {"annotations": {"a": "b"}}}),
        "a finalizer": ("PATCH", WEB, {"metadata": {"finalizers": ["thieves.example/hold"]}}),
        "another field": ("PATCH", WEB, {"spec": {"paused": True}}),
        "a dry run": ("PATCH", f"{WEB}?dryRun=All", of(approved)),
        "its status": ("PATCH", f"{WEB}/status", {"status": {"replicas": 0}}),
        "another name": ("PATCH", WEB.replace("/web", "/api"), of(approved)),
        "another namespace": ("PATCH", WEB.replace(SHOP, OTHER), of(approved)),
        "its deletion": ("DELETE", WEB, None),
        "what is published": ("PATCH", "/apis/lestrade.dev/v1/leasedwrites/lestrade", {"spec": {"leases": {}}}),
    }
    return {name: status_of(thief, *call) for name, call in tried.items()}


@dataclass(frozen=True, slots=True)
class Revocation:
    """Seconds from the moment at which the lease's end is asked for, as a thief sees it, and what the sidecar itself saw."""

    write_refused: float
    token_refused: float
    recorded: float


def revocation(admin: Admin, folder: Path) -> Revocation:
    """By RBAC alone. The thief writes without pause, so that the token is in the API server's cache when it goes."""
    held = minted(admin, folder, scale(admin, 2), held_to_plan=False)
    path, seen = f"{WEB}/scale?dryRun=All", {}

    def write() -> int:
        return status_of(held.thief, "PATCH", path, {"spec": {"replicas": 2}})

    if write() != 200:
        held.settle()
        raise NotHere("the token of a live lease is refused: nothing would be measured")
    with ThreadPoolExecutor(1) as pool:
        began = time.perf_counter()
        settling = pool.submit(held.settle)
        while 401 not in seen and time.perf_counter() - began < INSTALLED_WITHIN:
            seen.setdefault(write(), time.perf_counter() - began)
        settlement = settling.result()
    refused = min(seconds for status, seconds in seen.items() if status in (401, 403))
    return Revocation(refused, seen[401], (settlement.refused_after_ms or 0) / 1000)


def delays(admin: Admin, folder: Path) -> tuple[float, float]:
    """Milliseconds from publishing to the first refusal that knows the lease, and from withdrawing to the first that does not."""
    held = minted(admin, folder, scale(admin, 2))
    bound, path = held.desk.issuer.plan_bound, f"{WEB}/scale?dryRun=All"
    bound.withdraw(held.lease.identity)

    def until(word: str) -> float:
        began = time.perf_counter()
        while True:
            try:
                held.thief.request("PATCH", path, {}, content_type=MERGE)
            except ClusterSaid as exc:
                if word in str(exc):
                    return (time.perf_counter() - began) * 1000
            if time.perf_counter() - began > INSTALLED_WITHIN:
                raise NotHere(f"{word!r} is not said within {INSTALLED_WITHIN:.0f} s")

    try:
        until("no writes are published")
        refused = bound.publish(held.lease, [])
        if refused is not None:
            raise NotHere(refused.detail)
        enforced = until("are enforced")
        bound.withdraw(held.lease.identity)
        return enforced, until("no writes are published")
    finally:
        held.settle()
