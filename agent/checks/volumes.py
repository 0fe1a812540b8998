"""Volumes that exist and do not do what is asked of them: grow, change owner in time, bind to the claim that asks for them."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, quote_event, quote_field
from agent.domain.finding import Finding
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, mapping, ref_of, text
from agent.topology.pods import is_ready
from agent.topology.quantities import quantity
from agent.topology.workloads import live_pods

LATELY = timedelta(hours=2)
_SLOW = re.compile(r"setting volume ownership|VolumePermissionChangeInProgress|changing (?:the )?(?:owner|permission)", re.I)
_OTHER = re.compile(r"already bound to a different claim|is bound to another claim", re.I)


@check("volume-expansion-failed", weight=0.9)
def does_not_grow(topology: Topology) -> Iterator[Finding]:
    """A claim asks for more than it has, and the resizer (or the kubelet) says why it does not get it."""
    for claim in topology.of_kind("PersistentVolumeClaim"):
        asked = quantity(at(claim, "spec", "resources", "requests", "storage"))
        has = quantity(at(claim, "status", "capacity", "storage"))
        if not asked or not has or asked <= has:
            continue
        ref = ref_of(claim)
        told = [
            one
            for one in topology.events_about(ref)
            if one.reason in ("VolumeResizeFailed", "FileSystemResizeFailed", "ExternalExpandingFailed")
            and (one.last is None or topology.now - one.last <= LATELY)
        ]
        if not told:
            continue
        wants, got = text(claim, "spec", "resources", "requests", "storage"), text(claim, "status", "capacity", "storage")
        yield Finding(
            cause="volume-expansion-failed",
            subject=ref,
            since=told[0].first,
            params={"wanted": wants, "has": got},
            quotes=(quote_event(told[-1]), quote_field(ref, "spec", f"requests {wants}, capacity {got}")),
            statement=f"{ref} asks for {wants} and stays at {got}: {told[-1].message[:300].rstrip('. ')}.",
        )


@check("volume-ownership-slow", weight=0.88)
def walks_every_file(topology: Topology) -> Iterator[Finding]:
    """A pod waits while the kubelet sets the group of every file on its volume (fsGroup), which of a large volume takes long.
    Source: Kubernetes, "Configure volume permission and ownership change policy", fsGroupChangePolicy."""
    for unit, pods in sorted(topology.pods_by_owner.items()):
        for pod in live_pods(topology, unit) if pods else ():
            if is_ready(pod):
                continue
            told = [
                one for one in topology.events_about(ref_of(pod)) if _SLOW.search(f"{one.reason} {one.message}")
                and (one.last is None or topology.now - one.last <= LATELY)
            ]  # fmt: skip
            if not told:
                continue
            context = mapping(pod_spec_of(pod), "securityContext")
            policy = text(context, "fsGroupChangePolicy") or "Always"
            yield Finding(
                cause="volume-ownership-slow",
                subject=unit,
                since=told[0].first,
                affects=(ref_of(pod),),
                params={"fs_group": at(context, "fsGroup"), "policy": policy},
                quotes=(quote_event(told[-1]), quote_field(unit, "pod securityContext", f"fsGroupChangePolicy {policy}")),
                statement=f"{ref_of(pod)} of {unit} waits while the kubelet sets the owner of every file on its volume (fsGroup"
                f" {at(context, 'fsGroup')}, fsGroupChangePolicy {policy}): {told[-1].message[:200].rstrip('. ')}.",
            )
            break


@check("volume-claimed-by-another", weight=0.94)
def belongs_to_another(topology: Topology) -> Iterator[Finding]:
    """A claim names a volume that still belongs to another claim, or to an earlier one of the same name (Released): reclaim
    policy Retain keeps it for whoever looks after the data."""
    for claim in topology.of_kind("PersistentVolumeClaim"):
        ref, named = ref_of(claim), text(claim, "spec", "volumeName")
        volume = topology.get("PersistentVolume", "", named) if named else None
        owner = mapping(volume, "spec", "claimRef") if volume is not None else {}
        told = [one for one in topology.events_about(ref) if _OTHER.search(one.message)]
        if text(claim, "status", "phase") != "Pending" or volume is None or not text(owner, "uid"):
            continue
        if text(owner, "uid") == text(claim, "metadata", "uid") and not told:
            continue
        state = text(volume, "status", "phase")
        whose = f"{text(owner, 'namespace')}/{text(owner, 'name')}"
        earlier = " of an earlier life" if whose == f"{ref.namespace}/{ref.name}" else ""
        yield Finding(
            cause="volume-claimed-by-another",
            subject=ref,
            since=told[0].first if told else None,
            params={"volume": named, "phase": state, "claim": whose},
            quotes=(*(quote_event(one) for one in told[-1:]), quote_field(ref_of(volume), "spec.claimRef", f"{whose}, {state}")),
            statement=f"{ref} asks for PersistentVolume {named}, which is {state or 'bound'} and belongs to claim {whose}"
            f"{earlier}: until that reference is removed it is given to nobody else.",
        )
