"""Services: a cluster IP, Endpoints and EndpointSlices from the pods a selector finds, ready or not."""

from dataclasses import dataclass, field

from lab.world.cluster import Cluster
from lab.world.kinds import Object
from lab.world.probes import number
from lab.world.reading import finished, is_true, labels_of, owner_reference, stamp

BY = "endpoint-controller"


@dataclass
class Services:
    cluster: Cluster
    name: str = BY
    watches: frozenset[str] = frozenset({"Service", "Pod", "Endpoints"})
    due: None = None
    _next_ip: int = 10
    _slices: dict[str, str] = field(default_factory=dict)  # service uid: slice name

    def reconcile(self) -> None:
        for service in self.cluster.of("Service"):
            if service["metadata"].get("deletionTimestamp"):
                continue
            self._address(service)
            if service["spec"].get("selector"):
                self._publish(service)
        for endpoints in self.cluster.of("Endpoints"):
            metadata = endpoints["metadata"]
            managed = (metadata.get("labels") or {}).get("endpoints.kubernetes.io/managed-by") == BY
            if managed and self.cluster.find("Service", metadata["namespace"], metadata["name"]) is None:
                self.cluster.remove("Endpoints", metadata["namespace"], metadata["name"])

    def _address(self, service: Object) -> None:
        spec = service["spec"]
        if spec.get("clusterIP") or spec.get("type") == "ExternalName":
            return
        taken = {s["spec"].get("clusterIP") for s in self.cluster.of("Service")}
        while (ip := f"10.96.{self._next_ip // 250}.{self._next_ip % 250 + 1}") in taken:
            self._next_ip += 1

        def change(obj: Object) -> None:
            obj["spec"].update({"clusterIP": ip, "clusterIPs": [ip]})
            obj["spec"].setdefault("type", "ClusterIP")
            obj["spec"].setdefault("ipFamilies", ["IPv4"])
            obj["spec"].setdefault("ipFamilyPolicy", "SingleStack")

        self.cluster.edit("Service", service["metadata"]["namespace"], service["metadata"]["name"], change)

    def _publish(self, service: Object) -> None:
        namespace = service["metadata"]["namespace"]
        selector = service["spec"]["selector"]
        pods = [
            p
            for p in self.cluster.of("Pod", namespace)
            if all(labels_of(p).get(k) == v for k, v in selector.items())
            and (p.get("status") or {}).get("podIP")
            and not finished(p)
        ]
        groups: dict[tuple[tuple[str, int], ...], list[Object]] = {}
        for pod in pods:
            groups.setdefault(self._ports(service, pod), []).append(pod)
        subsets = [s for ports, members in sorted(groups.items()) if (s := self._subset(service, ports, members))]
        self._write_endpoints(service, subsets)
        ports = next(iter(sorted(groups, key=lambda g: -len(groups[g]))), ())
        self._write_slice(service, pods, self._shown_ports(service, ports))

    def _ports(self, service: Object, pod: Object) -> tuple[tuple[str, int], ...]:
        declared = [p for c in pod["spec"]["containers"] for p in c.get("ports") or []]
        found = []
        for port in service["spec"].get("ports") or []:
            target = number(port.get("targetPort", port["port"]), declared)
            if target is not None:
                found.append((port.get("name", ""), target))
        return tuple(found)

    def _shown_ports(self, service: Object, ports: tuple[tuple[str, int], ...]) -> list[Object]:
        protocols = {p.get("name", ""): p.get("protocol", "TCP") for p in service["spec"].get("ports") or []}
        return [{**({"name": n} if n else {}), "port": p, "protocol": protocols.get(n, "TCP")} for n, p in ports]

    def _subset(self, service: Object, ports: tuple[tuple[str, int], ...], pods: list[Object]) -> Object | None:
        if not ports:
            return None
        ready: list[Object] = []
        other: list[Object] = []
        for pod in pods:
            entry = {"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": reference(pod)}
            if pod["metadata"].get("deletionTimestamp"):
                continue
            (ready if serves(service, pod) else other).append(entry)
        if not ready and not other:
            return None
        subset: Object = {"ports": self._shown_ports(service, ports)}
        if ready:
            subset["addresses"] = ready
        if other:
            subset["notReadyAddresses"] = other
        return subset

    def _write_endpoints(self, service: Object, subsets: list[Object]) -> None:
        metadata = service["metadata"]

        def change(obj: Object) -> None:
            if (obj.get("subsets") or []) != subsets:
                obj["subsets"] = subsets
                obj["metadata"].setdefault("annotations", {})["endpoints.kubernetes.io/last-change-trigger-time"] = stamp(
                    self.cluster.now
                )

        if self.cluster.edit("Endpoints", metadata["namespace"], metadata["name"], change) is None:
            labels = {**(metadata.get("labels") or {}), "endpoints.kubernetes.io/managed-by": BY}
            new: Object = {"metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "labels": labels}}
            if subsets:
                new["subsets"] = subsets
            self.cluster.create("Endpoints", new, user=BY)

    def _write_slice(self, service: Object, pods: list[Object], ports: list[Object]) -> None:
        metadata = service["metadata"]
        endpoints = [self._endpoint(service, p) for p in pods]
        name = self._slices.setdefault(metadata["uid"], f"{metadata['name']}-{self.cluster.suffix()}")

        def change(obj: Object) -> None:
            if obj.get("endpoints") != endpoints or obj.get("ports") != ports:
                obj["endpoints"], obj["ports"] = endpoints, ports
                obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1

        if self.cluster.edit("EndpointSlice", metadata["namespace"], name, change) is None:
            new = {
                "metadata": {
                    "name": name,
                    "generateName": f"{metadata['name']}-",
                    "namespace": metadata["namespace"],
                    "labels": {
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                        "kubernetes.io/service-name": metadata["name"],
                    },
                    "ownerReferences": [owner_reference(service)],
                },
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": ports,
            }
            self.cluster.create("EndpointSlice", new, user="endpointslice-controller")

    def _endpoint(self, service: Object, pod: Object) -> Object:
        going = bool(pod["metadata"].get("deletionTimestamp"))
        ready = serves(service, pod)
        return {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": ready and not going, "serving": ready, "terminating": going},
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": reference(pod),
        }


def serves(service: Object, pod: Object) -> bool:
    return is_true(pod, "Ready") or bool(service["spec"].get("publishNotReadyAddresses"))


def reference(pod: Object) -> Object:
    metadata = pod["metadata"]
    return {"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}
