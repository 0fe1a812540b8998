"""One scenario with everything real but the cluster: the laboratory in this process, the sidecar as a process of its own, the
agent's graph here, and a person who answers through the people's API.

Used by `lestrade demo` and by tests, which look at `lab`, `sidecar`, `folder` and the paths below it.
"""

from collections.abc import Mapping
from pathlib import Path

from agent.bootstrap import Workshop
from agent.cli.governed import LEASE_LABEL, READER_IDENTITY, SIDECAR_IDENTITY, Governed, deploy_folder, manifests, open_run, told
from agent.domain.report import Report
from agent.ports import RunRow
from agent.settings import Settings
from lab.laboratory import Laboratory
from lab.scenarios import Scenario

POLL_SECONDS = 0.25  # a quarter of a second is a quarter of a minute in the laboratory


class Demonstration(Governed):
    """Use as a context manager. `expires_seconds`: how long a request for approval stays open (None: what policy says).
    `model`: settings of a model, instead of those of the environment."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        folder: Path | None = None,
        reports: Path | None = None,
        speed: float = 60.0,
        expires_seconds: int | None = None,
        people: tuple[str, ...] = ("you", "a colleague"),
        model: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(scenario.cluster.name, folder=folder, reports=reports, people=people)
        self.scenario = scenario
        self.speed = speed
        self._expires_seconds = expires_seconds
        self._model = model
        self._lab: Laboratory | None = None

    @property
    def lab(self) -> Laboratory:
        if self._lab is None:
            raise RuntimeError("the demonstration is not started")
        return self._lab

    def __enter__(self) -> "Demonstration":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """The cluster at the point where its fault shows, and the sidecar, unless the scenario has it down."""
        self._lab = Laboratory.start(self.scenario, speed=self.speed)
        for name in ("sidecar.yaml", "reader.yaml"):
            self.lab.apply(list(manifests(deploy_folder() / "rbac" / name)))
        self.write_files(
            kubeconfig=self.lab.kubeconfig(SIDECAR_IDENTITY).read_text(encoding="utf-8"),
            policy=policy_of(self.scenario, self._expires_seconds),
        )
        self.lab.play()
        if self.scenario.governance.sidecar == "up":
            self.start_sidecar()

    def stop(self) -> None:
        self.stop_sidecar()
        if self._lab is not None:
            self._lab.stop()
            self._lab = None

    # The agent. -----------------------------------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """The agent reads through the sidecar; where that is down, with the read-only identity that deploy/rbac has for it."""
        down = self.scenario.governance.sidecar == "down"
        plain = Settings(
            cluster=self.cluster,
            kubeconfig=self.lab.kubeconfig(READER_IDENTITY) if down else None,
            prometheus_url=self.lab.prometheus_url,
            loki_url=self.lab.loki_url,
            sidecar_url=f"unix://{self.socket}",
            sidecar_token_file=self.token_file,
            database_url=f"sqlite:///{self.folder / 'agent.sqlite'}",
            reports=self.reports,
            poll_seconds=POLL_SECONDS,
            approval_wait_seconds=2,
        )
        return plain.model_copy(update=dict(self._model)) if self._model is not None else plain

    async def open_run(self, shop: Workshop) -> RunRow:
        """From the scenario's alerts as Alertmanager would send them, or its question. The first group opens the run."""
        return await open_run(shop, self.lab.alerts(), question=self.scenario.question)

    # What is left. ------------------------------------------------------------------------------------------------------

    def leftovers(self) -> list[str]:
        """ServiceAccounts, Roles and bindings of leases that are still there."""
        group = "rbac.authorization.k8s.io"
        places = (
            ("", "serviceaccounts"),
            (group, "roles"),
            (group, "rolebindings"),
            (group, "clusterroles"),
            (group, "clusterrolebindings"),
        )
        return [
            f"{resource} {found['metadata'].get('namespace', '')}/{found['metadata']['name']}"
            for group_, resource in places
            for found in self.lab.store.list(group_, resource)
            if LEASE_LABEL in found["metadata"].get("labels", {})
        ]

    def writes(self) -> list[dict[str, str]]:
        """What was changed over HTTP since the scenario was played, by whomever."""
        return [
            {
                "identity": entry.identity,
                "verb": entry.verb,
                "resource": f"{entry.resource}/{entry.subresource}" if entry.subresource else entry.resource,
                "namespace": entry.namespace,
                "name": entry.name,
            }
            for entry in self.lab.writes()
        ]

    def account(self, report: Report, *, seconds: float, page: Path) -> dict[str, object]:
        """The one JSON object of `lestrade demo --json`."""
        return {
            "scenario": self.scenario.name,
            **told(report),
            "writes": self.writes(),
            "settlements": [round_.settlement.document() for round_ in report.rounds if round_.settlement],
            "leftovers": self.leftovers(),
            "audit_ok": self.audit_verifies() if (self.folder / "sidecar").exists() else None,
            "healed": self.lab.healed(),
            "run": report.run,
            "report": str(page),
            "seconds": round(seconds, 1),
        }


def policy_of(scenario: Scenario, expires_seconds: int | None = None) -> dict[str, object]:
    """The scenario's data over the bundle's; `expires_seconds`: how long a request for approval stays open, where said."""
    policy = dict(scenario.governance.policy)
    if expires_seconds is not None:
        approvals = policy.get("approvals")
        policy["approvals"] = {**(approvals if isinstance(approvals, Mapping) else {}), "expires_seconds": expires_seconds}
    return policy
