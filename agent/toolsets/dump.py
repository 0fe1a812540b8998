"""A `kubectl cluster-info dump --output-directory` folder as a snapshot; of cluster-scoped objects it has nodes only."""

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from agent.domain.objects import ContainerLog, Manifest
from agent.errors import InputError
from agent.toolsets.snapshot import Snapshot
from agent.topology.events import happening
from agent.topology.fields import created_at, items, text


def read_dump(folder: Path) -> Snapshot:
    """nodes.json beside one folder a namespace (pods.json, events.json, ..., POD/logs.txt). `now` is the newest time in it."""
    files = sorted(folder.glob("*.json")) + sorted(folder.glob("*/*.json"))
    if not files:
        raise InputError(f"{folder}: no snapshot file and no cluster-info dump (no *.json in it)")
    objects: list[Manifest] = [one for path in files for one in _objects(path)]
    if not objects:
        raise InputError(f"{folder}: the dump holds no objects")
    logs = [log for path in sorted(folder.glob("*/*/logs.txt")) for log in _logs(path, objects)]
    return Snapshot(name=folder.name, now=_newest(objects), objects=tuple(objects), logs=tuple(logs))


def _objects(path: Path) -> list[Manifest]:
    try:
        document: Any = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as exc:
        raise InputError(f"{path}: {str(exc).splitlines()[0]}") from None
    kind, version = text(document, "kind").removesuffix("List"), text(document, "apiVersion")
    return [{"kind": kind, "apiVersion": version, **one} for one in items(document, "items") if isinstance(one, dict)]


def _logs(path: Path, objects: list[Manifest]) -> list[ContainerLog]:
    """The dump writes "==== START logs for container NAME of pod NS/POD ====" around each container's text."""
    namespace, pod = path.parts[-3], path.parts[-2]
    found: list[ContainerLog] = []
    container, lines = "", list[str]()
    for line in path.read_text(errors="replace").splitlines(keepends=True):
        if line.startswith("==== START logs for container "):
            container, lines = line.removeprefix("==== START logs for container ").split(" ")[0], []
        elif line.startswith("==== END logs for container "):
            found.append(ContainerLog(namespace=namespace, pod=pod, container=container, previous=False, text="".join(lines)))
        else:
            lines.append(line)
    return found


def _newest(objects: list[Manifest]) -> datetime:
    times = [time for one in objects for time in [created_at(one)] if time is not None]
    times += [
        one.last for one in map(happening, (one for one in objects if text(one, "kind") == "Event")) if one.last is not None
    ]
    if not times:
        raise InputError("the dump holds no times, so it cannot be said when it was taken")
    return max(times)
