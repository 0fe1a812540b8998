"""Pods and their containers: what they ask for, and what state they are in. Knows nothing of other objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import at, condition, created_at, items, mapping, number, ref_of, text, time_at
from agent.topology.quantities import quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """One container of one pod, read from its status when asked: of thousands of pods most fields are never looked at."""

    pod: Ref
    init: bool
    status: Mapping[str, Any]

    @property
    def name(self) -> str:
        return text(self.status, "name")

    @property
    def restarts(self) -> int:
        return number(self.status, "restartCount")

    @property
    def ready(self) -> bool:
        return at(self.status, "ready") is True

    @property
    def running(self) -> bool:
        return at(self.status, "state", "running") is not None

    @property
    def started_at(self) -> datetime | None:
        return time_at(self.status, "state", "running", "startedAt")

    @property
    def waiting(self) -> str:
        """The reason of its waiting, or ""."""
        return text(self.status, "state", "waiting", "reason")

    @property
    def waiting_message(self) -> str:
        return text(self.status, "state", "waiting", "message")

    @property
    def ended(self) -> Mapping[str, Any]:
        """The newest end that is known, of the current or of the last state."""
        return mapping(self.status, "state", "terminated") or mapping(self.status, "lastState", "terminated")

    @property
    def has_ended_for_good(self) -> bool:
        """Whether it has ended and nobody has started it again."""
        return bool(mapping(self.status, "state", "terminated"))

    @property
    def exit_code(self) -> int | None:
        code = at(self.ended, "exitCode")
        return code if isinstance(code, int) else None

    @property
    def end_reason(self) -> str:
        return text(self.ended, "reason")

    @property
    def end_message(self) -> str:
        return text(self.ended, "message").strip()

    @property
    def ended_at(self) -> datetime | None:
        return time_at(self.ended, "finishedAt")


def container_states(pod: Manifest) -> Iterator[ContainerState]:
    ref = ref_of(pod)
    for field, init in (("initContainerStatuses", True), ("containerStatuses", False)):
        for status in items(pod, "status", field):
            yield ContainerState(pod=ref, init=init, status=mapping(status))


def containers(pod_spec: Any, *, init: bool = True) -> list[Mapping[str, Any]]:
    """Container specs, init containers first."""
    found = [*(items(pod_spec, "initContainers") if init else ()), *items(pod_spec, "containers")]
    return [one for one in found if isinstance(one, Mapping)]


def container_named(pod_spec: Any, name: str) -> Mapping[str, Any]:
    return next((one for one in containers(pod_spec) if text(one, "name") == name), {})


def container_path(pod_spec: Any, name: str) -> str:
    """JSON Pointer of a container within the pod spec, such as /containers/0."""
    for field in ("containers", "initContainers"):
        for index, one in enumerate(items(pod_spec, field)):
            if text(one, "name") == name:
                return f"/{field}/{index}"
    return ""


def phase(pod: Manifest) -> str:
    return text(pod, "status", "phase")


def is_ready(pod: Manifest) -> bool:
    return text(condition(pod, "Ready"), "status") == "True"


def is_finished(pod: Manifest) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_scheduled(pod: Manifest) -> bool:
    return bool(text(pod, "spec", "nodeName"))


def begun_at(pod: Manifest) -> datetime | None:
    return time_at(pod, "status", "startTime") or created_at(pod)


def unready_since(pod: Manifest) -> datetime | None:
    one = condition(pod, "Ready")
    return time_at(one, "lastTransitionTime") if text(one, "status") != "True" else None


def requested(pod_spec: Any, resource: str) -> float:
    """What the scheduler counts for the pod: sum of containers, or the largest init container, plus overhead."""
    main = sum(_request(one, resource) for one in items(pod_spec, "containers"))
    first = max((_request(one, resource) for one in items(pod_spec, "initContainers")), default=0.0)
    return max(main, first) + (quantity(at(pod_spec, "overhead", resource)) or 0.0)


def _request(container: Any, resource: str) -> float:
    # an unset request takes the limit's value (API defaulting)
    for field in ("requests", "limits"):
        value = quantity(at(container, "resources", field, resource))
        if value is not None:
            return value
    return 0.0


def container_ports(pod_spec: Any) -> Iterator[tuple[str, int, str]]:
    """(name, number, container) of every declared port."""
    for one in items(pod_spec, "containers"):
        for port in items(one, "ports"):
            yield text(port, "name"), number(port, "containerPort"), text(one, "name")
