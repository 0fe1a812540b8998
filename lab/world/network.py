"""Names and connections inside the cluster: does this host resolve, does anything answer on that port, and what a Go
program would say if not."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lab.world.cluster import Cluster
from lab.world.kinds import Object

CLUSTER_DNS = "10.96.0.10"
ADDRESS = re.compile(r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^@/]*@)?(?P<host>[A-Za-z0-9_.-]+)(?::(?P<port>\d+))?(?:/.*)?$")
SCHEME_PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432, "redis": 6379, "amqp": 5672, "mysql": 3306}


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


def parse(text: str) -> Address | None:
    """ "db.shop.svc:5432" or a URL, credentials and path ignored; the scheme's port where none is given."""
    found = ADDRESS.match(text)
    if found is None:
        return None
    scheme = text.split("://", 1)[0] if "://" in text else ""
    return Address(found["host"], int(found["port"] or SCHEME_PORTS.get(scheme, 80)))


@dataclass
class Network:
    """`listening(namespace, pod)` are the ports on which programs of that pod accept connections now."""

    cluster: Cluster
    listening: Callable[[str, str], frozenset[int]]

    def service(self, host: str, namespace: str) -> Object | None:
        """By the search path of a pod in `namespace`: name, name.ns, name.ns.svc, name.ns.svc.cluster.local."""
        parts = host.removesuffix(".").removesuffix(".cluster.local").removesuffix(".svc").split(".")
        if len(parts) > 2:
            return None
        return self.cluster.find("Service", parts[1] if len(parts) == 2 else namespace, parts[0])

    def resolves(self, text: str, namespace: str) -> bool:
        address = parse(text)
        return address is not None and self.service(address.host, namespace) is not None

    def reachable(self, text: str, namespace: str) -> bool:
        return self.failure(text, namespace) == ""

    def failure(self, text: str, namespace: str) -> str:
        """ "" when a connection would succeed, else the error as Go's net package words it."""
        address = parse(text)
        if address is None:
            return f"dial tcp: address {text}: missing port in address"
        service = self.service(address.host, namespace)
        if service is None:
            return f"dial tcp: lookup {address.host} on {CLUSTER_DNS}:53: no such host"
        ip = service["spec"].get("clusterIP") or "None"
        if not any(p["port"] == address.port for p in service["spec"].get("ports") or []):
            return f"dial tcp {ip}:{address.port}: i/o timeout"
        if self._backends(service, address.port):
            return ""
        return f"dial tcp {ip}:{address.port}: connect: connection refused"

    def _backends(self, service: Object, port: int) -> bool:
        """At least one ready endpoint behind this service port on which a program really listens."""
        metadata = service["metadata"]
        name = next((p.get("name") for p in service["spec"].get("ports") or [] if p["port"] == port), None)
        for part in self._subsets(metadata):
            for target in part.get("ports") or []:
                if target.get("name") != name:
                    continue
                for address in part.get("addresses") or []:
                    reference = address.get("targetRef") or {}
                    if target["port"] in self.listening(reference.get("namespace", ""), reference.get("name", "")):
                        return True
        return False

    def _subsets(self, metadata: Object) -> list[Object]:
        found = self.cluster.find("Endpoints", metadata["namespace"], metadata["name"]) or {}
        subsets: list[Object] = found.get("subsets") or []
        return subsets
