"""Inference servers and what brings them up: what the log means, what would fit, and what only takes its time."""

import pytest

from agent.checks import run
from agent.reasoning.offline import OfflineReasoner
from tests.agent.builders import (
    active,
    app,
    asked,
    container,
    custom,
    ended,
    event,
    lines,
    log,
    measured,
    obj,
    observed,
    owned_by,
    told,
    topology,
)
from tests.agent.checks.cases_inference import INFERENCE, KAITO, POD, RAY, loaded, pool, server, slow_start
from tests.agent.machines import gpu_node


def causes(*objects, logs=(), series=()):
    return active(run(topology(*objects, logs=logs, series=series)))


def first(*objects, logs=(), question="What is wrong in namespace shop?"):
    return OfflineReasoner().diagnose(asked(question), observed(*objects, logs=logs)).causes[0].finding


def says(*lines_, **rest):
    objects, logs = server(*lines_, **rest)
    return first(*objects, logs=logs)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("huggingface_hub.errors.GatedRepoError: 403 Client Error.", "model-access-denied"),
        ("Access to model acme/big-70b is restricted and you are not in the authorized list.", "model-access-denied"),
        ("401 Client Error: Unauthorized for url: https://huggingface.co/api/models/acme/private", "model-access-denied"),
        ("RepositoryNotFoundError: Repository Not Found for url: https://hub.example.com/acme/gone", "model-not-found"),
        ("OSError: acme/chat does not appear to have a file named config.json", "model-not-found"),
        ("OSError: We couldn't connect to 'https://huggingface.co' to load this file", "model-download-failed"),
        (
            "HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded with url: /acme/chat",
            "model-download-failed",
        ),
        ("ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`", "kv-cache-too-small"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 14.00 GiB", "gpu-out-of-memory"),
        ("RuntimeError: unable to write to file </torch_31_1030151126>: No space left on device (28)", "shared-memory-too-small"),
        (
            "RuntimeError: DataLoader worker is killed by signal: Bus error. insufficient shared memory (shm)",
            "shared-memory-too-small",
        ),
    ],
)
def test_what_the_last_words_of_a_server_mean(line, cause):
    assert says("INFO starting", line).cause == cause


def test_the_model_and_whether_there_is_a_token_are_told():
    found = says("Cannot access gated repo for url https://huggingface.co/acme/chat-7b/resolve/main/config.json")
    assert found.params["model"] == "acme/chat-7b"
    assert "no access token" in found.statement
    token = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token", "optional": True}}}
    with_token = says("Cannot access gated repo for url https://huggingface.co/acme/chat-7b", env=(token,))
    assert "comes from HF_TOKEN" in with_token.statement


@pytest.mark.parametrize(
    ("args", "path", "after"),
    [
        (("--max-model-len=32768",), "/spec/template/spec/containers/0/args/0", "--max-model-len=27136"),
        (("serve", "m", "--max-model-len", "32768"), "/spec/template/spec/containers/0/args/3", "27136"),
    ],
)
def test_the_length_that_fits_is_proposed_where_the_option_stands(args, path, after):
    said = "The model's max seq len (32768) is larger than the maximum number of tokens that can be stored in KV cache (27296)."
    found = says(said, args=args)
    assert (found.params["argument_path"], found.params["suggested_argument"]) == (path, after)


def test_without_the_option_nothing_is_proposed():
    said = "The model's max seq len (32768) is larger than the maximum number of tokens that can be stored in KV cache (27296)."
    assert "argument_path" not in says(said).params


@pytest.mark.parametrize(
    "rest",
    [
        {"args": ("--tensor-parallel-size=2",), "gpus": "2"},
        {"args": ("--tensor-parallel-size=8", "--distributed-executor-backend", "ray"), "gpus": "4"},
        {"args": ("--tensor-parallel-size=$(TP)",), "gpus": "1"},
    ],
)
def test_ranks_that_fit_or_are_spread_over_nodes(rest):
    objects, logs = server("ERROR EngineCore failed", **rest)
    assert "tensor-parallel-exceeds-gpus" not in causes(*objects, logs=logs)


def test_a_server_that_serves_is_not_accused_by_its_options():
    box = container(args=["--tensor-parallel-size=4"], resources={"limits": {"nvidia.com/gpu": "2"}})
    assert causes(gpu_node(), *app("infer", containers=[box])) == []


def test_a_mounted_memory_volume_is_told_with_its_size():
    volume = {"volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}}]}
    objects, logs = server("Unexpected bus error encountered in worker (insufficient shared memory)", pod=volume)
    objects[3]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "shm", "mountPath": "/dev/shm"}]
    assert "a memory volume of 256Mi" in first(*objects, logs=logs).statement


def test_a_probe_that_ends_a_server_which_does_not_load_is_only_a_probe():
    objects, logs = slow_start("INFO Uvicorn running on http://0.0.0.0:8000")
    assert first(*objects, logs=logs).cause == "startup-probe-too-short"


def test_words_about_the_hub_in_a_log_of_something_else_are_nothing():
    objects = app("web")
    told_lines = log(
        objects[2],
        lines(
            "INFO GET /docs/huggingface 200", "ERROR 403 client error for url https://api.example.com", "model not found in cache"
        ),
    )
    assert [one for one in causes(*objects, logs=[told_lines]) if one.startswith("model-")] == []


@pytest.mark.parametrize(
    "series", [loaded(0, 0.99), loaded(3, 0.6), [measured("vllm:num_requests_waiting", [0] * 39 + [50], pod=POD)]]
)
def test_a_full_cache_without_a_queue_or_a_short_queue_is_no_overload(series):
    assert causes(*app("infer", replicas=1), series=series) == []


def test_another_replica_is_proposed_unless_an_autoscaler_decides():
    def finding(*more):
        (found,) = run(topology(*app("infer", replicas=1), *more, series=loaded(6, 0.99)))
        return found

    assert finding().params["suggested_replicas"] == 2
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "infer"}, "maxReplicas": 4}
    assert "suggested_replicas" not in finding(obj("HorizontalPodAutoscaler", "infer", api="autoscaling/v2", spec=target)).params


@pytest.mark.parametrize(
    "one",
    [
        custom("Workspace", "chat", told("ResourceReady", "False", "NodeClaimNotReady", "creating", minutes=6), api=KAITO),
        custom("Workspace", "chat", told("ResourceReady", "True"), told("InferenceReady", "True"), api=KAITO),
        custom("Workspace", "build", told("ResourceReady", "False", "X"), api="tekton.example.com/v1"),
        custom(
            "NodeClaim",
            "n",
            told("Registered", "Unknown", "AwaitingReconciliation"),
            api="karpenter.sh/v1",
            namespace="",
            minutes=4,
        ),
        custom("RayCluster", "ray", told("HeadPodReady", "False"), api=RAY, minutes=5),
        custom("RayCluster", "ray", told("HeadPodReady", "False"), api=RAY, spec={"suspend": True}),
        custom(
            "RayCluster",
            "ray",
            told("HeadPodReady", "True"),
            api=RAY,
            status={"desiredWorkerReplicas": 2, "readyWorkerReplicas": 2},
        ),
        obj("RayJob", "train", api=RAY, spec={}, status={"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}),
        obj("RayJob", "train", api=RAY, spec={}, status={"jobDeploymentStatus": "Failed", "endTime": "2026-04-20T00:00:00Z"}),
        custom("RayService", "chat", told("Ready", "True", "NonZeroServeEndpoints"), told("UpgradeInProgress", "False"), api=RAY),
        obj("DynamoGraphDeployment", "g", api="nvidia.com/v1beta1", minutes=5, spec={}, status={"state": "pending"}),
    ],
)
def test_what_is_on_its_way_suspended_done_or_long_past(one):
    assert causes(one) == []


def test_a_quota_that_is_exceeded_needs_no_patience():
    said = told("ResourceReady", "False", "NodeClaimNotReady", "quota exceeded", minutes=3)
    assert causes(custom("Workspace", "chat", said, api=KAITO)) == ["kaito-node-not-provided"]


def test_a_worker_that_cannot_be_placed_explains_its_ray_cluster():
    ray = custom(
        "RayCluster", "ray", told("HeadPodReady", "True"), api=RAY, status={"desiredWorkerReplicas": 1, "readyWorkerReplicas": 0}
    )
    box = container(resources={"limits": {"nvidia.com/gpu": "1"}})
    worker = obj(
        "Pod", "ray-worker-1", metadata=owned_by(ray), spec={"containers": [box]}, status={"phase": "Pending"}, minutes=40
    )
    said = event(worker, "FailedScheduling", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    assert first(ray, worker, said).cause == "insufficient-extended-resource"


def test_a_crash_of_its_server_explains_a_workspace():
    space = custom(
        "Workspace", "chat", told("ResourceReady", "True"), told("InferenceReady", "False", "x", "not ready"), api=KAITO
    )
    objects = app("chat", replicas=1, ready=0)
    objects[0]["metadata"] |= owned_by(space)
    objects[2]["status"]["containerStatuses"] = [ended(137, "OOMKilled")]
    objects[2]["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    assert first(space, *objects).cause == "oom-killed"


def test_events_of_a_claim_that_is_gone_again_are_read():
    gone = obj("NodeClaim", "gpu-x", api="karpenter.sh/v1", namespace="")
    said = event(gone, "InsufficientCapacityError", "NodeClaim gpu-x event: all requested instance types were unavailable")
    (found,) = [one for one in run(topology(*app("web"), said)) if one.state == "active"]
    assert found.cause == "node-claim-failed"
    assert "unavailable" in found.statement


def test_a_pool_with_picker_and_servers_is_no_finding():
    assert causes(*app("infer"), *app("chat-epp"), pool(parents=(told("Accepted", "True"), told("ResolvedRefs", "True")))) == []


def test_a_pool_of_the_older_shape_is_read_too():
    spec = {"selector": {"app": "infer"}, "extensionRef": {"name": "chat-epp"}, "targetPortNumber": 8000}
    older = obj("InferencePool", "chat", api="inference.networking.x-k8s.io/v1alpha2", spec=spec)
    assert causes(*app("infer"), *app("chat-epp"), older) == []
    assert causes(*app("infer"), older) == ["inference-pool-picker-missing"]


def test_a_pool_beside_a_kind_of_the_same_name_from_elsewhere():
    other = obj("InferencePool", "chat", api="example.com/v1", spec={"selector": {"app": "nobody"}})
    assert causes(*app("infer"), other) == []
    assert INFERENCE.startswith("inference.networking.k8s.io")


def test_the_metric_of_the_picker_is_quoted():
    seen = topology(
        *app("infer"),
        *app("chat-epp"),
        pool(labels={"app": "infra"}),
        series=[measured("inference_pool_ready_pods", [0] * 10, name="chat")],
    )
    (found,) = [one for one in run(seen) if one.cause == "inference-pool-selects-nothing"]
    assert any("inference_pool_ready_pods 0" in one.text for one in found.quotes)
    assert "Deployment shop/infer" in found.statement


def test_the_last_words_before_a_back_off_still_count_and_old_ones_of_a_running_server_do_not():
    objects, _ = server()
    said = "OSError: acme/chat-7x is not a local folder and is not a valid model identifier"
    before = [log(objects[-1], lines(said, minutes=9), container="vllm", previous=True)]
    assert first(*objects, logs=before).cause == "model-not-found"
    running = app("infer")
    old = [log(running[2], lines(said, minutes=9))]
    assert "model-not-found" not in causes(*running, logs=old)
