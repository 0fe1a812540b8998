"""Containers that do not get as far as running, images that are refused, and what the scheduler says of volumes and the rest."""

from tests.agent.builders import ago, app, container, deployment, event, lines, log, node, obj, pod, replica_set, told, waiting
from tests.agent.checks.cases import World, case, crashing, stuck, unplaced

IMAGE = "registry.example.com/app:1.0"


@case("image-signature-refused", "Deployment/web")
def _() -> World:
    said = "SignatureValidationFailed: Source image rejected: A signature was required, but no signature exists"
    return stuck(waiting("SignatureValidationFailed", said), ("Failed", f'Failed to pull image "{IMAGE}": {said}'))


@case("image-pull-failed", "Deployment/web")
def _() -> World:
    said = "some plugin of the runtime is out of order"
    return stuck(waiting("ImagePullBackOff", "Back-off pulling image"), ("Failed", f'Failed to pull image "{IMAGE}": {said}'))


@case("container-create-failed", "Deployment/web")
def _() -> World:
    said = 'failed to prepare subPath for volumeMount "conf" of container "app"'
    return stuck(waiting("CreateContainerError", said), ("Failed", f"Error: {said}"))


@case("file-missing", "Deployment/web")
def _() -> World:
    return crashing(1, says="Error: ENOENT: no such file or directory, open '/app/data/regions.json'")


@case("lifecycle-hook-failing", "Deployment/web")
def _() -> World:
    objects, logs = crashing(137)
    one = next(one for one in objects if one["kind"] == "Pod")
    return [*objects, event(one, "FailedPostStartHook", "Exec lifecycle hook ([/warm-up]) failed - exit code 3")], logs


@case("init-container-waits", "Deployment/web")
def _() -> World:
    owner = deployment("web", replicas=1, ready=0, pod={"initContainers": [container("wait")]})
    set_ = replica_set(owner, ready=0)
    init = {"name": "wait", "ready": False, "restartCount": 0, "state": {"running": {"startedAt": ago(20)}}}
    one = pod(set_, ready=False, statuses=[waiting("PodInitializing")], init=[init], phase="Pending", minutes=20)
    return [owner, set_, one], [
        log(one, lines("waiting for the licence server", "waiting for the licence server"), container="wait")
    ]


@case("readiness-probe-wrong-path", "Deployment/web")
def _() -> World:
    box = container(readinessProbe={"httpGet": {"path": "/healthz", "port": 8080}})
    owner = deployment("web", replicas=1, ready=0, containers=[box])
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, since=20, minutes=20)
    return [owner, set_, one, event(one, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404")], []


@case("cronjob-missed", "CronJob/report")
def _() -> World:
    cron = obj("CronJob", "report", api="batch/v1", spec={"schedule": "* * * * *", "startingDeadlineSeconds": 3}, status={})
    return [
        cron,
        event(cron, "TooManyMissedTimes", "too many missed start times: 400. Set or decrease .spec.startingDeadlineSeconds"),
    ], []


@case("volume-unbindable", "Deployment/web")
def _() -> World:
    return unplaced("0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.")


@case("insufficient-node-resource", "Deployment/web")
def _() -> World:
    box = container(resources={"requests": {"ephemeral-storage": "900Gi"}})
    return unplaced("0/1 nodes are available: 1 Insufficient ephemeral-storage. preemption: none.", containers=[box])


@case("node-going-away", "Node/node-1", question="What is wrong with node-1?")
def _() -> World:
    said = [told("Ready", "True"), told("RebootScheduled", "True", "RebootScheduled", "Reboot scheduled within 15 minutes")]
    return [*app("web"), node(conditions=said)], []


SAYS = {
    "wrong-arguments": "Error: unknown flag: --enable-cahce",
    "port-not-bindable": "panic: listen tcp :8080: bind: address already in use",
    "leader-election-lost": "E0504 11:59:00.0 main.go:91] leader election lost",
}


for _cause, _line in SAYS.items():
    case(_cause, "Deployment/web")(lambda line=_line: crashing(1, says=line))
