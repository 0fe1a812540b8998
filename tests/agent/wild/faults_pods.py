"""Faults of pods, containers, images, configuration and probes, in the words of several kubelets and runtimes."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from tests.agent.builders import ago
from tests.agent.wild.breaking import (
    box,
    crash,
    deployment,
    down,
    everywhere,
    fault,
    killed,
    not_ready,
    reborn,
    released,
    stuck,
    talk,
)
from tests.agent.wild.world import World, template_of, terminated, unready

IMAGE = "registry.example.com/web:1.4.2"


def pulled(world: World, space: str, words: str, *, image: str = IMAGE, workload: str = "web") -> None:
    stuck(world, deployment(world, space, workload), "ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {words}',
          events=(("Failed", f'Failed to pull image "{image}": {words}'), ("Failed", "Error: ErrImagePull"), ("BackOff", f'Back-off pulling image "{image}"'), ("Failed", "Error: ImagePullBackOff")))  # fmt: skip


@fault("Deployment/web", "image-tag-not-found")
def tag_gone_containerd(world: World, space: str) -> None:
    pulled(
        world,
        space,
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found',
    )


@fault("Deployment/web", "image-tag-not-found")
def tag_gone_crio(world: World, space: str) -> None:
    pulled(
        world,
        space,
        "unable to pull image or OCI artifact: pull image err: initializing source docker://registry.example.com/web:1.4.2: reading manifest 1.4.2 in registry.example.com/web: manifest unknown; artifact err: get manifest: build image source: reading manifest 1.4.2: manifest unknown",
    )


@fault("Deployment/web", "image-tag-not-found")
def digest_gone(world: World, space: str) -> None:
    pulled(
        world,
        space,
        'failed to pull and unpack image "registry.example.com/web@sha256:0a1": failed to resolve reference "registry.example.com/web@sha256:0a1": registry.example.com/web@sha256:0a1: not found',
    )


@fault("Deployment/web", "image-pull-unauthorized", "image-tag-not-found")
def docker_hub_has_no_such_repository(world: World, space: str) -> None:
    pulled(
        world,
        space,
        'failed to pull and unpack image "docker.io/acme/web:1": failed to resolve reference "docker.io/acme/web:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
    )


@fault("Deployment/web", "image-pull-unauthorized")
def acr_refuses(world: World, space: str) -> None:
    pulled(
        world,
        space,
        'failed to pull and unpack image "acme.azurecr.io/web:1": failed to resolve reference "acme.azurecr.io/web:1": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://acme.azurecr.io/oauth2/token?scope=repository%3Aweb%3Apull: 401 Unauthorized',
    )


@fault("Deployment/web", "image-pull-unauthorized")
def artifact_registry_refuses(world: World, space: str) -> None:
    pulled(
        world,
        space,
        'failed to pull and unpack image "europe-docker.pkg.dev/p/r/web:1": failed to resolve reference: failed to authorize: denied: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/p/locations/europe/repositories/r" (or it may not exist)',
    )


@fault("Deployment/web", "image-pull-unauthorized")
def ecr_refuses_crio(world: World, space: str) -> None:
    pulled(
        world,
        space,
        "initializing source docker://1234.dkr.ecr.eu-west-1.amazonaws.com/web:1: unable to retrieve auth token: invalid username/password: unauthorized: authentication required",
    )


@fault("Deployment/web", "image-pull-unauthorized", "image-pull-secret-missing")
def pull_secret_is_missing(world: World, space: str) -> None:
    everywhere(world, deployment(world, space, "web"), imagePullSecrets=[{"name": "regcred"}])
    pulled(
        world,
        space,
        f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": unexpected status from HEAD request to https://registry.example.com/v2/web/manifests/1.4.2: 401 Unauthorized',
    )
    for pod in world.pods(deployment(world, space, "web")):
        world.event(
            pod,
            "FailedToRetrieveImagePullSecret",
            "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.",
        )


@fault("Deployment/web", "image-rate-limited")
def docker_hub_limits(world: World, space: str) -> None:
    pulled(
        world,
        space,
        'failed to pull and unpack image "docker.io/library/web:1": failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/web/manifests/sha256:1: 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit',
    )


@fault("Deployment/web", "image-wrong-architecture")
def no_build_for_arm_containerd(world: World, space: str) -> None:
    pulled(
        world,
        space,
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{IMAGE}": no match for platform in manifest: not found',
    )


@fault("Deployment/web", "image-wrong-architecture")
def no_build_for_arm_crio(world: World, space: str) -> None:
    pulled(
        world,
        space,
        'choosing an image from manifest list docker://registry.example.com/web:1.4.2: no image found in image index for architecture "arm64", variant "v8", OS "linux"',
    )


@fault("Deployment/web", "registry-unreachable")
def registry_name_does_not_resolve(world: World, space: str) -> None:
    pulled(
        world,
        space,
        f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": failed to do request: Head "https://registry.example.com/v2/web/manifests/1.4.2": dial tcp: lookup registry.example.com on 169.254.25.10:53: no such host',
    )


@fault("Deployment/web", "registry-unreachable")
def registry_speaks_no_tls(world: World, space: str) -> None:
    pulled(
        world,
        space,
        f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": failed to do request: Head "https://registry.example.com/v2/web/manifests/1.4.2": http: server gave HTTP response to HTTPS client',
    )


@fault("Deployment/web", "image-pull-disk-full", "node-pressure")
def no_room_to_unpack(world: World, space: str) -> None:
    pulled(
        world,
        space,
        f'failed to pull and unpack image "{IMAGE}": failed to extract layer sha256:1: write /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/77/fs/x: no space left on device',
    )


@fault("Deployment/web", "invalid-image-name")
def image_name_with_a_template_left_in(world: World, space: str) -> None:
    stuck(world, deployment(world, space, "web"), "InvalidImageName", 'Failed to apply default image tag "registry.example.com/web:": couldn\'t parse image name "registry.example.com/web:": invalid reference format',
          events=(("InspectFailed", 'Failed to apply default image tag "registry.example.com/web:": couldn\'t parse image name "registry.example.com/web:": invalid reference format'),))  # fmt: skip


@fault("Deployment/web", "image-wrong-architecture")
def built_for_another_machine(world: World, space: str) -> None:
    crash(world, deployment(world, space, "web"), 255, "exec /usr/local/bin/web: exec format error")


@fault("StatefulSet/cache", "image-tag-not-found")
def stateful_set_rolls_to_a_tag_that_is_gone(world: World, space: str) -> None:
    owner = world.get("StatefulSet", space, "cache")
    owner["status"] |= {"updateRevision": "cache-new", "readyReplicas": 2, "availableReplicas": 2, "updatedReplicas": 1}
    pod = world.get("Pod", space, "cache-2")
    owner["spec"]["template"]["spec"]["containers"][0]["image"] = "redis:9.9"
    pod["metadata"] |= {"creationTimestamp": ago(12)}
    pod["metadata"]["labels"]["controller-revision-hash"] = "cache-new"
    pod["status"] |= {"phase": "Pending", "startTime": ago(12)}
    pod["spec"]["containers"][0]["image"] = "redis:9.9"
    pod["status"]["containerStatuses"] = [
        {
            "name": "cache",
            "ready": False,
            "restartCount": 0,
            "image": "redis:9.9",
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "redis:9.9"'}},
        }
    ]
    unready(pod, 12)
    world.event(
        pod,
        "Failed",
        'Failed to pull image "redis:9.9": rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/redis:9.9": failed to resolve reference "docker.io/library/redis:9.9": docker.io/library/redis:9.9: not found',
        container="cache",
    )


@fault("Job/prune-1", "image-tag-not-found", asks="prune")
def cron_run_cannot_pull(world: World, space: str) -> None:
    cron = world.make(
        "CronJob",
        "prune",
        space,
        api="batch/v1",
        spec={"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": template_of("prune", {})}}},
        status={"active": [{"name": "prune-1"}], "lastScheduleTime": ago(20)},
    )
    job = world.job("prune-1", space, owner=cron, minutes=20, state="Running")
    stuck(
        world,
        job,
        "ErrImagePull",
        'rpc error: code = NotFound desc = failed to pull and unpack image "registry.example.com/prune:1.4.2": failed to resolve reference: registry.example.com/prune:1.4.2: not found',
        minutes=20,
    )


@fault("Secret/orders-db", "secret-missing", asks="orders")
def secret_was_deleted(world: World, space: str) -> None:
    world.objects.remove(world.get("Secret", space, "orders-db"))
    stuck(
        world,
        deployment(world, space, "orders"),
        "CreateContainerConfigError",
        'secret "orders-db" not found',
        events=(("Failed", 'Error: secret "orders-db" not found'),),
    )


@fault("Secret/orders-db", "secret-key-missing", asks="orders")
def secret_lost_a_key(world: World, space: str) -> None:
    world.get("Secret", space, "orders-db")["data"] = {"user": ""}
    words = f"couldn't find key password in Secret {space}/orders-db"
    stuck(world, deployment(world, space, "orders"), "CreateContainerConfigError", words, events=(("Failed", f"Error: {words}"),))


@fault("ConfigMap/proxy-conf", "configmap-missing", asks="catalog")
def mounted_config_is_not_there(world: World, space: str) -> None:
    one = deployment(world, space, "catalog")
    everywhere(world, one, volumes=[{"name": "conf", "configMap": {"name": "proxy-conf", "defaultMode": 420}}])
    stuck(
        world,
        one,
        "ContainerCreating",
        "",
        events=(("FailedMount", 'MountVolume.SetUp failed for volume "conf" : configmap "proxy-conf" not found'),),
    )


@fault("ConfigMap/settings", "configmap-key-missing", asks="catalog")
def mounted_key_is_not_there(world: World, space: str) -> None:
    one = deployment(world, space, "catalog")
    everywhere(
        world,
        one,
        volumes=[{"name": "conf", "configMap": {"name": "settings", "items": [{"key": "nginx.conf", "path": "nginx.conf"}]}}],
    )
    stuck(
        world,
        one,
        "ContainerCreating",
        "",
        events=(
            (
                "FailedMount",
                'MountVolume.SetUp failed for volume "conf" : configmap references non-existent config key: nginx.conf',
            ),
        ),
    )


@fault("Secret/queue-auth", "secret-missing", asks="node-agent")
def daemon_set_wants_a_secret(world: World, space: str) -> None:
    one = world.daemon_set("node-agent", space, envFrom=None, box={"envFrom": [{"secretRef": {"name": "queue-auth"}}]})
    stuck(
        world,
        one,
        "CreateContainerConfigError",
        'secret "queue-auth" not found',
        events=(("Failed", 'Error: secret "queue-auth" not found'),),
    )


@fault("Deployment/web", "oom-killed")
def out_of_memory_between_restarts(world: World, space: str) -> None:
    for pod in crash(world, deployment(world, space, "web"), 137, reason="OOMKilled", up=True, minutes=30):
        pod["status"]["containerStatuses"][0]["ready"] = True


@fault("Deployment/bookings", "oom-killed")
def sidecar_out_of_memory(world: World, space: str) -> None:
    one = world.deployment(
        "bookings",
        space,
        service=80,
        more=[{"name": "shipper", "image": "fluent-bit:4", "resources": {"limits": {"memory": "32Mi"}}}],
    )
    for pod in world.pods(one):
        pod["status"]["containerStatuses"][1] |= {
            "ready": False,
            "restartCount": 9,
            "lastState": terminated(137, "OOMKilled", minutes=1),
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        }
        unready(pod, 30)
    down(world, one)


@fault("Deployment/web", "command-not-found")
def entrypoint_is_missing_containerd(world: World, space: str) -> None:
    words = 'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "gunicron": executable file not found in $PATH: unknown'
    crash(world, deployment(world, space, "web"), 128, reason="StartError", message=words)


@fault("Deployment/web", "command-not-found")
def entrypoint_is_missing_crio(world: World, space: str) -> None:
    words = 'container create failed: runc create failed: unable to start container process: error during container init: exec: "/app/serve": stat /app/serve: no such file or directory'
    stuck(world, deployment(world, space, "web"), "CreateContainerError", words, events=(("Failed", f"Error: {words}"),))


@fault("Deployment/web", "command-not-found")
def script_with_windows_line_ends(world: World, space: str) -> None:
    crash(world, deployment(world, space, "web"), 127, "exec /docker-entrypoint.sh: no such file or directory")


@fault("Deployment/web", "entrypoint-not-executable")
def entrypoint_may_not_be_run(world: World, space: str) -> None:
    words = 'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "/app/run.sh": permission denied: unknown'
    stuck(world, deployment(world, space, "web"), "RunContainerError", words, events=(("Failed", f"Error: {words}"),))


@fault("Deployment/web", "run-as-non-root")
def image_user_has_a_name(world: World, space: str) -> None:
    words = 'container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root (pod: "web", container: web)'
    stuck(world, deployment(world, space, "web"), "CreateContainerConfigError", words, events=(("Failed", f"Error: {words}"),))


@fault("Deployment/web", "lifecycle-hook-failing")
def post_start_hook_fails(world: World, space: str) -> None:
    for pod in crash(world, deployment(world, space, "web"), 137, reason="Error"):
        world.event(pod, "FailedPostStartHook", "PostStartHook failed", container="web")


@fault("Deployment/web", "missing-env-var")
def node_says_what_it_lacks(world: World, space: str) -> None:
    crash(
        world,
        deployment(world, space, "web"),
        1,
        "/app/config.js:12",
        "Error: Missing required environment variable: STRIPE_KEY",
        "    at load (/app/config.js:12:9)",
        "Node.js v22.15.0",
    )


@fault("Deployment/web", "wrong-arguments")
def unknown_flag(world: World, space: str) -> None:
    crash(
        world,
        deployment(world, space, "web"),
        2,
        "flag provided but not defined: -enable-cache",
        "Usage of /web:",
        "  -listen string",
    )


@fault("Deployment/web", "port-not-bindable")
def port_is_taken_within_the_pod(world: World, space: str) -> None:
    crash(world, deployment(world, space, "web"), 1, "starting web", "panic: listen tcp :8080: bind: address already in use")


@fault("Deployment/web", "port-not-bindable")
def low_port_without_the_right(world: World, space: str) -> None:
    crash(world, deployment(world, space, "web"), 1, "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)")


@fault("Deployment/web", "configuration-invalid", "file-missing")
def config_file_is_not_mounted(world: World, space: str) -> None:
    crash(
        world,
        deployment(world, space, "web"),
        1,
        'level=fatal msg="cannot load config" error="open /etc/web/config.yaml: no such file or directory"',
    )


@fault("Deployment/web", "read-only-filesystem")
def root_filesystem_is_read_only(world: World, space: str) -> None:
    everywhere(world, deployment(world, space, "web"))
    box(deployment(world, space, "web"))["securityContext"] = {"readOnlyRootFilesystem": True}
    crash(world, deployment(world, space, "web"), 1, "OSError: [Errno 30] Read-only file system: '/tmp/web.pid'")


@fault("Deployment/web", "liveness-probe-kills")
def liveness_times_out(world: World, space: str) -> None:
    killed(
        world,
        deployment(world, space, "web"),
        'Get "http://10.244.0.9:8080/live": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        code=137,
    )


@fault("Deployment/web", "liveness-probe-kills")
def liveness_exec_fails_and_the_program_exits_one(world: World, space: str) -> None:
    killed(world, deployment(world, space, "web"), "", code=1)


@fault("DaemonSet/node-agent", "startup-probe-too-short")
def daemon_set_starts_too_slowly(world: World, space: str) -> None:
    one = world.daemon_set(
        "node-agent",
        space,
        box={"startupProbe": {"httpGet": {"path": "/", "port": 8080}, "failureThreshold": 3, "periodSeconds": 5}},
    )
    killed(world, one, "HTTP probe failed with statuscode: 503", kind="Startup", code=143)


@fault("Deployment/web", "readiness-probe-wrong-port")
def readiness_asks_a_port_that_nobody_serves(world: World, space: str) -> None:
    one = deployment(world, space, "web")
    box(one)["readinessProbe"] = {"httpGet": {"path": "/ready", "port": 9090}}
    for pod in world.pods(one):
        pod["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/ready", "port": 9090}}
    talk(world, one, "Tomcat started on port 8080 (http) with context path '/'", minutes=9)
    not_ready(world, one, 'Get "http://10.244.0.9:9090/ready": dial tcp 10.244.0.9:9090: connect: connection refused')


@fault("Deployment/web", "readiness-probe-wrong-path")
def readiness_asks_a_path_that_is_not_there(world: World, space: str) -> None:
    not_ready(world, deployment(world, space, "web"), "HTTP probe failed with statuscode: 404")


@fault("Pod/kube-apiserver-node-1", "wrong-arguments", asks="kube-apiserver")
def static_pod_crashes(world: World, space: str) -> None:
    try:
        pod = world.get("Pod", "kube-system", "kube-apiserver-node-1")
    except StopIteration:
        pod = world.pod(
            None,
            name="kube-apiserver-node-1",
            space="kube-system",
            node=world.nodes[0],
            labels={"component": "kube-apiserver"},
            image="registry.k8s.io/kube-apiserver:v1.33.4",
        )
        pod["metadata"]["ownerReferences"] = [{"kind": "Node", "name": "node-1", "controller": True, "apiVersion": "v1"}]
    one = pod["status"]["containerStatuses"][0]
    one |= {
        "ready": False,
        "restartCount": 12,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": terminated(1, minutes=1),
    }
    unready(pod, 12)
    world.log(pod, "Error: unknown flag: --feature-gate", minutes=1)


@fault("Deployment/ledger", "init-container-failing", "database-schema-mismatch", "migration-failed")
def migration_in_an_init_container_fails(world: World, space: str) -> None:
    one = world.deployment(
        "ledger", space, service=80, initContainers=[{"name": "migrate", "image": "registry.example.com/ledger:1.4.2"}]
    )
    for pod in reborn(world, one):
        pod["status"]["initContainerStatuses"] = [
            {
                "name": "migrate",
                "ready": False,
                "started": False,
                "restartCount": 5,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": terminated(1, minutes=2),
            }
        ]
        pod["status"]["containerStatuses"][0] |= {
            "ready": False,
            "started": False,
            "state": {"waiting": {"reason": "PodInitializing"}},
        }
        pod["status"]["phase"] = "Pending"
        unready(pod, 10)
        world.log(
            pod,
            "Flyway Community Edition 11.8",
            "ERROR: Validate failed: Migrations have failed validation",
            "Migration checksum mismatch for migration version 14",
            container="migrate",
            minutes=2,
        )
    down(world, one)


@fault("Deployment/ledger", "wrong-service-name", "init-container-waits")
def init_container_waits_for_a_name_that_is_not_there(world: World, space: str) -> None:
    one = world.deployment(
        "ledger",
        space,
        service=80,
        initContainers=[
            {
                "name": "wait",
                "image": "busybox:1.37",
                "command": ["sh", "-c", "until nc -z ledger-db 5432; do echo waiting for ledger-db; sleep 2; done"],
            }
        ],
    )
    for pod in reborn(world, one, 25):
        pod["status"]["initContainerStatuses"] = [
            {"name": "wait", "ready": False, "started": True, "restartCount": 0, "state": {"running": {"startedAt": ago(24)}}}
        ]
        pod["status"]["containerStatuses"][0] |= {
            "ready": False,
            "started": False,
            "state": {"waiting": {"reason": "PodInitializing"}},
        }
        pod["status"]["phase"] = "Pending"
        unready(pod, 25)
        world.log(pod, *["nc: bad address 'ledger-db'", "waiting for ledger-db"] * 20, container="wait")
    down(world, one)


@fault("Deployment/web", "bad-release")
def release_panics_and_the_old_pods_serve(world: World, space: str) -> None:
    one = deployment(world, space, "web")
    for pod in released(world, one, image="registry.example.com/web:1.5.0"):
        pod["status"]["containerStatuses"] = [
            {
                "name": "web",
                "ready": False,
                "restartCount": 6,
                "image": "registry.example.com/web:1.5.0",
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 2m40s"}},
                "lastState": terminated(2, minutes=1),
            }
        ]
        unready(pod, 9)
        world.log(
            pod,
            "panic: runtime error: invalid memory address or nil pointer dereference",
            "goroutine 1 [running]:",
            "main.main()",
            previous=True,
            minutes=1,
        )
    one["status"] |= {"unavailableReplicas": 1, "replicas": 4}
