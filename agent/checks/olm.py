"""Operator Lifecycle Manager: operators that are not installed, catalogs out of reach, subscriptions that resolve to nothing.

An install plan that waits for an approval waits for a person and is no fault.
"""

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, quote_condition, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of
from agent.topology.fields import condition, created_at, items, labels_of, name_of, namespace_of, ref_of, text, time_at

_MOVING = ("", "None", "Pending", "InstallReady", "Installing", "Replacing", "Deleting")
_TROUBLE = ("ResolutionFailed", "CatalogSourcesUnhealthy", "InstallPlanFailed", "InstallPlanMissing", "BundleUnpackFailed")
INSTALL_TAKES = timedelta(minutes=15)


def _of(topology: Topology, *kinds: str) -> Iterator[Manifest]:
    for one in topology.of_kind(*kinds):
        if group_of(one) in ("operators.coreos.com", "olm.operatorframework.io"):
            yield one


def _old(topology: Topology, one: Manifest) -> bool:
    made = created_at(one)
    return made is None or topology.now - made >= INSTALL_TAKES


@check("operator-not-installed", weight=0.85)
def not_installed(topology: Topology) -> Iterator[Finding]:
    """A ClusterServiceVersion Failed or stuck on its way, an InstallPlan Failed, a ClusterExtension not installed."""
    for one in _of(topology, "ClusterServiceVersion", "InstallPlan"):
        phase, ref = text(one, "status", "phase"), ref_of(one)
        stuck = phase in _MOVING and _old(topology, one) and ref.kind == "ClusterServiceVersion"
        if "olm.copiedFrom" in labels_of(one) or not (phase == "Failed" or stuck):
            continue
        said = text(one, "status", "message") or _last_words(one)
        yield Finding(
            cause="operator-not-installed",
            subject=ref,
            since=time_at(one, "status", "lastTransitionTime"),
            params={"phase": phase, "reason": text(one, "status", "reason")},
            quotes=(quote_field(ref, "status", f"phase {phase}, {text(one, 'status', 'reason')}: {said}"),),
            statement=f"{ref} is {phase or 'not begun'} ({text(one, 'status', 'reason') or 'no reason'}):"
            f" {said[:300].rstrip('.') or 'it says nothing'}.",
        )
    for one in _of(topology, "ClusterExtension", "ClusterCatalog"):
        kind = "Installed" if one["kind"] == "ClusterExtension" else "Serving"
        told = condition(one, kind)
        if text(told, "status") == "False" and _old(topology, one):
            yield Finding(
                cause="operator-not-installed",
                subject=ref_of(one),
                since=time_at(told, "lastTransitionTime"),
                params={"phase": kind, "reason": text(told, "reason")},
                quotes=tuple(quote_condition(one, kind)),
                statement=f"{ref_of(one)} is not {kind.lower()} ({text(said, 'reason')}):"
                f" {text(said, 'message')[:300].rstrip('.')}.",
            )


def _last_words(plan: Manifest) -> str:
    told = [text(one, "message") for one in items(plan, "status", "conditions") if text(one, "status") == "False"]
    return next((words for words in told if words), "")


@check("operator-subscription-failing", weight=0.88)
def not_resolved(topology: Topology) -> Iterator[Finding]:
    """A Subscription that cannot be resolved, or whose catalog is not healthy."""
    for one in _of(topology, "Subscription"):
        bad = [
            said
            for said in items(one, "status", "conditions")
            if text(said, "type") in _TROUBLE and text(said, "status") == "True"
        ]
        if not bad or not _old(topology, one):
            continue
        ref, said = ref_of(one), bad[0]
        installed = text(one, "status", "installedCSV")
        made = (Ref("ClusterServiceVersion", ref.namespace, installed),) if installed else ()
        yield Finding(
            cause="operator-subscription-failing",
            subject=ref,
            since=time_at(said, "lastTransitionTime"),
            affects=made,
            params={"condition": text(said, "type"), "package": text(one, "spec", "name")},
            quotes=tuple(quote_condition(one, text(said, "type"))),
            statement=f"{ref} brings no operator {text(one, 'spec', 'name')} ({text(said, 'type')}, {text(said, 'reason')}):"
            f" {text(said, 'message')[:300].rstrip('.')}.",
        )


@check("operator-catalog-unreachable", weight=0.9)
def catalog_gone(topology: Topology) -> Iterator[Finding]:
    """A CatalogSource whose registry pod does not answer (connectionState TRANSIENT_FAILURE)."""
    for one in _of(topology, "CatalogSource"):
        state, ref = text(one, "status", "connectionState", "lastObservedState"), ref_of(one)
        if state in ("", "READY", "CONNECTING", "IDLE") or not _old(topology, one):
            continue
        users = tuple(sorted(ref_of(user) for user in _of(topology, "Subscription") if text(user, "spec", "source") == ref.name))
        yield Finding(
            cause="operator-catalog-unreachable",
            subject=ref,
            since=time_at(one, "status", "connectionState", "lastConnect"),
            affects=users,
            params={"state": state},
            quotes=(quote_field(ref, "status.connectionState", state),),
            statement=f"{ref} does not answer ({state}), so no operator of it is installed or upgraded.",
        )


@check("operator-groups-conflict", weight=0.93)
def two_groups(topology: Topology) -> Iterator[Finding]:
    """More than one OperatorGroup in a namespace: no operator is installed there at all."""
    by_space: dict[str, list[Manifest]] = {}
    for one in _of(topology, "OperatorGroup"):
        by_space.setdefault(namespace_of(one), []).append(one)
    for namespace, ones in sorted(by_space.items()):
        if len(ones) > 1:
            names = ", ".join(sorted(name_of(one) for one in ones))
            yield Finding(
                cause="operator-groups-conflict",
                subject=ref_of(ones[0]),
                since=max((made for one in ones for made in [created_at(one)] if made), default=None),
                affects=tuple(
                    ref_of(one)
                    for one in _of(topology, "Subscription", "ClusterServiceVersion")
                    if namespace_of(one) == namespace
                ),
                params={"groups": [name_of(one) for one in ones]},
                quotes=tuple(quote_field(ref_of(one), "metadata", f"OperatorGroup {name_of(one)}") for one in ones[:3]),
                statement=f"Namespace {namespace} has {len(ones)} OperatorGroups ({names}); with more than one no"
                f" operator is installed there.",
            )
