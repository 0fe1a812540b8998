"""Incidents of inference servers and of the custom resources that bring them up."""

from typing import Any

from agent.domain.objects import Series
from tests.agent.builders import (
    app,
    container,
    custom,
    deployment,
    ended,
    event,
    lines,
    log,
    measured,
    obj,
    pod,
    replica_set,
    told,
)
from tests.agent.checks.cases import World, case
from tests.agent.machines import gpu_node, plugin

Object = dict[str, Any]
RAY = "ray.io/v1"
KAITO = "kaito.sh/v1beta1"
INFERENCE = "inference.networking.k8s.io/v1"


def server(*said: str, args: tuple[str, ...] = (), gpus: str = "1", env: tuple[Object, ...] = (), **rest: Any) -> World:
    """A vLLM Deployment whose only pod crashes after these lines."""
    box = container(
        "vllm", image="vllm/vllm-openai:v0.9.0", args=list(args), env=list(env), resources={"limits": {"nvidia.com/gpu": gpus}}
    )
    owner = deployment("infer", replicas=1, ready=0, containers=[box], **rest)
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[ended(1, name="vllm")], minutes=20)
    return [gpu_node(), *plugin(), owner, set_, one], [log(one, lines(*said), container="vllm", previous=True)] if said else []


@case("model-access-denied", "Deployment/infer")
def _() -> World:
    return server(
        "OSError: You are trying to access a gated repo. 401 Client Error.",
        "Cannot access gated repo for url https://huggingface.co/acme/chat-7b/resolve/main/config.json. Please log in.",
    )


@case("model-not-found", "Deployment/infer")
def _() -> World:
    return server("OSError: acme/chat-7x is not a local folder and is not a valid model identifier listed on the hub")


@case("model-download-failed", "Deployment/infer")
def _() -> World:
    return server(
        "huggingface_hub.errors.HfHubHTTPError: 429 Client Error: Too Many Requests for url: https://huggingface.co/api/models/acme/chat-7b"
    )


@case("kv-cache-too-small", "Deployment/infer")
def _() -> World:
    said = (
        "ValueError: The model's max seq len (32768) is larger than the maximum number of tokens that can be stored in"
        " KV cache (27296)."
    )
    return server(said, args=("--model", "acme/chat-7b", "--max-model-len=32768"))


@case("model-context-too-long", "Deployment/infer")
def _() -> World:
    said = (
        "User-specified max_model_len (65536) is greater than the derived max_model_len (max_position_embeddings=32768"
        " or model_max_length=None)"
    )
    return server(said, args=("--max-model-len", "65536"))


@case("tensor-parallel-exceeds-gpus", "Deployment/infer")
def _() -> World:
    return server("ERROR EngineCore failed to start.", args=("--tensor-parallel-size=4",), gpus="2")


@case("shared-memory-too-small", "Deployment/infer")
def _() -> World:
    return server("ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).")


def slow_start(loading: str) -> World:
    probe = {"httpGet": {"path": "/health", "port": 8000}, "failureThreshold": 6, "periodSeconds": 10}
    owner = deployment("infer", replicas=1, ready=0, containers=[container("vllm", startupProbe=probe)])
    set_ = replica_set(owner, ready=0)
    one = pod(set_, ready=False, statuses=[ended(137, name="vllm")], minutes=20)
    events = [
        event(one, "Unhealthy", "Startup probe failed: connection refused", minutes=2),
        event(one, "Killing", "Container vllm failed startup probe, will be restarted", kind="Normal"),
    ]
    return [owner, set_, one, *events], [log(one, lines("INFO starting", loading), container="vllm", previous=True)]


@case("model-load-outlasts-probe", "Deployment/infer")
def _() -> World:
    return slow_start("Loading safetensors checkpoint shards:  35% Completed | 14/40 [01:02<01:55,  4.4s/it]")


POD = "infer-00001abcde-axyz0"


def loaded(waiting: float, cache: float) -> list[Series]:
    return [
        measured("vllm:num_requests_waiting", [0] * 20 + [waiting] * 20, pod=POD),
        measured("vllm:kv_cache_usage_perc", [0.4] * 20 + [cache] * 20, pod=POD),
    ]


@case("kv-cache-saturated", "Deployment/infer", series=loaded(6, 0.99))
def _() -> World:
    return app("infer", replicas=1), []


@case("inference-queue-growing", "Deployment/infer", series=loaded(40, 0.5))
def _() -> World:
    return app("infer", replicas=1), []


@case("kaito-node-not-provided", "Workspace/chat")
def _() -> World:
    said = told("ResourceReady", "False", "NodeClaimNotReady", "NodeClaim creation failed: quota of family NCADSA100v4 exceeded")
    return [custom("Workspace", "chat", said, api=KAITO, resource={"instanceType": "Standard_NC24ads_A100_v4"})], []


@case("kaito-workload-not-ready", "Workspace/chat")
def _() -> World:
    said = (
        told("ResourceReady", "True"),
        told("InferenceReady", "False", "workspaceInferenceStatusFailed", "SAS token could not be fetched"),
    )
    return [custom("Workspace", "chat", *said, api=KAITO)], []


@case("node-claim-failed", "NodeClaim/gpu-x7k2p")
def _() -> World:
    labels = {"karpenter.sh/nodepool": "gpu", "kaito.sh/workspace": "chat", "kaito.sh/workspacenamespace": "shop"}
    said = told("Launched", "False", "LaunchFailed", "insufficient capacity for instance type in zone 1, 2, 3")
    claim = custom("NodeClaim", "gpu-x7k2p", said, api="karpenter.sh/v1", namespace="", metadata={"labels": labels})
    waits = told("ResourceReady", "False", "NodeClaimNotReady", "Not enough NodeClaims are ready", minutes=29)
    return [claim, custom("Workspace", "chat", waits, api=KAITO)], []


@case("ray-head-not-ready", "RayCluster/ray")
def _() -> World:
    return [custom("RayCluster", "ray", told("HeadPodReady", "False", "HeadPodNotFound", "Head Pod not found"), api=RAY)], []


@case("ray-workers-missing", "RayCluster/ray")
def _() -> World:
    said = (
        told("HeadPodReady", "True"),
        told("ReplicaFailure", "True", "FailedCreateWorkerPod", "pods is forbidden: exceeded quota: team"),
    )
    return [custom("RayCluster", "ray", *said, api=RAY, status={"desiredWorkerReplicas": 4, "readyWorkerReplicas": 1})], []


@case("ray-job-failed", "RayJob/train")
def _() -> World:
    status = {
        "jobDeploymentStatus": "Failed",
        "jobStatus": "FAILED",
        "reason": "AppFailed",
        "message": "Job entrypoint failed with exit code 1",
    }
    return [obj("RayJob", "train", api=RAY, spec={}, status=status)], []


@case("ray-service-not-serving", "RayService/chat")
def _() -> World:
    serve = {
        "applicationStatuses": {"llm": {"status": "DEPLOY_FAILED", "message": "ModuleNotFoundError: No module named 'serve_app'"}}
    }
    said = told("Ready", "False", "ZeroServeEndpoints", "Number of serve endpoints is zero")
    return [custom("RayService", "chat", said, api=RAY, status={"activeServiceStatus": serve})], []


@case("dynamo-graph-stuck", "DynamoGraphDeployment/chat")
def _() -> World:
    status = {
        "state": "pending",
        "services": {"decode": {"replicas": 2, "readyReplicas": 0}, "frontend": {"replicas": 1, "readyReplicas": 1}},
    }
    return [obj("DynamoGraphDeployment", "chat", api="nvidia.com/v1beta1", spec={}, status=status)], []


def pool(*, labels: Object | None = None, picker: str = "chat-epp", parents: tuple[Object, ...] = ()) -> Object:
    spec = {"selector": {"matchLabels": labels or {"app": "infer"}}, "endpointPickerRef": {"name": picker}}
    status = {"parents": [{"parentRef": {"name": "edge"}, "conditions": list(parents)}]} if parents else {}
    return obj("InferencePool", "chat", api=INFERENCE, spec=spec, status=status)


@case("inference-pool-picker-missing", "InferencePool/chat")
def _() -> World:
    return [
        *app("infer"),
        pool(parents=(told("ResolvedRefs", "False", "InvalidExtensionRef", "Referenced ExtensionRef not found"),)),
    ], []


@case("inference-pool-selects-nothing", "InferencePool/chat")
def _() -> World:
    return [*app("infer"), *app("chat-epp"), pool(labels={"app": "inference"})], []


@case("inference-pool-not-accepted", "InferencePool/chat")
def _() -> World:
    return [
        *app("infer"),
        *app("chat-epp"),
        pool(parents=(told("Accepted", "False", "HTTPRouteNotAccepted", "route was not accepted"),)),
    ], []


@case("inference-objective-without-pool", "InferenceObjective/urgent")
def _() -> World:
    objective = obj(
        "InferenceObjective", "urgent", api="inference.networking.x-k8s.io/v1alpha2", spec={"poolRef": {"name": "chatt"}}
    )
    return [*app("infer"), *app("chat-epp"), pool(), objective], []
