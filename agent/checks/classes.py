"""Classes that pods and claims name and the cluster does not have: PriorityClass, RuntimeClass, a default StorageClass."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.config import near
from agent.checks.containers import rollback_params
from agent.checks.registry import check, earliest, quote_event, quote_field
from agent.checks.rollouts import refused_units
from agent.checks.storage import class_of, default_class, users_of
from agent.domain.finding import Finding
from agent.topology import Topology
from agent.topology.fields import at, created_at, name_of, ref_of, text
from agent.topology.workloads import rollback

_PRIORITY = re.compile(r"no PriorityClass with name (\S+) was found")
_RUNTIME = re.compile(r'RuntimeClass(?:\.node\.k8s\.io)? "([^"]+)" not found')
SETTLES = timedelta(minutes=2)


@check("priority-class-missing", weight=0.97)
@check("runtime-class-missing", weight=0.97)
def no_such_class(topology: Topology) -> Iterator[Finding]:
    """Pods are refused because a class that their template names does not exist."""
    for unit, events, said in refused_units(topology):
        for cause, kind, pattern in (
            ("priority-class-missing", "PriorityClass", _PRIORITY),
            ("runtime-class-missing", "RuntimeClass", _RUNTIME),
        ):
            match = pattern.search(said)
            if match is None or topology.get(kind, "", match[1]) is not None:
                continue
            known = sorted(name_of(one) for one in topology.of_kind(kind) if not name_of(one).startswith("system-"))
            yield Finding(
                cause=cause,
                subject=unit,
                since=earliest(*(event.first for event in events)),
                quotes=tuple(quote_event(event) for event in events[-1:]),
                params={"class": match[1], "near": near(match[1], known), **rollback_params(rollback(topology, unit, None))},
                statement=f"The pods of {unit} cannot be created because {kind} {match[1]} does not exist"
                + (f" (there are: {', '.join(known)})." if known else "."),
            )


@check("default-storage-class-missing", weight=0.95)
def no_default(topology: Topology) -> Iterator[Finding]:
    """A claim that names no class, in a cluster without a default one, and that no volume fits: it waits for ever."""
    if default_class(topology) or not topology.saw("StorageClass"):
        return
    for claim in topology.of_kind("PersistentVolumeClaim"):
        ref, made = ref_of(claim), created_at(claim)
        if text(claim, "status", "phase") != "Pending" or class_of(claim) or at(claim, "spec", "storageClassName") == "":
            continue
        told = [one for one in topology.events_about(ref) if "no storage class is set" in one.message]
        known = sorted(name_of(one) for one in topology.of_kind("StorageClass"))
        if made is None or topology.now - made < SETTLES or not (told or known):
            continue
        users = users_of(topology, ref)
        so = f", so it stays Pending and {', '.join(map(str, users))} cannot start" if users else ", so it stays Pending"
        yield Finding(
            cause="default-storage-class-missing",
            subject=ref,
            affects=users,
            since=earliest(made, *(event.first for event in told)),
            quotes=(*(quote_event(event) for event in told[-1:]), quote_field(ref, "spec", "storageClassName: (none)")),
            params={"classes": [*known]},
            statement=f"{ref} names no StorageClass and none is the default (there are: {', '.join(known) or 'none'}){so}.",
        )
