"""One container of one pod on its node: pull, create, run, exit, back off. Time comes in as `now`; what it needs of the
cluster comes in as a `Node side`, so that it can be read as a state machine. Knows no store."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from lab.world.configuration import ConfigError, Configuration
from lab.world.faults import Program
from lab.world.kinds import Object
from lab.world.logbook import RunLog
from lab.world.probes import ProbeRun
from lab.world.reading import stamp

FIRST_BACKOFF = 10.0  # kubelet: backOffPeriod; doubles to MAX_BACKOFF, forgotten after ten quiet minutes
MAX_BACKOFF = 300.0
FORGET = timedelta(minutes=10)
SYNC = 12.0  # seconds between a kubelet's looks at a pod that waits
Stage = Literal["new", "pulling", "pull-failed", "pull-backoff", "config-error", "running", "exited", "crash-backoff", "done"]


class NodeSide(Protocol):
    """What a container asks of its kubelet."""

    def has_image(self, image: str) -> bool: ...
    def can_pull(self, image: str) -> bool: ...
    def pulled(self, image: str) -> None: ...
    def event(self, run: "ContainerRun", kind: Literal["Normal", "Warning"], reason: str, message: str) -> None: ...
    def configure(self, run: "ContainerRun") -> Configuration: ...
    def program(self, run: "ContainerRun", now: datetime) -> Program: ...
    def open_log(self, run: "ContainerRun") -> RunLog: ...
    def fields(self, run: "ContainerRun", program: Program) -> dict[str, str]: ...
    def container_id(self) -> str: ...
    def restarts_on(self, code: int, init: bool) -> bool: ...
    def where(self) -> str: ...


@dataclass
class ContainerRun:
    """`state` and `last` are ContainerState objects as the API shows them; `due` is when it must be looked at again."""

    spec: Object
    init: bool = False
    stage: Stage = "new"
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: Object = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False
    container: str = ""  # containerd://...
    due: datetime | None = None
    program: Program | None = None
    since: datetime | None = None  # of the program
    began: datetime | None = None  # of the run
    backoff: float = 0.0  # seconds the next one lasts
    in_force: float = 0.0
    until: datetime | None = None  # of the back-off
    pull_error: str = ""
    configuration: Configuration = field(default_factory=lambda: Configuration({}, {}))
    log: RunLog | None = None
    probes: dict[str, ProbeRun] = field(default_factory=dict)
    oom_kills: int = 0

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def image(self) -> str:
        return str(self.spec["image"])

    @property
    def running(self) -> bool:
        return self.stage == "running"

    @property
    def exit_code(self) -> int | None:
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    def advance(self, now: datetime, node: NodeSide) -> bool:
        """One transition, if one is due; True when something changed and it should be asked again."""
        due = self.due is None or self.due <= now
        match self.stage:
            case "new":
                return self._look_for_image(now, node)
            case "pulling" if due:
                return self._pull(now, node)
            case "pull-failed" | "pull-backoff" if due:
                return self._wait_to_pull(now, node)
            case "config-error" if due:
                return self._create(now, node)
            case "running":
                return self._run(now, node)
            case "exited" if due:
                return self._after_exit(now, node)
            case "crash-backoff" if due:
                return self._wait_to_restart(now, node)
        return False

    # image

    def _look_for_image(self, now: datetime, node: NodeSide) -> bool:
        if node.has_image(self.image) and self.spec.get("imagePullPolicy") != "Always":
            node.event(
                self,
                "Normal",
                "Pulled",
                f'Container image "{self.image}" already present on machine and can be accessed by the pod',
            )
            return self._create(now, node)
        node.event(self, "Normal", "Pulling", f'Pulling image "{self.image}"')
        self.stage, self.due = "pulling", now + timedelta(seconds=2)
        return True

    def _pull(self, now: datetime, node: NodeSide) -> bool:
        if node.can_pull(self.image):
            node.pulled(self.image)
            text = f'Successfully pulled image "{self.image}" in 1.412s (1.412s including waiting). Image size: 3798260 bytes.'
            node.event(self, "Normal", "Pulled", text)
            self.pull_error = ""
            self.backoff = self.backoff if self.restarts else 0.0
            return self._create(now, node)
        repository = self.image
        self.pull_error = (
            f'rpc error: code = NotFound desc = failed to pull and unpack image "{repository}": '
            f"failed to resolve image: {repository}: not found"
        )
        node.event(self, "Warning", "Failed", f'Failed to pull image "{self.image}": {self.pull_error}')
        node.event(self, "Warning", "Failed", "Error: ErrImagePull")
        self.backoff = min(self.backoff * 2 or FIRST_BACKOFF, MAX_BACKOFF)
        self.until = now + timedelta(seconds=self.backoff)
        self.state = {"waiting": {"reason": "ErrImagePull", "message": self.pull_error}}
        self.stage, self.due = "pull-failed", now + timedelta(seconds=3)
        return True

    def _wait_to_pull(self, now: datetime, node: NodeSide) -> bool:
        if self.until is not None and now >= self.until:
            self.stage = "new"
            return True
        text = f'Back-off pulling image "{self.image}"'
        node.event(self, "Normal", "BackOff", text)
        node.event(self, "Warning", "Failed", "Error: ImagePullBackOff")
        self.state = {"waiting": {"reason": "ImagePullBackOff", "message": f"{text}: ErrImagePull: {self.pull_error}"}}
        self.stage, self.due = "pull-backoff", self._next_look(now)
        return True

    def _next_look(self, now: datetime) -> datetime:
        look = now + timedelta(seconds=SYNC)
        return min(look, self.until) if self.until else look

    # start and run

    def _create(self, now: datetime, node: NodeSide) -> bool:
        try:
            self.configuration = node.configure(self)
        except ConfigError as exc:
            node.event(self, "Warning", "Failed", f"Error: {exc}")
            self.state = {"waiting": {"reason": "CreateContainerConfigError", "message": str(exc)}}
            self.stage, self.due = "config-error", now + timedelta(seconds=SYNC)
            return True
        self.container = node.container_id()
        node.event(self, "Normal", "Created", "Container created")
        node.event(self, "Normal", "Started", "Container started")
        self.state = {"running": {"startedAt": stamp(now)}}
        self.stage, self.began, self.program = "running", now, None
        self.log = node.open_log(self)
        self.probes = (
            {} if self.init else {k: ProbeRun(k, self.spec[f"{k}Probe"], now) for k in PROBES if f"{k}Probe" in self.spec}
        )
        self.started = "startup" not in self.probes
        self.ready = self.init or (self.started and "readiness" not in self.probes)
        return True

    def _run(self, now: datetime, node: NodeSide) -> bool:
        program = node.program(self, now)
        changed = program is not self.program
        if changed:
            self.program, self.since = program, now
            if self.log is not None:
                self.log.turn(program, now, node.fields(self, program))
            for probe in self.probes.values():
                probe.look_soon(now)
        ends = self._ends()
        if ends is not None and ends <= now:
            self._exit(now, 137 if program.oom else program.exit or 0, "OOMKilled" if program.oom else "", node)
            return True
        self.due = ends
        return changed

    def _ends(self) -> datetime | None:
        if self.program is None or self.since is None or (self.program.exit is None and not self.program.oom):
            return None
        return self.since + timedelta(seconds=self.program.after)

    def kill(self, now: datetime, code: int, node: NodeSide) -> None:
        """By the kubelet: a failed liveness probe, or the pod goes."""
        if self.running:
            self._exit(now, code, "", node)

    def _exit(self, now: datetime, code: int, reason: str, node: NodeSide) -> None:
        if self.log is not None:
            self.log.close(now)
        self.oom_kills += reason == "OOMKilled"
        ended = {
            "containerID": self.container,
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "startedAt": stamp(self.began or now),
            "finishedAt": stamp(now),
        }
        self.state = {"terminated": ended}
        self.ready, self.started = self.init and code == 0, False
        quiet = self.began is not None and now - self.began > FORGET
        if quiet:
            self.backoff = 0.0
        self.program, self.probes = None, {}
        if node.restarts_on(code, self.init):
            self.stage, self.due = "exited", now + timedelta(seconds=1)
            self.until, self.in_force = now + timedelta(seconds=self.backoff), self.backoff
            self.backoff = min(self.backoff * 2 or FIRST_BACKOFF, MAX_BACKOFF)
        else:
            self.stage, self.due = "done", None

    def _after_exit(self, now: datetime, node: NodeSide) -> bool:
        if self.until is None or now >= self.until:
            return self._restart(now, node)
        self.last = self.state
        return self._wait_to_restart(now, node)

    def _wait_to_restart(self, now: datetime, node: NodeSide) -> bool:
        if self.until is None or now >= self.until:
            return self._restart(now, node)
        where = node.where()
        node.event(self, "Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {where}")
        message = f"back-off {_duration(self.in_force)} restarting failed container={self.name} pod={where}"
        self.state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self.stage, self.due = "crash-backoff", self._next_look(now)
        return True

    def _restart(self, now: datetime, node: NodeSide) -> bool:
        if "terminated" in self.state:
            self.last = self.state
        self.restarts += 1
        self.until = None
        self.stage = "new"
        return self._look_for_image(now, node)

    def status(self, mounts: list[Object]) -> Object:
        """The ContainerStatus the API shows."""
        shown: Object = {
            "name": self.name,
            "image": self.image,
            "imageID": f"{self.image.rsplit(':', 1)[0]}@sha256:{_digest(self.image)}" if self.container else "",
            "lastState": self.last,
            "ready": self.ready,
            "restartCount": self.restarts,
            "started": self.started and self.running,
            "state": self.state,
        }
        if self.container:
            shown["containerID"] = self.container
        if mounts:
            shown["volumeMounts"] = mounts
        if self.spec.get("resources"):
            shown["resources"] = self.spec["resources"]
        return shown


PROBES = ("startup", "readiness", "liveness")


def _digest(image: str) -> str:
    return hashlib.sha256(image.encode()).hexdigest()


def _duration(seconds: float) -> str:
    """As Go prints a Duration: 10s, 2m40s, 5m0s."""
    whole = int(seconds)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60}s"
