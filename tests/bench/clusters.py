"""A large cluster as a snapshot file: 500 nodes, 50 namespaces of 20 workloads of 5 pods.

Everything is healthy but what `faults` says: those workloads lack a ConfigMap key, each in a namespace of its own.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.bench.members import BROKEN, MADE, NOW, READY, Object, event, named, node, pod, replica_set, template, written


def write(path: Path, *, nodes: int = 500, spaces: int = 50, workloads: int = 20, replicas: int = 5, faults: int = 6) -> Path:
    """One object a line, so that nothing of the cluster is held in memory here either."""
    with path.open("w", encoding="utf-8") as out:
        head = {"snapshot": 1, "cluster": {"name": "large", "version": "v1.36.2"}, "now": NOW}
        out.write(json.dumps(head)[:-1] + ', "logs": [], "metrics": [], "alerts": [], "objects": [\n')
        first = True
        for one in objects(nodes=nodes, spaces=spaces, workloads=workloads, replicas=replicas, faults=faults):
            out.write(("" if first else ",\n") + json.dumps(one))
            first = False
        out.write("\n]}\n")
    return path


def objects(*, nodes: int, spaces: int, workloads: int, replicas: int, faults: int) -> Iterator[Object]:
    yield from (node(number) for number in range(nodes))
    pod = 0
    for space in range(spaces):
        name = f"team-{space:02d}"
        yield {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "uid": f"ns-{space}", "creationTimestamp": MADE},
        }
        yield named("v1", "ServiceAccount", name, "default")
        yield named("v1", "ConfigMap", name, "kube-root-ca.crt", data={"ca.crt": "-----BEGIN CERTIFICATE-----\n" + "MII" * 400})
        for number in range(workloads):
            app = f"app-{space:02d}-{number:02d}"
            broken = number == 0 and space < faults
            yield from workload(name, app, replicas=replicas, first_pod=pod, nodes=nodes, broken=broken)
            pod += replicas


def workload(namespace: str, app: str, *, replicas: int, first_pod: int, nodes: int, broken: bool) -> Iterator[Object]:
    labels, made = {"app.kubernetes.io/name": app}, template(app, broken=broken)
    have = 0 if broken else replicas
    selector = {"matchLabels": labels}
    condition = {"type": "Available", "status": "False" if broken else "True", "lastTransitionTime": BROKEN if broken else READY}
    counts = {"replicas": replicas, "readyReplicas": have, "updatedReplicas": replicas, "availableReplicas": have}
    spec = {"replicas": replicas, "selector": selector, "template": made, "strategy": {"type": "RollingUpdate"}}
    fields = [
        written("kubectl-client-side-apply", {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {}}}}})
    ]
    metadata = {"generation": 3, "labels": labels, "managedFields": fields}
    status = {"observedGeneration": 3, "conditions": [condition], **counts}
    yield named("apps/v1", "Deployment", namespace, app, metadata=metadata, spec=spec, status=status)
    for revision in (1, 2):
        yield replica_set(
            namespace, app, revision, template(app, broken=broken and revision == 2), replicas if revision == 2 else 0, have
        )
    yield named(
        "v1",
        "Service",
        namespace,
        app,
        spec={"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}], "clusterIP": "10.96.0.9"},
    )
    yield named("v1", "ConfigMap", namespace, f"{app}-settings", data={"LIMIT": "9", "config.yaml": "log:\n  level: info\n" * 20})
    yield named("v1", "Secret", namespace, f"{app}-login", data={"password": "UkVEQUNURUQ="}, type="Opaque")
    ends = []
    for number in range(replicas):
        one = pod(namespace, app, number, made, f"node-{(first_pod + number) % nodes:03d}", broken=broken)
        ends.append(
            {
                "addresses": ["10.1.2.3"],
                "conditions": {"ready": not broken},
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": one["metadata"]["name"]},
            }
        )
        yield one
        yield event(namespace, one["metadata"]["name"], broken=broken)
    yield named(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        namespace,
        f"{app}-x7k2p",
        metadata={"labels": {"kubernetes.io/service-name": app}},
        addressType="IPv4",
        endpoints=ends,
        ports=[{"name": "http", "port": 8080, "protocol": "TCP"}],
    )
