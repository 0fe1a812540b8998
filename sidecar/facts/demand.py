"""What each step adds to what the cluster has to give: requested CPU, memory and storage. Pure.

Reckoned from live objects, step after step: (replicas x requests of a pod) after, less before. What no container requests
is not counted; an autoscaler counts with its upper bound.
"""

import re
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from sidecar.contract import ChangeFields, CreateObject, Json, ScaleWorkload, Step
from sidecar.facts.projection import Document, documents, key_of, mapping, number, pod_spec, segments_of, text
from sidecar.facts.quantities import UnreadableQuantity, mebibytes, millis

_COUNTED = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "DaemonSet"})


# Below a container, but for its resources: nothing there is counted.
_UNCOUNTED = re.compile(r"/spec/template/spec/containers/\d+/(?!resources(?:/|$))")


class Demand(NamedTuple):
    cpu_millis: int = 0
    memory_mib: int = 0
    storage_mib: int = 0

    def times(self, count: int) -> "Demand":
        return Demand(self.cpu_millis * count, self.memory_mib * count, self.storage_mib * count)

    def less(self, other: "Demand") -> "Demand":
        return Demand(
            self.cpu_millis - other.cpu_millis, self.memory_mib - other.memory_mib, self.storage_mib - other.storage_mib
        )

    def document(self) -> Document:
        return {"cpu_millis": self.cpu_millis, "memory_mib": self.memory_mib, "storage_mib": self.storage_mib}


def added(
    steps: Sequence[Step], live: Mapping[str, Document], scaled: Mapping[str, Document], nothing: Set[str] = frozenset()
) -> dict[str, Json]:
    """{step id: {"cpu_millis", "memory_mib", "storage_mib"}}; a step whose sum cannot be told is left out.

    `live`: the target of each step by its key, where it is there. `scaled`: by the key of an autoscaler, what it scales.
    `nothing`: ids of steps that are known to add nothing, as long as no other one is about the same object.
    """
    state = dict(live)
    found: dict[str, Json] = {}
    keys = [key_of(step.action.target) for step in steps]
    for step, key in zip(steps, keys, strict=True):
        if step.id in nothing and keys.count(key) == 1:
            found[step.id] = Demand().document()
            continue
        try:
            now = state.get(key, {})
            before = _demand(now, scaled.get(key))
            state[key] = _after(step, now)
            if isinstance(step.action, CreateObject) and step.action.target.kind == "HorizontalPodAutoscaler":
                before = _whole(scaled[key])
            after = before if counts_nothing(step) else _demand(state[key], scaled.get(key))
            found[step.id] = after.less(before).document()
        except (UnreadableQuantity, KeyError, ValueError):
            continue
    return found


def counts_nothing(step: Step) -> bool:
    """Whether it changes only what no sum depends on, if its places are there."""
    return isinstance(step.action, ChangeFields) and all(_UNCOUNTED.match(change.path) for change in step.action.changes)


def requests_of(live: Document) -> Demand:
    """Of one pod of the workload. A limit without a request is the request. Raises UnreadableQuantity."""
    cpu = memory = 0
    for container in documents(pod_spec(live).get("containers")):
        if not (resources := mapping(container, "resources")):
            continue
        asked = {**mapping(resources, "limits"), **mapping(resources, "requests")}
        cpu += millis(asked.get("cpu"))
        memory += mebibytes(asked.get("memory"))
    return Demand(cpu, memory)


def demand_of(live: Document) -> Demand | None:
    """Of all that the object has running or keeps; None where that cannot be told of it alone."""
    try:
        return _demand(live, None)
    except (UnreadableQuantity, KeyError):
        return None


def replicas_of(live: Document) -> int | None:
    """How many pods the workload is to have; None for what has no such number."""
    if live.get("kind") == "DaemonSet":
        return number(mapping(live, "status"), "desiredNumberScheduled")
    if live.get("kind") == "Job":
        return number(mapping(live, "spec"), "parallelism")
    found = number(mapping(live, "spec"), "replicas")
    return 1 if found is None and live.get("kind") in _COUNTED else found


def _demand(live: Document, scaled: Document | None) -> Demand:
    match live.get("kind"):
        case kind if kind in _COUNTED:
            return _whole(live)
        case "HorizontalPodAutoscaler":
            if scaled is None:
                raise KeyError("what it scales is not known")
            most = number(mapping(live, "spec"), "maxReplicas")
            if most is None:
                raise UnreadableQuantity("an autoscaler without an upper bound")
            return requests_of(scaled).times(most)
        case "PersistentVolumeClaim":
            requests = mapping(mapping(mapping(live, "spec"), "resources"), "requests")
            return Demand(storage_mib=mebibytes(requests.get("storage")))
        case _:
            return Demand()


def _whole(live: Document) -> Demand:
    count = replicas_of(live)
    if count is None:
        raise UnreadableQuantity("a workload without a number of pods")
    return requests_of(live).times(count)


def _after(step: Step, live: Document) -> Document:
    match step.action:
        case ScaleWorkload(replicas=replicas):
            return _with(live, "/spec/replicas", replicas)
        case ChangeFields(changes=changes):
            for change in changes:
                live = _with(live, change.path, change.after)
            return live
        case CreateObject(manifest=manifest):
            return manifest
        case _:
            return live


def _with(live: Document, pointer: str, value: Json) -> Document:
    """The object with one value put in its place; missing parents appear, as the step makes them. What is not on the way is
    shared with the object that came in. Raises ValueError."""
    *way, last = segments_of(pointer)
    node, passed = _reached(live, way)
    changed: Json = [*node, value] if isinstance(node, list) and _takes_another(node, last) else _replaced(node, last, value)
    for node, segment in reversed(passed):
        changed = _replaced(node, segment, changed)
    if not isinstance(changed, dict):
        raise ValueError("no such place")
    return changed


def _reached(live: Document, way: list[str]) -> tuple[Json, list[tuple[Json, str]]]:
    """What is at the end of the way, and what was passed by, each with the segment that was taken. Raises ValueError."""
    passed: list[tuple[Json, str]] = []
    node: Json = live
    for segment in way:
        passed.append((node, segment))
        if isinstance(node, dict):
            held = node.get(segment)
            node = {} if held is None else held
        elif isinstance(node, list) and segment.isdecimal() and int(segment) < len(node):
            node = node[int(segment)]
        else:
            raise ValueError("no such place")
    return node, passed


def _takes_another(node: Json, segment: str) -> bool:
    """Whether it is a list, and the segment the place after its end."""
    return isinstance(node, list) and (segment == "-" or (segment.isdecimal() and int(segment) == len(node)))


def _replaced(node: Json, segment: str, value: Json) -> Json:
    if isinstance(node, dict):
        return {**node, segment: value}
    if isinstance(node, list) and segment.isdecimal() and int(segment) < len(node):
        index = int(segment)
        return [*node[:index], value, *node[index + 1 :]]
    raise ValueError("no such place")


def scales(live: Document) -> tuple[str, str, str]:
    """apiVersion, kind and name of what an autoscaler scales."""
    target = mapping(mapping(live, "spec"), "scaleTargetRef")
    return text(target, "apiVersion"), text(target, "kind"), text(target, "name")
