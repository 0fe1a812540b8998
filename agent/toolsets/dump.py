"""A `kubectl cluster-info dump --output-directory` folder as a snapshot.

A dump holds nodes, and of each namespace events, replication controllers, Services, DaemonSets, Deployments, ReplicaSets and
pods with their logs. What it does not hold is a gap, so that nothing is taken for missing that was only not asked for.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from agent.domain.objects import ContainerLog, Manifest
from agent.errors import InputError
from agent.ports.cluster import BY_NATURE, Gap
from agent.toolsets.kinds import CLUSTER_KINDS, EXTENSION_KINDS, NAMESPACED_KINDS
from agent.toolsets.projection import projected
from agent.toolsets.snapshot import Snapshot
from agent.toolsets.wellformed import fault_of
from agent.topology.events import happening
from agent.topology.fields import created_at, items, kind_of, text, time_at

# Files of a dump whose name is not the kind's plural.
_NAMES = {"replication-controllers": "ReplicationController"}


def read_dump(folder: Path) -> Snapshot:
    """nodes.json beside one folder a namespace (pods.json, events.json, ..., POD/logs.txt). `now` is the newest time in it."""
    files = sorted(folder.glob("*.json")) + sorted(folder.glob("*/*.json"))
    if not files:
        raise InputError(f"{folder}: no cluster-info dump: there is no nodes.json and no NAMESPACE/pods.json in it")
    objects: list[Manifest] = [one for path in files for one in _objects(path)]
    if not objects:
        raise InputError(f"{folder}: the dump holds no objects")
    logs = [log for path in sorted(folder.glob("*/*/logs.txt")) for log in _logs(path)]
    return Snapshot(
        name=folder.resolve().name,
        now=_newest(folder, objects),
        objects=tuple(objects),
        logs=tuple(logs),
        gaps=tuple(_gaps(files, objects)),
    )


def _objects(path: Path) -> list[Manifest]:
    try:
        document: Any = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as exc:
        raise InputError(f"{path}: {str(exc).splitlines()[0]}") from None
    if not isinstance(document, dict) or "items" not in document:
        raise InputError(f"{path}: no list of Kubernetes objects (the field `items` is missing)")
    kind, version = text(document, "kind").removesuffix("List"), text(document, "apiVersion")
    found: list[Manifest] = []
    for number, one in enumerate(items(document, "items")):
        named = {"kind": kind or _kind_of_file(path), "apiVersion": version, **one} if isinstance(one, dict) else one
        if fault := fault_of(named):
            raise InputError(f"{path}: items[{number}] is no Kubernetes object: {fault}")
        found.append(projected(named))
    return found


def _kind_of_file(path: Path) -> str:
    return _NAMES.get(path.stem) or next(
        (one.kind for one in (*NAMESPACED_KINDS, *CLUSTER_KINDS, *EXTENSION_KINDS) if one.plural == path.stem), ""
    )


def _gaps(files: list[Path], objects: list[Manifest]) -> list[Gap]:
    held = {_kind_of_file(path) for path in files} | {kind_of(one) for one in objects}
    kinds = [one.kind for one in (*NAMESPACED_KINDS, *CLUSTER_KINDS) if not one.optional]
    return [Gap(what=f"{kind} objects", why=BY_NATURE) for kind in dict.fromkeys(kinds) if kind not in held]


def _logs(path: Path) -> list[ContainerLog]:
    """The dump writes "==== START logs for container NAME of pod NS/POD ====" around each container's text."""
    namespace, pod = path.parts[-3], path.parts[-2]
    found: list[ContainerLog] = []
    container, lines = "", list[str]()
    try:
        whole = path.read_text(encoding="utf-8", errors="replace")
    except OSError as exc:
        raise InputError(f"{path}: {exc.strerror}") from None
    for line in whole.splitlines(keepends=True):
        if line.startswith("==== START logs for container "):
            container, lines = line.removeprefix("==== START logs for container ").split(" ")[0], []
        elif line.startswith("==== END logs for container "):
            found.append(ContainerLog(namespace=namespace, pod=pod, container=container, previous=False, text="".join(lines)))
        else:
            lines.append(line)
    return found


def _newest(folder: Path, objects: list[Manifest]) -> datetime:
    times = [time for one in objects for time in (created_at(one), *_told(one)) if time is not None]
    times += [
        one.last for one in map(happening, (one for one in objects if text(one, "kind") == "Event")) if one.last is not None
    ]
    if not times:
        raise InputError(f"{folder}: the dump holds no times, so it cannot be said when it was taken")
    return max(times)


def _told(one: Manifest) -> Iterator[datetime | None]:
    """When its conditions changed or were confirmed (a node's every few minutes), and when it was written."""
    for condition in items(one, "status", "conditions"):
        yield time_at(condition, "lastHeartbeatTime")
        yield time_at(condition, "lastTransitionTime")
    for entry in items(one, "metadata", "managedFields"):
        yield time_at(entry, "time")
