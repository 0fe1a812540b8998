"""How kubelets, schedulers and controllers show that something does not work: states and events as they write them, put upon the
pods of a healthy cluster. Knows no check and no cause."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.agent.builders import ago
from tests.agent.wild.world import Object, World, running, said, terminated, unready

Break = Callable[[World, str], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`causes`: any of them is right, none: nobody can know. `culprit`: kind and name of who is to blame; `asks`: what people would ask about."""

    name: str
    causes: tuple[str, ...]
    culprit: str
    asks: str
    make: Break


FAULTS: dict[str, Fault] = {}


def fault(culprit: str, *causes: str, asks: str = "") -> Callable[[Break], Break]:
    def keep(make: Break) -> Break:
        named = make.__name__.replace("_", "-")
        assert named not in FAULTS, named
        FAULTS[named] = Fault(name=named, causes=causes, culprit=culprit, asks=asks or culprit.partition("/")[2], make=make)
        return make

    return keep


def down(world: World, workload: Object, have: int = 0) -> None:
    """The workload's own status says that it has so many ready pods."""
    kind, status = workload["kind"], workload["status"]
    if kind == "DaemonSet":
        status |= {"numberReady": have, "numberAvailable": have, "numberUnavailable": status["desiredNumberScheduled"] - have}
        return
    status |= {"readyReplicas": have, "availableReplicas": have, "unavailableReplicas": workload["spec"]["replicas"] - have}
    if kind == "Deployment":
        status["conditions"] = [said("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", minutes=8),
                                said("Progressing", "True", "ReplicaSetUpdated", minutes=9)]  # fmt: skip
        for one in world.of("ReplicaSet", workload["metadata"]["namespace"]):
            if one["spec"]["replicas"] and any(
                ref["name"] == workload["metadata"]["name"] for ref in one["metadata"].get("ownerReferences", ())
            ):
                one["status"] |= {"readyReplicas": have, "availableReplicas": have}


def reborn(world: World, workload: Object, minutes: float = 10) -> list[Object]:
    """The workload's pods, as if made anew so many minutes ago."""
    pods = world.pods(workload)
    for one in pods:
        one["metadata"]["creationTimestamp"] = one["status"]["startTime"] = ago(minutes)
    return pods


def crash(world: World, workload: Object, code: int, *told: str, reason: str = "Error", restarts: int = 6, message: str = "",
          container: str = "", up: bool = False, minutes: float = 10) -> list[Object]:  # fmt: skip
    """Every pod's container ends again and again."""
    pods = reborn(world, workload, minutes)
    for pod in pods:
        for one in pod["status"]["containerStatuses"]:
            if container and one["name"] != container:
                continue
            last = terminated(code, reason, minutes=1.5, message=message)
            backing = {
                "waiting": {
                    "reason": "CrashLoopBackOff",
                    "message": f"back-off 2m40s restarting failed container={one['name']} pod={pod['metadata']['name']}_{pod['metadata']['namespace']}(1)",
                }
            }
            one |= {
                "ready": False,
                "started": False,
                "restartCount": restarts,
                "lastState": last,
                "state": {"running": {"startedAt": ago(1)}} if up else backing,
            }
            world.event(
                pod,
                "BackOff",
                f"Back-off restarting failed container {one['name']} in pod {pod['metadata']['name']}_{pod['metadata']['namespace']}(1)",
                count=30,
            )
            if told:
                world.log(pod, *told, container=one["name"], previous=True, minutes=1.5)
                world.log(pod, *told, container=one["name"], minutes=1.5)
            break
        unready(pod, minutes)
    _down(world, workload)
    return pods


def stuck(world: World, workload: Object, reason: str, message: str, *, events: tuple[tuple[str, str], ...] = (), container: str = "",
          init: bool = False, minutes: float = 10) -> list[Object]:  # fmt: skip
    """Every pod's container waits, and has never run."""
    pods = reborn(world, workload, minutes)
    for pod in pods:
        pod["status"]["phase"] = "Pending"
        names = [one["name"] for one in pod["spec"]["containers"]]
        at = container or names[0]
        rest = "PodInitializing" if init else "ContainerCreating"
        for one in pod["status"]["containerStatuses"]:
            waits = {"reason": reason, "message": message} if one["name"] == at else {"reason": rest}
            one |= {
                "ready": False,
                "started": False,
                "restartCount": 0,
                "lastState": {},
                "state": {"waiting": waits},
                "imageID": "",
            }
        for one in pod["status"].get("initContainerStatuses", ()):
            if init and one["name"] == at:
                one |= {"ready": False, "started": False, "state": {"waiting": {"reason": reason, "message": message}}}
        unready(pod, minutes)
        for why, words in events:
            world.event(pod, why, words, container=at if why in ("Failed", "BackOff") else "")
    _down(world, workload)
    return pods


def unscheduled(world: World, workload: Object, words: str, *, minutes: float = 10, keep: int = 0) -> list[Object]:
    """The workload's pods wait for a node; `keep` of them run."""
    pods = reborn(world, workload, minutes)[keep:]
    for pod in pods:
        pod["spec"].pop("nodeName", None)
        pod["status"] = {"phase": "Pending", "qosClass": "Burstable",
                         "conditions": [said("PodScheduled", "False", "Unschedulable", words, minutes=minutes)]}  # fmt: skip
        world.event(pod, "FailedScheduling", words, by_scheduler=True)
    _down(world, workload, keep)
    return pods


def not_ready(world: World, workload: Object, words: str, *, kind: str = "Readiness", minutes: float = 10) -> list[Object]:
    """Its pods run, and a probe says no."""
    pods = reborn(world, workload, minutes)
    for pod in pods:
        for one in pod["status"]["containerStatuses"]:
            one["ready"] = False
        unready(pod, minutes)
        world.event(pod, "Unhealthy", f"{kind} probe failed: {words}", count=40)
    _down(world, workload)
    return pods


def killed(
    world: World, workload: Object, words: str, *, kind: str = "Liveness", code: int = 137, minutes: float = 20
) -> list[Object]:
    """The kubelet kills its containers because a probe fails."""
    pods = reborn(world, workload, minutes)
    for pod in pods:
        one = pod["status"]["containerStatuses"][0]
        one |= running(one["name"], 0.7, restarts=5, last=terminated(code, "Error", minutes=0.8), ready=False, image=one["image"])
        unready(pod, minutes)
        world.event(pod, "Unhealthy", f"{kind} probe failed: {words}", count=15)
        world.event(
            pod, "Killing", f"Container {one['name']} failed {kind.lower()} probe, will be restarted", kind="Normal", count=5
        )
    _down(world, workload)
    return pods


def refused(world: World, workload: Object, words: str) -> None:
    """No pod of it can be made."""
    for pod in world.pods(workload):
        world.objects.remove(pod)
    space = workload["metadata"]["namespace"]
    makers = [one for one in world.of("ReplicaSet", space) if one["spec"]["replicas"] and
              any(ref["name"] == workload["metadata"]["name"] for ref in one["metadata"].get("ownerReferences", ()))]  # fmt: skip
    maker = makers[0] if makers else workload
    world.event(maker, "FailedCreate", words, count=18)
    if makers:
        maker["status"] |= {"replicas": 0, "conditions": [said("ReplicaFailure", "True", "FailedCreate", words, minutes=9)]}
    _down(world, workload)
    if workload["kind"] == "Deployment":
        workload["status"]["conditions"].append(said("ReplicaFailure", "True", "FailedCreate", words, minutes=9))


def released(world: World, workload: Object, *, image: str = "", minutes: float = 10) -> list[Object]:
    """A release so many minutes ago: its one new pod stands beside the old ones."""
    if image:
        workload["spec"]["template"]["spec"]["containers"][0]["image"] = image
    new = world.replica_set(workload, 9, minutes=minutes, replicas=1)
    new["status"] |= {"readyReplicas": 0, "availableReplicas": 0}
    pod = world.pod(new, minutes=minutes)
    workload["status"]["updatedReplicas"] = 1
    return [pod]


def talk(world: World, workload: Object, *told: str, minutes: float = 0.2, container: str = "") -> None:
    for pod in world.pods(workload):
        world.log(pod, *told, minutes=minutes, container=container)


def deployment(world: World, space: str, name: str) -> Object:
    return world.get("Deployment", space, name)


def box(workload: Object) -> Any:
    return workload["spec"]["template"]["spec"]["containers"][0]


def everywhere(world: World, workload: Object, **fields: Any) -> None:
    """Fields of the pod spec, on the template, the newest ReplicaSet and the pods."""
    workload["spec"]["template"]["spec"] |= fields
    for pod in world.pods(workload):
        pod["spec"] |= fields


def _down(world: World, workload: Object, have: int = 0) -> None:
    if workload["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
        down(world, workload, have)
