"""Healthy clusters as they are found: the system parts of several distributions, operators, and a year of leftovers in the
applications' namespaces. Nothing in them is wrong."""
# ruff: noqa: E501  (what a cluster says stays in one line)

from collections.abc import Callable

from tests.agent.wild import oddities
from tests.agent.wild.platform import (
    SHOP,
    argo,
    cert_manager,
    dns,
    external_secrets,
    flux,
    ingress_nginx,
    istio,
    karpenter,
    keda,
    leases,
    metrics_server,
    prometheus,
)
from tests.agent.wild.world import DAY, World, port, said, terminated


def kubeadm() -> World:
    world = World(4, runtime="cri-o://1.33.1")
    head = world.nodes[0]
    head["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = ""
    head["spec"]["taints"] = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        pod = world.pod(None, name=f"{name}-node-1", space="kube-system", node=head, minutes=29 * DAY,
                        image=f"registry.k8s.io/{name}:v1.33.4", labels={"component": name, "tier": "control-plane"})  # fmt: skip
        pod["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "Node", "name": "node-1", "controller": True}]
        pod["spec"] |= {"hostNetwork": True, "priorityClassName": "system-node-critical"}
        pod["status"]["containerStatuses"][0] |= {"restartCount": 6, "lastState": terminated(1, minutes=8 * DAY)}
    leases(world)
    dns(world)
    world.daemon_set("kube-proxy", "kube-system", image="registry.k8s.io/kube-proxy:v1.33.4", hostNetwork=True)
    world.daemon_set("calico-node", "kube-system", image="quay.io/calico/node:v3.30.0", hostNetwork=True)
    world.deployment("calico-kube-controllers", "kube-system", replicas=1, image="quay.io/calico/kube-controllers:v3.30.0")
    metrics_server(world, ready=True)
    ingress_nginx(world)
    cert_manager(world)
    prometheus(world, ("kube-etcd", "kube-scheduler", "kube-controller-manager", "kube-proxy"))
    return world


def eks() -> World:
    world = World(3, version="v1.32.5-eks-1b2c3", **{"eks.amazonaws.com/nodegroup": "main"})
    for kind in ("KernelReady", "NetworkingReady", "StorageReady", "ContainerRuntimeReady"):
        world.nodes[0]["status"]["conditions"].append(said(kind, "True", f"{kind[:-5]}IsReady", minutes=3 * DAY))
    dns(world)
    world.daemon_set(
        "aws-node", "kube-system", image="602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.19", hostNetwork=True
    )
    world.daemon_set("kube-proxy", "kube-system", image="eks/kube-proxy:v1.32", hostNetwork=True)
    world.daemon_set("ebs-csi-node", "kube-system", image="ebs-csi-driver:v1.40")
    world.daemon_set("ebs-csi-node-windows", "kube-system", nodes=[], nodeSelector={"kubernetes.io/os": "windows"})
    world.deployment("ebs-csi-controller", "kube-system", image="ebs-csi-driver:v1.40")
    world.make(
        "Service", "eks-extension-metrics-api", "kube-system", spec={"clusterIP": "10.96.9.9", "ports": [port(443, 10443)]}
    )
    for name, path in (("pod-identity-webhook", "mutate"), ("vpc-resource-mutating-webhook", "mutate-v1-pod")):
        world.make("MutatingWebhookConfiguration", name, api="admissionregistration.k8s.io/v1", webhooks=[
            {"name": f"{name}.amazonaws.com", "failurePolicy": "Ignore", "clientConfig": {"url": f"https://127.0.0.1:23443/{path}"}}])  # fmt: skip
    world.make("APIService", "v1.vpcresources.k8s.aws", api="apiregistration.k8s.io/v1", spec={"group": "vpcresources.k8s.aws"},
               status={"conditions": [said("Available", "True", "Local")]})  # fmt: skip
    metrics_server(world, ready=True)
    karpenter(world)
    prometheus(world, ("kube-etcd", "kube-scheduler", "kube-controller-manager"))  # which EKS does not run as pods
    argo(world)
    external_secrets(world)
    return world


def gke() -> World:
    world = World(3, version="v1.31.9-gke.1200")
    for kind in (
        "KernelDeadlock",
        "ReadonlyFilesystem",
        "FrequentUnregisterNetDevice",
        "FrequentKubeletRestart",
        "CorruptDockerOverlay2",
    ):
        world.nodes[0]["status"]["conditions"].append(said(kind, "False", f"No{kind}", minutes=3 * DAY))
    world.nodes[0]["status"]["conditions"].append(said("NetworkUnavailable", "False", "RouteCreated", minutes=29 * DAY))
    dns(world, name="kube-dns")
    for name in ("fluentbit-gke", "gke-metrics-agent", "pdcsi-node", "netd", "ip-masq-agent", "konnectivity-agent-node"):
        world.daemon_set(name, "kube-system", image=f"gke.gcr.io/{name}:v1")
    for name in (
        "nvidia-gpu-device-plugin-small-cos",
        "pdcsi-node-windows",
        "metadata-proxy-v0.1",
        "tpu-device-plugin",
        "runsc-metric-server",
    ):
        world.daemon_set(name, "kube-system", nodes=[], nodeSelector={"cloud.google.com/none": "true"})
    for name in ("kube-dns-autoscaler", "event-exporter-gke", "konnectivity-agent", "konnectivity-agent-autoscaler"):
        world.deployment(name, "kube-system", replicas=1, image=f"gke.gcr.io/{name}:v1")
    world.deployment("l7-default-backend", "kube-system", replicas=1, labels={"k8s-app": "glbc"})
    world.service("default-http-backend", "kube-system", {"k8s-app": "glbc"}, 80, "main", type="NodePort")
    world.make("MutatingWebhookConfiguration", "pod-ready.config.common-webhooks.networking.gke.io", api="admissionregistration.k8s.io/v1",
               webhooks=[{"name": "pod-ready.config.common-webhooks.networking.gke.io", "failurePolicy": "Ignore",
                          "clientConfig": {"url": "https://localhost:5443/webhook/pod-ready"}}])  # fmt: skip
    for space in ("gke-managed-cim", "gmp-system", "gmp-public"):
        world.namespace(space)
    world.daemon_set("collector", "gmp-system", image="gke.gcr.io/prometheus-engine:v0.15")
    world.deployment("gmp-operator", "gmp-system", replicas=1, service=443)
    world.stateful_set("alertmanager", "gmp-system", replicas=0)
    world.deployment("rule-evaluator", "gmp-system", replicas=0)
    metrics_server(world, ready=True)
    istio(world)
    return world


def aks() -> World:
    world = World(3, version="v1.33.2", **{"kubernetes.azure.com/mode": "user"})
    for kind in (
        "VMEventScheduled",
        "ContainerRuntimeProblem",
        "KubeletProblem",
        "FilesystemCorruptionProblem",
        "FrequentDockerRestart",
    ):
        world.nodes[1]["status"]["conditions"].append(said(kind, "False", f"No{kind}", minutes=3 * DAY))
    system = world.node("aks-system-0", **{"kubernetes.azure.com/mode": "system"},
                        spec={"taints": [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}]})  # fmt: skip
    windows = world.node("akswin000000", os="windows", version="v1.33.2",
                         spec={"taints": [{"key": "os", "value": "windows", "effect": "NoSchedule"}]})  # fmt: skip
    world.nodes += [system]
    dns(world)
    for name in ("cloud-node-manager", "csi-azuredisk-node", "azure-ip-masq-agent", "azure-cns", "kube-proxy"):
        world.daemon_set(name, "kube-system", image=f"mcr.microsoft.com/{name}:v1", tolerations=[{"operator": "Exists"}])
    for name in ("cloud-node-manager-windows", "csi-azuredisk-node-win"):
        world.daemon_set(name, "kube-system", nodes=[windows], nodeSelector={"kubernetes.io/os": "windows"})
    for name in ("coredns-autoscaler", "konnectivity-agent", "azure-wi-webhook-controller-manager"):
        world.deployment(name, "kube-system", replicas=1, image=f"mcr.microsoft.com/{name}:v1")
    metrics_server(world, ready=True)
    keda(world)
    flux(world)
    return world


def k3s() -> World:
    world = World(1, version="v1.33.3+k3s1", runtime="containerd://2.0.5-k3s1")
    dns(world)
    metrics_server(world, ready=True)
    world.deployment("local-path-provisioner", "kube-system", replicas=1, image="rancher/local-path-provisioner:v0.0.31")
    world.deployment("traefik", "kube-system", replicas=1, image="rancher/mirrored-library-traefik:3.3.6")
    world.service("traefik", "kube-system", {"app.kubernetes.io/name": "traefik"}, 80, "main", type="LoadBalancer")
    world.objects[-1]["status"] = {"loadBalancer": {"ingress": [{"ip": "192.168.0.10"}]}}
    world.daemon_set("svclb-traefik-7d1", "kube-system", image="rancher/klipper-lb:v0.4.13")
    for name in ("helm-install-traefik", "helm-install-traefik-crd"):
        job = world.job(name, "kube-system", minutes=25 * DAY, image="rancher/klipper-helm:v0.9.5", policy="OnFailure")
        world.pods(job)[0]["status"]["containerStatuses"][0]["restartCount"] = 2
    world.make("StorageClass", "local-path", api="storage.k8s.io/v1", provisioner="rancher.io/local-path", volumeBindingMode="WaitForFirstConsumer",
               metadata={"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}})  # fmt: skip
    return world


DISTRIBUTIONS: dict[str, Callable[[], World]] = {"kubeadm": kubeadm, "eks": eks, "gke": gke, "aks": aks, "k3s": k3s}


def applications(world: World) -> World:
    """The applications of a shop, with a year behind them."""
    world.namespace(SHOP)
    world.make(
        "StorageClass", "fast", api="storage.k8s.io/v1", provisioner="csi.example.com", volumeBindingMode="WaitForFirstConsumer"
    )
    for add in oddities.ALL:
        add(world, SHOP)
    return world
