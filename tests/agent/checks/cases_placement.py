"""Images that cannot be had, and pods that find no place, in the words of the kubelet and the scheduler."""

from tests.agent.builders import ago, app, container, deployment, event, pod, replica_set, waiting
from tests.agent.checks.cases import World, case, stuck, unplaced

IMAGE = "registry.example.com/app:1.0"


@case("invalid-image-name", "Deployment/web")
def _() -> World:
    said = 'Failed to apply default image tag "registry.example.com/App:1.0": invalid reference format'
    return stuck(waiting("InvalidImageName", said), containers=[container(image="registry.example.com/App:1.0")])


@case("image-never-pulled", "Deployment/web")
def _() -> World:
    said = f'Container image "{IMAGE}" is not present with pull policy of Never'
    return stuck(waiting("ErrImageNeverPull", said), ("ErrImageNeverPull", said))


@case("image-rate-limited", "Deployment/web")
def _() -> World:
    said = f'Failed to pull image "{IMAGE}": toomanyrequests: You have reached your pull rate limit'
    return stuck(waiting("ImagePullBackOff", "Back-off pulling image"), ("Failed", said))


@case("image-wrong-architecture", "Deployment/web")
def _() -> World:
    said = f'Failed to pull image "{IMAGE}": no match for platform in manifest: not found'
    return stuck(waiting("ErrImagePull", "Back-off pulling image"), ("Failed", said))


@case("image-pull-disk-full", "Deployment/web")
def _() -> World:
    said = f'Failed to pull image "{IMAGE}": write /var/lib/containerd/tmp: no space left on device'
    return stuck(waiting("ErrImagePull", "Back-off pulling image"), ("Failed", said))


@case("node-pod-limit", "Deployment/web")
def _() -> World:
    return unplaced("0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available")


@case("volume-attach-limit", "Deployment/web")
def _() -> World:
    return unplaced("0/1 nodes are available: 1 node(s) exceed max volume count.")


@case("topology-spread", "Deployment/web")
def _() -> World:
    return unplaced("0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints.")


@case("pod-affinity", "Deployment/web")
def _() -> World:
    return unplaced("0/1 nodes are available: 1 node(s) didn't match pod affinity rules.")


@case("scheduler-unknown", "Deployment/web")
def _() -> World:
    owner = deployment("web", replicas=1, ready=0, pod={"schedulerName": "batch-scheduler"})
    set_ = replica_set(owner, ready=0)
    return [owner, set_, pod(set_, ready=False, statuses=[], phase="Pending", node="", minutes=10), *app("api")], []


@case("scheduling-gated", "Deployment/web")
def _() -> World:
    owner = deployment("web", replicas=1, ready=0, pod={"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]})
    set_ = replica_set(owner, ready=0)
    held = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "lastTransitionTime": ago(30)}
    one = pod(set_, ready=False, statuses=[], phase="Pending", node="", minutes=30, conditions=[held])
    return [owner, set_, one], []


@case("admission-on-node-refused", "Deployment/web")
def _() -> World:
    owner, set_, *pods, svc = app("web")
    owner["spec"]["replicas"] = len(pods) + 1  # the one that was refused is still missing
    told = {"reason": "UnexpectedAdmissionError", "message": "Allocate failed due to no healthy devices present"}
    refused = pod(set_, number=5, ready=False, statuses=[], phase="Failed", minutes=9, status=told)
    return [owner, set_, *pods, svc, refused, event(refused, "UnexpectedAdmissionError", told["message"])], []
