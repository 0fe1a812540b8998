"""A scenario played whole on any cluster that an admin's kubeconfig names: the agent and the sidecar see of it what they would
see anywhere. No Prometheus, no Loki. What was written is judged by the objects' own managedFields.

Not seen here, because an API server's audit log is not to be had through its API: reads, refused attempts, writes that were
deleted or wholly overwritten since, and who asked. The laboratory's request log shows those.
"""

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent.cli.demonstration import policy_of
from agent.cli.governed import LEASE_LABEL, LEASE_NAMESPACE, READER_IDENTITY, SIDECAR_IDENTITY, Governed, open_run, told, watch
from agent.cli.investigate import write_page
from agent.domain.report import Report
from agent.errors import ClusterUnreachable, GovernanceUnavailable
from agent.settings import Settings
from lab.scenarios import Scenario
from tests.cluster.admin import Admin, ClusterSaid, Manifest
from tests.cluster.stage import QUIET, Stage

CLUSTER = "under-test"
NOBODY_SECONDS = 2
RBAC = "rbac.authorization.k8s.io/v1"
STEP = re.compile(r"^lestrade-(?P<lease>.+)-step-\d+(?P<undo>.*)$")


@dataclass(frozen=True, slots=True, order=True)
class Touched:
    """An object that a step of a lease has fields of; `resource` has "/scale" where the write went there."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    scenario: Scenario
    account: dict[str, Any]
    report: Report
    page: Path
    touched: dict[Touched, set[str]]  # by which leases
    leases: set[str]
    healed: bool
    leftovers: list[str]
    audit_ok: bool | None
    settlements: list[Any]
    left_out: list[str]
    seconds: float


class OnCluster(Governed):
    """The governed side, over a cluster that somebody else runs."""

    def __init__(self, admin: Admin, stage: Stage, *, folder: Path, poll_seconds: float) -> None:
        super().__init__(CLUSTER, folder=folder)
        self._admin, self._stage, self._poll_seconds = admin, stage, poll_seconds

    def __enter__(self) -> "OnCluster":
        governance = self._stage.scenario.governance
        expires = NOBODY_SECONDS if governance.approver == "nobody" else None
        kubeconfig = self._admin.kubeconfig_of(SIDECAR_IDENTITY, cluster=CLUSTER)
        self.write_files(kubeconfig=kubeconfig, policy=policy_of(self._stage.scenario, expires))
        if governance.sidecar == "up":
            self.start_sidecar()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop_sidecar()

    def settings(self) -> Settings:
        reader = None
        if self._stage.scenario.governance.sidecar == "down":
            reader = self.folder / "reader.kubeconfig"
            reader.touch(mode=0o600)
            reader.write_text(self._admin.kubeconfig_of(READER_IDENTITY, cluster=CLUSTER))
        return Settings(
            cluster=CLUSTER,
            kubeconfig=reader,
            sidecar_url=f"unix://{self.socket}",
            sidecar_token_file=self.token_file,
            database_url=f"sqlite:///{self.folder / 'agent.sqlite'}",
            reports=self.reports,
            poll_seconds=self._poll_seconds,
            approval_wait_seconds=2,
        )

    async def people_answer(self) -> None:
        """The people of the scenario, until cancelled; someone else's hand moves before the first yes."""
        governance = self._stage.scenario.governance
        verdict = "deny" if governance.approver == "deny" else "approve"
        meddled = False
        while governance.approver != "nobody" and governance.sidecar == "up":
            with contextlib.suppress(GovernanceUnavailable, ClusterUnreachable):
                for view in await self.waiting():
                    if not meddled:
                        meddled = True
                        await asyncio.to_thread(self._stage.interfere)
                    for approver in self.people[: view.count]:
                        if await self.answer(view, approver, verdict, "not now" if verdict == "deny" else "") != "waiting":
                            break
            await asyncio.sleep(0.1)


def play(admin: Admin, scenario: Scenario, folder: Path, *, poll_seconds: float = 1.0, quiet: timedelta = QUIET) -> Played:
    """Made, played, judged, removed. Raises NotHere."""
    began = time.monotonic()
    with Stage(admin, scenario, quiet=quiet) as stage:
        stage.play()
        before = {entry for entry, _ in _written(admin, stage)}
        with OnCluster(admin, stage, folder=folder, poll_seconds=poll_seconds) as governed:
            report = asyncio.run(_run(governed, stage))
            audit_ok = governed.audit_verifies() if scenario.governance.sidecar == "up" else None
        touched: dict[Touched, set[str]] = {}
        for entry, lease in _written(admin, stage):
            touched.setdefault(entry, set()).add(lease)
        assert not before, f"written by leases before there were any: {before}"
        return Played(
            scenario=scenario,
            account=told(report),
            report=report,
            page=write_page(report, folder / "reports"),
            touched=touched,
            leases={round_.lease.id for round_ in report.rounds if round_.lease},
            healed=stage.healed(),
            leftovers=leftovers(admin),
            audit_ok=audit_ok,
            settlements=[round_.settlement for round_ in report.rounds if round_.settlement],
            left_out=stage.left_out,
            seconds=round(time.monotonic() - began, 1),
        )


async def _run(governed: OnCluster, stage: Stage) -> Report:
    async with governed.shop() as shop:
        row = await open_run(shop, stage.alerts(), question=stage.scenario.question)
        people = asyncio.create_task(governed.people_answer())
        try:
            return await watch(governed, shop, row)
        finally:
            people.cancel()
            await asyncio.gather(people, return_exceptions=True)


def _written(admin: Admin, stage: Stage) -> list[tuple[Touched, str]]:
    """(object, lease) of every managedFields entry by a step of a lease: in the scenario's namespaces, in those of Lestrade, and
    on all cluster-scoped objects."""
    found: list[tuple[Touched, str]] = []
    places = {*stage.namespaces, "lestrade", LEASE_NAMESPACE}
    for kind in admin.kinds():
        if not kind.listed or kind.kind in ("Event", "ComponentStatus", "PodMetrics", "NodeMetrics"):
            continue
        try:
            listed = admin.list(kind.api_version, kind.plural)
        except ClusterSaid as exc:
            if exc.status in (404, 405, 503):  # an aggregated API that has nothing to list, or is down
                continue
            raise
        for one in listed:
            if not kind.namespaced or one["metadata"]["namespace"] in places:
                found += _steps(one, kind.plural)
    return found


def _steps(manifest: Manifest, plural: str) -> list[tuple[Touched, str]]:
    metadata, found = manifest["metadata"], []
    for entry in metadata.get("managedFields") or []:
        step = STEP.match(entry.get("manager", ""))
        if step:
            resource = "/".join(filter(None, (plural, entry.get("subresource", ""))))
            found.append((Touched(resource, metadata.get("namespace", ""), metadata["name"]), step["lease"]))
    return found


def leftovers(admin: Admin) -> list[str]:
    """ServiceAccounts, Roles and bindings of leases that are still there."""
    places = [("v1", "serviceaccounts"), *((RBAC, p) for p in ("roles", "rolebindings", "clusterroles", "clusterrolebindings"))]
    return [
        f"{plural} {one['metadata'].get('namespace', '')}/{one['metadata']['name']}"
        for version, plural in places
        for one in admin.list(version, plural)
        if LEASE_LABEL in (one["metadata"].get("labels") or {})
    ]
