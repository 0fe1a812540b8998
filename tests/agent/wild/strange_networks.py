"""Services, policies, meshes, volumes and admission that do what they were told, and not what was meant."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from tests.agent.builders import ago
from tests.agent.wild.breaking import crash, everywhere, refused, stuck, unscheduled
from tests.agent.wild.strangers import FREIGHT, deployed, logged, mixed, over_time, served, stateful, tale
from tests.agent.wild.world import World, running, said, terminated, unready

ISTIO = "networking.istio.io/v1"


# --- networking
@tale(
    "quotes cannot resolve anything, no such host everywhere", "NetworkPolicy/freight/quotes-egress", "networkpolicy-blocks-dns"
)
def egress_names_the_dns_namespace_by_a_label_it_lacks(world: World) -> None:
    d = deployed(world, "quotes")
    world.make(
        "NetworkPolicy",
        "quotes-egress",
        FREIGHT,
        api="networking.k8s.io/v1",
        minutes=20,
        spec={
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "quotes"}},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [{"namespaceSelector": {"matchLabels": {"name": "kube-system"}}}],
                    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
                },
                {"to": [{"podSelector": {}}]},
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443, "protocol": "TCP"}]},
            ],
        },
    )
    over_time(
        world,
        d,
        *mixed(
            'level=error msg="query failed" err="dial tcp: lookup tariff-db on 10.96.0.10:53: read udp 10.244.0.9:41#->10.96.0.10:53: i/o timeout"',
            60,
        ),
        start=19,
    )


@tale("portal.example.org gives 504", "NetworkPolicy/freight/only-own-namespace", "networkpolicy-blocks")
def ingress_controller_is_kept_out(world: World) -> None:
    world.make(
        "NetworkPolicy",
        "only-own-namespace",
        FREIGHT,
        api="networking.k8s.io/v1",
        minutes=30,
        spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]},
    )
    ic = [p for p in world.objects if p["kind"] == "Pod" and "ingress-nginx-controller" in p["metadata"]["name"]]
    for p in ic:
        over_time(
            world,
            None,
            *mixed(
                '2026/05/04 11:50:00 [error] 31#31: *# upstream timed out (110: Operation timed out) while connecting to upstream, client: 198.51.100.9, server: portal.example.org, request: "GET / HTTP/2.0", upstream: "http://{}:8080/", host: "portal.example.org"'.format(
                    world.pods(deployed(world, "portal"))[0]["status"]["podIP"]
                ),
                40,
            ),
            start=29,
            pods=[p],
        )


@tale("why can dispatch not reach quotes", "Service/freight/quotes", "service-port-mismatch")
def service_protocol_is_udp(world: World) -> None:
    s = world.get("Service", FREIGHT, "quotes")
    s["spec"]["ports"][0]["protocol"] = "UDP"
    over_time(
        world,
        deployed(world, "dispatch"),
        *mixed(
            'level=error msg="price failed" err="Post \\"http://quotes.freight.svc.cluster.local:8080/price\\": dial tcp 10.96.3.1:8080: connect: connection refused"',
            60,
        ),
        start=19,
    )


@tale(
    "every second request to quotes fails with 404",
    "Service/freight/quotes",
    "service-selects-strangers",
    "service-port-mismatch",
)
def service_selects_two_applications(world: World) -> None:
    s = world.get("Service", FREIGHT, "quotes")
    s["spec"]["selector"] = {"tier": "backend"}
    for n in ("quotes", "labels-worker"):
        d = deployed(world, n)
        d["spec"]["template"]["metadata"]["labels"]["tier"] = "backend"
        for p in world.pods(d):
            p["metadata"]["labels"]["tier"] = "backend"
    over_time(
        world,
        deployed(world, "dispatch"),
        *mixed(
            'level=error msg="price failed" err="Post \\"http://quotes.freight.svc.cluster.local:8080/price\\": dial tcp 10.96.3.1:8080: connect: connection refused"',
            60,
        ),
        start=19,
    )


@tale(
    "all pods on node-2 have network trouble",
    "Node/node-2",
    "node-traffic-failing",
    mention=("kube-proxy-", "not ready"),
)
def kube_proxy_dead_on_one_node(world: World) -> None:
    ds = world.get("DaemonSet", "kube-system", "kube-proxy")
    p = next(p for p in world.pods(ds) if p["spec"]["nodeName"] == "node-2")
    st = p["status"]["containerStatuses"][0]
    st |= {
        "ready": False,
        "restartCount": 14,
        "lastState": terminated(1, minutes=2),
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    }
    unready(p, 40)
    logged(
        world,
        p,
        'E0504 11:58:00.1 run.go:74] "command failed" err="failed complete: unable to load config file: /var/lib/kube-proxy/config.conf: strict decoding error: unknown field \\"spec.mode2\\""',
        previous=True,
        minutes=2,
    )
    world.event(p, "BackOff", "Back-off restarting failed container kube-proxy in pod", count=50)
    for n in ("dispatch", "quotes"):
        for q in world.pods(deployed(world, n)):
            if q["spec"]["nodeName"] == "node-2":
                over_time(
                    world,
                    None,
                    *mixed('level=error err="dial tcp 10.96.3.1:8080: i/o timeout" host=quotes', 50),
                    start=30,
                    pods=[q],
                )


@tale("DNS is flaky since the node image change", "", "dns-loop")
def coredns_finds_a_loop(world: World) -> None:
    d = world.get("Deployment", "kube-system", "coredns")
    crash(
        world,
        d,
        1,
        '[FATAL] plugin/loop: Loop (127.0.0.1:51321 -> :53) detected for zone ".", see https://coredns.io/plugins/loop#troubleshooting. Query: "HINFO 4547991504243258144.3688648895315093531."',
    )


@tale("dns does not work", "", "dns-misconfigured")
def corefile_has_a_slip(world: World) -> None:
    d = world.get("Deployment", "kube-system", "coredns")
    crash(world, d, 1, "/etc/coredns/Corefile:9 - Error during parsing: Unknown directive 'foward'")


@tale(
    "portal-admin over https shows the wrong certificate / browser says not private",
    "",
    "serving-certificate-unusable",
    "certificate-invalid",
    "ingress-tls-secret-missing",
)
def tls_secret_is_for_another_host(world: World) -> None:
    world.make(
        "Ingress",
        "portal-admin",
        FREIGHT,
        api="networking.k8s.io/v1",
        spec={
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["admin.example.org"], "secretName": "admin-tls"}],
            "rules": [
                {
                    "host": "admin.example.org",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "portal-admin", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ],
        },
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}},
    )
    world.make("Secret", "admin-tls", FREIGHT, type="kubernetes.io/tls", data={"tls.crt": "", "tls.key": ""})
    for p in [p for p in world.objects if p["kind"] == "Pod" and "ingress-nginx-controller" in p["metadata"]["name"]]:
        over_time(
            world,
            None,
            *[
                'W0504 11:57:00.000 7 controller.go:1477] Unexpected error validating SSL certificate "freight/admin-tls" for server "admin.example.org": x509: certificate is valid for old.example.org, not admin.example.org',
                "W0504 11:57:00.000 7 controller.go:1478] Validating certificate against DNS names. This will be deprecated in a future version",
            ]
            * 5,
            start=20,
            pods=[p],
        )


@tale(
    "ingress for portal-admin has no working TLS",
    "",
    "ingress-tls-secret-missing",
    "serving-certificate-unusable",
    mention=("tls.crt",),
)
def tls_secret_has_other_keys(world: World) -> None:
    world.make(
        "Ingress",
        "portal-admin",
        FREIGHT,
        api="networking.k8s.io/v1",
        spec={
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["admin.example.org"], "secretName": "admin-tls"}],
            "rules": [
                {
                    "host": "admin.example.org",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "portal-admin", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ],
        },
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}},
    )
    world.make("Secret", "admin-tls", FREIGHT, type="Opaque", data={"cert.pem": "", "key.pem": ""})


@tale("why does shop-route not work?", "HTTPRoute/freight/shop-route", "reference-grant-missing", "route-backend-missing")
def route_crosses_a_namespace_without_a_grant(world: World) -> None:
    gw = "gateway.networking.k8s.io/v1"
    world.make("GatewayClass", "std", api=gw, status={"conditions": [said("Accepted", "True", "Accepted")]})
    world.make(
        "Gateway",
        "edge",
        FREIGHT,
        api=gw,
        spec={"gatewayClassName": "std", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
        status={"conditions": [said("Accepted", "True", "Accepted"), said("Programmed", "True", "Programmed")]},
    )
    par = {"name": "edge"}
    world.make(
        "HTTPRoute",
        "shop-route",
        FREIGHT,
        api=gw,
        spec={"parentRefs": [par], "rules": [{"backendRefs": [{"name": "web", "namespace": "storefront", "port": 80}]}]},
        status={
            "parents": [
                {
                    "parentRef": par,
                    "conditions": [
                        said("Accepted", "True", "Accepted"),
                        said(
                            "ResolvedRefs",
                            "False",
                            "RefNotPermitted",
                            "Backend ref to Service storefront/web not permitted by any ReferenceGrant",
                        ),
                    ],
                }
            ]
        },
    )


@tale(
    "dispatch gets TLS handshake timeouts to big endpoints since the CNI change",
    "Deployment/freight/dispatch",
    "external-dependency-failing",
    mention=("does not answer in time",),
    never=("cannot be trusted",),
)
def a_handshake_that_times_out_is_no_distrust(world: World) -> None:
    over_time(
        world,
        deployed(world, "dispatch"),
        *mixed(
            'level=error msg="upload failed" err="Post \\"https://api.carrier.example.net/v2/labels\\": net/http: TLS handshake timeout"',
            80,
        ),
        start=30,
    )


@tale(
    "app cannot reach kubernetes api from dispatch", "", "outbound-connections-failing", "networkpolicy-blocks", outcome="fault"
)
def egress_to_the_api_is_shut(world: World) -> None:
    world.make(
        "NetworkPolicy",
        "dispatch-egress",
        FREIGHT,
        api="networking.k8s.io/v1",
        minutes=30,
        spec={
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "dispatch"}},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"namespaceSelector": {}}]}],
        },
    )
    over_time(
        world,
        deployed(world, "dispatch"),
        *mixed(
            'level=error msg="watch failed" err="Get \\"https://10.96.0.1:443/api/v1/namespaces/freight/configmaps\\": dial tcp 10.96.0.1:443: i/o timeout"',
            60,
        ),
        start=28,
    )


# --- meshes
def mesh(world: World) -> None:
    if not any(o["kind"] == "Namespace" and o["metadata"]["name"] == "istio-system" for o in world.objects):
        world.namespace("istio-system")
        world.deployment("istiod", "istio-system", replicas=1, service=15010)


@tale(
    "dispatch can't call quotes: connection reset",
    "PeerAuthentication/freight/default",
    "mesh-mtls-required",
)
def strict_mtls_and_a_client_without_sidecar(world: World) -> None:
    mesh(world)
    world.make(
        "PeerAuthentication", "default", FREIGHT, api="security.istio.io/v1", minutes=20, spec={"mtls": {"mode": "STRICT"}}
    )
    q = deployed(world, "quotes")
    for p in world.pods(q):
        p["spec"]["containers"].append({"name": "istio-proxy", "image": "istio/proxyv2:1.26.0"})
        p["status"]["containerStatuses"].append(running("istio-proxy", 100))
        p["metadata"].setdefault("annotations", {})["sidecar.istio.io/status"] = "{}"
    over_time(
        world,
        deployed(world, "dispatch"),
        *served(30),
        *[
            'level=error msg="price failed" err="Post \\"http://quotes.freight.svc.cluster.local:8080/price\\": read tcp 10.244.0.8:41234->{}:8080: read: connection reset by peer"'.format(
                world.get("Service", FREIGHT, "quotes")["spec"]["clusterIP"]
            )
        ]
        * 60,
        start=40,
    )


@tale(
    "quotes answers 503 no healthy upstream in the mesh",
    "DestinationRule/freight/quotes",
    "mesh-subset-missing",
)
def subset_without_pods(world: World) -> None:
    mesh(world)
    world.make(
        "VirtualService",
        "quotes",
        FREIGHT,
        api=ISTIO,
        minutes=20,
        spec={"hosts": ["quotes"], "http": [{"route": [{"destination": {"host": "quotes", "subset": "v2"}}]}]},
    )
    world.make(
        "DestinationRule",
        "quotes",
        FREIGHT,
        api=ISTIO,
        minutes=20,
        spec={
            "host": "quotes",
            "subsets": [{"name": "v1", "labels": {"version": "v1"}}, {"name": "v2", "labels": {"version": "v2"}}],
        },
    )
    for p in world.pods(deployed(world, "quotes")):
        p["metadata"]["labels"]["version"] = "v1"
    deployed(world, "quotes")["spec"]["template"]["metadata"]["labels"]["version"] = "v1"
    over_time(
        world,
        deployed(world, "dispatch"),
        *served(30),
        *['level=error msg="price failed" status=503 body="no healthy upstream" url=http://quotes:8080/price'] * 60,
        start=40,
    )


@tale("quotes answers 503 in the mesh", "VirtualService/freight/quotes", "mesh-subset-missing")
def subset_not_defined(world: World) -> None:
    mesh(world)
    world.make(
        "VirtualService",
        "quotes",
        FREIGHT,
        api=ISTIO,
        minutes=20,
        spec={"hosts": ["quotes"], "http": [{"route": [{"destination": {"host": "quotes", "subset": "canary"}}]}]},
    )
    world.make(
        "DestinationRule",
        "quotes",
        FREIGHT,
        api=ISTIO,
        minutes=20,
        spec={"host": "quotes", "subsets": [{"name": "v1", "labels": {"app.kubernetes.io/name": "quotes"}}]},
    )
    over_time(
        world,
        deployed(world, "dispatch"),
        *served(30),
        *['level=error msg="price failed" status=503 url=http://quotes:8080/price'] * 60,
        start=40,
    )


@tale("dispatch gets 403 RBAC: access denied from quotes", "AuthorizationPolicy/freight/quotes-only-portal", "mesh-policy-denies")
def authorization_policy_forgets_a_caller(world: World) -> None:
    mesh(world)
    world.make(
        "AuthorizationPolicy",
        "quotes-only-portal",
        FREIGHT,
        api="security.istio.io/v1",
        minutes=20,
        spec={
            "selector": {"matchLabels": {"app.kubernetes.io/name": "quotes"}},
            "action": "ALLOW",
            "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/freight/sa/portal"]}}]}],
        },
    )
    over_time(
        world,
        deployed(world, "dispatch"),
        *served(30),
        *['level=error msg="price failed" status=403 body="RBAC: access denied" url=http://quotes:8080/price'] * 60,
        start=40,
    )


@tale("is portal healthy?", outcome="healthy", mention=("VirtualService freight/portal",))
def fault_only_for_a_test_header(world: World) -> None:
    mesh(world)
    world.make(
        "VirtualService",
        "portal",
        FREIGHT,
        api=ISTIO,
        spec={
            "hosts": ["portal"],
            "http": [
                {
                    "match": [{"headers": {"x-chaos-test": {"exact": "1"}}}],
                    "fault": {"abort": {"httpStatus": 503, "percentage": {"value": 100}}},
                    "route": [{"destination": {"host": "portal"}}],
                },
                {"route": [{"destination": {"host": "portal"}}]},
            ],
        },
    )


# --- chaos
@tale("why do dispatch pods die every few minutes", "", "fault-injected")
def chaoskube_kills(world: World) -> None:
    world.namespace("chaos")
    world.deployment(
        "chaoskube",
        "chaos",
        replicas=1,
        image="ghcr.io/linki/chaoskube:v0.33.0",
        box={"args": ["--interval=5m", "--namespaces=freight", "--no-dry-run", "--labels=app.kubernetes.io/name=dispatch"]},
    )
    d = deployed(world, "dispatch")
    pods = world.pods(d)
    pods[0]["metadata"]["creationTimestamp"] = pods[0]["status"]["startTime"] = ago(3)
    for k in range(4):
        gone = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{world.pods(d)[0]['metadata']['name'][:-6]}-abcd{k}",
                "namespace": FREIGHT,
                "uid": f"gone-{k}",
            },
        }
        world.event(
            gone,
            "Killing",
            "Deleted by chaoskube" if k % 2 else "Stopping container dispatch",
            kind="Normal",
            count=1,
            minutes=4 + 5 * k,
            lasted=0,
        )


@tale("why do quotes pods die", "", "fault-injected")
def kube_monkey_kills(world: World) -> None:
    world.namespace("kube-monkey")
    km = world.deployment("kube-monkey", "kube-monkey", replicas=1, image="ayushsobti/kube-monkey:v0.5.0")
    d = deployed(world, "quotes")
    lab = {
        "kube-monkey/enabled": "enabled",
        "kube-monkey/identifier": "quotes",
        "kube-monkey/mtbf": "1",
        "kube-monkey/kill-mode": "fixed",
        "kube-monkey/kill-value": "1",
    }
    d["metadata"]["labels"].update(lab)
    pods = world.pods(d)
    pods[0]["metadata"]["creationTimestamp"] = pods[0]["status"]["startTime"] = ago(3)
    gone = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "quotes-00077c6f-abcdz", "namespace": FREIGHT, "uid": "gone-9"},
    }
    world.event(gone, "Killing", "Stopping container quotes", kind="Normal", count=1, minutes=3, lasted=0)
    logged(
        world,
        world.pods(km)[0],
        "I0504 11:57:00.1 kubemonkey.go:80] Termination successfully executed for v1.Deployment quotes",
        "I0504 11:57:00.1 kubemonkey.go:70] Status Update: 0 scheduled terminations left.",
        minutes=3,
    )


# --- storage
@tale(
    "tariff-db disk resize does not go through",
    "PersistentVolumeClaim/freight/data-tariff-db-0",
    "volume-expansion-failed",
)
def resize_not_allowed(world: World) -> None:
    c = world.get("PersistentVolumeClaim", FREIGHT, "data-tariff-db-0")
    c["spec"]["resources"] = {"requests": {"storage": "50Gi"}}
    c["status"]["conditions"] = [said("Resizing", "True", "", "", minutes=30)]
    world.event(
        c,
        "VolumeResizeFailed",
        'resize volume "pvc-00000031" by resizer "csi.example.com" failed: rpc error: code = ResourceExhausted desc = volume modification rate exceeded: wait 6 hours between modifications',
    )


@tale("why does tariff-db take so long to start", "", "volume-ownership-slow", "volume-mount-failed")
def fs_group_walks_the_volume(world: World) -> None:
    d = stateful(world, "tariff-db")
    everywhere(world, d, securityContext={"fsGroup": 999})
    stuck(
        world,
        d,
        "ContainerCreating",
        "",
        events=(
            (
                "VolumePermissionChangeInProgress",
                "Setting volume ownership for 5f7d/volumes/kubernetes.io~csi/pvc-0000/mount, processed 1483020 files.",
            ),
            (
                "FailedMount",
                "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data kube-api-access]: timed out waiting for the condition",
            ),
        ),
    )


@tale(
    "archive pod pending",
    "PersistentVolumeClaim/freight/archive-data",
    "volume-unbindable",
    "volume-provisioning-failed",
)
def rwx_on_a_block_driver(world: World) -> None:
    d = world.deployment("archive", FREIGHT, replicas=1)
    everywhere(world, d, volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "archive-data"}}])
    c = world.make(
        "PersistentVolumeClaim",
        "archive-data",
        FREIGHT,
        minutes=12,
        spec={"storageClassName": "fast", "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}}},
        status={"phase": "Pending"},
    )
    world.event(
        c,
        "ProvisioningFailed",
        'failed to provision volume with StorageClass "fast": rpc error: code = InvalidArgument desc = Volume capabilities MULTI_NODE_MULTI_WRITER not supported. Only AccessModes[ReadWriteOnce] supported.',
    )
    unscheduled(
        world,
        d,
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    )


@tale("archive pod pending", "", "volume-unbindable", "volume-claimed-by-another", "volume-provisioning-failed")
def released_volume_is_not_given_again(world: World) -> None:
    d = world.deployment("archive", FREIGHT, replicas=1)
    everywhere(world, d, volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "archive-data"}}])
    world.make(
        "PersistentVolume",
        "nfs-archive",
        spec={
            "storageClassName": "",
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "capacity": {"storage": "100Gi"},
            "nfs": {"server": "10.1.1.1", "path": "/x"},
            "claimRef": {"namespace": FREIGHT, "name": "archive-data", "uid": "an-old-uid"},
        },
        status={"phase": "Released"},
    )
    c = world.make(
        "PersistentVolumeClaim",
        "archive-data",
        FREIGHT,
        minutes=12,
        spec={
            "storageClassName": "",
            "volumeName": "nfs-archive",
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "10Gi"}},
        },
        status={"phase": "Pending"},
    )
    world.event(c, "FailedBinding", 'volume "nfs-archive" already bound to a different claim.')
    unscheduled(
        world,
        d,
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    )


@tale(
    "second replica of portal-admin stays pending",
    "Deployment/freight/portal-admin",
    "volume-unbindable",
    "volume-attach-failed",
)
def read_write_once_pod(world: World) -> None:
    d = deployed(world, "portal-admin")
    c = world.claim("admin-data", FREIGHT, "fast")
    c["spec"]["accessModes"] = ["ReadWriteOncePod"]
    everywhere(world, d, volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "admin-data"}}])
    d["spec"]["replicas"] = 2
    rs = next(
        r for r in world.of("ReplicaSet", FREIGHT) if r["metadata"]["name"].startswith("portal-admin") and r["spec"]["replicas"]
    )
    rs["spec"]["replicas"] = 2
    world.pod(rs, minutes=9)
    unscheduled(
        world,
        d,
        "0/4 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode, 3 node(s) didn't match. preemption: 0/4 nodes are available.",
        keep=1,
        minutes=9,
    )


# --- admission
@tale(
    "portal can't be scaled up",
    "ResourceQuota/freight/no-critical",
    "quota-exceeded",
    "quota-scope-uncovered",
    "admission-denied",
)
def quota_of_a_priority_class(world: World) -> None:
    d = deployed(world, "portal")
    everywhere(world, d, priorityClassName="critical")
    world.make("PriorityClass", "critical", api="scheduling.k8s.io/v1", value=1000000)
    world.make(
        "ResourceQuota",
        "no-critical",
        FREIGHT,
        spec={
            "hard": {"pods": "0"},
            "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["critical"]}]},
        },
        status={"hard": {"pods": "0"}, "used": {"pods": "0"}},
    )
    refused(
        world, d, 'pods "portal-5c7-" is forbidden: exceeded quota: no-critical, requested: pods=1, used: pods=0, limited: pods=0'
    )


@tale(
    "portal has no pods",
    "Deployment/freight/portal",
    "quota-exceeded",
    "quota-scope-uncovered",
    "admission-denied",
    "pod-creation-refused",
    never=(),
)
def no_quota_covers_the_class(world: World) -> None:
    d = deployed(world, "portal")
    everywhere(world, d, priorityClassName="critical")
    world.make("PriorityClass", "critical", api="scheduling.k8s.io/v1", value=1000000)
    refused(
        world, d, 'pods "portal-5c7-" is forbidden: insufficient quota to match these scopes: [{PriorityClass In [critical]}]'
    )


@tale("portal has no pods", "Deployment/freight/portal", "limit-range-refuses")
def limit_range_minimum(world: World) -> None:
    world.make("LimitRange", "bounds", FREIGHT, spec={"limits": [{"type": "Container", "min": {"memory": "128Mi"}}]})
    refused(
        world,
        deployed(world, "portal"),
        'pods "portal-5c7-x" is forbidden: minimum memory usage per Container is 128Mi, but request is 64Mi',
    )


@tale("portal has no pods", "Deployment/freight/portal", "admission-denied")
def validating_admission_policy(world: World) -> None:
    refused(
        world,
        deployed(world, "portal"),
        "pods \"portal-5c7-x\" is forbidden: ValidatingAdmissionPolicy 'require-seccomp' with binding 'require-seccomp-all' denied request: failed expression: object.spec.securityContext.seccompProfile.type == 'RuntimeDefault'",
    )


@tale(
    "nothing in freight can be deployed", "", "webhook-backend-down", "networkpolicy-blocks", "webhook-refuses", outcome="fault"
)
def webhook_times_out(world: World) -> None:
    world.namespace("policy")
    world.deployment("guardian", "policy", replicas=2, service=443)
    world.make(
        "ValidatingWebhookConfiguration",
        "guardian",
        api="admissionregistration.k8s.io/v1",
        webhooks=[
            {
                "name": "validate.guardian.io",
                "failurePolicy": "Fail",
                "timeoutSeconds": 10,
                "clientConfig": {"service": {"name": "guardian", "namespace": "policy", "port": 443}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            }
        ],
    )
    refused(
        world,
        deployed(world, "portal"),
        'Internal error occurred: failed calling webhook "validate.guardian.io": failed to call webhook: Post "https://guardian.policy.svc:443/validate?timeout=10s": context deadline exceeded',
    )


@tale("tmp namespace won't delete", "APIService/v1beta1.custom.metrics.k8s.io", "apiservice-unavailable")
def discovery_fails_for_a_dead_api(world: World) -> None:
    n = world.namespace("tmp-preview")
    n["metadata"]["deletionTimestamp"] = ago(90)
    n["status"] = {
        "phase": "Terminating",
        "conditions": [
            said(
                "NamespaceDeletionDiscoveryFailure",
                "True",
                "DiscoveryFailed",
                "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: custom.metrics.k8s.io/v1beta1: stale GroupVersion discovery: custom.metrics.k8s.io/v1beta1",
            )
        ],
    }
    world.make(
        "APIService",
        "v1beta1.custom.metrics.k8s.io",
        api="apiregistration.k8s.io/v1",
        spec={"group": "custom.metrics.k8s.io", "service": {"name": "prometheus-adapter", "namespace": "monitoring"}},
        status={
            "conditions": [
                said(
                    "Available",
                    "False",
                    "ServiceNotFound",
                    'service/prometheus-adapter in "monitoring" is not present',
                    minutes=900,
                )
            ]
        },
    )


@tale("writes to the cluster fail, kubectl says etcdserver", "", "etcd-full", whole=True)
def etcd_has_no_space(world: World) -> None:
    a = next(p for p in world.objects if p["kind"] == "Pod" and p["metadata"]["name"] == "kube-apiserver-node-1")
    over_time(
        world,
        None,
        *[
            'E0504 11:57:00.1 status.go:71] "Unhandled Error" err="apiserver received an error that is not an metav1.Status: etcdserver: mvcc: database space exceeded"'
        ]
        * 30,
        start=20,
        pods=[a],
    )
    refused(world, deployed(world, "portal"), "Error creating: etcdserver: mvcc: database space exceeded")
