"""Autoscalers, Jobs, rollouts, GitOps, certificates, accelerators and nodes in trouble."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from tests.agent.builders import ago
from tests.agent.wild.breaking import box, crash, down, everywhere, reborn, stuck, unscheduled
from tests.agent.wild.strangers import FREIGHT, deployed, logged, mixed, over_time, stateful, tale
from tests.agent.wild.world import DAY, World, owner_of, running, said, terminated, unready


def hpa(world, name, conds, metrics=None, **st):
    return world.make(
        "HorizontalPodAutoscaler",
        name,
        FREIGHT,
        api="autoscaling/v2",
        spec={
            "minReplicas": 2,
            "maxReplicas": 8,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "metrics": metrics
            or [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}],
        },
        status={"currentReplicas": 2, "desiredReplicas": 2, "conditions": conds, **st},
    )


# --- autoscaling
@tale("why does dispatch not scale on queue length", "HorizontalPodAutoscaler/freight/dispatch", "hpa-metrics-unavailable")
def external_metric_is_gone(world: World) -> None:
    hpa(
        world,
        "dispatch",
        [
            said("AbleToScale", "True", "SucceededGetScale"),
            said(
                "ScalingActive",
                "False",
                "FailedGetExternalMetric",
                "the HPA was unable to compute the replica count: unable to get external metric freight/queue_depth/nil: unable to fetch metrics from external metrics API: the server could not find the requested resource (get queue_depth.external.metrics.k8s.io)",
                minutes=60,
            ),
        ],
        metrics=[
            {
                "type": "External",
                "external": {"metric": {"name": "queue_depth"}, "target": {"type": "AverageValue", "averageValue": "30"}},
            }
        ],
    )


@tale(
    "why do quotes pods restart every 10 minutes", "VerticalPodAutoscaler/freight/quotes", "vpa-evicts", "evicted-by-autoscaler"
)
def vertical_autoscaler_evicts_again_and_again(world: World) -> None:
    world.make(
        "VerticalPodAutoscaler",
        "quotes",
        FREIGHT,
        api="autoscaling.k8s.io/v1",
        spec={
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "quotes"},
            "updatePolicy": {"updateMode": "Auto"},
        },
        status={"conditions": [said("RecommendationProvided", "True")]},
    )
    d = deployed(world, "quotes")
    for k, p in enumerate(world.pods(d)):
        p["metadata"]["creationTimestamp"] = p["status"]["startTime"] = ago(4 + k)
        p["metadata"].setdefault("annotations", {})["vpaUpdates"] = (
            "Pod resources updated by quotes: container 0: cpu request, memory request"
        )
    for k in range(6):
        gone = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"quotes-00077c6f-gon{k}z", "namespace": FREIGHT, "uid": f"gone-{k}"},
        }
        world.event(
            gone,
            "EvictedByVPA",
            "Pod was evicted by VPA Updater to apply resource recommendation.",
            kind="Normal",
            count=1,
            minutes=5 + 10 * k,
            lasted=0,
        )


@tale(
    "dispatch pods pending, autoscaler adds no node",
    "",
    "node-group-cannot-grow",
    "insufficient-memory",
    "insufficient-cpu",
    mention=("upper bound",),
)
def node_group_is_at_its_limit(world: World) -> None:
    d = deployed(world, "dispatch")
    everywhere(world, d, containers=[{**box(d), "resources": {"requests": {"cpu": "6", "memory": "64Mi"}}}])
    ps = unscheduled(
        world,
        d,
        "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
        keep=1,
    )
    for p in ps:
        world.event(
            p,
            "NotTriggerScaleUp",
            "pod didn't trigger scale-up: 1 max node group size reached, 1 node(s) didn't match Pod's node affinity/selector",
            kind="Normal",
            count=30,
        )


@tale("worker scaling: keda does nothing for labels-worker", "", "keda-scaler-failing", "keda-trigger-auth-missing")
def keda_cannot_log_in(world: World) -> None:
    world.make(
        "ScaledObject",
        "labels-worker",
        FREIGHT,
        api="keda.sh/v1alpha1",
        spec={
            "scaleTargetRef": {"name": "labels-worker"},
            "triggers": [{"type": "rabbitmq", "metadata": {"queueName": "labels"}, "authenticationRef": {"name": "rabbit"}}],
        },
        status={
            "conditions": [
                said(
                    "Ready",
                    "False",
                    "TriggerError",
                    'triggers defined in ScaledObject are not working correctly: error inspecting rabbitMQ: Exception (403) Reason: "username or password not allowed"',
                ),
                said("Active", "Unknown"),
            ]
        },
    )
    world.make(
        "TriggerAuthentication",
        "rabbit",
        FREIGHT,
        api="keda.sh/v1alpha1",
        spec={"secretTargetRef": [{"parameter": "host", "name": "tariff-db-auth", "key": "username"}]},
    )


# --- jobs
@tale(
    "why is job label-import still running? its program is done",
    "Job/freight/label-import",
    "job-held-by-sidecar",
)
def sidecar_keeps_the_job_alive(world: World) -> None:
    j = world.job("label-import", FREIGHT, state="Running", minutes=240)
    p = world.pods(j)[0]
    p["spec"]["containers"].append({"name": "istio-proxy", "image": "istio/proxyv2:1.26.0"})
    p["status"]["containerStatuses"][0] |= {"ready": False, "started": False, "state": terminated(0, "Completed", minutes=200)}
    p["status"]["containerStatuses"].append(running("istio-proxy", 240))
    unready(p, 200)


@tale("why did nightly-tariffs not run last night?", "CronJob/freight/nightly-tariffs", "cronjob-suspended")
def cron_job_is_suspended(world: World) -> None:
    c = world.get("CronJob", FREIGHT, "nightly-tariffs")
    c["spec"]["suspend"] = True
    c["status"] = {"lastScheduleTime": ago(4 * DAY), "lastSuccessfulTime": ago(4 * DAY)}
    c["metadata"]["managedFields"] = [
        {"manager": "kubectl-patch", "operation": "Update", "time": ago(3 * DAY), "fieldsV1": {"f:spec": {"f:suspend": {}}}}
    ]


@tale(
    "why does training-run not start",
    "",
    "custom-resource-not-ready",
    "job-suspended",
    "workload-not-admitted",
    mention=("nvidia.com/gpu",),
)
def kueue_has_no_quota_left(world: World) -> None:
    j = world.job("training-run", FREIGHT, state="Running", minutes=60)
    j["spec"]["suspend"] = True
    j["status"] = {"conditions": [said("Suspended", "True", "JobSuspended", "Job suspended", minutes=60)]}
    j["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "team-a"
    for p in world.pods(j):
        world.objects.remove(p)
    world.make(
        "LocalQueue",
        "team-a",
        FREIGHT,
        api="kueue.x-k8s.io/v1beta1",
        spec={"clusterQueue": "gpus"},
        status={"pendingWorkloads": 1, "conditions": [said("Active", "True", "Ready", "Can submit new workloads to localQueue")]},
    )
    world.make(
        "ClusterQueue",
        "gpus",
        api="kueue.x-k8s.io/v1beta1",
        spec={},
        status={"pendingWorkloads": 1, "conditions": [said("Active", "True", "Ready", "Can admit new workloads")]},
    )
    world.make(
        "Workload",
        "job-training-run-7d1",
        FREIGHT,
        api="kueue.x-k8s.io/v1beta1",
        minutes=60,
        metadata={"ownerReferences": [owner_of(j)]},
        spec={"queueName": "team-a"},
        status={
            "conditions": [
                said(
                    "QuotaReserved",
                    "False",
                    "Pending",
                    "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor a100, 4 more needed",
                    minutes=59,
                )
            ]
        },
    )


@tale("nightly-tariffs fails", "Job/freight/nightly-tariffs-29001440", "job-deadline-exceeded", "job-failed")
def run_exceeds_its_deadline(world: World) -> None:
    c = world.get("CronJob", FREIGHT, "nightly-tariffs")
    j = world.job("nightly-tariffs-29001440", FREIGHT, owner=c, minutes=100, state="Failed")
    j["spec"]["activeDeadlineSeconds"] = 3600
    j["status"]["conditions"] = [
        said("Failed", "True", "DeadlineExceeded", "Job was active longer than specified deadline", minutes=40)
    ]
    for p in world.pods(j):
        world.objects.remove(p)


# --- rollouts
@tale("deploy of portal is stuck at 1 new pod missing", "ResourceQuota/freight/team", "quota-exceeded")
def surge_does_not_fit_the_quota(world: World) -> None:
    d = deployed(world, "portal")
    d["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    world.make(
        "ResourceQuota", "team", FREIGHT, spec={"hard": {"pods": "14"}}, status={"hard": {"pods": "14"}, "used": {"pods": "14"}}
    )
    d["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/portal:1.5.0"
    new = world.replica_set(d, 9, minutes=20, replicas=1)
    msg = 'pods "portal-00c9-x7k2p" is forbidden: exceeded quota: team, requested: pods=1, used: pods=14, limited: pods=14'
    new["status"] = {"replicas": 0, "conditions": [said("ReplicaFailure", "True", "FailedCreate", msg, minutes=19)]}
    world.event(new, "FailedCreate", "Error creating: " + msg, count=20)
    d["status"] |= {"updatedReplicas": 0, "unavailableReplicas": 1}
    d["status"]["conditions"] = [
        said("Available", "True", "MinimumReplicasAvailable"),
        said("ReplicaFailure", "True", "FailedCreate", msg, minutes=19),
        said("Progressing", "False", "ProgressDeadlineExceeded", 'ReplicaSet "portal-x" has timed out progressing.', minutes=10),
    ]


@tale(
    "broker is broken after the bad tag was corrected",
    "",
    "image-tag-not-found",
    "statefulset-stuck-on-old-revision",
    mention=("broker-2",),
)
def stateful_set_waits_for_a_broken_pod_of_an_old_revision(world: World) -> None:
    s = stateful(world, "broker")
    p = next(p for p in world.pods(s) if p["metadata"]["name"] == "broker-2")
    p["metadata"]["labels"]["controller-revision-hash"] = "broker-bad"
    s["status"] |= {
        "currentRevision": "broker-7f9",
        "updateRevision": "broker-9a1",
        "updatedReplicas": 0,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    img = "rabbitmq:4.1.bad"
    p["spec"]["containers"][0]["image"] = img
    p["status"]["phase"] = "Pending"
    p["status"]["containerStatuses"][0] |= {
        "ready": False,
        "started": False,
        "image": img,
        "state": {
            "waiting": {
                "reason": "ImagePullBackOff",
                "message": f'Back-off pulling image "{img}": ErrImagePull: docker.io/library/{img}: not found',
            }
        },
    }
    p["metadata"]["creationTimestamp"] = ago(40)
    unready(p, 40)
    world.event(
        p, "Failed", f'Failed to pull image "{img}": rpc error: code = NotFound desc = docker.io/library/{img}: not found'
    )
    # rename to broker-0 in the mention: the pod to delete


@tale("why does the rollout of agent2 hang?", "", "node-not-ready", outcome="fault")
def daemon_set_waits_for_a_dead_node(world: World) -> None:
    ds = world.daemon_set("agent2", FREIGHT)
    n = world.nodes[1]
    for c in n["status"]["conditions"]:
        c |= {
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastTransitionTime": ago(25),
        }
    n["spec"]["taints"] = [
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": ago(25)},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule", "timeAdded": ago(25)},
    ]
    for p in world.objects:
        if p["kind"] == "Pod" and p["spec"].get("nodeName") == n["metadata"]["name"] and "conditions" in p["status"]:
            unready(p, 25, reason="NodeStatusUnknown")
    ds["status"] |= {
        "numberReady": len(world.nodes) - 1,
        "numberAvailable": len(world.nodes) - 1,
        "numberUnavailable": 1,
        "updatedNumberScheduled": 2,
    }


# --- gitops
@tale("argo app freight-prod fails to sync", "", "argo-sync-failed", "job-failed", "database-schema-mismatch")
def presync_hook_fails(world: World) -> None:
    j = world.job("db-migrate", FREIGHT, state="Failed", minutes=20)
    logged(world, world.pods(j)[0], "ERROR: permission denied for schema public", "migration 0042 failed", minutes=19)
    world.make(
        "Application",
        "freight-prod",
        "argocd" if any(o["kind"] == "Namespace" and o["metadata"]["name"] == "argocd" for o in world.objects) else FREIGHT,
        api="argoproj.io/v1alpha1",
        spec={"destination": {"namespace": FREIGHT}},
        status={
            "sync": {"status": "OutOfSync"},
            "health": {"status": "Healthy"},
            "operationState": {
                "phase": "Failed",
                "startedAt": ago(21),
                "finishedAt": ago(15),
                "message": "one or more synchronization tasks completed unsuccessfully, reason: job db-migrate failed: BackoffLimitExceeded",
            },
        },
    )


@tale("flux does not deploy my commits", "GitRepository/freight/freight", "flux-source-failed")
def flux_source_needs_credentials(world: World) -> None:
    fl = "source.toolkit.fluxcd.io/v1"
    world.make(
        "GitRepository",
        "freight",
        FREIGHT,
        api=fl,
        metadata={"generation": 2},
        spec={"url": "https://git.example.org/freight"},
        status={
            "observedGeneration": 2,
            "conditions": [
                said(
                    "Ready",
                    "False",
                    "GitOperationFailed",
                    "failed to checkout and determine revision: unable to clone 'https://git.example.org/freight': authentication required: Invalid credentials",
                    minutes=400,
                ),
                said("FetchFailed", "True", "GitOperationFailed", "x"),
            ],
        },
    )
    world.make(
        "Kustomization",
        "freight",
        FREIGHT,
        api="kustomize.toolkit.fluxcd.io/v1",
        spec={"sourceRef": {"kind": "GitRepository", "name": "freight"}},
        status={"conditions": [said("Ready", "True", "ReconciliationSucceeded", "Applied revision: main@sha1:1", minutes=500)]},
    )


@tale("helm upgrade of freight says another operation in progress", "", "helm-release-pending")
def helm_release_hangs(world: World) -> None:
    for v, s in ((6, "deployed"), (7, "pending-upgrade")):
        world.make(
            "Secret",
            f"sh.helm.release.v1.freight.v{v}",
            FREIGHT,
            minutes=80 - v,
            type="helm.sh/release.v1",
            metadata={"labels": {"owner": "helm", "name": "freight", "status": s, "version": str(v)}},
            data={"release": ""},
        )


# --- certificates
@tale(
    "dispatch fails calling the internal billing api: unknown authority",
    "Deployment/freight/dispatch",
    "certificate-invalid",
    "external-dependency-failing",
)
def private_ca_is_not_trusted(world: World) -> None:
    over_time(
        world,
        deployed(world, "dispatch"),
        *mixed(
            'level=error msg="charge failed" err="Post \\"https://billing.corp.example.org/charge\\": tls: failed to verify certificate: x509: certificate signed by unknown authority"',
            60,
        ),
        start=30,
    )


@tale("certificate for portal is not issued", "", "acme-challenge-failing", "acme-order-failed")
def dns01_is_not_propagated(world: World) -> None:
    cm = "cert-manager.io/v1"
    ac = "acme.cert-manager.io/v1"
    world.make(
        "ClusterIssuer",
        "letsencrypt",
        api=cm,
        spec={"acme": {}},
        status={"conditions": [said("Ready", "True", "ACMEAccountRegistered")]},
    )
    c = world.make(
        "Certificate",
        "portal",
        FREIGHT,
        api=cm,
        minutes=90,
        spec={
            "secretName": "portal-tls",
            "dnsNames": ["portal.example.org"],
            "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"},
        },
        status={
            "conditions": [
                said("Ready", "False", "DoesNotExist", "Issuing certificate as Secret does not exist", minutes=89),
                said("Issuing", "True", "DoesNotExist", "Issuing certificate as Secret does not exist", minutes=89),
            ]
        },
    )
    r = world.make(
        "CertificateRequest",
        "portal-1",
        FREIGHT,
        api=cm,
        minutes=89,
        metadata={"ownerReferences": [owner_of(c)]},
        spec={"issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}},
        status={
            "conditions": [
                said("Approved", "True", "cert-manager.io"),
                said(
                    "Ready",
                    "False",
                    "Pending",
                    'Waiting on certificate issuance from order freight/portal-1-3141: "pending"',
                    minutes=89,
                ),
            ]
        },
    )
    o = world.make(
        "Order",
        "portal-1-3141",
        FREIGHT,
        api=ac,
        minutes=89,
        metadata={"ownerReferences": [owner_of(r)]},
        spec={"issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}, "dnsNames": ["portal.example.org"]},
        status={"state": "pending"},
    )
    world.make(
        "Challenge",
        "portal-1-3141-2718",
        FREIGHT,
        api=ac,
        minutes=88,
        metadata={"ownerReferences": [owner_of(o)]},
        spec={"type": "DNS-01", "dnsName": "portal.example.org"},
        status={
            "state": "pending",
            "presented": True,
            "processing": True,
            "reason": 'Waiting for DNS-01 challenge propagation: DNS record for "portal.example.org" not yet propagated',
        },
    )


# --- accelerators
@tale(
    "why doesn't llm start",
    "",
    "runtime-class-missing",
    "container-create-failed",
    "pod-network-failing",
    outcome="fault",
)
def runtime_handler_is_not_configured(world: World) -> None:
    d = world.deployment("llm", FREIGHT, replicas=1)
    everywhere(world, d, runtimeClassName="nvidia")
    world.make("RuntimeClass", "nvidia", api="node.k8s.io/v1", handler="nvidia")
    stuck(
        world,
        d,
        "ContainerCreating",
        "",
        events=(
            (
                "FailedCreatePodSandBox",
                'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "nvidia" is configured',
            ),
        ),
    )


@tale("llm crashes on the new nodes", "Deployment/freight/llm", "gpu-driver-mismatch", "gpu-application-fault")
def cuda_is_newer_than_the_driver(world: World) -> None:
    d = world.deployment(
        "llm", FREIGHT, replicas=1, image="vllm/vllm-openai:v0.10.0", box={"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    )
    for n in world.nodes:
        n["status"]["allocatable"]["nvidia.com/gpu"] = n["status"]["capacity"]["nvidia.com/gpu"] = "4"
    crash(
        world,
        d,
        1,
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12020). Please update your GPU driver by downloading and installing a new version",
    )


@tale(
    "llm crashes on the new nodes",
    "Deployment/freight/llm",
    "gpu-application-fault",
    "gpu-driver-mismatch",
)
def no_kernel_image_for_the_gpu(world: World) -> None:
    d = world.deployment(
        "llm", FREIGHT, replicas=1, image="vllm/vllm-openai:v0.10.0", box={"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    )
    for n in world.nodes:
        n["status"]["allocatable"]["nvidia.com/gpu"] = n["status"]["capacity"]["nvidia.com/gpu"] = "4"
    crash(
        world,
        d,
        1,
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
        "CUDA kernel errors might be asynchronously reported at some other API call",
    )


@tale("train pod stuck, claim not allocated", "Deployment/freight/train", "resource-claim-unallocated")
def dra_selector_matches_nothing(world: World) -> None:
    ra = "resource.k8s.io/v1"
    world.make("DeviceClass", "gpu.nvidia.com", api=ra, spec={})
    world.make(
        "ResourceSlice",
        "s1",
        api=ra,
        spec={
            "driver": "gpu.nvidia.com",
            "nodeName": "node-1",
            "pool": {"name": "node-1"},
            "devices": [
                {
                    "name": "gpu-0",
                    "attributes": {"productName": {"string": "NVIDIA L4"}},
                    "capacity": {"memory": {"value": "24Gi"}},
                }
            ],
        },
    )
    world.make(
        "ResourceClaim",
        "train-gpu",
        FREIGHT,
        api=ra,
        minutes=15,
        spec={
            "devices": {
                "requests": [
                    {
                        "name": "gpu",
                        "exactly": {
                            "deviceClassName": "gpu.nvidia.com",
                            "selectors": [
                                {
                                    "cel": {
                                        "expression": "device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('80Gi')) >= 0"
                                    }
                                }
                            ],
                        },
                    }
                ]
            }
        },
        status={},
    )
    d = world.deployment("train", FREIGHT, replicas=1)
    everywhere(world, d, resourceClaims=[{"name": "g", "resourceClaimName": "train-gpu"}])
    unscheduled(
        world,
        d,
        "0/3 nodes are available: 3 cannot allocate all claims. still not schedulable, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    )


# --- inference
@tale("clients get 404 for lora sql-adapter from llm", "Deployment/freight/llm", "model-not-served")
def lora_is_not_loaded(world: World) -> None:
    d = world.deployment("llm", FREIGHT, replicas=1, image="vllm/vllm-openai:v0.10.0", service=8000)
    over_time(
        world,
        d,
        *mixed(
            "ERROR 05-04 11:50:01 [serving_chat.py:138] Error with model error='The model `sql-adapter` does not exist.' code=404",
            80,
        ),
        start=30,
    )


@tale("sentiment model does not get ready", "", "model-download-failed", "model-access-denied", "init-container-failing")
def storage_initializer_may_not_read(world: World) -> None:
    d = world.deployment(
        "sentiment-predictor",
        FREIGHT,
        replicas=1,
        initContainers=[
            {
                "name": "storage-initializer",
                "image": "kserve/storage-initializer:v0.15.0",
                "args": ["s3://models/sentiment", "/mnt/models"],
            }
        ],
    )
    world.make(
        "InferenceService",
        "sentiment",
        FREIGHT,
        api="serving.kserve.io/v1beta1",
        spec={},
        status={
            "conditions": [
                said("PredictorReady", "False", "MinimumReplicasUnavailable"),
                said("Ready", "False", "MinimumReplicasUnavailable"),
            ]
        },
    )
    for p in reborn(world, d):
        p["status"]["initContainerStatuses"] = [
            {
                "name": "storage-initializer",
                "ready": False,
                "restartCount": 5,
                "image": "kserve/storage-initializer:v0.15.0",
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": terminated(1, minutes=2),
            }
        ]
        p["status"]["containerStatuses"][0] |= {
            "ready": False,
            "started": False,
            "state": {"waiting": {"reason": "PodInitializing"}},
        }
        p["status"]["phase"] = "Pending"
        unready(p, 10)
        logged(
            world,
            p,
            "INFO:root:Copying contents of s3://models/sentiment to local",
            "botocore.exceptions.ClientError: An error occurred (403) when calling the HeadObject operation: Forbidden",
            container="storage-initializer",
            previous=True,
            minutes=2,
        )
    down(world, d)


@tale("llm won't start", "Deployment/freight/llm", "model-download-failed")
def hub_cannot_be_reached(world: World) -> None:
    d = world.deployment("llm", FREIGHT, replicas=1, image="vllm/vllm-openai:v0.10.0")
    crash(
        world,
        d,
        1,
        "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cached files.",
        "Check your internet connection or see how to run the library in offline mode",
    )


@tale("triton not ready", "Deployment/freight/triton", "model-not-found", "application-error")
def triton_model_has_no_version(world: World) -> None:
    d = world.deployment("triton", FREIGHT, replicas=1, image="nvcr.io/nvidia/tritonserver:25.05-py3")
    crash(
        world,
        d,
        1,
        "E0504 11:57:01.1 1 model_repository_manager.cc:1460] \"failed to load 'resnet': at least one version must be available under the version policy of model 'resnet'\"",
        "error: creating server: Internal - failed to load all models",
    )


# --- nodes
@tale(
    "node-2 behaves strangely, pods killed",
    "Node/node-2",
    "node-kernel-trouble",
    "node-out-of-memory",
    "node-pressure",
)
def system_oom(world: World) -> None:
    n = world.nodes[1]
    for k in range(3):
        world.event(
            n, "SystemOOM", "System OOM encountered, victim process: java, pid: 48213", count=1, minutes=3 + 4 * k, lasted=0
        )


@tale("node-2 disk trouble?", "Node/node-2", "node-pressure", "node-disk-filling")
def image_gc_fails(world: World) -> None:
    n = world.nodes[1]
    world.event(
        n,
        "FreeDiskSpaceFailed",
        "Failed to garbage collect required amount of images. Attempted to free 14538125312 bytes, but only found 0 bytes eligible to free.",
        count=25,
        minutes=2,
        lasted=120,
    )
    world.event(
        n,
        "ImageGCFailed",
        "Failed to garbage collect required amount of images. Attempted to free 14538125312 bytes, but only found 0 bytes eligible to free.",
        count=25,
        minutes=2,
        lasted=120,
    )


@tale("why did pods on node-3 vanish", "Node/node-3", "node-going-away")
def spot_node_is_taken_back(world: World) -> None:
    n = world.nodes[2]
    n["spec"] |= {
        "unschedulable": True,
        "taints": [
            {"key": "aws-node-termination-handler/spot-itn", "value": "abc", "effect": "NoSchedule", "timeAdded": ago(2)},
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": ago(2)},
        ],
    }
    world.event(
        n,
        "SpotInterruption",
        "Spot Interruption event received. Instance i-0abc will be interrupted at 2026-05-04T12:01:00Z",
        kind="Normal",
        count=1,
        minutes=2,
        lasted=0,
    )


@tale("half of the cluster is down", "", "node-not-ready")
def a_zone_is_lost(world: World) -> None:
    for n in world.nodes[1:3]:
        n["metadata"]["labels"]["topology.kubernetes.io/zone"] = "zone-b"
        for c in n["status"]["conditions"]:
            c |= {
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": ago(12),
            }
        n["spec"]["taints"] = [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": ago(12)}]
        for p in world.objects:
            if p["kind"] == "Pod" and p["spec"].get("nodeName") == n["metadata"]["name"] and "conditions" in p["status"]:
                unready(p, 12, reason="NodeStatusUnknown")


@tale("labels-worker errors fork", "", "process-limit-reached", "node-pressure")
def pids_are_used_up(world: World) -> None:
    over_time(world, deployed(world, "labels-worker"), *mixed("sh: fork: retry: Resource temporarily unavailable", 60), start=20)


@tale(
    "why does labels-worker keep getting killed with 137?",
    "",
    "child-out-of-memory",
    "oom-killed",
    "node-out-of-memory",
    "node-kernel-trouble",
    outcome="fault",
)
def killed_by_the_nodes_oom(world: World) -> None:
    d = deployed(world, "labels-worker")
    everywhere(world, d, containers=[{k: v for k, v in box(d).items() if k != "resources"}])
    crash(world, d, 137, "level=info msg=working", reason="Error", up=True)
    for n in world.nodes:
        world.event(
            n, "SystemOOM", "System OOM encountered, victim process: labels-worker, pid: 48213", count=1, minutes=2, lasted=0
        )
