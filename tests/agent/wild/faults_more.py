"""More faults, of every area: programs and their databases, operators, entrances, deletion, networks."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from tests.agent.builders import ago
from tests.agent.wild.breaking import box, crash, deployment, down, everywhere, fault, reborn, refused, stuck, talk, unscheduled
from tests.agent.wild.faults_pods import pulled
from tests.agent.wild.world import World, said, terminated, unready


@fault("Node/", "pod-addresses-exhausted", asks="web")
def cilium_has_no_addresses(world: World, space: str) -> None:
    stuck(
        world,
        deployment(world, space, "web"),
        "ContainerCreating",
        "",
        events=(
            (
                "FailedCreatePodSandBox",
                'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "1": plugin type="cilium-cni" failed (add): unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure No more IPs available',
            ),
        ),
    )


@fault("Node/", "pod-network-failing", asks="web")
def calico_is_not_authorized(world: World, space: str) -> None:
    stuck(
        world,
        deployment(world, space, "web"),
        "ContainerCreating",
        "",
        events=(
            (
                "FailedCreatePodSandBox",
                'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "1": plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized: Unauthorized',
            ),
        ),
    )


@fault("Deployment/orders", "wrong-service-name", asks="orders")
def database_host_has_a_slip(world: World, space: str) -> None:
    one = deployment(world, space, "orders")
    box(one)["env"][0]["value"] = f"postgres-headles.{space}"
    crash(
        world,
        one,
        1,
        f"failed to connect to `host=postgres-headles.{space} user=orders database=orders`: hostname resolving error (lookup postgres-headles.{space} on 10.96.0.10:53: no such host)",
    )


@fault("Deployment/orders", "credentials-refused", asks="orders")
def postgres_refuses_the_password(world: World, space: str) -> None:
    talk(
        world,
        deployment(world, space, "orders"),
        *[
            'ERROR: connection to server at "postgres-headless" (10.244.0.7), port 5432 failed: FATAL:  password authentication failed for user "orders"'
        ]
        * 12,
    )


@fault("Deployment/orders", "credentials-refused", asks="orders")
def redis_wants_a_password(world: World, space: str) -> None:
    crash(
        world,
        deployment(world, space, "orders"),
        1,
        "ReplyError: NOAUTH Authentication required.",
        "    at parseError (/app/node_modules/redis-parser/lib/parser.js:179:12)",
    )


@fault("Deployment/orders", "connection-pool-exhausted", asks="orders")
def postgres_has_too_many_clients(world: World, space: str) -> None:
    talk(world, deployment(world, space, "orders"), *["ERROR pq: sorry, too many clients already"] * 20)


@fault("Deployment/orders", "database-schema-mismatch", asks="orders")
def migration_has_not_run(world: World, space: str) -> None:
    crash(
        world,
        deployment(world, space, "orders"),
        1,
        'sqlalchemy.exc.ProgrammingError: (psycopg2.errors.UndefinedTable) relation "order_items" does not exist',
        "LINE 1: SELECT * FROM order_items",
    )


@fault("StatefulSet/cache", "disk-full", "volume-full", asks="cache")
def disk_of_the_cache_is_full(world: World, space: str) -> None:
    crash(
        world,
        world.get("StatefulSet", space, "cache"),
        1,
        "Write error writing append only file on disk: No space left on device",
    )


@fault("Deployment/web", "file-missing", asks="web")
def certificate_is_not_mounted(world: World, space: str) -> None:
    crash(
        world,
        deployment(world, space, "web"),
        1,
        'nginx: [emerg] cannot load certificate "/etc/tls/tls.crt": BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory)',
    )


@fault("Deployment/web", "clean-exit-loop", asks="web")
def main_process_goes_to_the_background(world: World, space: str) -> None:
    crash(world, deployment(world, space, "web"), 0, "daemonizing...", reason="Completed")


@fault("Deployment/web", "native-crash", asks="web")
def segmentation_fault(world: World, space: str) -> None:
    crash(world, deployment(world, space, "web"), 139)


@fault("Deployment/web", "image-never-pulled", asks="web")
def image_was_to_be_there_already(world: World, space: str) -> None:
    stuck(
        world,
        deployment(world, space, "web"),
        "ErrImageNeverPull",
        'Container image "web:dev" is not present with pull policy of Never',
        events=(("ErrImageNeverPull", 'Container image "web:dev" is not present with pull policy of Never'),),
    )


@fault("Deployment/web", "registry-unreachable", asks="web")
def proxy_is_down(world: World, space: str) -> None:
    pulled(
        world,
        space,
        'failed to pull and unpack image "registry.example.com/web:1.4.2": failed to do request: Head "https://registry.example.com/v2/": proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused',
    )


@fault("Deployment/web", "image-wrong-architecture", asks="web")
def no_build_for_windows(world: World, space: str) -> None:
    pulled(
        world,
        space,
        'failed to pull and unpack image "registry.example.com/web:1.4.2": no match for platform in manifest: not found',
    )


@fault("Deployment/ledger", "oom-killed", asks="ledger")
def init_container_is_out_of_memory(world: World, space: str) -> None:
    one = world.deployment(
        "ledger",
        space,
        service=80,
        initContainers=[
            {"name": "load", "image": "registry.example.com/ledger:1.4.2", "resources": {"limits": {"memory": "64Mi"}}}
        ],
    )
    for pod in reborn(world, one):
        pod["status"]["initContainerStatuses"] = [
            {
                "name": "load",
                "ready": False,
                "restartCount": 5,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": terminated(137, "OOMKilled", minutes=2),
            }
        ]
        pod["status"]["containerStatuses"][0] |= {"ready": False, "state": {"waiting": {"reason": "PodInitializing"}}}
        pod["status"]["phase"] = "Pending"
        unready(pod, 10)
    down(world, one)


@fault("Deployment/web", "quota-requires-limits", asks="web")
def quota_wants_limits(world: World, space: str) -> None:
    refused(
        world,
        deployment(world, space, "web"),
        'Error creating: pods "web-7f9-x" is forbidden: failed quota: team: must specify limits.cpu for: web; requests.cpu for: web',
    )


@fault("Node/", "node-cordoned", asks="web")
def every_node_is_cordoned(world: World, space: str) -> None:
    for node in world.nodes:
        node["spec"] |= {
            "unschedulable": True,
            "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": ago(15)}],
        }
    unscheduled(
        world,
        deployment(world, space, "web"),
        f"0/{len(world.nodes)} nodes are available: {len(world.nodes)} node(s) were unschedulable. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        keep=1,
    )


@fault("Deployment/web", "host-port-conflict", asks="web")
def host_port_is_taken(world: World, space: str) -> None:
    one = deployment(world, space, "web")
    everywhere(world, one, containers=[{**box(one), "ports": [{"name": "main", "containerPort": 80, "hostPort": 80}]}])
    unscheduled(
        world,
        one,
        "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
        keep=1,
    )


@fault("Ingress/web", "ingress-backend-missing", asks="web")
def ingress_names_a_port_that_is_not_offered(world: World, space: str) -> None:
    world.get("Ingress", space, "web")["spec"]["rules"][0]["http"]["paths"][0]["backend"] = {
        "service": {"name": "web", "port": {"number": 8443}}
    }


@fault("Ingress/web", "ingress-tls-secret-missing", asks="web")
def ingress_has_no_certificate(world: World, space: str) -> None:
    world.get("Ingress", space, "web")["spec"]["tls"] = [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}]


@fault("HTTPRoute/web", "route-backend-missing", asks="web")
def route_leads_nowhere(world: World, space: str) -> None:
    world.make(
        "GatewayClass", "std", api="gateway.networking.k8s.io/v1", status={"conditions": [said("Accepted", "True", "Accepted")]}
    )
    world.make(
        "Gateway",
        "edge",
        space,
        api="gateway.networking.k8s.io/v1",
        spec={"gatewayClassName": "std", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
        status={"conditions": [said("Accepted", "True", "Accepted"), said("Programmed", "True", "Programmed")]},
    )
    parent = {"name": "edge"}
    world.make(
        "HTTPRoute",
        "web",
        space,
        api="gateway.networking.k8s.io/v1",
        spec={"parentRefs": [parent], "rules": [{"backendRefs": [{"name": "web-v2", "port": 80}]}]},
        status={
            "parents": [
                {
                    "parentRef": parent,
                    "conditions": [
                        said("Accepted", "True", "Accepted"),
                        said("ResolvedRefs", "False", "BackendNotFound", 'Service "web-v2" not found'),
                    ],
                }
            ]
        },
    )


@fault("HorizontalPodAutoscaler/media", "hpa-target-missing", asks="media")
def autoscaler_points_at_nothing(world: World, space: str) -> None:
    hpa = world.get("HorizontalPodAutoscaler", space, "media")
    hpa["spec"]["scaleTargetRef"]["name"] = "media-api"
    hpa["status"]["conditions"] = [
        said(
            "AbleToScale",
            "False",
            "FailedGetScale",
            'the HPA controller was unable to get the target\'s current scale: deployments.apps "media-api" not found',
        )
    ]


@fault("APIService/v1beta1.metrics.k8s.io", "apiservice-unavailable", asks="v1beta1.metrics.k8s.io")
def metrics_api_is_down(world: World, space: str) -> None:
    api = next(one for one in world.objects if one["kind"] == "APIService" and "metrics" in one["metadata"]["name"])
    api["status"]["conditions"] = [
        said(
            "Available",
            "False",
            "FailedDiscoveryCheck",
            "failing or missing response from https://10.96.7.7:443/apis/metrics.k8s.io/v1beta1: net/http: request canceled while waiting for connection",
            minutes=20,
        )
    ]


@fault("PodDisruptionBudget/orders", "drain-blocked-by-budget", asks="node")
def drain_waits_for_a_budget(world: World, space: str) -> None:
    budget = world.get("PodDisruptionBudget", space, "orders")
    budget["spec"]["minAvailable"] = 3
    budget["status"] |= {"disruptionsAllowed": 0, "desiredHealthy": 3}
    pod = world.pods(deployment(world, space, "orders"))[0]
    node = next(one for one in world.nodes if one["metadata"]["name"] == pod["spec"]["nodeName"])
    node["spec"] |= {
        "unschedulable": True,
        "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": ago(40)}],
    }
    world.event(
        node,
        "FailedDraining",
        f"error when evicting pods/{pod['metadata']['name']} -n {space}: Cannot evict pod as it would violate the pod's disruption budget.",
    )


@fault("Secret/db-auth", "secret-not-synced", "secret-missing", "secret-store-not-ready", asks="catalog")
def secret_store_refuses(world: World, space: str) -> None:
    world.make("ExternalSecret", "db-auth", space, api="external-secrets.io/v1", spec={"secretStoreRef": {"name": "vault", "kind": "SecretStore"}, "target": {"name": "db-auth"}},
               status={"conditions": [said("Ready", "False", "SecretSyncedError", "could not get secret data from provider: permission denied", minutes=30)]})  # fmt: skip
    world.make(
        "SecretStore", "vault", space, api="external-secrets.io/v1", status={"conditions": [said("Ready", "True", "Valid")]}
    )
    one = deployment(world, space, "catalog")
    everywhere(world, one, containers=[{**box(one), "envFrom": [{"secretRef": {"name": "db-auth"}}]}])
    stuck(
        world,
        one,
        "CreateContainerConfigError",
        'secret "db-auth" not found',
        events=(("Failed", 'Error: secret "db-auth" not found'),),
    )


@fault("Application/storefront-eu", "argo-sync-failed", asks="storefront-eu")
def argo_cannot_apply(world: World, space: str) -> None:
    world.make("Application", "storefront-eu", space, api="argoproj.io/v1alpha1", spec={"destination": {"namespace": space}, "syncPolicy": {"automated": {}}},
               status={"sync": {"status": "OutOfSync"}, "health": {"status": "Healthy"}, "operationState": {"phase": "Failed", "finishedAt": ago(9), "message": 'one or more objects failed to apply, reason: Deployment.apps "web" is invalid: spec.selector: Invalid value: field is immutable'}})  # fmt: skip


@fault("Kustomization/shop", "flux-build-failed", "flux-apply-failed", asks="shop")
def flux_cannot_build(world: World, space: str) -> None:
    world.make("Kustomization", "shop", space, api="kustomize.toolkit.fluxcd.io/v1", metadata={"generation": 2}, spec={"sourceRef": {"kind": "GitRepository", "name": "shop"}},
               status={"observedGeneration": 2, "conditions": [said("Ready", "False", "BuildFailed", "kustomize build failed: accumulating resources: open base/web.yaml: no such file or directory", minutes=20)]})  # fmt: skip
    world.make(
        "GitRepository",
        "shop",
        space,
        api="source.toolkit.fluxcd.io/v1",
        status={"conditions": [said("Ready", "True", "Succeeded")]},
    )


@fault("Namespace/sandbox", "namespace-finalizer", "namespace-stuck", asks="namespace sandbox")
def namespace_does_not_go_away(world: World, space: str) -> None:
    gone = world.namespace("sandbox")
    gone["metadata"]["deletionTimestamp"] = ago(40)
    gone["status"] = {"phase": "Terminating", "conditions": [
        said("NamespaceContentRemaining", "True", "SomeResourcesRemain", "Some resources are remaining: buckets.example.com has 1 resource instances"),
        said("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: example.com/cleanup in 1 resource instances")]}  # fmt: skip


@fault("Node/node-1", "node-not-ready", asks="node-1")
def network_of_a_node_is_not_ready(world: World, space: str) -> None:
    for one in world.nodes[0]["status"]["conditions"]:
        if one["type"] == "Ready":
            one |= said(
                "Ready",
                "False",
                "KubeletNotReady",
                "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized",
                minutes=15,
            )


@fault("Deployment/orders", "wrong-service-name")
def broker_is_not_there(world: World, space: str) -> None:
    one = deployment(world, space, "orders")
    everywhere(world, one, containers=[{**box(one), "env": [{"name": "KAFKA_BROKERS", "value": "kafka:9092"}]}])
    one["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "KAFKA_BROKERS", "value": "kafka:9092"}]
    talk(
        world,
        one,
        *["ERROR [AdminClient clientId=adminclient-1] java.net.UnknownHostException: kafka: Name or service not known"] * 12,
    )


@fault("Deployment/web", "heap-exhausted", asks="web")
def java_heap_is_full(world: World, space: str) -> None:
    crash(
        world,
        deployment(world, space, "web"),
        3,
        "java.lang.OutOfMemoryError: Java heap space",
        "\tat java.base/java.util.Arrays.copyOf(Arrays.java:3537)",
    )


@fault("Deployment/web", "bad-release", "library-missing", asks="web")
def python_raises_at_import(world: World, space: str) -> None:
    one = deployment(world, space, "web")
    for set_ in world.of("ReplicaSet", space):
        if set_["metadata"]["name"].startswith("web-") and set_["spec"]["replicas"]:
            set_["metadata"]["creationTimestamp"] = ago(11)
    crash(
        world,
        one,
        1,
        "Traceback (most recent call last):",
        '  File "/app/main.py", line 3, in <module>',
        "ModuleNotFoundError: No module named 'fastapi'",
    )


@fault("Deployment/web", "wrong-service-port")
def caller_uses_a_port_that_is_not_offered(world: World, space: str) -> None:
    talk(
        world, deployment(world, space, "web"), *["ERROR Get http://orders:8081/api: dial tcp 10.96.0.44:8081: i/o timeout"] * 20
    )
