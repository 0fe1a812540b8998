"""What programs say as they fail, several faults at once, and nothing wrong at all."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from collections.abc import Sequence
from typing import Any

from tests.agent.wild.breaking import box, crash, everywhere, stuck, unscheduled
from tests.agent.wild.strangers import FREIGHT, deployed, over_time, served, stateful, tale
from tests.agent.wild.world import World, running, said, terminated


def app(
    name: str, asks: str, who: str, *causes: str, lines: Sequence[str] = (), code: int = 1, crashes: bool = True,
    target: str = "quotes", **rest: Any,
) -> None:  # fmt: skip
    """A program that ends over these words, or says them again and again while it runs."""

    def make(world: World) -> None:
        kind = "StatefulSet" if target in ("tariff-db", "broker") else "Deployment"
        one = world.get(kind, FREIGHT, target)
        if crashes:
            crash(world, one, code, *lines)
        else:
            over_time(world, one, *served(30), *(line for _ in range(60 // len(lines)) for line in lines), start=40)

    make.__name__ = name
    tale(asks, who, *causes, **rest)(make)


WHY = "why is quotes failing?"
QUOTES = "Deployment/freight/quotes"
app(
    "hikari_pool",
    WHY,
    QUOTES,
    "connection-pool-exhausted",
    crashes=False,
    lines=[
        "2026 ERROR o.h.e.jdbc.spi.SqlExceptionHelper : HikariPool-1 - Connection is not available, request timed out after 30001ms (total=10, active=10, idle=0, waiting=42)"
    ],
)
app(
    "statement_timeout",
    WHY,
    QUOTES,
    "queries-too-slow",
    "application-error",
    crashes=False,
    lines=['level=error msg="query failed" err="ERROR: canceling statement due to statement timeout (SQLSTATE 57014)"'],
)
app(
    "third_party_429",
    "why do orders of labels fail in quotes",
    QUOTES,
    "rate-limited-by-peer",
    crashes=False,
    lines=[
        'level=error msg="carrier call failed" url=https://api.carrier.example.net/v2/rates status=429 body="Too Many Requests"'
    ],
)
app(
    "third_party_503",
    WHY,
    QUOTES,
    "external-dependency-failing",
    crashes=False,
    lines=['level=error msg="carrier call failed" url=https://api.carrier.example.net/v2/rates err="503 Service Unavailable"'],
)
app(
    "third_party_token_expired",
    WHY,
    QUOTES,
    "credentials-refused",
    crashes=False,
    lines=[
        'level=error msg="carrier call failed" url=https://api.carrier.example.net/v2/rates status=401 body="{\\"error\\":\\"invalid_token\\",\\"error_description\\":\\"The access token expired\\"}"'
    ],
)
app(
    "kafka_topic_missing",
    WHY,
    QUOTES,
    "queue-or-bucket-missing",
    "application-error",
    crashes=False,
    lines=["org.apache.kafka.common.errors.TimeoutException: Topic tariff-updates not present in metadata after 60000 ms."],
)
app(
    "elasticsearch_vm_max_map",
    "why is broker down",
    "StatefulSet/freight/broker",
    "node-setting-too-low",
    target="broker",
    code=78,
    lines=[
        "ERROR: [1] bootstrap checks failed. You must address the points described in the following [1] lines before starting Elasticsearch.",
        "bootstrap check failure [1] of [1]: max virtual memory areas vm.max_map_count [65530] is too low, increase to at least [262144]",
    ],
)
app(
    "redis_maxmemory",
    WHY,
    QUOTES,
    "server-refuses-writes",
    crashes=False,
    lines=['level=error msg="cache write" err="OOM command not allowed when used memory > \'maxmemory\'."'],
)
app(
    "redis_misconf",
    WHY,
    QUOTES,
    "disk-full",
    "server-limit-reached",
    "server-refuses-writes",
    "application-error",
    crashes=False,
    lines=[
        'level=error msg="cache write" err="MISCONF Redis is configured to save RDB snapshots, but it\'s currently unable to persist to disk. Commands that may modify the data set are disabled"'
    ],
)
app(
    "postgres_shm",
    "why does tariff-db fail queries",
    "StatefulSet/freight/tariff-db",
    "shared-memory-too-small",
    crashes=False,
    target="tariff-db",
    lines=[
        '2026-05-04 11:50:00 UTC [99] ERROR:  could not resize shared memory segment "/PostgreSQL.1804289383" to 67108864 bytes: No space left on device'
    ],
)
app(
    "postgres_major_version",
    "tariff-db down after upgrade",
    "StatefulSet/freight/tariff-db",
    "data-version-mismatch",
    target="tariff-db",
    lines=[
        "2026-05-04 11:50:00 UTC [1] FATAL:  database files are incompatible with server",
        "2026-05-04 11:50:00 UTC [1] DETAIL:  The data directory was initialized by PostgreSQL version 15, which is not compatible with this version 16.4 (Debian 16.4-1.pgdg120+1).",
    ],
)
app(
    "mysql_host_blocked",
    WHY,
    QUOTES,
    "credentials-refused",
    "server-limit-reached",
    "application-error",
    crashes=False,
    lines=[
        "ERROR 1129 (HY000): Host '10.244.0.8' is blocked because of many connection errors; unblock with 'mysqladmin flush-hosts'"
    ],
)
app(
    "node_heap",
    WHY,
    QUOTES,
    "heap-exhausted",
    code=134,
    lines=["<--- Last few GCs --->", "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"],
)
app(
    "gunicorn_timeout",
    WHY,
    QUOTES,
    "application-error",
    crashes=False,
    lines=["[2026-05-04 11:50:00 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:31)"],
)
app(
    "nginx_worker_connections",
    "why portal slow/erroring",
    "Deployment/freight/portal",
    "server-limit-reached",
    "too-many-open-files",
    crashes=False,
    target="portal",
    lines=["2026/05/04 11:50:00 [alert] 31#31: 1024 worker_connections are not enough"],
)
app("inotify_limit", WHY, QUOTES, "too-many-open-files", lines=["panic: failed to create fsnotify watcher: too many open files"])
app(
    "native_thread",
    WHY,
    QUOTES,
    "process-limit-reached",
    lines=[
        "java.lang.OutOfMemoryError: unable to create native thread: possibly out of memory or process/resource limits reached"
    ],
)
app(
    "liquibase_lock",
    WHY,
    QUOTES,
    "database-locks",
    "migration-lock-held",
    lines=[
        "liquibase.exception.LockException: Could not acquire change log lock.  Currently locked by quotes-7d9f-x (10.244.0.7) since 5/3/26, 11:00 PM"
    ],
)
app(
    "flyway_checksum",
    WHY,
    QUOTES,
    "database-schema-mismatch",
    "migration-failed",
    lines=[
        "org.flywaydb.core.api.exception.FlywayValidateException: Validate failed: Migrations have failed validation",
        "Migration checksum mismatch for migration version 12",
    ],
)
app(
    "prisma_p1001",
    WHY,
    QUOTES,
    "wrong-database-port",
    "calls-failing",
    "outbound-connections-failing",
    "wrong-service-name",
    lines=["PrismaClientInitializationError: Can't reach database server at `tarif-db`:`5432`"],
)
app(
    "aws_no_credentials",
    WHY,
    QUOTES,
    "workload-identity-refused",
    "cloud-credentials-missing",
    lines=["botocore.exceptions.NoCredentialsError: Unable to locate credentials"],
)
app(
    "ipv6_socket",
    "portal does not start",
    "Deployment/freight/portal",
    "port-not-bindable",
    target="portal",
    lines=["2026/05/04 11:50:00 [emerg] 1#1: socket() [::]:8080 failed (97: Address family not supported by protocol)"],
)
app(
    "rails_pid_file",
    WHY,
    QUOTES,
    "data-locked",
    lines=["=> Booting Puma", "A server is already running (pid: 1, file: /app/tmp/pids/server.pid).", "Exiting"],
)
app(
    "db_path_in_use",
    "tariff-db restarts",
    "StatefulSet/freight/tariff-db",
    "data-locked",
    target="tariff-db",
    code=100,
    lines=[
        '{"t":{"$date":"2026-05-04T11:50:00"},"s":"E","c":"STORAGE","msg":"DBException in initAndListen, terminating","attr":{"error":"DBPathInUse: Unable to lock the lock file: /data/db/mongod.lock (Resource temporarily unavailable). Another mongod instance is already running on the /data/db directory"}}'
    ],
)
app(
    "prometheus_lock",
    "tariff-db restarts",
    "StatefulSet/freight/tariff-db",
    "data-locked",
    target="tariff-db",
    lines=[
        'level=error caller=main.go msg="Failed to open TSDB" err="opening storage failed: lock DB directory: resource temporarily unavailable"'
    ],
)
app(
    "vault_sealed",
    WHY,
    QUOTES,
    "secret-store-not-ready",
    "external-dependency-failing",
    "application-error",
    crashes=False,
    lines=[
        'level=error msg="read secret" err="Error making API request. URL: GET https://vault.vault:8200/v1/kv/data/quotes Code: 503. Errors: * Vault is sealed"'
    ],
)
app(
    "unsupported_class_version",
    WHY,
    QUOTES,
    "bad-release",
    "library-missing",
    "crash-loop",
    lines=[
        'Exception in thread "main" java.lang.UnsupportedClassVersionError: com/acme/Quotes has been compiled by a more recent version of the Java Runtime (class file version 65.0), this version of the Java Runtime only recognizes class file versions up to 61.0'
    ],
)
app(
    "glibc_too_old",
    WHY,
    QUOTES,
    "library-missing",
    "bad-release",
    lines=["/app/quotes: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /app/quotes)"],
)
app(
    "shared_library_missing",
    WHY,
    QUOTES,
    "library-missing",
    "file-missing",
    code=127,
    lines=[
        "/app/quotes: error while loading shared libraries: libpq.so.5: cannot open shared object file: No such file or directory"
    ],
)
app(
    "python_module_missing",
    WHY,
    QUOTES,
    "bad-release",
    "library-missing",
    lines=[
        "Traceback (most recent call last):",
        '  File "/app/main.py", line 3, in <module>',
        "ModuleNotFoundError: No module named 'httpx'",
    ],
)
app(
    "node_module_missing",
    WHY,
    QUOTES,
    "bad-release",
    "library-missing",
    lines=["Error: Cannot find module 'express'", "Require stack:", "- /app/server.js", "    code: 'MODULE_NOT_FOUND'"],
)
app("encryption_key_missing", WHY, QUOTES, "missing-env-var", lines=["KeyError: 'TARIFF_SIGNING_KEY'"])
app(
    "env_required_go",
    WHY,
    QUOTES,
    "missing-env-var",
    lines=['{"level":"fatal","msg":"env: required environment variable \\"TARIFF_SIGNING_KEY\\" is not set"}'],
)
app("zod_env", WHY, QUOTES, "missing-env-var", lines=["❌ Invalid environment variables: { TARIFF_SIGNING_KEY: [ 'Required' ] }"])
app(
    "dotnet_option",
    WHY,
    QUOTES,
    "missing-env-var",
    "configuration-invalid",
    lines=["Unhandled exception. System.InvalidOperationException: Section 'Tariff:SigningKey' not found in configuration."],
)
app(
    "oauth_clock",
    WHY,
    QUOTES,
    "workload-clock-off",
    crashes=False,
    lines=['level=error msg="auth failed" err="token used before issued: iat is in the future by 4m12s"'],
)
app(
    "mongo_not_primary",
    WHY,
    QUOTES,
    "server-refuses-writes",
    "application-error",
    crashes=False,
    lines=['level=error msg="write failed" err="(NotWritablePrimary) not primary"'],
)
app(
    "postgres_read_only",
    WHY,
    QUOTES,
    "server-refuses-writes",
    crashes=False,
    lines=['level=error msg="write failed" err="ERROR: cannot execute INSERT in a read-only transaction (SQLSTATE 25006)"'],
)
app(
    "rabbit_memory_alarm",
    "why are labels-worker publishes blocked",
    "",
    "server-limit-reached",
    "disk-full",
    crashes=False,
    target="broker",
    lines=[
        "2026-05-04 11:50:00.000 [warning] <0.343.0> *** Publishers will be blocked until this alarm clears ***",
        "2026-05-04 11:50:00.000 [warning] <0.343.0> memory resource limit alarm set on node rabbit@broker-0.",
    ],
)
app(
    "es_flood_stage",
    WHY,
    QUOTES,
    "disk-full",
    "server-refuses-writes",
    crashes=False,
    lines=[
        'level=error msg="index failed" err="cluster_block_exception: index [tariffs] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];"'
    ],
)
app(
    "license_expired",
    WHY,
    QUOTES,
    "application-error",
    "crash-loop",
    lines=["FATAL: license expired on 2026-05-03, please contact sales"],
)
app(
    "smtp_relay_refused",
    WHY,
    QUOTES,
    "credentials-refused",
    "external-dependency-failing",
    "application-error",
    crashes=False,
    lines=['level=error msg="mail not sent" err="550 5.7.1 Relaying denied" server=smtp.example.net:587'],
)
app(
    "s3_no_such_bucket",
    WHY,
    QUOTES,
    "external-dependency-failing",
    "queue-or-bucket-missing",
    "application-error",
    crashes=False,
    lines=[
        'level=error msg="upload failed" err="operation error S3: PutObject, https response error StatusCode: 404, NoSuchBucket: The specified bucket does not exist"'
    ],
)
app(
    "grpc_unimplemented",
    "dispatch errors since quotes release",
    "",
    "application-error",
    crashes=False,
    target="dispatch",
    lines=[
        'level=error msg="rpc failed" err="rpc error: code = Unimplemented desc = unknown method PriceV2 for service quotes.Quotes"'
    ],
)
app(
    "conn_refused_localhost",
    WHY,
    QUOTES,
    "wrong-service-name",
    "calls-failing",
    "dependency-on-localhost",
    lines=["Error: connect ECONNREFUSED 127.0.0.1:5432", "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1494:16)"],
    outcome="fault",
)
app(
    "exec_user_process_shebang",
    WHY,
    QUOTES,
    "entrypoint-not-executable",
    "command-not-found",
    "image-wrong-architecture",
    code=255,
    lines=["exec /entrypoint.sh: no such file or directory"],
)
app(
    "jvm_option",
    WHY,
    QUOTES,
    "wrong-arguments",
    lines=["Unrecognized VM option 'UseConcMarkSweepGC'", "Error: Could not create the Java Virtual Machine."],
)
app(
    "dns_search_ext",
    WHY,
    QUOTES,
    "wrong-service-name",
    "external-name-unresolved",
    "workload-lookups-failing",
    "external-dependency-failing",
    crashes=False,
    lines=[
        'level=error msg="carrier call failed" err="Get \\"https://api.carier.example.net/v2\\": dial tcp: lookup api.carier.example.net on 10.96.0.10:53: no such host"'
    ],
)
app(
    "panic_after_release",
    "quotes crashes since we deployed 1.5",
    QUOTES,
    "bad-release",
    "crash-loop",
    "application-error",
    lines=["panic: runtime error: index out of range [3] with length 3"],
    outcome="",
)


# --- retry storm / herd / multi
@tale(
    "what is wrong in namespace freight?",
    "",
    "secret-missing",
    also=("secret-missing", "image-tag-not-found"),
)
def two_independent_faults(world: World) -> None:
    d = deployed(world, "portal-admin")
    b = {**box(d), "envFrom": [{"secretRef": {"name": "admin-auth"}}]}
    everywhere(world, d, containers=[b])
    stuck(
        world,
        d,
        "CreateContainerConfigError",
        'secret "admin-auth" not found',
        events=(("Failed", 'Error: secret "admin-auth" not found'),),
    )
    img = "registry.example.com/labels-worker:2.0.0"
    e = deployed(world, "labels-worker")
    box(e)["image"] = img
    for p in world.pods(e):
        p["spec"]["containers"][0]["image"] = img
    stuck(
        world,
        e,
        "ImagePullBackOff",
        f'Back-off pulling image "{img}"',
        events=(
            (
                "Failed",
                f'Failed to pull image "{img}": rpc error: code = NotFound desc = failed to pull and unpack image "{img}": failed to resolve reference "{img}": {img}: not found',
            ),
        ),
    )


@tale("what is broken in freight", "", also=("oom-killed", "volume-provisioning-failed"))
def oom_and_a_volume(world: World) -> None:
    crash(world, deployed(world, "portal-admin"), 137, reason="OOMKilled")
    d = world.deployment("archive", FREIGHT, replicas=1)
    everywhere(world, d, volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "archive-data"}}])
    c = world.make(
        "PersistentVolumeClaim",
        "archive-data",
        FREIGHT,
        minutes=12,
        spec={"storageClassName": "fast", "accessModes": ["ReadWriteOnce"]},
        status={"phase": "Pending"},
    )
    world.event(
        c,
        "ProvisioningFailed",
        'failed to provision volume with StorageClass "fast": rpc error: code = ResourceExhausted desc = project quota of SSD_TOTAL_GB exceeded',
    )
    unscheduled(world, d, "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.")


@tale("why was quotes failing an hour ago?", "", outcome="healthy")
def recovered_an_hour_ago(world: World) -> None:
    d = deployed(world, "quotes")
    over_time(
        world,
        d,
        *served(60),
        *['level=error msg="query failed" err="dial tcp 10.96.3.9:5432: connect: connection refused" host=tariff-db:5432'] * 60,
        'level=info msg="connected to tariff-db"',
        *served(150),
        start=120,
    )
    db = stateful(world, "tariff-db")
    p = world.pods(db)[0]
    p["status"]["containerStatuses"][0] |= running("tariff-db", 70, restarts=1, last=terminated(137, "OOMKilled", minutes=70.2))


@tale("why is tarrifs-gateway down?", "", outcome="absent")
def no_such_thing(world: World) -> None:
    pass


@tale("why is dispatch in namespace storefront failing?", mention=("another namespace",), whole=True)
def wrong_namespace(world: World) -> None:
    pass


@tale("is freight healthy?", "", outcome="healthy")
def nothing_wrong(world: World) -> None:
    pass


@tale("are there problems in the cluster?", "", outcome="healthy", whole=True)
def nothing_wrong_anywhere(world: World) -> None:
    pass


@tale("is labels-worker broken? it has restarts", "", outcome="healthy")
def restarts_of_old(world: World) -> None:
    pass


@tale(
    "why does portal have only 2 pods, we set 5",
    outcome="healthy",
    mention=("lower bound", "HorizontalPodAutoscaler freight/portal"),
)
def autoscaler_sets_the_size(world: World) -> None:
    world.make(
        "HorizontalPodAutoscaler",
        "portal",
        FREIGHT,
        api="autoscaling/v2",
        spec={
            "minReplicas": 2,
            "maxReplicas": 8,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "portal"},
            "metrics": [],
        },
        status={
            "currentReplicas": 2,
            "desiredReplicas": 2,
            "conditions": [
                said("AbleToScale", "True", "ReadyForNewScale"),
                said("ScalingActive", "True", "ValidMetricFound"),
                said(
                    "ScalingLimited", "True", "TooFewReplicas", "the desired replica count is less than the minimum replica count"
                ),
            ],
        },
    )
