"""ResourceQuota status: what a namespace uses of what it may. Enforcement is admission's, not done here."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from lab.world.cluster import Cluster
from lab.world.kinds import GROUPS, Object
from lab.world.reading import finished, format_quantity, quantity

COUNTED = {plural: kind for kind, (_, plural, _) in GROUPS.items()}


@dataclass
class Quotas:
    cluster: Cluster
    name: str = "resourcequota-controller"
    watches: frozenset[str] = frozenset(
        {"ResourceQuota", "Pod", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim", "Deployment"}
    )
    due: None = None

    def reconcile(self) -> None:
        for quota in self.cluster.of("ResourceQuota"):
            namespace = quota["metadata"]["namespace"]
            hard = quota["spec"].get("hard") or {}
            used = {r: format_quantity(self._used(namespace, r), r) for r in hard}

            def change(obj: Object, hard: Object = hard, used: Object = used) -> None:
                obj["status"] = {"hard": dict(hard), "used": used}

            self.cluster.edit("ResourceQuota", namespace, quota["metadata"]["name"], change)

    def _used(self, namespace: str, resource: str) -> Decimal:
        pods = [p for p in self.cluster.of("Pod", namespace) if not finished(p)]
        if resource in ("pods", "count/pods"):
            return Decimal(len(pods))
        if resource == "requests.storage":
            claims = self.cluster.of("PersistentVolumeClaim", namespace)
            return sum((quantity(c["spec"]["resources"]["requests"]["storage"]) for c in claims), Decimal(0))
        counted = COUNTED.get(resource.removeprefix("count/").split(".")[0])
        if counted is not None and resource not in ("cpu", "memory"):
            return Decimal(len(self.cluster.of(counted, namespace)))
        side, _, name = resource.rpartition(".")
        return total(pods, side or "requests", name)


def total(pods: Iterable[Object], side: str, resource: str) -> Decimal:
    result = Decimal(0)
    for pod in pods:
        for container in pod["spec"].get("containers") or []:
            amount = ((container.get("resources") or {}).get(side) or {}).get(resource)
            if amount is not None:
                result += quantity(amount)
    return result
