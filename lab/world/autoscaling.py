"""The HorizontalPodAutoscaler: cpu and memory utilization from what the programs use, or why it cannot compute."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from lab.world.cluster import Cluster
from lab.world.events import Recorder
from lab.world.kinds import Object
from lab.world.pods import PodRun
from lab.world.reading import drop_condition, finished, is_true, labels_of, parse_stamp, quantity, selects, set_condition
from lab.world.usage import cpu_cores, memory_bytes

BY = "horizontal-pod-autoscaler"
PERIOD = timedelta(seconds=15)
TOLERANCE = 0.1
STABILIZED = "recent recommendations were higher than current one, applying the highest recent recommendation"
STABLE = timedelta(minutes=5)  # scale-down stabilization


class CannotCompute(Exception):
    """FailedGetResourceMetric; the text is the controller's."""


class Runs(Protocol):
    def find(self, namespace: str, name: str) -> PodRun | None: ...


@dataclass
class Autoscalers:
    cluster: Cluster
    recorder: Recorder
    runs: Runs
    name: str = BY
    watches: frozenset[str] = frozenset({"HorizontalPodAutoscaler"})
    due: datetime | None = None
    _recent: dict[str, list[tuple[datetime, int]]] = field(default_factory=dict)

    def reconcile(self) -> None:
        if self.due is not None and self.cluster.now < self.due:
            return
        found = self.cluster.of("HorizontalPodAutoscaler")
        for autoscaler in found:
            self._one(autoscaler)
        self.due = self.cluster.now + PERIOD if found else None

    def _one(self, autoscaler: Object) -> None:
        namespace = autoscaler["metadata"]["namespace"]
        reference = autoscaler["spec"]["scaleTargetRef"]
        target = self.cluster.find(reference["kind"], namespace, reference["name"]) if reference["kind"] in SCALED else None
        if target is None:
            text = f'{reference["kind"].lower()}s.apps "{reference["name"]}" not found'
            self._write(autoscaler, {"AbleToScale": ("False", "FailedGetScale", text)}, {})
            self.recorder.record(autoscaler, "Warning", "FailedGetScale", text, by=BY)
            return
        current = target["spec"].get("replicas", 1)
        if current == 0:
            text = "scaling is disabled since the replica count of the target is zero"
            able = ("True", "SucceededGetScale", "the HPA controller was able to get the target's current scale")
            self._write(
                autoscaler,
                {"AbleToScale": able, "ScalingActive": ("False", "ScalingDisabled", text)},
                {"currentReplicas": 0, "desiredReplicas": 0},
            )
            return
        try:
            desired, metrics, cause = self._desired(autoscaler, target, current)
        except CannotCompute as exc:
            self._cannot(autoscaler, current, str(exc))
            return
        self._resize(autoscaler, target, current, desired, metrics, cause)

    def _cannot(self, autoscaler: Object, current: int, why: str) -> None:
        self.recorder.record(autoscaler, "Warning", "FailedGetResourceMetric", why, by=BY)
        first = f"failed to get {why.split()[3]} resource metric value: {why}"
        text = f"invalid metrics (1 invalid out of 1), first error is: {first}"
        self.recorder.record(autoscaler, "Warning", "FailedComputeMetricsReplicas", text, by=BY)
        conditions = {
            "AbleToScale": ("True", "SucceededGetScale", "the HPA controller was able to get the target's current scale"),
            "ScalingActive": ("False", "FailedGetResourceMetric", f"the HPA was unable to compute the replica count: {why}"),
        }
        self._write(autoscaler, conditions, {"currentReplicas": current, "desiredReplicas": 0, "currentMetrics": [{"type": ""}]})

    def _desired(self, autoscaler: Object, target: Object, current: int) -> tuple[int, list[Object], str]:
        best, shown, cause = 0, [], ""
        for metric in autoscaler["spec"].get("metrics") or []:
            if metric["type"] != "Resource":
                raise CannotCompute(
                    f"failed to get {metric['type'].lower()} metric: unable to fetch metrics: no metrics API serves it"
                )
            resource = metric["resource"]["name"]
            ratio, utilization, average = self._ratio(target, resource, metric["resource"]["target"])
            size = current if abs(ratio - 1) <= TOLERANCE else math.ceil(current * ratio)
            if size > best:
                best, cause = size, f"{resource} resource utilization (percentage of request)"
            value = f"{round(average * 1000)}m" if resource == "cpu" else str(round(average))
            current_metric = {"averageUtilization": utilization, "averageValue": value}
            shown.append({"type": "Resource", "resource": {"name": resource, "current": current_metric}})
        return best, shown, cause

    def _ratio(self, target: Object, resource: str, wanted: Object) -> tuple[float, int, float]:
        failed = f"failed to get {resource} utilization"
        pods = [
            p
            for p in self.cluster.of("Pod", target["metadata"]["namespace"])
            if selects(target["spec"]["selector"], labels_of(p)) and not finished(p)
        ]
        used = requested = 0.0
        counted = 0
        for pod in pods:
            name = pod["metadata"]["name"]
            for container in pod["spec"]["containers"]:
                request = ((container.get("resources") or {}).get("requests") or {}).get(resource)
                if request is None:
                    raise CannotCompute(
                        f"{failed}: missing request for {resource} in container {container['name']} of Pod {name}"
                    )
            run = self.runs.find(pod["metadata"]["namespace"], pod["metadata"]["name"])
            if run is None or not is_true(pod, "Ready"):
                continue
            counted += 1
            for one in run.main:
                used += cpu_cores(one, self.cluster.now) if resource == "cpu" else memory_bytes(one, self.cluster.now)
                requested += float(quantity(one.spec["resources"]["requests"][resource]))
        if not counted or not requested:
            raise CannotCompute(f"{failed}: did not receive metrics for targeted pods (pods might be unready)")
        utilization = round(100 * used / requested)
        return utilization / wanted.get("averageUtilization", 80), utilization, used / counted

    def _resize(self, autoscaler: Object, target: Object, current: int, desired: int, metrics: list[Object], cause: str) -> None:
        spec = autoscaler["spec"]
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        limited = ("False", "DesiredWithinRange", "the desired count is within the acceptable range")
        if desired > most:
            desired, limited = (
                most,
                ("True", "TooManyReplicas", "the desired replica count is more than the maximum replica count"),
            )
        elif desired < least:
            desired, limited = (
                least,
                ("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count"),
            )
        able = ("True", "ReadyForNewScale", "recommended size matches current size")
        steady = self._steady(autoscaler, desired)
        if steady > desired and steady >= current:
            desired = current
            able = ("True", "ScaleDownStabilized", STABILIZED)
        if desired != current:
            metadata = target["metadata"]
            self.cluster.edit(
                target["kind"], metadata["namespace"], metadata["name"], lambda o: o["spec"].update(replicas=desired)
            )
            why = f"{cause} above target" if desired > current else "All metrics below target"
            self.recorder.record(autoscaler, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {why}", by=BY)
            able = ("True", "SucceededRescale", f"the HPA controller was able to update the target scale to {desired}")
        active = ("True", "ValidMetricFound", f"the HPA was able to successfully calculate a replica count from {cause}")
        status = {"currentReplicas": current, "desiredReplicas": desired, "currentMetrics": metrics}
        self._write(autoscaler, {"AbleToScale": able, "ScalingActive": active, "ScalingLimited": limited}, status)

    def _steady(self, autoscaler: Object, desired: int) -> int:
        recent = self._recent.setdefault(autoscaler["metadata"]["uid"], [])
        recent.append((self.cluster.now, desired))
        recent[:] = [(at, size) for at, size in recent if at >= self.cluster.now - STABLE]
        begun = parse_stamp(autoscaler["metadata"]["creationTimestamp"])
        return max(size for _, size in recent) if begun else desired

    def _write(self, autoscaler: Object, conditions: dict[str, tuple[str, str, str]], fields: Object) -> None:
        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            status |= fields
            if "ScalingLimited" not in conditions:
                drop_condition(status, "ScalingLimited")
            for kind, (value, reason, message) in conditions.items():
                set_condition(status, {"type": kind, "status": value, "reason": reason, "message": message}, self.cluster.stamp)

        self.cluster.edit("HorizontalPodAutoscaler", autoscaler["metadata"]["namespace"], autoscaler["metadata"]["name"], change)


SCALED = frozenset({"Deployment", "ReplicaSet", "StatefulSet"})
