"""What the API shows of a pod beyond its containers: conditions and quality of service. Pure."""

from collections.abc import Iterator

from lab.world.containers import ContainerRun
from lab.world.kinds import Object


def conditions_of(phase: str, *, mounted: bool, init: list[ContainerRun], main: list[ContainerRun]) -> Iterator[Object]:
    ended = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "")
    yield {"type": "PodReadyToStartContainers", "status": "True" if mounted and not ended else "False"}
    waiting = [r.name for r in init if r.stage != "done" or r.exit_code != 0]
    if waiting:
        text = f"containers with incomplete status: [{' '.join(waiting)}]"
        yield {"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized", "message": text}
    else:
        yield {"type": "Initialized", "status": "True", **({"reason": ended} if ended == "PodCompleted" else {})}
    unready = [r.name for r in main if not r.ready]
    for kind in ("Ready", "ContainersReady"):
        if ended:
            yield {"type": kind, "status": "False", "reason": ended}
        elif unready:
            text = f"containers with unready status: [{' '.join(unready)}]"
            yield {"type": kind, "status": "False", "reason": "ContainersNotReady", "message": text}
        else:
            yield {"type": kind, "status": "True"}
    yield {"type": "PodScheduled", "status": "True"}


def qos(pod: Object) -> str:
    containers = pod["spec"]["containers"]
    given = [c.get("resources") or {} for c in containers]
    if not any(r.get("requests") or r.get("limits") for r in given):
        return "BestEffort"
    for resources in given:
        limits = resources.get("limits") or {}
        requests = {**limits, **(resources.get("requests") or {})}
        if not {"cpu", "memory"} <= limits.keys() or any(requests[k] != limits[k] for k in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"
