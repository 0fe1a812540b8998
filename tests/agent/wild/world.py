"""A whole cluster, built piece by piece as kubelets and controllers would have written it: for tests that look at everything at
once. Knows no check and no cause."""
# ruff: noqa: E501  (what a cluster says stays in one line)

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.domain.objects import ContainerLog
from agent.topology import Topology, build
from tests.agent.builders import NOW, ago, lines

Object = dict[str, Any]
DAY = 24 * 60.0


class World:
    """Objects and logs of one cluster. Every method that makes something returns it, for a test to break."""

    def __init__(self, nodes: int = 3, *, version: str = "v1.33.4", runtime: str = "containerd://1.7.27", **labels: str) -> None:
        self.objects: list[Object] = []
        self.logs: list[ContainerLog] = []
        self._serial = 0
        self._turn = 0
        self.nodes = [self.node(f"node-{number}", version=version, runtime=runtime, **labels) for number in range(1, nodes + 1)]
        for space in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.namespace(space)
        self.make("Service", "kubernetes", "default", spec={"clusterIP": "10.96.0.1", "ports": [port(443, 6443, "https")]})

    def make(self, kind: str, name: str, space: str = "", *, api: str = "v1", minutes: float = 20 * DAY, **rest: Any) -> Object:
        self._serial += 1
        metadata: Object = {"name": name, "uid": f"0000-{self._serial}", "creationTimestamp": ago(minutes)}
        if space:
            metadata["namespace"] = space
        metadata.update(rest.pop("metadata", {}))
        one = {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}
        self.objects.append(one)
        return one

    def namespace(self, name: str, **labels: str) -> Object:
        self.make("ServiceAccount", "default", name)
        self.make("ConfigMap", "kube-root-ca.crt", name, data={"ca.crt": "-----BEGIN CERTIFICATE-----"})
        labels = {"kubernetes.io/metadata.name": name, **labels}
        return self.make("Namespace", name, metadata={"labels": labels}, status={"phase": "Active"})

    def node(self, name: str, *, version: str = "v1.33.4", runtime: str = "containerd://1.7.27", os: str = "linux",
             spec: Object | None = None, conditions: Sequence[Object] = (), **labels: str) -> Object:  # fmt: skip
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": os, "kubernetes.io/arch": "amd64", **labels}
        labels.setdefault("topology.kubernetes.io/zone", f"zone-{'abc'[self._serial % 3]}")
        told = [
            {"type": kind, "status": "False", "reason": f"KubeletHasNo{kind}", "message": "", "lastTransitionTime": ago(30 * DAY)}
            for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
        ]
        told.append({"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": ago(29 * DAY)})
        room = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}
        info = {"kubeletVersion": version, "containerRuntimeVersion": runtime, "osImage": "Ubuntu 22.04.5 LTS",
                "kernelVersion": "5.15.0-1090", "architecture": "amd64", "operatingSystem": os}  # fmt: skip
        self.make("Lease", name, "kube-node-lease", api="coordination.k8s.io/v1", minutes=30 * DAY,
                  spec={"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": ago(0.1)})  # fmt: skip
        return self.make(
            "Node", name, minutes=30 * DAY, metadata={"labels": labels}, spec=dict(spec or {}),
            status={"capacity": dict(room), "allocatable": dict(room), "conditions": [*told, *conditions], "nodeInfo": info,
                    "addresses": [{"type": "InternalIP", "address": f"192.168.0.{self._serial % 250}"}]},
        )  # fmt: skip

    # Workloads --------------------------------------------------------------------------------------------------------------

    def deployment(self, name: str, space: str, *, replicas: int = 2, revision: int = 3, minutes: float = 12 * DAY,
                   labels: Mapping[str, str] | None = None, service: int = 0, **pod: Any) -> Object:  # fmt: skip
        """A Deployment that runs, with its newest and its last ReplicaSet; `service`: the port of a Service before it."""
        labels = dict(labels or {"app.kubernetes.io/name": name})
        template = template_of(name, labels, **pod)
        one = self.make(
            "Deployment", name, space, api="apps/v1", minutes=max(minutes, 40 * DAY), metadata={"generation": 5, "labels": labels},
            spec={"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, "revisionHistoryLimit": 10},
            status={"observedGeneration": 5, "replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas,
                    "availableReplicas": replicas, "conditions": [
                        said("Available", "True", "MinimumReplicasAvailable", minutes=30 * DAY),
                        said("Progressing", "True", "NewReplicaSetAvailable", minutes=minutes)]},
        )  # fmt: skip
        if revision > 1:
            old = self.replica_set(one, revision - 1, minutes=minutes + 20 * DAY, replicas=0)
            old["spec"]["template"]["spec"]["containers"][0]["image"] += "-previous"
        newest = self.replica_set(one, revision, minutes=minutes, replicas=replicas)
        for _ in range(replicas):
            self.pod(newest, minutes=minutes)
        if service:
            self.service(name, space, labels, service)
        return one

    def replica_set(self, owner: Object, revision: int, *, minutes: float, replicas: int) -> Object:
        space, name = owner["metadata"]["namespace"], owner["metadata"]["name"]
        hash_ = f"{revision * 7919 % 99991:05d}c{len(name)}f"
        template = copy.deepcopy(owner["spec"]["template"])
        template["metadata"]["labels"]["pod-template-hash"] = hash_
        return self.make(
            "ReplicaSet", f"{name}-{hash_}", space, api="apps/v1", minutes=minutes,
            metadata={"labels": dict(template["metadata"]["labels"]), "ownerReferences": [owner_of(owner)],
                      "annotations": {"deployment.kubernetes.io/revision": str(revision),
                                      "deployment.kubernetes.io/desired-replicas": str(replicas)}},
            spec={"replicas": replicas, "selector": {"matchLabels": template["metadata"]["labels"]}, "template": template},
            status={"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas},
        )  # fmt: skip

    def stateful_set(self, name: str, space: str, *, replicas: int = 3, minutes: float = 12 * DAY, volume: str = "", service: int = 0,
                     labels: Mapping[str, str] | None = None, **pod: Any) -> Object:  # fmt: skip
        labels = dict(labels or {"app.kubernetes.io/name": name})
        template = template_of(name, labels, **pod)
        claims = [{"metadata": {"name": "data"}, "spec": {"storageClassName": volume}}] if volume else []
        one = self.make(
            "StatefulSet", name, space, api="apps/v1", minutes=40 * DAY, metadata={"generation": 2, "labels": labels},
            spec={"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, "serviceName": f"{name}-headless",
                  "volumeClaimTemplates": claims, "updateStrategy": {"type": "RollingUpdate"}},
            status={"observedGeneration": 2, "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
                    "updatedReplicas": replicas, "currentRevision": f"{name}-7f9", "updateRevision": f"{name}-7f9"},
        )  # fmt: skip
        for number in range(replicas):
            made = self.pod(one, name=f"{name}-{number}", minutes=minutes,
                            labels={"statefulset.kubernetes.io/pod-name": f"{name}-{number}", "controller-revision-hash": f"{name}-7f9"})  # fmt: skip
            if volume:
                claim = f"data-{name}-{number}"
                made["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
                self.claim(claim, space, volume)
        ports = [port(service or 5432, "main", "main")]
        self.make("Service", f"{name}-headless", space, spec={"clusterIP": "None", "selector": labels, "ports": ports})
        if service:
            self.service(name, space, labels, service)
        return one

    def daemon_set(
        self, name: str, space: str, *, nodes: Sequence[Object] | None = None, minutes: float = 12 * DAY, **pod: Any
    ) -> Object:
        labels = {"k8s-app": name}
        on = self.nodes if nodes is None else list(nodes)
        one = self.make(
            "DaemonSet", name, space, api="apps/v1", minutes=40 * DAY, metadata={"generation": 1, "labels": labels},
            spec={"selector": {"matchLabels": labels}, "template": template_of(name, labels, **pod)},
            status={"observedGeneration": 1, "desiredNumberScheduled": len(on), "currentNumberScheduled": len(on),
                    "numberReady": len(on), "numberAvailable": len(on), "updatedNumberScheduled": len(on), "numberMisscheduled": 0},
        )  # fmt: skip
        for number, node in enumerate(on):
            self.pod(one, name=f"{name}-x{number}qz", node=node, minutes=minutes)
        return one

    def job(self, name: str, space: str, *, owner: Object | None = None, minutes: float = 90, state: str = "Complete",
            policy: str = "Never", **pod: Any) -> Object:  # fmt: skip
        """state: Complete, Failed or Running."""
        labels = {"batch.kubernetes.io/job-name": name, "job-name": name}
        status: Object = {"startTime": ago(minutes)}
        if state == "Complete":
            status |= {"succeeded": 1, "completionTime": ago(minutes - 1),
                       "conditions": [said("SuccessCriteriaMet", "True", "CompletionsReached", minutes=minutes - 1),
                                      said("Complete", "True", "CompletionsReached", minutes=minutes - 1)]}  # fmt: skip
        elif state == "Failed":
            status |= {"failed": 4, "conditions": [said("Failed", "True", "BackoffLimitExceeded",
                                                        "Job has reached the specified backoff limit", minutes=minutes - 3)]}  # fmt: skip
        else:
            status |= {"active": 1, "ready": 1}
        metadata: Object = {"labels": labels, "generation": 1}
        if owner is not None:
            metadata["ownerReferences"] = [owner_of(owner)]
        template = template_of(name, labels, **pod)
        template["spec"]["restartPolicy"] = policy
        one = self.make("Job", name, space, api="batch/v1", minutes=minutes, metadata=metadata, status=status,
                        spec={"backoffLimit": 3, "completions": 1, "parallelism": 1, "template": template})  # fmt: skip
        made = self.pod(one, name=f"{name}-k8x2p", minutes=minutes)
        if state != "Running":
            finish(made, 0 if state == "Complete" else 1, minutes - 1)
        return one

    def pod(self, owner: Object | None, *, name: str = "", space: str = "", node: Object | None = None, minutes: float = 12 * DAY,
            labels: Mapping[str, str] | None = None, **pod: Any) -> Object:  # fmt: skip
        template = owner["spec"]["template"] if owner is not None else template_of(name, labels or {}, **pod)
        space = owner["metadata"]["namespace"] if owner is not None else space
        self._serial += 1
        letters = "bcdfghjklmnpqrstvwxz"
        tail = "".join(letters[(self._serial * step) % 20] for step in (1, 3, 7, 9, 11))
        if node is None:
            free = [one for one in self.nodes if not one["spec"].get("taints") and not one["spec"].get("unschedulable")]
            self._turn += 1
            node = (free or self.nodes)[self._turn % len(free or self.nodes)]
        spec = copy.deepcopy(template["spec"])
        spec |= {"nodeName": node["metadata"]["name"], "schedulerName": "default-scheduler", "serviceAccountName": spec.get("serviceAccountName", "default")}  # fmt: skip
        metadata: Object = {"labels": {**template["metadata"].get("labels", {}), **(labels or {})}}
        if owner is not None:
            metadata["ownerReferences"] = [owner_of(owner)]
        kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
        status: Object = {
            "phase": "Running", "startTime": ago(minutes), "podIP": f"10.244.{self._serial // 250}.{self._serial % 250}", "qosClass": "Burstable",
            "conditions": [said(kind, "True", minutes=minutes) for kind in kinds],
            "containerStatuses": [running(one["name"], minutes, image=one["image"]) for one in spec["containers"]],
        }  # fmt: skip
        if spec.get("initContainers"):
            status["initContainerStatuses"] = [
                running(one["name"], minutes, image=one["image"]) if one.get("restartPolicy") == "Always" else
                {"name": one["name"], "ready": True, "started": False, "restartCount": 0, "image": one["image"],
                 "state": {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": ago(minutes)}}}
                for one in spec["initContainers"]
            ]  # fmt: skip
        stem = owner["metadata"]["name"] if owner is not None else name
        return self.make("Pod", name or f"{stem}-{tail}", space, minutes=minutes, metadata=metadata, spec=spec, status=status)

    def service(
        self, name: str, space: str, selector: Mapping[str, str], number: int = 80, target: Any = "main", **spec: Any
    ) -> Object:
        body = {
            "type": "ClusterIP",
            "clusterIP": f"10.96.{self._serial // 250}.{self._serial % 250}",
            "ports": [port(number, target)],
        }
        return self.make("Service", name, space, spec={**body, "selector": dict(selector), **spec})

    def claim(self, name: str, space: str, kind: str) -> Object:
        volume = f"pvc-{self._serial:08x}"
        self.make("PersistentVolume", volume, api="v1", spec={"storageClassName": kind, "claimRef": {"namespace": space, "name": name},
                  "capacity": {"storage": "20Gi"}}, status={"phase": "Bound"})  # fmt: skip
        return self.make("PersistentVolumeClaim", name, space, spec={"storageClassName": kind, "volumeName": volume,
                         "accessModes": ["ReadWriteOnce"]}, status={"phase": "Bound", "capacity": {"storage": "20Gi"}})  # fmt: skip

    def event(self, about: Object, reason: str, message: str, *, minutes: float = 1, kind: str = "Warning", count: int = 4,
              lasted: float = 8, container: str = "", by_scheduler: bool = False) -> Object:  # fmt: skip
        self._serial += 1
        metadata = about["metadata"]
        space = metadata.get("namespace", "")
        involved = {"kind": about["kind"], "namespace": space, "name": metadata["name"], "uid": metadata["uid"],
                    "apiVersion": about["apiVersion"]}  # fmt: skip
        if container:
            involved["fieldPath"] = f"spec.containers{{{container}}}"
        times: Object = {"eventTime": ago(minutes + lasted), "firstTimestamp": None, "lastTimestamp": None} if by_scheduler else {
            "eventTime": None, "firstTimestamp": ago(minutes + lasted), "lastTimestamp": ago(minutes), "count": count}  # fmt: skip
        return self.make("Event", f"{metadata['name']}.{self._serial:x}", space or "default", minutes=minutes + lasted, type=kind,
                         reason=reason, message=message, involvedObject=involved, **times)  # fmt: skip

    def log(self, pod: Object, *told: str, minutes: float = 0.2, container: str = "", previous: bool = False) -> None:
        name = container or pod["spec"]["containers"][0]["name"]
        self.logs.append(ContainerLog(namespace=pod["metadata"]["namespace"], pod=pod["metadata"]["name"], container=name,
                                      previous=previous, text=lines(*told, minutes=minutes)))  # fmt: skip

    # Looking ----------------------------------------------------------------------------------------------------------------

    def get(self, kind: str, space: str, name: str) -> Object:
        return next(one for one in self.of(kind, space) if one["metadata"]["name"] == name)

    def of(self, kind: str, space: str) -> Iterator[Object]:
        return (one for one in self.objects if one["kind"] == kind and one["metadata"].get("namespace", "") == space)

    def pods(self, workload: Object) -> list[Object]:
        owners = {workload["metadata"]["name"]}
        space = workload["metadata"]["namespace"]
        owners |= {one["metadata"]["name"] for one in self.of("ReplicaSet", space)
                   if any(ref["name"] == workload["metadata"]["name"] for ref in one["metadata"].get("ownerReferences", ()))}  # fmt: skip
        return [
            one
            for one in self.of("Pod", space)
            if any(ref["name"] in owners for ref in one["metadata"].get("ownerReferences", ()))
        ]

    def topology(self, unseen: dict[str, str] | None = None) -> Topology:
        return build(NOW, copy.deepcopy(self.objects), list(self.logs), (), dict(unseen or {}))


# Pieces ---------------------------------------------------------------------------------------------------------------------


def template_of(name: str, labels: Mapping[str, str], *, image: str = "", listens: int = 8080, env: Any = None, box: Object | None = None,
                more: Sequence[Object] = (), **spec: Any) -> Object:  # fmt: skip
    one: Object = {"name": name, "image": image or f"registry.example.com/{name}:1.4.2", "ports": [{"name": "main", "containerPort": listens}],
                   "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}}  # fmt: skip
    if env:
        one["env"] = [
            {"name": key, "value": value} if isinstance(value, str) else {"name": key, "valueFrom": value}
            for key, value in env.items()
        ]
    one |= box or {}
    return {"metadata": {"labels": dict(labels)}, "spec": {"restartPolicy": "Always", "containers": [one, *more], **spec}}


def owner_of(one: Object) -> Object:
    return {"apiVersion": one["apiVersion"], "kind": one["kind"], "name": one["metadata"]["name"], "uid": one["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True}  # fmt: skip


def said(kind: str, status: str, reason: str = "", message: str = "", *, minutes: float = 30) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(minutes),
            "lastUpdateTime": ago(minutes)}  # fmt: skip


def port(number: int, target: Any, name: str = "main") -> Object:
    return {"name": name, "port": number, "targetPort": target, "protocol": "TCP"}


def running(
    name: str, minutes: float, *, image: str = "", restarts: int = 0, last: Object | None = None, ready: bool = True
) -> Object:
    return {"name": name, "ready": ready, "started": True, "restartCount": restarts, "image": image, "imageID": f"{image}@sha256:0",
            "state": {"running": {"startedAt": ago(minutes)}}, "lastState": last or {}}  # fmt: skip


def terminated(code: int, reason: str = "Error", *, minutes: float = 1, lasted: float = 0.2, message: str = "") -> Object:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": ago(minutes + lasted),
            "finishedAt": ago(minutes),
            "message": message,
        }
    }


def finish(pod: Object, code: int, minutes: float) -> None:
    """The pod has ended."""
    pod["status"]["phase"] = "Succeeded" if code == 0 else "Failed"
    for one in pod["status"]["containerStatuses"]:
        one |= {
            "ready": False,
            "started": False,
            "state": terminated(code, "Completed" if code == 0 else "Error", minutes=minutes),
        }
    unready(pod, minutes, reason="PodCompleted" if code == 0 else "PodFailed")


def unready(
    pod: Object, minutes: float, *, reason: str = "ContainersNotReady", message: str = "containers with unready status"
) -> None:
    for one in pod["status"]["conditions"]:
        if one["type"] in ("Ready", "ContainersReady"):
            one |= said(one["type"], "False", reason, message, minutes=minutes)
