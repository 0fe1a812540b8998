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
    """One container of one pod. `waiting` is the reason; `ended` the newest end that is known (current or last state)."""

    pod: Ref
    name: str
    init: bool
    restarts: int
    ready: bool
    running: bool
    started_at: datetime | None
    waiting: str
    waiting_message: str
    ended: Mapping[str, Any]

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
    for field, init in (("initContainerStatuses", True), ("containerStatuses", False)):
        for status in items(pod, "status", field):
            now_ended, last_ended = mapping(status, "state", "terminated"), mapping(status, "lastState", "terminated")
            yield ContainerState(
                pod=ref_of(pod),
                name=text(status, "name"),
                init=init,
                restarts=number(status, "restartCount"),
                ready=at(status, "ready") is True,
                running=at(status, "state", "running") is not None,
                started_at=time_at(status, "state", "running", "startedAt"),
                waiting=text(status, "state", "waiting", "reason"),
                waiting_message=text(status, "state", "waiting", "message"),
                ended=now_ended or last_ended,
            )


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
