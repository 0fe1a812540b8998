"""PodDisruptionBudget status: how many pods may be evicted now."""

from dataclasses import dataclass

from lab.world.cluster import Cluster
from lab.world.kinds import Object
from lab.world.reading import controller_of, finished, is_true, labels_of, selects, set_condition
from lab.world.rollout import share


@dataclass
class DisruptionBudgets:
    cluster: Cluster
    name: str = "disruption-controller"
    watches: frozenset[str] = frozenset({"PodDisruptionBudget", "Pod", "Deployment", "StatefulSet", "ReplicaSet"})
    due: None = None

    def reconcile(self) -> None:
        for budget in self.cluster.of("PodDisruptionBudget"):
            self._one(budget)

    def _one(self, budget: Object) -> None:
        namespace = budget["metadata"]["namespace"]
        pods = [
            p
            for p in self.cluster.of("Pod", namespace)
            if selects(budget["spec"].get("selector"), labels_of(p))
            and not finished(p)
            and not p["metadata"].get("deletionTimestamp")
        ]
        expected = self._expected(pods)
        healthy = sum(is_true(p, "Ready") for p in pods)
        spec = budget["spec"]
        if "maxUnavailable" in spec:
            desired = expected - share(spec["maxUnavailable"], expected, up=True)
        else:
            desired = share(spec.get("minAvailable", 1), expected, up=True)
        desired = max(desired, 0)
        allowed = max(healthy - desired, 0) if expected else 0

        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            status |= {
                "currentHealthy": healthy,
                "desiredHealthy": desired,
                "disruptionsAllowed": allowed,
                "expectedPods": expected,
                "observedGeneration": obj["metadata"].get("generation", 1),
            }
            enough = (
                {"status": "True", "reason": "SufficientPods"} if allowed else {"status": "False", "reason": "InsufficientPods"}
            )
            set_condition(status, {"type": "DisruptionAllowed", "message": "", **enough}, self.cluster.stamp)

        self.cluster.edit("PodDisruptionBudget", namespace, budget["metadata"]["name"], change)

    def _expected(self, pods: list[Object]) -> int:
        """The desired size of the workloads that own these pods."""
        sizes: dict[str, int] = {}
        for pod in pods:
            owner = controller_of(pod)
            if owner is None:
                sizes[pod["metadata"]["uid"]] = 1
                continue
            found = self.cluster.find(owner["kind"], pod["metadata"]["namespace"], owner["name"])
            above = controller_of(found) if found else None
            if above is not None:
                found = self.cluster.find(above["kind"], pod["metadata"]["namespace"], above["name"])
            if found is not None:
                sizes[found["metadata"]["uid"]] = found["spec"].get("replicas", 1)
        return sum(sizes.values())
