"""Pods that find no node, no image, no configuration, or are asked the wrong thing by a probe."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from tests.agent.builders import ago
from tests.agent.wild.breaking import box, crash, everywhere, killed, not_ready, released, stuck, unscheduled
from tests.agent.wild.strangers import FREIGHT, deployed, over_time, say, served, stateful, tale
from tests.agent.wild.world import World, said


# --- scheduling
@tale("why is dispatch pending?", "Deployment/freight/dispatch", "pod-affinity", "scaled-to-zero")
def affinity_to_pods_scaled_away(world: World) -> None:
    d = deployed(world, "dispatch")
    r = world.deployment("route-cache", FREIGHT, replicas=0)
    for p in world.pods(r):
        world.objects.remove(p)
    everywhere(
        world,
        d,
        affinity={
            "podAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "route-cache"}},
                        "topologyKey": "kubernetes.io/hostname",
                    }
                ]
            }
        },
    )
    unscheduled(
        world,
        d,
        "0/3 nodes are available: 3 node(s) didn't match pod affinity rules. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    )


@tale(
    "rollout of dispatch hangs, one new pod is Pending",
    "Deployment/freight/dispatch",
    "pod-anti-affinity",
    never=("insufficient-cpu",),
)
def surge_pod_against_its_own_anti_affinity(world: World) -> None:
    d = deployed(world, "dispatch")
    aff = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "dispatch"}},
                    "topologyKey": "kubernetes.io/hostname",
                }
            ]
        }
    }
    everywhere(world, d, affinity=aff)
    [p] = released(world, d, image="registry.example.com/dispatch:1.5.0")
    p["spec"].pop("nodeName", None)
    words = "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."
    p["status"] = {"phase": "Pending", "conditions": [said("PodScheduled", "False", "Unschedulable", words, minutes=10)]}
    world.event(p, "FailedScheduling", words, by_scheduler=True)


@tale(
    "why does labels-worker have no pods running",
    "Deployment/freight/labels-worker",
    "insufficient-cpu",
    "pod-preempted",
    "insufficient-memory",
)
def preempted_by_a_higher_priority(world: World) -> None:
    d = deployed(world, "labels-worker")
    world.make("PriorityClass", "batch-high", api="scheduling.k8s.io/v1", value=100000)
    world.pods(d)
    next(
        r for r in world.of("ReplicaSet", FREIGHT) if r["metadata"]["name"].startswith("labels-worker") and r["spec"]["replicas"]
    )
    for n in range(2):
        world._serial += 1
        gone = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"labels-worker-gone{n}", "namespace": FREIGHT, "uid": f"g{n}"},
        }
        world.event(
            gone,
            "Preempted",
            "Preempted by pod 5f7d9a3e-2c1b-4a59-8a4e-0f9b0a6a3c11 on node node-2",
            kind="Normal",
            count=1,
            minutes=9,
            lasted=0,
        )
    unscheduled(
        world,
        d,
        "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
        minutes=9,
    )
    for p in world.nodes:
        p["status"]["allocatable"]["cpu"] = "2"
    world.deployment(
        "crunch",
        "default",
        replicas=3,
        minutes=9,
        box={"resources": {"requests": {"cpu": "1900m"}}},
        priorityClassName="batch-high",
    )


@tale("quotes pods cannot be scheduled", "Deployment/freight/quotes", "untolerated-taint")
def cloud_provider_never_initialised_the_nodes(world: World) -> None:
    for n in world.nodes:
        n["spec"]["taints"] = [{"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}]
    unscheduled(
        world,
        deployed(world, "quotes"),
        "0/3 nodes are available: 3 node(s) had untolerated taint {node.cloudprovider.kubernetes.io/uninitialized: true}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    )


@tale(
    "why is the archive stuck in pending? its volume is pending too",
    "StatefulSet/freight/archive",
    "node-selector-mismatch",
    never=("volume-provisioning-failed",),
)
def selector_wrong_and_volume_waits_for_it(world: World) -> None:
    a = world.stateful_set("archive", FREIGHT, replicas=1, nodeSelector={"disk": "nvme"})
    p = world.pods(a)[0]
    p["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data-archive-0"}}]
    c = world.make(
        "PersistentVolumeClaim",
        "data-archive-0",
        FREIGHT,
        spec={"storageClassName": "fast", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
        status={"phase": "Pending"},
        minutes=10,
    )
    world.event(c, "WaitForPodScheduled", "waiting for pod archive-0 to be scheduled", kind="Normal", count=40)
    unscheduled(
        world,
        a,
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    )


@tale("why can't dispatch's 3rd pod be placed?", "Deployment/freight/dispatch", "node-pod-limit")
def nodes_are_full_of_pods(world: World) -> None:
    for n in world.nodes:
        n["status"]["allocatable"]["pods"] = "12"
    unscheduled(
        world,
        deployed(world, "dispatch"),
        "0/3 nodes are available: 3 Too many pods. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod.",
        keep=2,
    )


# --- images
def pullfail(world, name, words, image="registry.example.com/quotes:1.4.2"):
    stuck(
        world,
        deployed(world, name),
        "ImagePullBackOff",
        f'Back-off pulling image "{image}": ErrImagePull: {words}',
        events=(
            ("Failed", f'Failed to pull image "{image}": {words}'),
            ("Failed", "Error: ErrImagePull"),
            ("BackOff", f'Back-off pulling image "{image}"'),
        ),
    )


@tale("quotes does not start", "Deployment/freight/quotes", "image-pull-unauthorized")
def pull_secret_lies_in_another_namespace(world: World) -> None:
    d = deployed(world, "quotes")
    everywhere(world, d, imagePullSecrets=[{"name": "regcred"}])
    world.make("Secret", "regcred", "default", type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": ""})
    pullfail(
        world,
        "quotes",
        'rpc error: code = Unknown desc = failed to pull and unpack image "registry.example.com/quotes:1.4.2": failed to resolve reference "registry.example.com/quotes:1.4.2": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
    )
    for p in world.pods(d):
        world.event(
            p,
            "FailedToRetrieveImagePullSecret",
            "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.",
        )


@tale("what is wrong with quotes", "Deployment/freight/quotes", "registry-unreachable")
def registry_certificate_is_self_signed(world: World) -> None:
    pullfail(
        world,
        "quotes",
        'failed to pull and unpack image "harbor.corp.internal/quotes:1.4.2": failed to resolve reference "harbor.corp.internal/quotes:1.4.2": failed to do request: Head "https://harbor.corp.internal/v2/quotes/manifests/1.4.2": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    )


@tale("what is wrong with quotes", "Deployment/freight/quotes", "invalid-image-name", "image-pull-failed", "image-tag-not-found")
def crio_short_name(world: World) -> None:
    pullfail(world, "quotes", "short-name resolution enforced but cannot prompt without a TTY", image="quotes:1.4.2")


@tale("quotes fails to come up since the containerd upgrade", "Deployment/freight/quotes", "image-pull-failed")
def old_manifest_schema(world: World) -> None:
    pullfail(
        world,
        "quotes",
        'rpc error: code = NotFound desc = failed to pull and unpack image "registry.example.com/quotes:1.4.2": unsupported manifest media type and digest: media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported since containerd v2.1, please rebuild the image as "application/vnd.docker.distribution.manifest.v2+json" or "application/vnd.oci.image.manifest.v1+json": not found',
    )


@tale("quotes fails to come up", "Deployment/freight/quotes", "image-pull-unauthorized")
def ecr_token_expired(world: World) -> None:
    pullfail(
        world,
        "quotes",
        'rpc error: code = Unknown desc = failed to pull and unpack image "1.dkr.ecr.eu-west-1.amazonaws.com/quotes:1.4.2": failed to resolve reference: unexpected status from HEAD request to https://1.dkr.ecr.eu-west-1.amazonaws.com/v2/quotes/manifests/1.4.2: 403 Forbidden',
    )


@tale("quotes fails to come up", "Deployment/freight/quotes", "image-pull-failed", "registry-unreachable")
def layer_digest_is_wrong(world: World) -> None:
    pullfail(
        world,
        "quotes",
        'failed to pull and unpack image "registry.example.com/quotes:1.4.2": failed commit on ref "layer-sha256:9b1": unexpected commit digest sha256:77ac, expected sha256:9b1: failed precondition',
    )


@tale("quotes fails to come up", "Deployment/freight/quotes", "registry-unreachable", "image-pull-failed")
def registry_answers_503(world: World) -> None:
    pullfail(
        world,
        "quotes",
        'failed to pull and unpack image "registry.example.com/quotes:1.4.2": failed to resolve reference "registry.example.com/quotes:1.4.2": unexpected status from HEAD request to https://registry.example.com/v2/quotes/manifests/1.4.2: 503 Service Unavailable',
    )


# --- config
@tale("dispatch won't start after the config cleanup", "ConfigMap/freight/dispatch-settings", "configmap-key-missing")
def key_in_another_case(world: World) -> None:
    world.get("ConfigMap", FREIGHT, "dispatch-settings")["data"] = {"quotes_url": "http://quotes:8080", "LOG_LEVEL": "info"}
    stuck(
        world,
        deployed(world, "dispatch"),
        "CreateContainerConfigError",
        "couldn't find key QUOTES_URL in ConfigMap freight/dispatch-settings",
        events=(("Failed", "Error: couldn't find key QUOTES_URL in ConfigMap freight/dispatch-settings"),),
    )


@tale("why is quotes stuck ContainerCreating", "ConfigMap/freight/tariff-map", "configmap-key-missing")
def projected_volume_wants_a_key(world: World) -> None:
    d = deployed(world, "quotes")
    world.make("ConfigMap", "tariff-map", FREIGHT, data={"tariffs.yml": "a: 1"})
    everywhere(
        world,
        d,
        volumes=[
            {
                "name": "all",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "tariff-map", "items": [{"key": "tariffs.yaml", "path": "tariffs.yaml"}]}},
                        {"serviceAccountToken": {"path": "token"}},
                    ]
                },
            }
        ],
    )
    stuck(
        world,
        d,
        "ContainerCreating",
        "",
        events=(
            (
                "FailedMount",
                'MountVolume.SetUp failed for volume "all" : configmap references non-existent config key: tariffs.yaml',
            ),
        ),
    )


@tale(
    "dispatch crashes since we created the redis service",
    "Deployment/freight/dispatch",
    "configuration-invalid",
    "missing-env-var",
    "application-error",
    "crash-loop",
    "service-variable-collides",
)
def service_links_hide_the_own_variable(world: World) -> None:
    world.deployment("redis", FREIGHT, replicas=1, service=6379, minutes=30)
    crash(
        world,
        deployed(world, "dispatch"),
        1,
        'panic: parse REDIS_PORT: strconv.Atoi: parsing "tcp://10.96.14.7:6379": invalid syntax',
        "goroutine 1 [running]:",
        "main.mustConfig(...)",
    )


@tale("why are new settings not picked up by dispatch?", "", "config-stale", outcome="")
def subpath_never_updates(world: World) -> None:
    d = deployed(world, "dispatch")
    cm = world.make("ConfigMap", "routing-rules", FREIGHT, data={"rules.json": "{}"})
    cm["metadata"]["managedFields"] = [
        {"manager": "kubectl-edit", "operation": "Update", "time": ago(25), "fieldsV1": {"f:data": {"f:rules.json": {}}}}
    ]
    b = {**box(d), "volumeMounts": [{"name": "rules", "mountPath": "/etc/dispatch/rules.json", "subPath": "rules.json"}]}
    everywhere(world, d, containers=[b], volumes=[{"name": "rules", "configMap": {"name": "routing-rules"}}])


@tale(
    "quotes returns errors for half an hour",
    "ConfigMap/freight/quotes-flags",
    "errors-after-config-change",
    "configuration-invalid",
)
def feature_flag_breaks_it(world: World) -> None:
    d = deployed(world, "quotes")
    cm = world.make("ConfigMap", "quotes-flags", FREIGHT, data={"flags.json": '{"new-rounding": true}'})
    cm["metadata"]["managedFields"] = [
        {"manager": "argocd-controller", "operation": "Update", "time": ago(400), "fieldsV1": {"f:metadata": {}}},
        {"manager": "flag-admin", "operation": "Update", "time": ago(31), "fieldsV1": {"f:data": {"f:flags.json": {}}}},
    ]
    everywhere(
        world,
        d,
        volumes=[{"name": "flags", "configMap": {"name": "quotes-flags"}}],
        containers=[{**box(d), "volumeMounts": [{"name": "flags", "mountPath": "/flags"}]}],
    )
    ls = [f'level=error msg="cannot price shipment" err="rounding mode HALF_ODD not supported" shipment={i}' for i in range(60)]
    over_time(world, d, *served(40), 'level=info msg="flags reloaded"', *ls, start=50)


@tale("quotes keeps crashing", "Deployment/freight/quotes", "missing-env-var", "configuration-invalid")
def spring_placeholder(world: World) -> None:
    crash(
        world,
        deployed(world, "quotes"),
        1,
        "org.springframework.beans.factory.BeanDefinitionStoreException: Invalid bean definition with name 'dataSource'",
        "Caused by: java.lang.IllegalArgumentException: Could not resolve placeholder 'TARIFF_DB_URL' in value \"${TARIFF_DB_URL}\"",
    )


@tale("quotes keeps crashing", "Deployment/freight/quotes", "missing-env-var")
def pydantic_settings(world: World) -> None:
    crash(
        world,
        deployed(world, "quotes"),
        1,
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings",
        "tariff_db_url",
        "  Field required [type=missing, input_value={}, input_type=dict]",
        "    For further information visit https://errors.pydantic.dev/2.9/v/missing",
    )


# --- probes
@tale("portal isn't getting traffic, pods 0/1", "Deployment/freight/portal", "readiness-probe-wrong-port")
def probe_names_a_port_that_no_container_has(world: World) -> None:
    d = deployed(world, "portal")
    everywhere(world, d, containers=[{**box(d), "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http-web"}}}])
    not_ready(world, d, "")
    world.objects[:] = [
        o
        for o in world.objects
        if not (o["kind"] == "Event" and o["reason"] == "Unhealthy" and o["involvedObject"]["name"].startswith("portal"))
    ]
    for p in world.pods(d):
        world.event(
            p,
            "Unhealthy",
            'Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing "http-web": invalid syntax',
            count=50,
        )


@tale("why does broker restart all the time", "StatefulSet/freight/broker", "liveness-probe-kills")
def exec_probe_times_out(world: World) -> None:
    d = stateful(world, "broker")
    everywhere(
        world,
        d,
        containers=[{**box(d), "livenessProbe": {"exec": {"command": ["rabbitmq-diagnostics", "status"]}, "timeoutSeconds": 1}}],
    )
    killed(world, d, 'command timed out: "rabbitmq-diagnostics status" timed out after 1s')


@tale(
    "dispatch pods never become ready",
    "Deployment/freight/dispatch",
    "readiness-probe-wrong-port",
    "readiness-probe-failing",
    "probe-wrong-scheme",
    mention=("HTTPS",),
)
def probe_speaks_tls_to_a_plain_port(world: World) -> None:
    d = deployed(world, "dispatch")
    everywhere(
        world, d, containers=[{**box(d), "readinessProbe": {"httpGet": {"path": "/healthz", "port": "main", "scheme": "HTTPS"}}}]
    )
    not_ready(world, d, 'Get "https://10.244.0.31:8080/healthz": http: server gave HTTP response to HTTPS client')


@tale(
    "dispatch pods never become ready",
    "Deployment/freight/dispatch",
    "readiness-probe-wrong-path",
    "readiness-probe-failing",
    "readiness-probe-wrong-port",
)
def probe_is_unauthorized(world: World) -> None:
    not_ready(world, deployed(world, "dispatch"), "HTTP probe failed with statuscode: 401")


@tale("why does quotes restart?", "StatefulSet/freight/tariff-db", "oom-killed")
def liveness_asks_the_database(world: World) -> None:
    db = stateful(world, "tariff-db")
    crash(world, db, 137, "LOG:  database system was interrupted", reason="OOMKilled", minutes=14)
    d = deployed(world, "quotes")
    killed(world, d, "HTTP probe failed with statuscode: 503", minutes=12)
    say(
        world,
        d,
        *[
            'level=error msg="health: database check failed" err="dial tcp 10.96.3.9:5432: connect: connection refused" host=tariff-db:5432'
        ]
        * 12,
        minutes=9,
    )


@tale("portal down since release", "Deployment/freight/portal", "listens-on-loopback")
def app_binds_to_loopback_only(world: World) -> None:
    d = deployed(world, "portal")
    not_ready(world, d, 'Get "http://10.244.0.14:8080/healthz": dial tcp 10.244.0.14:8080: connect: connection refused')
    say(
        world,
        d,
        "  ➜  Local:   http://127.0.0.1:8080/",
        "INFO:     Uvicorn running on http://127.0.0.1:8080 (Press CTRL+C to quit)",
        minutes=10,
    )
