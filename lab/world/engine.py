"""The world: all controllers over one store, in lab time. `step` settles what is due now, in order from one due moment to
the next, so that an hour passes as an hour of small happenings; a ticker does the same while time runs by itself."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from lab.store import Change, Store
from lab.world.autoscaling import Autoscalers
from lab.world.cluster import Admit, Cluster, admit_all
from lab.world.conditions import Conditions
from lab.world.daemonsets import DaemonSets
from lab.world.deployments import Deployments
from lab.world.disruption import DisruptionBudgets
from lab.world.endpoints import Services
from lab.world.events import Recorder
from lab.world.faults import Faults
from lab.world.jobs import CronJobs, Jobs
from lab.world.kubelet import Kubelet
from lab.world.logbook import LogBook
from lab.world.namespaces import Namespaces
from lab.world.network import Network
from lab.world.pods import Setting
from lab.world.quotas import Quotas
from lab.world.replicasets import ReplicaSets
from lab.world.scheduler import Scheduler
from lab.world.statefulsets import StatefulSets
from lab.world.storage import Claims

TICK_SECONDS = 0.05  # real
ROUNDS = 200  # at one moment; more means two controllers fight

log = logging.getLogger(__name__)


class Controller(Protocol):
    """`due` is when it wants to run though nothing changed."""

    @property
    def name(self) -> str: ...
    @property
    def watches(self) -> frozenset[str]: ...
    @property
    def due(self) -> datetime | None: ...
    def reconcile(self) -> None: ...


class World:
    def __init__(
        self,
        store: Store,
        *,
        seed: int = 0,
        faults: Faults | None = None,
        conditions: Conditions | None = None,
        can_pull: Callable[[str], bool] = lambda image: True,
        admit: Admit = admit_all,
        housekeeping: bool = True,
        asides: Sequence[str] = (),
    ) -> None:
        """`housekeeping` False: someone else gives namespaces their accounts, collects garbage and counts quotas. `asides`: see
        Recorder."""
        self.store = store
        self.cluster = Cluster(store, seed=seed, admit=admit)
        self.recorder = Recorder(self.cluster, asides)
        self.logbook = LogBook()
        self.network = Network(self.cluster, lambda namespace, name: self.kubelet.listening(namespace, name))
        setting = Setting(
            self.cluster, self.recorder, faults or Faults(), conditions or Conditions(), self.network, self.logbook, can_pull
        )
        self.kubelet = Kubelet(setting)
        cluster, recorder = self.cluster, self.recorder
        self.controllers: list[Controller] = [
            Deployments(cluster, recorder),
            StatefulSets(cluster, recorder),
            DaemonSets(cluster, recorder),
            CronJobs(cluster, recorder),
            Jobs(cluster, recorder, self.kubelet),
            ReplicaSets(cluster, recorder),
            Claims(cluster, recorder),
            Scheduler(cluster, recorder),
            self.kubelet,
            Services(cluster),
            DisruptionBudgets(cluster),
            Autoscalers(cluster, recorder, self.kubelet),
        ]
        if housekeeping:
            self.controllers[:0] = [Namespaces(cluster), Quotas(cluster)]
        self._dirty: set[str] = {c.name for c in self.controllers}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None
        self.errors: list[BaseException] = []
        cluster.on_change(self._note)
        store.clock.on_advance(self.step)

    def holding(self) -> threading.RLock:
        """To look at several things at one moment: nothing moves meanwhile."""
        return self._lock

    def add(self, *controllers: Controller) -> None:
        with self._lock:
            self.controllers.extend(controllers)
            self._dirty |= {c.name for c in controllers}

    def _note(self, kind: str, change: Change) -> None:
        for controller in self.controllers:
            if kind in controller.watches:
                self._dirty.add(controller.name)

    def step(self) -> None:
        """Settle everything up to the lab's present moment."""
        with self._lock:
            until = self.store.clock.now()
            while True:
                self._settle()
                due = self._next_due()
                if due is None or due > until:
                    break
                self.cluster.now = max(due, self.cluster.now)
            self.cluster.now = max(until, self.cluster.now)

    def _next_due(self) -> datetime | None:
        return min((d for c in self.controllers if (d := c.due) is not None), default=None)

    def _settle(self) -> None:
        for _ in range(ROUNDS):
            now = self.cluster.now
            with self.store.lock:  # changes are noted under it: none is lost between the look and the swap
                dirty, self._dirty = self._dirty, set()
            ready: Sequence[Controller] = [
                c for c in self.controllers if c.name in dirty or ((d := c.due) is not None and d <= now)
            ]
            if not ready:
                return
            for controller in ready:
                controller.reconcile()
        raise RuntimeError(f"the simulated cluster does not settle: {sorted(self._dirty)}")

    # while time runs by itself

    def start(self) -> None:
        self._ticker = threading.Thread(target=self._tick, name="lab-world", daemon=True)
        self._ticker.start()

    def stop(self) -> None:
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join(timeout=10)

    def _tick(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            try:
                self.step()
            except Exception as exc:  # noqa: BLE001 - one bad reconcile must not stop the world; the lab reports it
                self.errors.append(exc)
                log.warning("the simulated cluster stumbled: %s", exc)
