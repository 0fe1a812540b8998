"""Faults of a demonstration shop whose services speak gRPC: each is what people do to one on a small cluster, by hand or with a
tool that breaks things on purpose."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from tests.agent.builders import ago
from tests.agent.wild.breaking import box, crash, everywhere, fault, killed, not_ready, talk, unscheduled
from tests.agent.wild.world import Object, World, said

CALLED = {
    "productcatalogservice": 3550,
    "cartservice": 7070,
    "checkoutservice": 5050,
    "paymentservice": 50051,
    "currencyservice": 7000,
}


def boutique(world: World, space: str) -> dict[str, Object]:
    """A frontend that calls four services, checkout that calls payment, a cart on Redis; everything runs."""
    addresses = {f"{name.removesuffix('service').upper()}_SERVICE_ADDR": f"{name}:{port}" for name, port in CALLED.items()}
    made = {"frontend": world.deployment("frontend", space, listens=8080, env=addresses, service=80,
                                         box={"readinessProbe": {"httpGet": {"path": "/_healthz", "port": 8080}}})}  # fmt: skip
    for name, port in CALLED.items():
        env = {"PORT": str(port)}
        env |= {"REDIS_ADDR": "redis-cart:6379"} if name == "cartservice" else {}
        env |= {"PAYMENT_SERVICE_ADDR": "paymentservice:50051"} if name == "checkoutservice" else {}
        probe = {"grpc": {"port": port}}
        made[name] = world.deployment(name, space, replicas=1, listens=port, env=env, service=port,
                                      box={"readinessProbe": probe, "livenessProbe": probe})  # fmt: skip
    made["redis-cart"] = world.deployment("redis-cart", space, replicas=1, listens=6379, image="redis:alpine", service=6379)
    return made


def address(world: World, space: str, name: str) -> str:
    return str(world.get("Service", space, name)["spec"]["clusterIP"])


@fault("Deployment/currencyservice", "readiness-probe-wrong-port", "liveness-probe-kills", asks="currencyservice")
def grpc_probe_asks_another_port(world: World, space: str) -> None:
    one = boutique(world, space)["currencyservice"]
    for field in ("readinessProbe", "livenessProbe"):
        box(one)[field] = {"grpc": {"port": 7001}}
    for pod in world.pods(one):
        pod["spec"]["containers"][0]["readinessProbe"] = {"grpc": {"port": 7001}}
    not_ready(
        world,
        one,
        'timeout: failed to connect service "10.244.0.31:7001" within 1s: connection error: desc = "transport: Error while dialing: dial tcp 10.244.0.31:7001: connect: connection refused"',
    )
    talk(world, one, '{"severity":"info","message":"CurrencyService gRPC server started on port 7000"}')


@fault("Deployment/cartservice", "wrong-database-port", asks="cartservice")
def cart_calls_redis_on_another_port(world: World, space: str) -> None:
    one = boutique(world, space)["cartservice"]
    box(one)["env"][1]["value"] = "redis-cart:6380"
    crash(
        world,
        one,
        139,
        "Unhandled exception. StackExchange.Redis.RedisConnectionException: It was not possible to connect to the redis server(s). UnableToConnect on redis-cart:6380/Interactive, Initializing/NotStarted",
    )


@fault("NetworkPolicy/", "networkpolicy-blocks", asks="checkoutservice")
def payment_is_fenced_in(world: World, space: str) -> None:
    made = boutique(world, space)
    world.make("NetworkPolicy", "payment-only-from-risk", space, api="networking.k8s.io/v1", minutes=12, spec={
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "paymentservice"}}, "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "riskservice"}}}]}]})  # fmt: skip
    world.get("NetworkPolicy", space, "allow-all")["spec"]["podSelector"] = {
        "matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "NotIn", "values": ["paymentservice"]}]
    }
    where = address(world, space, "paymentservice")
    talk(
        world,
        made["checkoutservice"],
        *[
            f'{{"severity":"error","message":"failed to charge card: could not charge the card: rpc error: code = Unavailable desc = connection error: desc = \\"transport: Error while dialing: dial tcp {where}:50051: i/o timeout\\""}}'
        ]
        * 8,
    )


@fault("Service/paymentservice", "service-selector-mismatch", asks="checkout")
def payment_service_selects_nothing(world: World, space: str) -> None:
    made = boutique(world, space)
    world.get("Service", space, "paymentservice")["spec"]["selector"] = {"app.kubernetes.io/name": "payments"}
    where = address(world, space, "paymentservice")
    talk(
        world,
        made["checkoutservice"],
        *[
            f'level=error msg="failed to charge card: rpc error: code = Unavailable desc = connection error: desc = \\"transport: Error while dialing: dial tcp {where}:50051: connect: connection refused\\""'
        ]
        * 6,
    )


@fault("Deployment/productcatalogservice", "scaled-to-zero", asks="frontend")
def catalog_was_scaled_away(world: World, space: str) -> None:
    made = boutique(world, space)
    one = made["productcatalogservice"]
    for pod in world.pods(one):
        world.objects.remove(pod)
    one["spec"]["replicas"] = 0
    one["status"] = {"observedGeneration": 5}
    where = address(world, space, "productcatalogservice")
    talk(
        world,
        made["frontend"],
        *[
            f'{{"error":"could not retrieve products: rpc error: code = Unavailable desc = connection error: desc = \\"transport: Error while dialing: dial tcp {where}:3550: connect: connection refused\\"","severity":"error"}}'
        ]
        * 6,
    )


@fault("Deployment/checkoutservice", "missing-env-var", asks="checkoutservice")
def address_of_payment_is_not_set(world: World, space: str) -> None:
    one = boutique(world, space)["checkoutservice"]
    box(one)["env"] = box(one)["env"][:1]
    crash(
        world,
        one,
        2,
        'panic: environment variable "PAYMENT_SERVICE_ADDR" not set',
        "goroutine 1 [running]:",
        "main.mustMapEnv(0xc0000, {0xb1, 0x14})",
    )


@fault("ConfigMap/flags", "errors-after-config-change", "application-error", asks="adservice")
def a_feature_flag_breaks_the_ads(world: World, space: str) -> None:
    boutique(world, space)
    one = world.deployment(
        "adservice",
        space,
        replicas=1,
        listens=9555,
        service=9555,
        env={"FLAGS": {"configMapKeyRef": {"name": "flags", "key": "demo.flagd.json"}}},
    )
    world.make("ConfigMap", "flags", space, data={"demo.flagd.json": '{"flags":{"adFailure":{"state":"ENABLED","defaultVariant":"on"}}}'},
               metadata={"managedFields": [{"manager": "kubectl-edit", "operation": "Update", "time": ago(6), "fieldsV1": {"f:data": {"f:demo.flagd.json": {}}}}]})  # fmt: skip
    for pod in world.pods(one):
        pod["status"]["containerStatuses"][0]["state"] = {"running": {"startedAt": ago(5.5)}}
        pod["status"]["containerStatuses"][0]["restartCount"] = 1
    talk(
        world,
        one,
        *["ERROR oteldemo.AdService - GetAds Failed with status Status{code=UNAVAILABLE, description=null, cause=null}"] * 320,
        minutes=0.2,
    )


@fault("NetworkChaos/payment-delay", "fault-injected", asks="checkoutservice")
def chaos_mesh_delays_payment(world: World, space: str) -> None:
    made = boutique(world, space)
    pod = world.pods(made["paymentservice"])[0]["metadata"]["name"]
    world.make("NetworkChaos", "payment-delay", space, api="chaos-mesh.org/v1alpha1", minutes=7,
               spec={"action": "delay", "mode": "all", "duration": "30m", "delay": {"latency": "5s"},
                     "selector": {"namespaces": [space], "labelSelectors": {"app.kubernetes.io/name": "paymentservice"}}},
               status={"experiment": {"desiredPhase": "Run", "containerRecords": [{"id": f"{space}/{pod}", "phase": "Injected", "selectorKey": "."}]},
                       "conditions": [said("AllInjected", "True", minutes=7), said("Selected", "True", minutes=7), said("Paused", "False", minutes=7), said("AllRecovered", "False", minutes=7)]})  # fmt: skip
    talk(
        world,
        made["checkoutservice"],
        *[
            'level=error msg="could not charge the card: rpc error: code = DeadlineExceeded desc = context deadline exceeded" peer=paymentservice:50051'
        ]
        * 8,
    )


@fault("VirtualService/ratings", "fault-injected", asks="frontend")
def istio_aborts_on_purpose(world: World, space: str) -> None:
    made = boutique(world, space)
    world.make("VirtualService", "ratings", space, api="networking.istio.io/v1", minutes=20, spec={
        "hosts": ["productcatalogservice"], "http": [{"fault": {"abort": {"httpStatus": 500, "percentage": {"value": 100}}},
                                                      "route": [{"destination": {"host": "productcatalogservice"}}]}]})  # fmt: skip
    talk(
        world,
        made["frontend"],
        *[
            '{"severity":"error","error":"could not retrieve products: rpc error: code = Internal desc = fault filter abort","message":"request error productcatalogservice:3550"}'
        ]
        * 8,
    )


@fault("Service/orders-db", "external-name-unresolved", asks="orders-api")
def external_name_does_not_resolve(world: World, space: str) -> None:
    world.make("Service", "orders-db", space, spec={"type": "ExternalName", "externalName": "orders.db.exmaple.net"})
    one = world.deployment("orders-api", space, env={"DB_HOST": "orders-db"})
    crash(
        world,
        one,
        1,
        "Error: getaddrinfo ENOTFOUND orders-db",
        "    at GetAddrInfoReqWrap.onlookup [as oncomplete] (node:dns:109:26)",
    )


@fault("Deployment/orders-api", "database-missing", asks="orders-api")
def database_of_that_name_is_not_there(world: World, space: str) -> None:
    one = world.deployment("orders-api", space, env={"DATABASE_URL": f"postgres://orders@postgres-headless.{space}:5432/order"})
    crash(
        world,
        one,
        1,
        'FATAL:  database "order" does not exist',
        "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection to server failed",
    )


@fault("Deployment/wiki", "volume-attach-failed", asks="wiki")
def a_rolling_update_wants_the_volume_twice(world: World, space: str) -> None:
    one = world.deployment("wiki", space, replicas=1)
    world.claim("wiki-data", space, "fast")
    everywhere(world, one, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "wiki-data"}}])
    new = world.replica_set(one, 9, minutes=9, replicas=1)
    new["status"] |= {"readyReplicas": 0, "availableReplicas": 0}
    pod = world.pod(new, minutes=9)
    pod["status"] = {"phase": "Pending", "conditions": [said("PodScheduled", "True", minutes=9), said("Ready", "False", "ContainersNotReady", minutes=9)],
                     "containerStatuses": [{"name": "wiki", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}]}  # fmt: skip
    world.event(pod, "FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) wiki-old')
    one["status"]["updatedReplicas"] = 1


@fault("Deployment/media-api", "liveness-probe-kills", asks="media-api")
def liveness_is_asked_before_it_can_answer(world: World, space: str) -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 1, "periodSeconds": 2, "failureThreshold": 1}
    one = world.deployment("media-api", space, box={"livenessProbe": probe})
    killed(world, one, 'Get "http://10.244.0.40:8080/healthz": dial tcp 10.244.0.40:8080: connect: connection refused')
    talk(
        world,
        one,
        "Starting MediaApi on media-api with PID 1",
        "Tomcat initialized with port(s): 8080 (http)",
        "Root WebApplicationContext: initialization completed in 14211 ms",
    )


@fault("Deployment/shop-api", "pod-dns-policy", asks="shop-api")
def names_of_the_cluster_are_asked_of_the_node(world: World, space: str) -> None:
    made = boutique(world, space)
    assert made
    one = world.deployment("shop-api", space, env={"CART": "cartservice:7070"}, dnsPolicy="Default")
    talk(world, one, *['level=error msg="dial tcp: lookup cartservice on 192.168.0.2:53: no such host"'] * 6)


@fault("Deployment/kafka", "scaled-to-zero", asks="accounting")
def the_broker_was_switched_off(world: World, space: str) -> None:
    kafka = world.deployment("kafka", space, replicas=1, listens=9092, service=9092)
    one = world.deployment("accounting", space, replicas=1, env={"KAFKA_ADDR": "kafka:9092"})
    for pod in world.pods(kafka):
        world.objects.remove(pod)
    kafka["spec"]["replicas"] = 0
    kafka["status"] = {"observedGeneration": 5}
    where = address(world, space, "kafka")
    talk(
        world,
        one,
        *[
            f"WARN [Consumer clientId=accounting] Connection to node -1 (kafka/{where}:9092) could not be established. Broker may not be available."
        ]
        * 9,
    )


@fault("Deployment/report", "insufficient-memory", asks="report")
def it_asks_for_more_than_any_node_has(world: World, space: str) -> None:
    one = world.deployment("report", space, replicas=1, box={"resources": {"requests": {"memory": "900Gi"}}})
    unscheduled(
        world,
        one,
        "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
    )


@fault("Deployment/edge", "configuration-invalid", asks="edge")
def nginx_config_has_a_slip(world: World, space: str) -> None:
    world.make("ConfigMap", "proxy-conf", space, data={"default.conf": "server { listen 80 location / { } }"})
    one = world.deployment("edge", space, image="nginx:1.27", volumes=[{"name": "conf", "configMap": {"name": "proxy-conf"}}])
    crash(
        world,
        one,
        1,
        '2026/05/04 11:58:30 [emerg] 1#1: invalid parameter "location" in /etc/nginx/conf.d/default.conf:1',
        'nginx: [emerg] invalid parameter "location" in /etc/nginx/conf.d/default.conf:1',
    )


@fault("Deployment/edge", "wrong-service-name", asks="edge")
def nginx_finds_no_upstream_of_that_name(world: World, space: str) -> None:
    made = boutique(world, space)
    assert made
    world.make("ConfigMap", "edge-conf", space, data={"default.conf": "upstream a { server cart-service:7070; }"})
    one = world.deployment("edge", space, image="nginx:1.27", volumes=[{"name": "conf", "configMap": {"name": "edge-conf"}}])
    crash(world, one, 1, 'nginx: [emerg] host not found in upstream "cart-service:7070" in /etc/nginx/conf.d/default.conf:1')


@fault("Job/migrate", "job-access-denied", asks="migrate")
def migration_may_not_create_tables(world: World, space: str) -> None:
    job = world.job("migrate", space, state="Failed")
    talk(world, job, "django.db.utils.ProgrammingError: permission denied for schema public")
