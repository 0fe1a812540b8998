"""Several clusters: members that are lost, placements that do not arrive, staged updates that stick, exported Services in
conflict (Azure Fleet, Karmada, Open Cluster Management, the Multi-Cluster Services API). Seen from the hub, one cluster at a
time; what fails alike in many of them is for `alike` to see. An update run that waits for an approval is by design."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.registry import check, earliest, quote_condition, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest
from agent.topology import Topology
from agent.topology.extensions import group_of
from agent.topology.fields import condition, created_at, items, mapping, ref_of, text, time_at

# Kind, API group, and the condition that says that the member is there.
_MEMBERS = (
    ("MemberCluster", "kubernetes-fleet.io", "Joined"),
    ("Cluster", "karmada.io", "Ready"),
    ("ManagedCluster", "open-cluster-management.io", "ManagedClusterConditionAvailable"),
)
# Placement conditions in the order in which they come true; the first that is False is where it stands.
_STAGES = (
    "Scheduled",
    "RolloutStarted",
    "Overridden",
    "WorkSynchronized",
    "Applied",
    "FullyApplied",
    "Available",
    "PlacementSatisfied",
)
_PLACEMENTS = ("ClusterResourcePlacement", "ResourcePlacement", "ResourceBinding", "ClusterResourceBinding", "Placement")
_FLEET_GROUPS = ("kubernetes-fleet.io", "karmada.io", "open-cluster-management.io")
_RUNS = ("ClusterStagedUpdateRun", "StagedUpdateRun")
SILENT = timedelta(minutes=5)
SETTLES = timedelta(minutes=5)


def _of_fleet(manifest: Manifest) -> bool:
    return group_of(manifest).endswith(_FLEET_GROUPS)


def _old(said: Manifest, manifest: Manifest, now: datetime) -> bool:
    since = time_at(said, "lastTransitionTime") or created_at(manifest)
    return since is None or now - since >= SETTLES


@check("member-cluster-lost", weight=0.93)
def member_lost(topology: Topology) -> Iterator[Finding]:
    """Joined, Ready or Available is False or Unknown, or the agent has not been heard of for minutes."""
    for kind, group, type_ in _MEMBERS:
        for member in topology.of_kind(kind):
            if not group_of(member).endswith(group):
                continue
            ref, said = ref_of(member), condition(member, type_)
            heard = [
                beat for one in items(member, "status", "agentStatus") for beat in [time_at(one, "lastReceivedHeartbeat")] if beat
            ]
            silent = bool(heard) and topology.now - max(heard) >= SILENT
            gone = text(said, "status") in ("False", "Unknown") and _old(said, member, topology.now)
            if not gone and not silent:
                continue
            words = f"{type_}={text(said, 'status')} ({text(said, 'reason')}): {text(said, 'message')}" if gone else ""
            last = f"its agent was last heard of at {max(heard):%Y-%m-%d %H:%M:%SZ}" if silent else ""
            yield Finding(
                cause="member-cluster-lost",
                subject=ref,
                since=earliest(time_at(said, "lastTransitionTime") if gone else None, max(heard) if silent else None),
                params={"silent": silent},
                quotes=(
                    *(quote_condition(member, type_) if gone else ()),
                    *((quote_field(ref, "status.agentStatus", last),) if silent else ()),
                ),
                statement=f"Member cluster {ref.name} is lost:"
                f" {'; '.join(one for one in (words.rstrip('.'), last) if one)[:350]}.",
            )


@check("placement-incomplete", weight=0.85)
def not_placed(topology: Topology) -> Iterator[Finding]:
    """The first stage of a placement that is False for minutes, and what failed in which cluster."""
    for placement in topology.of_kind(*_PLACEMENTS):
        if not _of_fleet(placement):
            continue
        conditions = {text(one, "type"): one for one in items(placement, "status", "conditions")}
        stage = next((name for wanted in _STAGES for name in conditions
                      if name.endswith(wanted) and text(conditions[name], "status") == "False"), "")  # fmt: skip
        if not stage or not _old(conditions[stage], placement, topology.now):
            continue
        said, failed = conditions[stage], _failures(placement)
        ref = ref_of(placement)
        yield Finding(
            cause="placement-incomplete",
            subject=ref,
            since=time_at(said, "lastTransitionTime"),
            params={
                "stage": stage,
                "reason": text(said, "reason"),
                "clusters": [*sorted({one.partition(":")[0] for one in failed})],
            },
            quotes=(
                *quote_condition(placement, stage),
                *(quote_field(ref, "status.placementStatuses", one) for one in failed[:2]),
            ),
            statement=f"{ref} does not arrive everywhere; it stands at {stage} ({text(said, 'reason')}):"
            f" {text(said, 'message')[:200].rstrip('.')}"
            f"{f' ({failed[0][:250]})' if failed else ''}.",
        )


def _failures(placement: Manifest) -> list[str]:
    """ "cluster: object: reason" of what failed, by cluster."""
    found = []
    statuses = [*items(placement, "status", "placementStatuses"), *items(placement, "status", "perClusterPlacementStatuses")]
    for one in statuses:
        for failure in items(one, "failedPlacements"):
            said = mapping(failure, "condition")
            name = f"{text(failure, 'kind')} {text(failure, 'name')}"
            found.append(f"{text(one, 'clusterName')}: {name}: {text(said, 'reason')} {text(said, 'message')}".strip())
    found += [  # Karmada
        f"{text(one, 'clusterName')}: {text(one, 'appliedMessage')}"
        for one in items(placement, "status", "aggregatedStatus")
        if mapping(one).get("applied") is False and text(one, "appliedMessage")
    ]
    return found


@check("staged-update-stuck", weight=0.88)
def update_stuck(topology: Topology) -> Iterator[Finding]:
    """A staged update run that is stuck or failed. UpdateRunWaiting waits for an approval or a wait time: by design."""
    for run in topology.of_kind(*_RUNS):
        progressing, ended = condition(run, "Progressing"), condition(run, "Succeeded")
        stuck = text(progressing, "status") == "False" and "Stuck" in text(progressing, "reason")
        failed = text(ended, "status") == "False"
        if not _of_fleet(run) or not (stuck or failed):
            continue
        said, kind, ref = (ended, "Succeeded", ref_of(run)) if failed else (progressing, "Progressing", ref_of(run))
        yield Finding(
            cause="staged-update-stuck",
            subject=ref,
            since=time_at(said, "lastTransitionTime"),
            params={"failed": failed, "reason": text(said, "reason")},
            quotes=tuple(quote_condition(run, kind)),
            statement=f"{ref} {'failed' if failed else 'is stuck'} ({text(said, 'reason')}):"
            f" {text(said, 'message')[:300].rstrip('.')}.",
        )


@check("service-export-conflict", weight=0.9)
def export_conflict(topology: Topology) -> Iterator[Finding]:
    """Conflict=True (ports, type or labels differ between clusters), or Valid=False, of a ServiceExport."""
    for export in topology.of_kind("ServiceExport"):
        conflict, valid, ref = condition(export, "Conflict"), condition(export, "Valid"), ref_of(export)
        bad = text(conflict, "status") == "True"
        if not bad and text(valid, "status") != "False":
            continue
        said, kind = (conflict, "Conflict") if bad else (valid, "Valid")
        yield Finding(
            cause="service-export-conflict",
            subject=ref,
            since=time_at(said, "lastTransitionTime"),
            params={"reason": text(said, "reason")},
            quotes=tuple(quote_condition(export, kind)),
            statement=f"{ref} {'conflicts with the export of another cluster' if bad else 'is not valid'}"
            f" ({text(said, 'reason')}):"
            f" {text(said, 'message')[:300].rstrip('.')}.",
        )
