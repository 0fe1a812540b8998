"""Claims, classes and volumes. A claim that waits for its first consumer is healthy by design."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.config import near
from agent.checks.registry import check, earliest, quote_event, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Happening, Topology
from agent.topology.fields import annotations_of, created_at, items, name_of, ref_of, text
from agent.topology.pods import is_finished


def users_of(topology: Topology, claim: Ref) -> tuple[Ref, ...]:
    """Workloads whose pods mount the claim."""
    found = [unit for unit, ones in topology.names.items() if any(named.to == claim for named in ones)]
    found += [
        topology.unit(ref_of(pod))
        for pod in topology.pods_in.get(claim.namespace, ())
        if not is_finished(pod)
        and any(text(one, "persistentVolumeClaim", "claimName") == claim.name for one in items(pod, "spec", "volumes"))
    ]
    return tuple(sorted(dict.fromkeys(found)))


def class_of(claim: Manifest) -> str:
    return text(claim, "spec", "storageClassName") or annotations_of(claim).get("volume.beta.kubernetes.io/storage-class", "")


def default_class(topology: Topology) -> str:
    for one in topology.of_kind("StorageClass"):
        if annotations_of(one).get("storageclass.kubernetes.io/is-default-class") == "true":
            return name_of(one)
    return ""


@check("storageclass-missing", weight=0.97)
def no_such_class(topology: Topology) -> Iterator[Finding]:
    """A Pending claim that names a StorageClass which does not exist."""
    for claim in topology.of_kind("PersistentVolumeClaim"):
        wanted = class_of(claim)
        if text(claim, "status", "phase") != "Pending" or not wanted or topology.get("StorageClass", "", wanted) is not None:
            continue
        ref = ref_of(claim)
        events = [event for event in topology.events_about(ref) if event.reason == "ProvisioningFailed"]
        if not topology.saw("StorageClass") and not any("not found" in event.message for event in events):
            continue
        known = sorted(name_of(one) for one in topology.of_kind("StorageClass"))
        suggested = default_class(topology) or near(wanted, known) or (known[0] if known else "")
        users = users_of(topology, ref)
        has = f" (it has {', '.join(known)})" if known else " (it has none)"
        so = f", so the claim stays Pending and {', '.join(map(str, users))} cannot be scheduled" if users else ""
        yield Finding(
            cause="storageclass-missing",
            subject=ref,
            affects=users,
            since=earliest(created_at(claim), *(event.first for event in events)),
            quotes=(*(quote_event(event) for event in events[-1:]), quote_field(ref, "spec", f"storageClassName: {wanted}")),
            params={"storage_class": wanted, "suggested_class": suggested, "classes": list(known)},
            statement=f"PersistentVolumeClaim {ref.name} asks for StorageClass {wanted}, which does not exist in this"
            f" cluster{has}{so}.",
        )


@check("pvc-missing", weight=0.97)
def no_such_claim(topology: Topology) -> Iterator[Finding]:
    """A pod names a claim that does not exist."""
    if not topology.saw("PersistentVolumeClaim"):
        return
    seen: dict[Ref, list[Ref]] = {}
    for unit, ones in topology.names.items():
        for named in ones:
            if named.to.kind == "PersistentVolumeClaim" and named.to not in topology.objects:
                seen.setdefault(named.to, []).append(unit)
    for claim, units in sorted(seen.items()):
        quotes = [
            quote_event(event)
            for unit in units
            for event in topology.events_of_unit(unit)
            if f'"{claim.name}" not found' in event.message
        ]
        if quotes:
            yield Finding(
                cause="pvc-missing",
                subject=claim,
                affects=tuple(units),
                quotes=tuple(quotes[-1:]),
                statement=f"PersistentVolumeClaim {claim.name}, which {', '.join(map(str, units))} mounts, does not exist.",
            )


@check("volume-provisioning-failed", weight=0.85)
def provisioning_fails(topology: Topology) -> Iterator[Finding]:
    """The class exists, the provisioner says no (quota, permission, zone) or nobody answers for minutes."""
    for claim in topology.of_kind("PersistentVolumeClaim"):
        ref, wanted = ref_of(claim), class_of(claim)
        if text(claim, "status", "phase") != "Pending" or (wanted and topology.get("StorageClass", "", wanted) is None):
            continue
        events = topology.events_about(ref)
        failed = [event for event in events if event.reason == "ProvisioningFailed"]
        waits = [event for event in events if event.reason == "ExternalProvisioning"]
        made = created_at(claim)
        if failed:
            said, last = failed[-1].message, failed[-1]
        elif waits and made is not None and topology.now - made > timedelta(minutes=5):
            said, last = "the provisioner has not answered: " + waits[-1].message, waits[-1]
        else:
            continue
        yield Finding(
            cause="volume-provisioning-failed",
            subject=ref,
            since=made,
            affects=users_of(topology, ref),
            quotes=(quote_event(last),),
            statement=f"No volume is made for PersistentVolumeClaim {ref.name}: {said[:300]}.",
        )


@check("volume-lost", weight=0.95)
def lost(topology: Topology) -> Iterator[Finding]:
    for claim in topology.of_kind("PersistentVolumeClaim"):
        if text(claim, "status", "phase") == "Lost":
            ref = ref_of(claim)
            yield Finding(
                cause="volume-lost",
                subject=ref,
                affects=users_of(topology, ref),
                quotes=(quote_field(ref, "status", "phase: Lost"),),
                statement=f"PersistentVolumeClaim {ref.name} is Lost: its volume {text(claim, 'spec', 'volumeName')} is gone.",
            )


def _telling(event: Happening, now: datetime) -> tuple[bool, float]:
    """The newest first, but last where the kubelet only says that it waits: why, the other events say."""
    waits = event.reason == "FailedMount" and event.message.startswith(("Unable to attach or mount", "timed out waiting"))
    return waits, -(event.last or now).timestamp()


@check("volume-attach-failed", weight=0.85)
@check("volume-mount-failed", weight=0.8)
def cannot_mount(topology: Topology) -> Iterator[Finding]:
    """Multi-Attach (the old node still holds the disk), or mounts that time out, of pods that still wait for them."""
    for unit, pods in sorted(topology.pods_by_owner.items()):
        for pod in pods:
            if is_finished(pod) or text(pod, "status", "phase") != "Pending":
                continue
            for event in sorted(topology.events_about(ref_of(pod)), key=lambda one: _telling(one, topology.now)):
                fresh = event.last is None or topology.now - event.last < timedelta(minutes=15)
                missing = "not found" in event.message and ("configmap" in event.message or "secret" in event.message)
                if event.reason in ("FailedAttachVolume", "FailedMount") and fresh and not missing:
                    multi = event.reason == "FailedAttachVolume"
                    yield Finding(
                        cause="volume-attach-failed" if multi else "volume-mount-failed",
                        subject=unit,
                        since=event.first,
                        affects=(ref_of(pod),),
                        quotes=(quote_event(event),),
                        statement=f"A volume of {unit} cannot be {'attached' if multi else 'mounted'}: {event.message[:300]}.",
                    )
                    break
