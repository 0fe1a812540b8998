"""Parts of a platform that clusters share: DNS, metrics, entrances, certificates, GitOps, meshes; all of them well."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from tests.agent.builders import ago
from tests.agent.wild.world import DAY, World, port, said

SHOP = "storefront"


def leases(world: World) -> None:
    for name in ("kube-scheduler", "kube-controller-manager"):
        world.make("Lease", name, "kube-system", api="coordination.k8s.io/v1",
                   spec={"holderIdentity": "node-1_x", "leaseDurationSeconds": 15, "renewTime": ago(0.05)})  # fmt: skip


def dns(world: World, name: str = "coredns") -> None:
    labels = {"k8s-app": "kube-dns"}
    world.deployment(name, "kube-system", labels=labels, listens=53, image="registry.k8s.io/coredns/coredns:v1.12.0")
    for pod in world.pods(world.get("Deployment", "kube-system", name)):
        world.event(pod, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", minutes=3 * DAY)
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
    ]
    world.make(
        "Service",
        "kube-dns",
        "kube-system",
        metadata={"labels": labels},
        spec={"clusterIP": "10.96.0.10", "selector": labels, "ports": ports},
    )


def metrics_server(world: World, *, ready: bool) -> None:
    world.deployment("metrics-server", "kube-system", replicas=1, service=443, image="registry.k8s.io/metrics-server:v0.7.2")
    world.make("APIService", "v1beta1.metrics.k8s.io", api="apiregistration.k8s.io/v1",
               spec={"group": "metrics.k8s.io", "service": {"name": "metrics-server", "namespace": "kube-system"}},
               status={"conditions": [said("Available", "True" if ready else "False", "Passed")]})  # fmt: skip


def ingress_nginx(world: World) -> None:
    space = "ingress-nginx"
    world.namespace(space)
    world.deployment("ingress-nginx-controller", space, image="registry.k8s.io/ingress-nginx/controller:v1.12.1")
    labels = {"app.kubernetes.io/name": "ingress-nginx-controller"}
    world.service("ingress-nginx-controller", space, labels, 80, "main", type="LoadBalancer")
    world.objects[-1]["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}
    world.service("ingress-nginx-controller-admission", space, labels, 443, "main")
    world.make("IngressClass", "nginx", api="networking.k8s.io/v1", spec={"controller": "k8s.io/ingress-nginx"})
    world.make("ValidatingWebhookConfiguration", "ingress-nginx-admission", api="admissionregistration.k8s.io/v1", webhooks=[
        {"name": "validate.nginx.ingress.kubernetes.io", "failurePolicy": "Fail",
         "clientConfig": {"service": {"name": "ingress-nginx-controller-admission", "namespace": space, "port": 443}}}])  # fmt: skip
    for name in ("ingress-nginx-admission-create", "ingress-nginx-admission-patch"):
        world.job(name, space, minutes=20 * DAY, policy="OnFailure")


def cert_manager(world: World) -> None:
    space = "cert-manager"
    world.namespace(space)
    for name in ("cert-manager", "cert-manager-cainjector", "cert-manager-webhook"):
        world.deployment(name, space, replicas=1, service=443, image=f"quay.io/jetstack/{name}:v1.17.1")
    world.namespace("certs")
    ready = said("Ready", "True", "Ready", "Certificate is up to date and has not expired", minutes=20 * DAY)
    world.make("Certificate", "www", "certs", api="cert-manager.io/v1", spec={"secretName": "www-tls", "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}},
               status={"conditions": [ready], "notAfter": ago(-50 * DAY), "renewalTime": ago(-20 * DAY)})  # fmt: skip
    world.make(
        "ClusterIssuer",
        "letsencrypt",
        api="cert-manager.io/v1",
        status={"conditions": [said("Ready", "True", "ACMEAccountRegistered")]},
    )
    # a request that failed a month ago, before one that did not
    world.make("CertificateRequest", "www-1", "certs", api="cert-manager.io/v1", minutes=45 * DAY, spec={"issuerRef": {"name": "letsencrypt"}},
               metadata={"ownerReferences": [{"kind": "Certificate", "name": "www", "controller": True, "apiVersion": "cert-manager.io/v1"}]},
               status={"conditions": [said("Ready", "False", "Failed", "The certificate request has failed to complete", minutes=45 * DAY)]})  # fmt: skip
    world.make("CertificateRequest", "www-2", "certs", api="cert-manager.io/v1", spec={"issuerRef": {"name": "letsencrypt"}},
               metadata={"ownerReferences": [{"kind": "Certificate", "name": "www", "controller": True, "apiVersion": "cert-manager.io/v1"}]},
               status={"conditions": [said("Ready", "True", "Issued", minutes=20 * DAY)]})  # fmt: skip
    world.make("Secret", "www-tls", "certs", type="kubernetes.io/tls", data={"tls.crt": "", "tls.key": ""})


def prometheus(world: World, absent: tuple[str, ...]) -> None:
    space = "monitoring"
    world.namespace(space)
    world.stateful_set("prometheus-main", space, replicas=2, image="quay.io/prometheus/prometheus:v3.3.0")
    world.stateful_set("alertmanager-main", space, replicas=3, image="quay.io/prometheus/alertmanager:v0.28.1")
    world.deployment("kube-state-metrics", space, replicas=1, service=8080)
    world.deployment("grafana", space, replicas=1, service=80, listens=3000)
    world.daemon_set("node-exporter", space, hostNetwork=True)
    for name in absent:  # the chart makes them whether or not such pods can be seen
        world.make(
            "Service",
            f"kps-{name}",
            "kube-system",
            spec={"clusterIP": "None", "selector": {"component": name}, "ports": [port(10257, 10257)]},
        )


def karpenter(world: World) -> None:
    world.namespace("karpenter")
    world.deployment("karpenter", "karpenter", service=8080, image="public.ecr.aws/karpenter/controller:1.4.0")
    world.make("NodePool", "general", api="karpenter.sh/v1", status={"conditions": [said("Ready", "True", "Ready")]})
    world.make("NodeClaim", "general-x1", api="karpenter.sh/v1", status={"conditions": [
        said(kind, "True", kind) for kind in ("Launched", "Registered", "Initialized", "Ready", "Consolidatable")]})  # fmt: skip


def argo(world: World) -> None:
    world.namespace("argocd")
    for name in ("argocd-server", "argocd-repo-server", "argocd-redis", "argocd-applicationset-controller", "argocd-dex-server"):
        world.deployment(name, "argocd", replicas=1, service=80)
    world.stateful_set("argocd-application-controller", "argocd", replicas=1)
    for name, sync in (("storefront", "Synced"), ("platform", "Synced")):
        world.make("Application", name, "argocd", api="argoproj.io/v1alpha1",
                   spec={"destination": {"namespace": SHOP}, "syncPolicy": {"automated": {"selfHeal": True}}},
                   status={"sync": {"status": sync}, "health": {"status": "Healthy"},
                           "operationState": {"phase": "Succeeded", "finishedAt": ago(60)}})  # fmt: skip


def external_secrets(world: World) -> None:
    world.namespace("external-secrets")
    for name in ("external-secrets", "external-secrets-webhook", "external-secrets-cert-controller"):
        world.deployment(name, "external-secrets", replicas=1, service=443)
    world.make("ClusterSecretStore", "aws", api="external-secrets.io/v1", status={"conditions": [said("Ready", "True", "Valid")]})
    world.make("ExternalSecret", "db", "external-secrets", api="external-secrets.io/v1", spec={"secretStoreRef": {"name": "aws", "kind": "ClusterSecretStore"},
               "target": {"name": "db"}}, status={"conditions": [said("Ready", "True", "SecretSynced")], "refreshTime": ago(10)})  # fmt: skip


def istio(world: World) -> None:
    world.namespace("istio-system")
    world.deployment("istiod", "istio-system", replicas=2, service=15012, image="docker.io/istio/pilot:1.26.0")
    world.deployment("istio-ingressgateway", "istio-system", image="docker.io/istio/proxyv2:1.26.0")
    world.service(
        "istio-ingressgateway",
        "istio-system",
        {"app.kubernetes.io/name": "istio-ingressgateway"},
        80,
        "main",
        type="LoadBalancer",
    )
    world.objects[-1]["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}
    proxy = {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.26.0", "restartPolicy": "Always",
             "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}}}  # fmt: skip
    world.namespace("mesh", **{"istio-injection": "enabled"})
    world.deployment(
        "bookings", "mesh", service=80, initContainers=[{"name": "istio-init", "image": "docker.io/istio/proxyv2:1.26.0"}, proxy]
    )
    for pod in world.pods(world.get("Deployment", "mesh", "bookings")):
        world.log(
            pod,
            "info\tEnvoy proxy is ready",
            "warning\tenvoy config\tStreamAggregatedResources gRPC config stream closed: 14",
            container="istio-proxy",
            minutes=300,
        )


def keda(world: World) -> None:
    world.namespace("keda")
    for name in ("keda-operator", "keda-operator-metrics-apiserver", "keda-admission-webhooks"):
        world.deployment(name, "keda", replicas=1, service=443)
    world.namespace("workers")
    world.deployment("thumbnailer", "workers", replicas=0, service=80)
    world.make("ScaledObject", "thumbnailer", "workers", api="keda.sh/v1alpha1",
               spec={"scaleTargetRef": {"name": "thumbnailer"}, "minReplicaCount": 0, "maxReplicaCount": 20},
               status={"conditions": [said("Ready", "True", "ScaledObjectReady"), said("Active", "False", "ScalerNotActive"),
                                      said("Fallback", "False", "NoFallbackFound"), said("Paused", "Unknown")],
                       "hpaName": "keda-hpa-thumbnailer"})  # fmt: skip
    world.make("HorizontalPodAutoscaler", "keda-hpa-thumbnailer", "workers", api="autoscaling/v2",
               spec={"scaleTargetRef": {"kind": "Deployment", "name": "thumbnailer"}, "minReplicas": 1, "maxReplicas": 20,
                     "metrics": [{"type": "External"}]},
               status={"currentReplicas": 0, "desiredReplicas": 0, "conditions": [
                   said("AbleToScale", "True", "SucceededGetScale"), said("ScalingActive", "False", "ScalingDisabled", minutes=3 * DAY)]})  # fmt: skip


def flux(world: World) -> None:
    world.namespace("flux-system")
    for name in ("source-controller", "kustomize-controller", "helm-controller", "notification-controller"):
        world.deployment(name, "flux-system", replicas=1, service=80)
    world.make(
        "GitRepository",
        "fleet",
        "flux-system",
        api="source.toolkit.fluxcd.io/v1",
        status={"conditions": [said("Ready", "True", "Succeeded")]},
    )
    world.make("Kustomization", "apps", "flux-system", api="kustomize.toolkit.fluxcd.io/v1", spec={"sourceRef": {"kind": "GitRepository", "name": "fleet"}},
               status={"conditions": [said("Ready", "True", "ReconciliationSucceeded")], "observedGeneration": 1}, metadata={"generation": 1})  # fmt: skip
    world.make("HelmRelease", "podinfo", "flux-system", api="helm.toolkit.fluxcd.io/v2", spec={"suspend": True, "chart": {}},
               status={"conditions": [said("Ready", "True", "UpgradeSucceeded")]})  # fmt: skip
