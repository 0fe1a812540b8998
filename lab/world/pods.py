"""One pod on one node: volumes, init containers in order, containers, probes, termination, and the status the API shows.
Knows its cluster through the kubelet that owns it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from lab.store import copied
from lab.world.cluster import Cluster
from lab.world.conditions import Conditions
from lab.world.configuration import Configuration, MountError, amounts, check_mounts, resolve
from lab.world.containers import ContainerRun
from lab.world.events import Recorder
from lab.world.faults import Faults, Program
from lab.world.kinds import Object
from lab.world.logbook import LogBook, RunLog, Stream
from lab.world.network import Network
from lab.world.podstatus import conditions_of, qos
from lab.world.probes import ask
from lab.world.reading import labels_of, set_condition, stamp

STOP_SECONDS = 1.0  # a program that heeds SIGTERM
TITLES = {"startup": "Startup", "readiness": "Readiness", "liveness": "Liveness"}


@dataclass
class Setting:
    """What all pods of the world share."""

    cluster: Cluster
    recorder: Recorder
    faults: Faults
    conditions: Conditions
    network: Network
    logbook: LogBook
    can_pull: Callable[[str], bool]
    cached: dict[str, set[str]] = field(default_factory=dict)  # node: images


class PodRun:
    """Lives from the moment a pod is bound to a node until it is gone. Its `due` is when it must be looked at again."""

    def __init__(self, pod: Object, setting: Setting, *, ip: str, host_ip: str) -> None:
        self.pod, self.setting, self.ip, self.host_ip = pod, setting, ip, host_ip
        self.node: str = pod["spec"]["nodeName"]
        self.began = setting.cluster.now
        self.init = [ContainerRun(c, init=True) for c in pod["spec"].get("initContainers") or []]
        self.main = [ContainerRun(c) for c in pod["spec"]["containers"]]
        if self.init:
            for run in self.main:
                run.state = {"waiting": {"reason": "PodInitializing"}}
            for run in self.init[1:]:
                run.state = {"waiting": {"reason": "PodInitializing"}}
        self.mounted = False
        self.mount_due: datetime | None = None
        self.mount_wait = 0.5
        self.stopping: datetime | None = None
        self.expired = False
        self.gone = False

    # NodeSide: what a container asks

    def has_image(self, image: str) -> bool:
        return image in self.setting.cached.setdefault(self.node, set())

    def can_pull(self, image: str) -> bool:
        return self.setting.can_pull(image)

    def pulled(self, image: str) -> None:
        self.setting.cached.setdefault(self.node, set()).add(image)

    def event(self, run: ContainerRun, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        self.setting.recorder.record(
            self.pod, kind, reason, message, by="kubelet", container=run.name, host=self.node, init=run.init
        )

    def configure(self, run: ContainerRun) -> Configuration:
        return resolve(self.setting.cluster, self.pod, run.spec)

    def program(self, run: ContainerRun, now: datetime) -> Program:
        return self.setting.faults.pick(self.pod, run.name, self.variables(run, now), task=run.init or self._task)

    @property
    def _task(self) -> bool:
        return bool(self.pod["spec"].get("restartPolicy", "Always") != "Always")

    def variables(self, run: ContainerRun, now: datetime) -> Object:
        namespace = self.pod["metadata"]["namespace"]
        network = self.setting.network
        self.setting.conditions.reachable = lambda address: network.reachable(address, namespace)
        self.setting.conditions.resolves = lambda address: network.resolves(address, namespace)
        return {
            "pod": self.pod,
            "container": run.spec,
            "env": dict(run.configuration.env),
            "files": dict(run.configuration.files),
            "limits": amounts(run.spec, "limits"),
            "requests": amounts(run.spec, "requests"),
            "image": run.image,
            "restarts": run.restarts,
            "uptime": (now - (run.began or now)).total_seconds(),
            "world": {},
            "objects": {},
            "now": now,
        }

    def open_log(self, run: ContainerRun) -> RunLog:
        metadata = self.pod["metadata"]
        app = labels_of(self.pod).get("app.kubernetes.io/name") or labels_of(self.pod).get("app") or run.name
        return self.setting.logbook.open(
            Stream(metadata["namespace"], metadata["name"], run.name, metadata["uid"], self.node, app)
        )

    def fields(self, run: ContainerRun, program: Program) -> dict[str, str]:
        namespace = self.pod["metadata"]["namespace"]
        found = {
            "pod": self.pod["metadata"]["name"],
            "namespace": namespace,
            "container": run.name,
            "image": run.image,
            "version": run.image.rsplit(":", 1)[-1] if ":" in run.image else "latest",
            "node": self.node,
        }
        if program.dial is not None:
            address = program.dial.value(self.variables(run, self.setting.cluster.now))
            found["dial"] = (
                self.setting.network.failure(str(address), namespace) if address is not None else "dial tcp: missing address"
            )
            found["address"] = str(address)
        return found

    def container_id(self) -> str:
        return f"containerd://{self.setting.cluster.rng.getrandbits(256):064x}"

    def restarts_on(self, code: int, init: bool) -> bool:
        policy = self.pod["spec"].get("restartPolicy", "Always")
        if self.stopping or self.expired:
            return False
        if init:
            return code != 0 and policy != "Never"
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    def where(self) -> str:
        metadata = self.pod["metadata"]
        return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"

    # running

    @property
    def due(self) -> datetime | None:
        if self.gone:
            return None
        if self.stopping is not None:
            return self.stopping
        moments = [self.mount_due] if not self.mounted else []
        for run in self._current():
            moments.append(run.due)
            moments.extend(p.due for p in run.probes.values())
        return min((m for m in moments if m is not None), default=None)

    def _current(self) -> Iterator[ContainerRun]:
        """The init container whose turn it is, or all containers."""
        for run in self.init:
            if run.exit_code != 0 or run.stage != "done":
                yield run
                return
        yield from self.main

    @property
    def initialized(self) -> bool:
        return all(r.stage == "done" and r.exit_code == 0 for r in self.init)

    def listening(self) -> frozenset[int]:
        ports: set[int] = set()
        for run in self.main:
            if run.running and run.program is not None:
                declared = [p["containerPort"] for p in run.spec.get("ports") or []]
                ports.update(declared if run.program.listen is None else run.program.listen)
        return frozenset(ports)

    def sync(self, pod: Object) -> None:
        """Everything that is due now; then the status is written if it differs."""
        self.pod = pod
        now = self.setting.cluster.now
        if pod["metadata"].get("deletionTimestamp"):
            self._terminate(now)
            return
        if not self.mounted and not self._mount(now):
            self._write(now)
            return
        for _ in range(40):  # transitions at one moment; a bound, should a scenario contradict itself
            moved = [run.advance(now, self) for run in list(self._current())]
            if not any(moved):
                break
        for run in self.main:
            self._probe(run, now)
        self._write(now)

    def _mount(self, now: datetime) -> bool:
        if self.mount_due is not None and self.mount_due > now:
            return False
        try:
            check_mounts(self.setting.cluster, self.pod)
        except MountError as exc:
            self.setting.recorder.record(self.pod, "Warning", "FailedMount", str(exc), by="kubelet", host=self.node)
            self.mount_due = now + timedelta(seconds=self.mount_wait)
            self.mount_wait = min(self.mount_wait * 2, 122.0)  # kubelet: 500 ms doubling to 2m2s
            return False
        self.mounted = True
        return True

    def _probe(self, run: ContainerRun, now: datetime) -> None:
        for kind, probe in list(run.probes.items()):
            if not run.running or probe.due is None or probe.due > now or run.program is None:
                continue
            if kind != "startup" and not run.started:
                probe.due = now + probe.period
                continue
            well = not (run.program.not_live if kind == "liveness" else run.program.not_ready)
            answer = ask(probe.spec, self.ip, run.spec.get("ports") or [], listening=self.listening(), well=well)
            if not answer.ok:
                self.event(run, "Warning", "Unhealthy", f"{TITLES[kind]} probe failed: {answer.message}")
            probe.note(answer, now)
            self._heed(run, kind, probe.passing, now)

    def _heed(self, run: ContainerRun, kind: str, passing: bool | None, now: datetime) -> None:
        if kind == "readiness" and passing is not None:
            run.ready = passing
        elif kind == "startup" and passing:
            run.started = True
            run.ready = "readiness" not in run.probes
            run.probes.pop("startup")
        elif passing is False:
            self.event(run, "Normal", "Killing", f"Container {run.name} failed {kind} probe, will be restarted")
            run.kill(now, 137, self)

    def _terminate(self, now: datetime) -> None:
        if self.stopping is None:
            for run in (*self.init, *self.main):
                if run.running:
                    self.event(run, "Normal", "Killing", f"Stopping container {run.name}")
            grace = self.pod["metadata"].get("deletionGracePeriodSeconds", 30)
            running = any(r.running for r in self.main)
            self.stopping = now + timedelta(seconds=min(grace, STOP_SECONDS) if running else 0)
            for run in self.main:
                run.ready = False
            self._write(now)
        if self.stopping <= now:
            self.close(now)
            if not self.pod["metadata"].get("finalizers"):
                self.setting.cluster.remove("Pod", self.pod["metadata"]["namespace"], self.pod["metadata"]["name"])

    def close(self, now: datetime) -> None:
        self.gone = True
        for run in (*self.init, *self.main):
            if run.log is not None:
                run.log.close(now)

    # status

    def phase(self) -> str:
        if self.expired:
            return "Failed"
        if not self.mounted or not self.initialized:
            failed = any(r.stage == "done" and r.exit_code != 0 for r in self.init)
            return "Failed" if failed else "Pending"
        if all(r.stage == "done" for r in self.main):
            return "Failed" if any(r.exit_code != 0 for r in self.main) else "Succeeded"
        begun = all(r.container or r.last for r in self.main)
        return "Running" if begun else "Pending"

    def _write(self, now: datetime) -> None:
        metadata = self.pod["metadata"]
        phase = self.phase()

        def change(pod: Object) -> None:
            status = pod.setdefault("status", {})
            status |= {
                "phase": phase,
                "hostIP": self.host_ip,
                "hostIPs": [{"ip": self.host_ip}],
                "startTime": stamp(self.began),
                "qosClass": qos(pod),
            }
            if self.mounted:
                status |= {"podIP": self.ip, "podIPs": [{"ip": self.ip}]}
            status["containerStatuses"] = [r.status(r.spec.get("volumeMounts") or []) for r in self.main]
            if self.init:
                status["initContainerStatuses"] = [r.status(r.spec.get("volumeMounts") or []) for r in self.init]
            for entry in conditions_of(phase, mounted=self.mounted, init=self.init, main=self.main):
                set_condition(status, {"lastProbeTime": None, **entry}, stamp(now))

        seen = copied(self.pod)
        change(seen)
        if seen.get("status") != self.pod.get("status"):
            self.setting.cluster.edit("Pod", metadata["namespace"], metadata["name"], change)
