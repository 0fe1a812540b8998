"""Faults of placement, storage, networks, rights, jobs, nodes and the control plane, in the words of several versions."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from tests.agent.builders import ago
from tests.agent.wild.breaking import box, crash, deployment, down, everywhere, fault, refused, stuck, talk, unscheduled
from tests.agent.wild.world import World, port, said, template_of, unready

NONE = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."


# Placement -------------------------------------------------------------------------------------------------------------------


@fault("Deployment/web", "insufficient-cpu")
def no_cpu_left(world: World, space: str) -> None:
    everywhere(
        world,
        deployment(world, space, "web"),
        containers=[{**box(deployment(world, space, "web")), "resources": {"requests": {"cpu": "7900m"}}}],
    )
    unscheduled(world, deployment(world, space, "web"), f"0/3 nodes are available: 3 Insufficient cpu. {NONE}", keep=1)


@fault("Deployment/web", "insufficient-node-resource")
def no_ephemeral_storage_left(world: World, space: str) -> None:
    unscheduled(world, deployment(world, space, "web"), f"0/3 nodes are available: 3 Insufficient ephemeral-storage. {NONE}")


@fault("Deployment/web", "insufficient-node-resource")
def no_huge_pages(world: World, space: str) -> None:
    unscheduled(world, deployment(world, space, "web"), f"0/3 nodes are available: 3 Insufficient hugepages-2Mi. {NONE}")


@fault("Deployment/web", "untolerated-taint")
def every_node_is_tainted(world: World, space: str) -> None:
    for node in world.nodes:
        node["spec"]["taints"] = [{"key": "dedicated", "value": "batch", "effect": "NoSchedule"}]
    unscheduled(
        world,
        deployment(world, space, "web"),
        f"0/{len(world.nodes)} nodes are available: {len(world.nodes)} node(s) had untolerated taint(s). {NONE}",
    )


@fault("Deployment/web", "untolerated-taint")
def taint_in_the_old_words(world: World, space: str) -> None:
    for node in world.nodes:
        node["spec"]["taints"] = [{"key": "example.com/agent-not-ready", "effect": "NoSchedule"}]
    unscheduled(
        world,
        deployment(world, space, "web"),
        "0/3 nodes are available: 3 node(s) had untolerated taint {example.com/agent-not-ready: }. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling..",
    )


@fault("Deployment/web", "node-selector-mismatch")
def affinity_to_a_pool_that_was_renamed(world: World, space: str) -> None:
    terms = [{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["general-v1"]}]}]
    everywhere(
        world,
        deployment(world, space, "web"),
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}},
    )
    unscheduled(
        world,
        deployment(world, space, "web"),
        f"0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. {NONE}",
    )


@fault("StatefulSet/postgres", "volume-zone-conflict")
def volume_in_another_zone(world: World, space: str) -> None:
    unscheduled(
        world,
        world.get("StatefulSet", space, "postgres"),
        f"0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) had volume node affinity conflict. {NONE}",
        keep=2,
    )


@fault("StatefulSet/postgres", "volume-zone-conflict")
def volume_in_another_zone_in_the_new_words(world: World, space: str) -> None:
    unscheduled(
        world,
        world.get("StatefulSet", space, "postgres"),
        f"0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity. {NONE}",
        keep=2,
    )


@fault("Deployment/web", "topology-spread")
def spread_leaves_no_place(world: World, space: str) -> None:
    unscheduled(
        world,
        deployment(world, space, "web"),
        f"0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints. {NONE}",
        keep=2,
    )


@fault("Deployment/web", "pod-anti-affinity")
def anti_affinity_of_others(world: World, space: str) -> None:
    unscheduled(
        world,
        deployment(world, space, "web"),
        f"0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules. {NONE}",
        keep=2,
    )


@fault("Deployment/web", "scheduler-unknown")
def scheduler_that_is_not_there(world: World, space: str) -> None:
    everywhere(world, deployment(world, space, "web"), schedulerName="volcano")
    for pod in unscheduled(world, deployment(world, space, "web"), ""):
        pod["status"].pop("conditions")
        world.objects = [
            one
            for one in world.objects
            if not (one["kind"] == "Event" and one["involvedObject"]["name"] == pod["metadata"]["name"])
        ]


@fault("DaemonSet/node-agent", "insufficient-memory")
def daemon_set_does_not_fit_on_one_node(world: World, space: str) -> None:
    one = world.daemon_set("node-agent", space)
    pod = world.pods(one)[0]
    name = pod["spec"].pop("nodeName")
    pod["spec"]["affinity"] = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]
            }
        }
    }
    words = "0/3 nodes are available: 1 Insufficient memory, 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    pod["status"] = {"phase": "Pending", "conditions": [said("PodScheduled", "False", "Unschedulable", words, minutes=10)]}
    pod["metadata"]["creationTimestamp"] = ago(10)
    world.event(pod, "FailedScheduling", words, by_scheduler=True)
    down(world, one, len(world.nodes) - 1)


@fault("Deployment/web", "priority-class-missing")
def priority_class_is_gone(world: World, space: str) -> None:
    everywhere(world, deployment(world, space, "web"), priorityClassName="gold")
    refused(
        world,
        deployment(world, space, "web"),
        'Error creating: pods "web-7f9-" is forbidden: no PriorityClass with name gold was found',
    )


# Creation refused --------------------------------------------------------------------------------------------------------------


@fault("ResourceQuota/team", "quota-exceeded", asks="web")
def quota_is_used_up(world: World, space: str) -> None:
    quota = world.get("ResourceQuota", space, "team")
    quota["spec"]["hard"] = quota["status"]["hard"] = {"requests.memory": "2Gi"}
    quota["status"]["used"] = {"requests.memory": "1984Mi"}
    refused(
        world,
        deployment(world, space, "web"),
        'Error creating: pods "web-7f9-x" is forbidden: exceeded quota: team, requested: requests.memory=64Mi, used: requests.memory=1984Mi, limited: requests.memory=2Gi',
    )


@fault("ResourceQuota/team", "quota-exceeded", asks="load-1")
def quota_of_jobs(world: World, space: str) -> None:
    job = world.job("load-1", space, minutes=20, state="Running")
    for pod in world.pods(job):
        world.objects.remove(pod)
    job["status"] = {"startTime": ago(20), "active": 0}
    world.event(
        job,
        "FailedCreate",
        'Error creating: pods "load-1-abcde" is forbidden: exceeded quota: team, requested: pods=1, used: pods=200, limited: pods=200',
    )


@fault("Deployment/web", "limit-range-refuses")
def limit_range_refuses(world: World, space: str) -> None:
    refused(
        world,
        deployment(world, space, "web"),
        'Error creating: pods "web-7f9-x" is forbidden: maximum memory usage per Container is 8Gi, but limit is 16Gi',
    )


@fault("Deployment/web", "limit-range-refuses")
def limit_range_refuses_the_ratio(world: World, space: str) -> None:
    refused(
        world,
        deployment(world, space, "web"),
        'Error creating: pods "web-7f9-x" is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, cpu max limit to request ratio per Container is 4, but provided ratio is 10.000000]',
    )


@fault("Deployment/web", "pod-security-violation")
def pod_security_refuses(world: World, space: str) -> None:
    refused(
        world,
        deployment(world, space, "web"),
        'Error creating: pods "web-7f9-x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "web" must set securityContext.allowPrivilegeEscalation=false), runAsNonRoot != true',
    )


@fault("Deployment/web", "pod-security-violation")
def openshift_refuses(world: World, space: str) -> None:
    refused(
        world,
        deployment(world, space, "web"),
        'Error creating: pods "web-7f9-" is forbidden: unable to validate against any security context constraint: [provider "anyuid": Forbidden: not usable by user or serviceaccount, provider restricted-v2: .containers[0].runAsUser: Invalid value: 0: must be in the ranges: [1000660000, 1000669999]]',
    )


@fault("Deployment/web", "serviceaccount-missing")
def account_is_gone(world: World, space: str) -> None:
    everywhere(world, deployment(world, space, "web"), serviceAccountName="shop-web")
    refused(
        world,
        deployment(world, space, "web"),
        f'Error creating: pods "web-7f9-" is forbidden: error looking up service account {space}/shop-web: serviceaccount "shop-web" not found',
    )


@fault("Deployment/kyverno", "oom-killed", asks="web")
def admission_webhook_is_down(world: World, space: str) -> None:
    world.namespace("kyverno")
    world.service("kyverno-svc", "kyverno", {"app.kubernetes.io/name": "kyverno"}, 443)
    gone = world.deployment("kyverno", "kyverno", replicas=2)
    crash(world, gone, 137, reason="OOMKilled")
    world.make("ValidatingWebhookConfiguration", "kyverno-policy-validating-webhook-cfg", api="admissionregistration.k8s.io/v1", webhooks=[
        {"name": "validate.kyverno.svc-fail", "failurePolicy": "Fail", "clientConfig": {"service": {"name": "kyverno-svc", "namespace": "kyverno", "port": 443}}}])  # fmt: skip
    refused(
        world,
        deployment(world, space, "web"),
        'Error creating: Internal error occurred: failed calling webhook "validate.kyverno.svc-fail": failed to call webhook: Post "https://kyverno-svc.kyverno.svc:443/validate/fail?timeout=10s": dial tcp 10.96.3.3:443: connect: connection refused',
    )


@fault("Deployment/web", "admission-denied")
def gatekeeper_denies(world: World, space: str) -> None:
    refused(
        world,
        deployment(world, space, "web"),
        'Error creating: admission webhook "validation.gatekeeper.sh" denied the request: [require-owner] you must provide labels: {"owner"}',
    )


# Storage ------------------------------------------------------------------------------------------------------------------------


@fault("PersistentVolumeClaim/data-search-0", "storageclass-missing", asks="search-db")
def class_is_not_there(world: World, space: str) -> None:
    one = world.stateful_set("search-db", space, replicas=1, volume="premium-rwo")
    claim = world.get("PersistentVolumeClaim", space, "data-search-db-0")
    claim["metadata"]["name"] = "data-search-0"
    world.pods(one)[0]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] = "data-search-0"
    claim["spec"].pop("volumeName")
    claim["status"] = {"phase": "Pending"}
    world.event(claim, "ProvisioningFailed", 'storageclass.storage.k8s.io "premium-rwo" not found')
    unscheduled(world, one, f"0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. {NONE}")


@fault("PersistentVolumeClaim/uploads", "volume-provisioning-failed", asks="catalog")
def disk_quota_of_the_cloud(world: World, space: str) -> None:
    claim = world.claim("uploads", space, "fast")
    claim["spec"].pop("volumeName")
    claim["status"] = {"phase": "Pending"}
    claim["metadata"]["creationTimestamp"] = ago(11)
    world.event(
        claim,
        "ProvisioningFailed",
        "failed to provision volume with StorageClass \"fast\": rpc error: code = ResourceExhausted desc = CreateVolume failed: googleapi: Error 403: QUOTA_EXCEEDED - Quota 'SSD_TOTAL_GB' exceeded. Limit: 500.0 in region europe-west1.",
    )
    everywhere(
        world, deployment(world, space, "catalog"), volumes=[{"name": "up", "persistentVolumeClaim": {"claimName": "uploads"}}]
    )
    unscheduled(
        world,
        deployment(world, space, "catalog"),
        'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded',
    )


@fault("PersistentVolumeClaim/uploads", "pvc-missing", asks="catalog")
def claim_is_not_there(world: World, space: str) -> None:
    everywhere(
        world, deployment(world, space, "catalog"), volumes=[{"name": "up", "persistentVolumeClaim": {"claimName": "uploads"}}]
    )
    unscheduled(
        world, deployment(world, space, "catalog"), f'0/3 nodes are available: persistentvolumeclaim "uploads" not found. {NONE}'
    )


@fault("Deployment/catalog", "volume-attach-failed", asks="catalog")
def disk_is_still_attached_elsewhere(world: World, space: str) -> None:
    stuck(world, deployment(world, space, "catalog"), "ContainerCreating", "", events=(
        ("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node and can\'t be attached to another'),
        ("FailedMount", "Unable to attach or mount volumes: unmounted volumes=[up], unattached volumes=[up]: timed out waiting for the condition")))  # fmt: skip


@fault("Deployment/catalog", "volume-mount-failed", asks="catalog")
def nfs_server_does_not_answer(world: World, space: str) -> None:
    stuck(world, deployment(world, space, "catalog"), "ContainerCreating", "", events=(
        ("FailedMount", 'MountVolume.SetUp failed for volume "nfs" : mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs 10.9.0.4:/exports /var/lib/kubelet/pods/1/volumes\nOutput: mount.nfs: Connection timed out'),))  # fmt: skip


@fault("Deployment/catalog", "volume-mount-failed", asks="catalog")
def csi_driver_is_not_on_the_node(world: World, space: str) -> None:
    stuck(world, deployment(world, space, "catalog"), "ContainerCreating", "", events=(
        ("FailedMount", 'MountVolume.MountDevice failed for volume "pvc-1" : kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name efs.csi.aws.com not found in the list of registered CSI drivers'),))  # fmt: skip


@fault("Deployment/catalog", "volume-mount-failed", asks="catalog")
def key_vault_refuses(world: World, space: str) -> None:
    stuck(world, deployment(world, space, "catalog"), "ContainerCreating", "", events=(
        ("FailedMount", 'MountVolume.SetUp failed for volume "secrets" : rpc error: code = Unknown desc = failed to mount secrets store objects for pod storefront/catalog, err: rpc error: code = Unknown desc = failed to mount objects, error: failed to get objectType:secret, objectName:db: azure.BearerAuthorizer#WithAuthorization: Failed to refresh the Token for request: StatusCode=400'),))  # fmt: skip


# Services and networks --------------------------------------------------------------------------------------------------------


@fault("Service/orders", "service-selector-mismatch", asks="orders")
def selector_has_a_slip(world: World, space: str) -> None:
    world.get("Service", space, "orders")["spec"]["selector"] = {"app.kubernetes.io/name": "order"}


@fault("Service/orders", "service-port-mismatch", asks="orders")
def target_port_has_another_name(world: World, space: str) -> None:
    world.get("Service", space, "orders")["spec"]["ports"] = [port(80, "http")]


@fault("Service/orders", "service-port-mismatch", asks="web")
def target_port_is_another_number(world: World, space: str) -> None:
    world.get("Service", space, "orders")["spec"]["ports"] = [port(80, 8000)]
    talk(
        world,
        deployment(world, space, "web"),
        *['ERROR upstream call failed error="dial tcp 10.96.0.44:80: connect: connection refused" url=http://orders/api'] * 30,
    )


@fault("Deployment/orders", "scaled-to-zero", asks="web")
def somebody_scaled_it_to_nothing(world: World, space: str) -> None:
    one = deployment(world, space, "orders")
    for pod in world.pods(one):
        world.objects.remove(pod)
    one["spec"]["replicas"] = 0
    one["status"] = {"observedGeneration": 5}
    set_ = next(
        one for one in world.of("ReplicaSet", space) if one["metadata"]["name"].startswith("orders-") and one["spec"]["replicas"]
    )
    set_["spec"]["replicas"] = 0
    world.event(
        one, "ScalingReplicaSet", f"Scaled down replica set {set_['metadata']['name']} from 3 to 0", kind="Normal", minutes=20
    )
    talk(
        world,
        deployment(world, space, "web"),
        *['ERROR call failed: Get "http://orders/api": dial tcp 10.96.0.44:80: connect: connection refused'] * 30,
    )


@fault("NetworkPolicy/deny-all", "networkpolicy-blocks", asks="web")
def allow_was_taken_away(world: World, space: str) -> None:
    world.objects.remove(world.get("NetworkPolicy", space, "allow-all"))
    talk(
        world,
        deployment(world, space, "web"),
        *['ERROR call failed: Get "http://orders/api": dial tcp 10.96.0.44:80: i/o timeout'] * 30,
    )


@fault("NetworkPolicy/egress", "networkpolicy-blocks-dns", "networkpolicy-blocks", asks="web")
def egress_without_dns(world: World, space: str) -> None:
    world.make(
        "NetworkPolicy",
        "egress",
        space,
        api="networking.k8s.io/v1",
        spec={"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": {}}]}]},
    )
    talk(
        world,
        deployment(world, space, "web"),
        *[
            'ERROR Get "http://orders/api": dial tcp: lookup orders on 10.96.0.10:53: read udp 10.244.0.8:4242->10.96.0.10:53: i/o timeout'
        ]
        * 30,
    )


@fault("Deployment/coredns", "oom-killed", asks="web")
def dns_has_no_pods(world: World, space: str) -> None:
    name = next(
        one["metadata"]["name"]
        for one in world.of("Deployment", "kube-system")
        if one["spec"]["selector"]["matchLabels"].get("k8s-app") == "kube-dns"
    )
    one = world.get("Deployment", "kube-system", name)
    crash(world, one, 137, reason="OOMKilled")
    for app in ("web", "orders"):
        talk(world, deployment(world, space, app), *["ERROR getaddrinfo EAI_AGAIN orders.storefront.svc.cluster.local"] * 20)


@fault("StatefulSet/postgres", "oom-killed", asks="orders")
def the_database_is_out_of_memory(world: World, space: str) -> None:
    crash(world, world.get("StatefulSet", space, "postgres"), 137, reason="OOMKilled")
    crash(
        world,
        deployment(world, space, "orders"),
        1,
        'psycopg2.OperationalError: connection to server at "postgres-headless" (10.244.0.5), port 5432 failed: Connection refused',
        "\tIs the server running on that host and accepting TCP/IP connections?",
        minutes=8,
    )
    talk(world, deployment(world, space, "web"), *["ERROR GET http://orders/api 503 Service Unavailable"] * 20)


@fault("Ingress/web", "ingress-backend-missing", asks="web")
def ingress_names_a_service_that_is_not_there(world: World, space: str) -> None:
    world.get("Ingress", space, "web")["spec"]["rules"][0]["http"]["paths"][0]["backend"] = {
        "service": {"name": "website", "port": {"number": 80}}
    }


@fault("Ingress/web", "ingress-class-missing", asks="web")
def ingress_class_is_not_there(world: World, space: str) -> None:
    world.get("Ingress", space, "web")["spec"]["ingressClassName"] = "traefik-internal"


@fault("Certificate/www", "certificate-expired", "certificate-not-ready", "certificate-renewal-overdue", asks="www")
def certificate_has_run_out(world: World, space: str) -> None:
    world.make("Certificate", "www", space, api="cert-manager.io/v1", spec={"secretName": "www-tls", "issuerRef": {"name": "acme"}},
               status={"notAfter": ago(300), "conditions": [said("Ready", "False", "Expired", "Certificate expired on Sun, 03 May 2026", minutes=300)]})  # fmt: skip
    world.make(
        "Issuer", "acme", space, api="cert-manager.io/v1", status={"conditions": [said("Ready", "True", "ACMEAccountRegistered")]}
    )


# Rights, jobs ---------------------------------------------------------------------------------------------------------------------


@fault("Deployment/web", "rbac-forbidden", asks="web")
def account_may_not_list(world: World, space: str) -> None:
    crash(
        world,
        deployment(world, space, "web"),
        1,
        f'E0504 reflector.go:166] "Unhandled Error" err="failed to list *v1.ConfigMap: configmaps is forbidden: User \\"system:serviceaccount:{space}:default\\" cannot list resource \\"configmaps\\" in API group \\"\\" in the namespace \\"{space}\\""',
    )


@fault("Deployment/web", "leader-election-lost", asks="web")
def leadership_is_lost(world: World, space: str) -> None:
    crash(
        world,
        deployment(world, space, "web"),
        1,
        'E0504 leaderelection.go:340] Failed to update lock: Put "https://10.96.0.1:443/apis/coordination.k8s.io/v1/namespaces/x/leases/y": context deadline exceeded',
        "I0504 leaderelection.go:285] failed to renew lease x/y: timed out waiting for the condition",
        "E0504 main.go:91] leader election lost",
        up=True,
    )


@fault("Job/export-1", "job-failed", "oom-killed", asks="export-1")
def job_is_out_of_memory(world: World, space: str) -> None:
    job = world.job("export-1", space, minutes=40, state="Failed")
    for pod in world.pods(job):
        pod["status"]["containerStatuses"][0]["state"] = {
            "terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ago(38)}
        }


@fault("Job/export-1", "job-failed", asks="export-1")
def job_failed_by_its_pod_policy(world: World, space: str) -> None:
    job = world.job("export-1", space, minutes=40, state="Failed")
    job["status"]["conditions"] = [
        said("FailureTarget", "True", "PodFailurePolicy", minutes=38),
        said(
            "Failed",
            "True",
            "PodFailurePolicy",
            "Container export-1 for pod storefront/export-1-k8x2p failed with exit code 42 matching FailJob rule at index 0",
            minutes=38,
        ),
    ]


@fault("CronJob/billing", "cronjob-invalid-schedule", asks="billing")
def time_zone_is_unknown(world: World, space: str) -> None:
    cron = world.make(
        "CronJob",
        "billing",
        space,
        api="batch/v1",
        minutes=300,
        spec={
            "schedule": "0 3 * * *",
            "timeZone": "Europe/Munich",
            "jobTemplate": {"spec": {"template": template_of("billing", {})}},
        },
        status={},
    )
    world.event(cron, "UnknownTimeZone", "invalid timeZone: Europe/Munich: unknown time zone Europe/Munich")


@fault("Job/billing-1", "cronjob-blocked", asks="billing")
def the_run_before_never_ends(world: World, space: str) -> None:
    cron = world.make(
        "CronJob",
        "billing",
        space,
        api="batch/v1",
        spec={
            "schedule": "*/15 * * * *",
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"template": template_of("billing", {})}},
        },
        status={"active": [{"name": "billing-1"}], "lastScheduleTime": ago(400)},
    )
    world.job("billing-1", space, owner=cron, minutes=400, state="Running")
    world.event(
        cron,
        "JobAlreadyActive",
        "Not starting job because prior execution is running and concurrency policy is Forbid",
        kind="Normal",
        count=26,
        lasted=380,
    )


@fault("CronJob/billing", "cronjob-missed", asks="billing")
def too_many_starts_were_missed(world: World, space: str) -> None:
    cron = world.make(
        "CronJob",
        "billing",
        space,
        api="batch/v1",
        minutes=9000,
        spec={
            "schedule": "*/1 * * * *",
            "startingDeadlineSeconds": 3,
            "jobTemplate": {"spec": {"template": template_of("billing", {})}},
        },
        status={"lastScheduleTime": ago(5000)},
    )
    world.event(
        cron,
        "TooManyMissedTimes",
        "too many missed start times: 5000. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
    )


# Nodes ----------------------------------------------------------------------------------------------------------------------------


@fault("Node/node-2", "node-not-ready", asks="node-2")
def kubelet_is_silent(world: World, space: str) -> None:
    node = world.nodes[min(1, len(world.nodes) - 1)]
    node["metadata"]["name"] = "node-2" if len(world.nodes) == 1 else node["metadata"]["name"]
    for one in node["status"]["conditions"]:
        one |= said(one["type"], "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", minutes=12)
    node["spec"]["taints"] = [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": ago(12)}]
    for pod in [one for one in world.objects if one["kind"] == "Pod"]:
        if len(world.nodes) == 1:
            pod["spec"]["nodeName"] = "node-2"
        if pod["spec"].get("nodeName") == "node-2" and pod["status"]["phase"] == "Running":
            for one in pod["status"]["conditions"]:
                if one["type"] == "Ready":
                    one |= said("Ready", "False", "", minutes=12)


@fault("Node/node-1", "node-kernel-trouble", asks="node-1")
def aks_says_the_runtime_is_ill(world: World, space: str) -> None:
    world.nodes[0]["status"]["conditions"].append(
        said("ContainerRuntimeProblem", "True", "ContainerRuntimeIsDown", "container runtime service is not running!", minutes=20)
    )


@fault("Node/node-1", "node-kernel-trouble", asks="node-1")
def eks_says_storage_is_ill(world: World, space: str) -> None:
    world.nodes[0]["status"]["conditions"].append(
        said("StorageReady", "False", "IODelays", "Process postgres was delayed 14s by I/O", minutes=20)
    )


@fault("Node/node-1", "node-pressure", asks="node-1")
def disk_pressure(world: World, space: str) -> None:
    for one in world.nodes[0]["status"]["conditions"]:
        if one["type"] == "DiskPressure":
            one |= said("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure", minutes=20)


@fault("HorizontalPodAutoscaler/media", "hpa-metrics-unavailable", "apiservice-unavailable", asks="media")
def metrics_server_is_gone(world: World, space: str) -> None:
    hpa = world.get("HorizontalPodAutoscaler", space, "media")
    hpa["status"]["conditions"][1] = said(
        "ScalingActive",
        "False",
        "FailedGetResourceMetric",
        "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)",
        minutes=40,
    )


@fault("Deployment/web", "rollout-paused", asks="web")
def forgotten_pause(world: World, space: str) -> None:
    one = deployment(world, space, "web")
    box(one)["image"] = "registry.example.com/web:1.5.0"
    one["spec"]["paused"] = True


@fault("Node/", "pod-addresses-exhausted", asks="web")
def aws_has_no_addresses(world: World, space: str) -> None:
    stuck(world, deployment(world, space, "web"), "ContainerCreating", "", events=(
        ("FailedCreatePodSandBox", 'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "1": plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to container'),))  # fmt: skip


@fault("Service/public", "load-balancer-pending", asks="public")
def load_balancer_never_comes(world: World, space: str) -> None:
    one = world.service("public", space, {"app.kubernetes.io/name": "web"}, 80, type="LoadBalancer")
    one["metadata"]["creationTimestamp"] = ago(30)
    one["status"] = {"loadBalancer": {}}
    world.event(
        one,
        "SyncLoadBalancerFailed",
        "Error syncing load balancer: failed to ensure load balancer: could not find any suitable subnets for creating the ELB",
    )


@fault("StatefulSet/cache", asks="cache")
def one_ordinal_never_gets_ready(world: World, space: str) -> None:
    owner = world.get("StatefulSet", space, "cache")
    pod = world.get("Pod", space, "cache-1")
    pod["status"]["containerStatuses"][0]["ready"] = False
    unready(pod, 40)
    world.event(pod, "Unhealthy", "Readiness probe failed: LOADING Redis is loading the dataset in memory", count=200)
    down(world, owner, 2)


@fault("Deployment/web", asks="web")
def nothing_is_told(world: World, space: str) -> None:
    refused(world, deployment(world, space, "web"), 'Error creating: pods "web-7f9-x" is forbidden: some new plugin says no')
