"""What changed, when, and by whom: edits dated by managedFields, new revisions, scalings, node events, and what the tools that
bring things into a cluster tell. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from agent.domain.objects import Ref
from agent.signals import releases
from agent.topology import Topology
from agent.topology.fields import created_at, field_writes, mapping, ref_of
from agent.topology.workloads import revisions, tag

CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-apiserver", "cloud-controller-manager", "k3s")
_KINDS = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Service",
    "ConfigMap",
    "Secret",
    "Ingress",
    "HorizontalPodAutoscaler",
    "ResourceQuota",
    "LimitRange",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PersistentVolumeClaim",
    "Node",
    "Job",
    "CronJob",
)
_TOLD = (
    "ScalingReplicaSet",
    "SuccessfulRescale",
    "NodeNotSchedulable",
    "NodeSchedulable",
    "RegisteredNode",
    "Rebooted",
    "NodeNotReady",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`who` is a field manager, or the component that reported; `what` is short, such as "edit of data". `source`: where a
    tool's or a person's own word of it stands; "" for what the object itself shows."""

    at: datetime
    about: Ref
    what: str
    who: str
    source: str = ""


def changes(topology: Topology, *, before: datetime | None = None, within: timedelta = timedelta(hours=2)) -> list[Change]:
    """Changes by people and tools (not the cluster's own controllers) up to `before`, newest first."""
    end = before or topology.now
    found = [*_edits(topology), *_revisions(topology), *_told(topology), *_released(topology)]
    return sorted(
        (one for one in found if end - within <= one.at <= end), key=lambda one: (-one.at.timestamp(), str(one.about), one.what)
    )


def _edits(topology: Topology) -> Iterator[Change]:
    for manifest in topology.of_kind(*_KINDS):
        made = created_at(manifest)
        for manager, when, fields in field_writes(manifest):
            if manager.startswith(CONTROLLERS) or (made is not None and when - made < timedelta(seconds=2)):
                continue
            parts = [key[2:] for key in fields if key.startswith("f:") and key != "f:metadata"]
            inner = [key[2:] for key in mapping(fields, "f:spec") if key.startswith("f:")]
            what = f"edit of {', '.join(f'spec.{one}' for one in inner[:4]) or ', '.join(parts) or 'metadata'}"
            yield Change(at=when, about=ref_of(manifest), what=what, who=manager)


def _revisions(topology: Topology) -> Iterator[Change]:
    for deployment in topology.of_kind("Deployment"):
        known = revisions(topology, ref_of(deployment))
        for newer, older in pairwise(known):
            if newer.created is None:
                continue
            images = [f"{tag(old)} to {tag(new)}" for old, new in zip(older.images, newer.images, strict=False) if old != new]
            what = f"revision {newer.number}{f': image {images[0]}' if images else ''}"
            yield Change(at=newer.created, about=ref_of(deployment), what=what, who="rollout")


def _told(topology: Topology) -> Iterator[Change]:
    for about, events in topology.events.items():
        for event in events:
            if event.reason in _TOLD and event.last is not None:
                yield Change(at=event.last, about=about, what=event.message[:160], who=event.reason)


def _released(topology: Topology) -> Iterator[Change]:
    for when, about, what, who, source in releases.told(topology):
        yield Change(at=when, about=about, what=what, who=who, source=source)
