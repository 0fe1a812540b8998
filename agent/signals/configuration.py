"""Edits of the ConfigMaps and Secrets that a workload reads, dated by managedFields, and whether its pods can have seen them.

A container reads its environment once, when it starts; a mounted key follows an edit within a minute or two, but for subPath.
Pure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.domain.objects import Manifest, Ref
from agent.signals.changes import CONTROLLERS
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, created_at, field_writes, items, mapping, text
from agent.topology.pods import container_states, containers
from agent.topology.workloads import live_pods

_CREATION = timedelta(seconds=2)  # the write that made the object is no edit


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEdit:
    """`once`: the workload reads it only when its containers start. `keys` are those that the writer owns."""

    holder: Ref
    at: datetime
    who: str
    keys: tuple[str, ...]
    once: bool


def config_edits(topology: Topology, unit: Ref) -> list[ConfigEdit]:
    """The last edit of each ConfigMap and Secret that the workload names, newest first."""
    found = []
    for holder in dict.fromkeys(one.to for one in topology.names.get(unit, ()) if one.to.kind in ("ConfigMap", "Secret")):
        manifest = topology.objects.get(holder)
        edit = last_edit(manifest) if manifest is not None else None
        if edit is not None:
            when, who, keys = edit
            once = reads_once(topology.objects.get(unit, {}), holder)
            found.append(ConfigEdit(holder=holder, at=when, who=who, keys=keys, once=once))
    return sorted(found, key=lambda one: (-one.at.timestamp(), one.holder))


def last_edit(manifest: Manifest) -> tuple[datetime, str, tuple[str, ...]] | None:
    """(when, field manager, keys) of the last write of the data after the object was made; None when there was none."""
    made = created_at(manifest)
    writes = [
        (when, who, tuple(sorted(key[2:] for key in mapping(fields, field) if key.startswith("f:"))))
        for who, when, fields in field_writes(manifest)
        for field in ("f:data", "f:stringData", "f:binaryData")
        if at(fields, field) is not None and not who.startswith(CONTROLLERS) and (made is None or when - made >= _CREATION)
    ]
    return max(writes, default=None)


def reads_once(workload: Manifest, holder: Ref) -> bool:
    """Whether a container takes a value of it into its environment, or mounts it by subPath."""
    spec = pod_spec_of(workload)
    volumes = {text(volume, "name") for volume in items(spec, "volumes") if holder.name in _named_by_volume(volume, holder.kind)}
    field, source = ("configMapKeyRef", "configMapRef") if holder.kind == "ConfigMap" else ("secretKeyRef", "secretRef")
    for container in containers(spec):
        if any(text(one, "valueFrom", field, "name") == holder.name for one in items(container, "env")):
            return True
        if any(text(one, source, "name") == holder.name for one in items(container, "envFrom")):
            return True
        if any(text(one, "name") in volumes and text(one, "subPath") for one in items(container, "volumeMounts")):
            return True
    return False


def _named_by_volume(volume: object, kind: str) -> Iterator[str]:
    field, name = ("configMap", "name") if kind == "ConfigMap" else ("secret", "secretName")
    for source in (volume, *items(volume, "projected", "sources")):
        yield text(source, field, name) or text(source, field, "name")


def started(topology: Topology, unit: Ref) -> datetime | None:
    """When the workload's oldest running container started; None when none runs."""
    times = [one.started_at for pod in live_pods(topology, unit) for one in container_states(pod) if not one.init]
    return min((time for time in times if time is not None), default=None)
