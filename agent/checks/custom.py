"""Any custom resource: a standard condition that is not as it should be, a deletion that hangs, a controller that is behind.

What a check of its own kind says weighs more than this: here only the resource's own words are repeated. An object that
is suspended or paused is left alone on purpose and no fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.checks.registry import check, quote_condition, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest
from agent.topology import Topology
from agent.topology.extensions import described, group_of, held, is_custom
from agent.topology.fields import (
    at,
    condition,
    controller_of,
    created_at,
    field_writes,
    items,
    kind_of,
    mapping,
    number,
    ref_of,
    text,
    time_at,
)

# Conditions that are True when all is well, and those that are True when something is wrong.
_GOOD = ("Ready", "Available", "Synced", "Healthy", "Established", "Accepted", "Programmed", "ResolvedRefs", "Reconciled",
         "Initialized", "Valid", "Succeeded", "Applied")  # fmt: skip
_BAD = ("Degraded", "Stalled", "Failed", "Failing", "ReconcileError", "Error", "ReplicaFailure")
_MOVING = (
    "progress",
    "creating",
    "provisioning",
    "pending",
    "initializ",
    "reconcil",
    "waiting",
    "starting",
    "running",
    "updating",
)
SETTLES = timedelta(minutes=2)  # what is not ready for so short a time is on its way
_SLOW = {"Certificate": timedelta(minutes=5), "CertificateRequest": timedelta(minutes=5)}  # a DNS-01 challenge takes its time
MOVES = timedelta(minutes=10)  # what says itself that it is on its way may take so long
GRACE = timedelta(minutes=2)
# Finalizers by which Kubernetes itself waits for dependents or users of the object.
_BY_DESIGN = frozenset({"foregroundDeletion", "orphan", "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"})
_DONE = ("completed", "complete", "succeeded", "finished", "podcompleted", "jobcomplete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A condition that says that something is wrong, and since when."""

    type: str
    status: str
    reason: str
    message: str
    since: datetime | None

    @property
    def words(self) -> str:
        said = self.message.strip().rstrip(".")[:400]
        return f"{self.type}={self.status}{f' ({self.reason})' if self.reason else ''}{f': {said}' if said else ''}"


def complaint(manifest: Manifest, now: datetime, types: tuple[str, ...] = (*_BAD, *_GOOD)) -> Complaint | None:
    """The first of these conditions that is wrong for long enough: worded failures first, then a summary such as Ready.

    None for a resource that is held on purpose, that is being deleted, or whose condition has just changed.
    """
    if held(manifest) or at(manifest, "metadata", "deletionTimestamp") is not None:
        return None
    told = {text(one, "type"): one for one in items(manifest, "status", "conditions") if isinstance(one, dict)}
    for kind in types:
        one = told.get(kind)
        wrong = "True" if kind in _BAD else "False"
        if one is None or text(one, "status") != wrong:
            continue
        since, reason = time_at(one, "lastTransitionTime"), text(one, "reason")
        begun, settles = since or created_at(manifest), _SLOW.get(kind_of(manifest), SETTLES)
        # a controller that retries writes "progressing" beside an old failure; one that only begins does not stay so
        moving = f"{reason} {text(manifest, 'status', 'phase')}".lower()
        patience = MOVES if any(word in moving for word in _MOVING) and "fail" not in moving else settles
        if reason.lower() in _DONE or (kind == "Succeeded" and "fail" not in reason.lower()):
            continue  # what is done needs not be ready, and what has not succeeded yet has not failed
        if begun is None or now - begun >= patience:
            return Complaint(type=kind, status=wrong, reason=reason, message=text(one, "message"), since=since)
    return None


@check("custom-resource-not-ready", weight=0.45)
def says_that_it_is_not_ready(topology: Topology) -> Iterator[Finding]:
    """Ready, Available, Synced ... False, or Degraded, Stalled ... True, for more than minutes."""
    for manifest in topology.objects.values():
        if not is_custom(manifest):
            continue
        said, ref = complaint(manifest, topology.now), ref_of(manifest)
        if said is None or _is_outlived(topology, manifest):
            continue
        yield Finding(
            cause="custom-resource-not-ready",
            subject=ref,
            since=said.since,
            params={"condition": said.type, "reason": said.reason, "group": group_of(manifest)},
            quotes=tuple(quote_condition(manifest, said.type)),
            statement=f"{described(manifest)} is not as it should be, in its controller's own words: {said.words}.",
        )


def _is_outlived(topology: Topology, manifest: Manifest) -> bool:
    """An earlier try of an owner that is ready by now (a failed request of a certificate that was issued later)."""
    owner = controller_of(manifest)
    return owner is not None and text(condition(topology.objects.get(owner, {}), "Ready"), "status") == "True"


@check("custom-resource-stuck-deleting", weight=0.75)
def does_not_go(topology: Topology) -> Iterator[Finding]:
    """deletionTimestamp minutes ago and finalizers left: the controller that would remove them does not act."""
    for manifest in topology.objects.values():
        began = time_at(manifest, "metadata", "deletionTimestamp")
        if began is None or kind_of(manifest) in ("Pod", "Namespace") or topology.now - began < GRACE:
            continue
        finalizers, ref = [str(one) for one in items(manifest, "metadata", "finalizers")], ref_of(manifest)
        if not set(finalizers) - _BY_DESIGN:
            continue
        said = next(
            (text(one, "message") for one in items(manifest, "status", "conditions") if text(one, "status") == "False"), ""
        )
        yield Finding(
            cause="custom-resource-stuck-deleting",
            subject=ref,
            since=began,
            params={"finalizers": [*finalizers]},
            quotes=(
                quote_field(
                    ref, "metadata", f"deletionTimestamp {began:%Y-%m-%d %H:%M:%SZ}; finalizers: {', '.join(finalizers)}", began
                ),
            ),
            statement=f"{described(manifest)} is being deleted since {began:%Y-%m-%d %H:%M:%SZ} and does not go: it still"
            f" carries the"
            f" finalizer {', '.join(finalizers)}, which its controller has to remove{f' ({said[:200]})' if said else ''}.",
        )


@check("custom-resource-not-observed", weight=0.4)
def nobody_looks(topology: Topology) -> Iterator[Finding]:
    """status.observedGeneration behind metadata.generation for minutes: its controller does not run or cannot keep up."""
    for manifest in topology.objects.values():
        seen = at(manifest, "status", "observedGeneration")
        if not is_custom(manifest) or not isinstance(seen, int) or isinstance(seen, bool) or held(manifest):
            continue
        wanted = number(manifest, "metadata", "generation")
        written = max((when for _, when, fields in field_writes(manifest) if mapping(fields, "f:spec")), default=None)
        if seen >= wanted or written is None or topology.now - written < MOVES:
            continue
        ref = ref_of(manifest)
        yield Finding(
            cause="custom-resource-not-observed",
            subject=ref,
            since=written,
            params={"generation": wanted, "observed": seen},
            quotes=(quote_field(ref, "status", f"observedGeneration {seen}, metadata.generation {wanted}", written),),
            statement=f"{described(manifest)} was changed at {written:%Y-%m-%d %H:%M:%SZ} (generation {wanted}), and its"
            f" controller has"
            f" seen generation {seen} only: the controller does not run, or cannot keep up.",
        )
