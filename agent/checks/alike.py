"""The same failure in several clusters at once, seen from where all of them are managed (Argo CD, Flux, Azure Fleet, Karmada,
Open Cluster Management, Rancher Fleet): what was changed for all of them is the cause, and one incident is enough."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.registry import check, earliest, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of, held
from agent.topology.fields import controller_of, items, mapping, ref_of, text, time_at

TOGETHER = timedelta(hours=2)  # from the first to the last of them
_OF_ONE = re.compile(r"[0-9a-f]{8,}|\d+|\"[^\"]*\"|'[^']*'")  # what differs from cluster to cluster: hashes, counts, names


@check("same-failure-in-many-clusters", weight=0.98)
def of_one_source(topology: Topology) -> Iterator[Finding]:
    """Argo CD Applications of one source and revision fail alike in two or more destinations."""
    failing: dict[tuple[str, str, str, str, str], list[tuple[Manifest, datetime | None]]] = {}
    for one in topology.of_kind("Application"):
        said = _says(one)
        if group_of(one) == "argoproj.io" and said and not held(one):
            source = mapping(one, "spec", "source") or mapping(next(iter(items(one, "spec", "sources")), {}))
            where = text(source, "path") or text(source, "chart")
            revision = text(one, "status", "sync", "revision") or text(source, "targetRevision")
            key = (text(source, "repoURL"), where, revision, *said)
            failing.setdefault(key, []).append((one, time_at(one, "status", "operationState", "finishedAt")))
    for (repository, where, revision, state, words), ones in sorted(failing.items()):
        clusters = sorted({_destination(one) for one, _ in ones})
        times = [when for _, when in ones if when is not None]
        if len(clusters) < 2 or not repository or (times and max(times) - min(times) > TOGETHER):
            continue
        first = ones[0][0]
        owner = controller_of(first)
        quotes = [quote_field(ref_of(one), "status", f"{state}: {words or 'no message'}", when) for one, when in ones[:3]]
        yield _alike(
            owner or ref_of(first), [ref_of(one) for one, _ in ones], clusters, f"{where or repository} at {revision[:12]}",
            f"{state}{f' ({words})' if words else ''}", earliest(*times), quotes,
        )  # fmt: skip


def _says(one: Manifest) -> tuple[str, str] | None:
    """(state, its message without what is of one cluster only), of an Application that fails."""
    phase, health = text(one, "status", "operationState", "phase"), text(one, "status", "health", "status")
    if phase in ("Failed", "Error"):
        return f"sync {phase}", _common(text(one, "status", "operationState", "message"))
    return (health, _common(text(one, "status", "health", "message"))) if health == "Degraded" else None


def _common(words: str) -> str:
    return " ".join(_OF_ONE.sub("*", words).split())[:160]


def _destination(one: Manifest) -> str:
    return text(one, "spec", "destination", "name") or text(one, "spec", "destination", "server")


@check("same-failure-in-many-clusters", weight=0.98)
def of_one_placement(topology: Topology) -> Iterator[Finding]:
    """A placement of a fleet whose resource is refused in two or more member clusters in the same words."""
    for placement in topology.of_kind("ClusterResourcePlacement", "ResourcePlacement"):
        if not group_of(placement).endswith("kubernetes-fleet.io"):
            continue
        refused: dict[tuple[str, str], list[str]] = {}
        for field in ("placementStatuses", "perClusterPlacementStatuses"):
            for member in items(placement, "status", field):
                for failed in items(member, "failedPlacements"):
                    what = f"{text(failed, 'kind')} {text(failed, 'namespace')}/{text(failed, 'name')}".replace(" /", " ")
                    said = mapping(failed, "condition")
                    words = _common(f"{text(said, 'reason')}: {text(said, 'message')}")
                    refused.setdefault((what, words), []).append(text(member, "clusterName"))
        for (what, words), clusters in sorted(refused.items()):
            if len(set(clusters)) >= 2:
                ref = ref_of(placement)
                quotes = [quote_field(ref, "status.placementStatuses", f"{', '.join(sorted(set(clusters)))}: {what}: {words}")]
                yield _alike(ref, [], sorted(set(clusters)), what, words, None, quotes)
                break


@check("same-failure-in-many-clusters", weight=0.98)
def of_one_binding(topology: Topology) -> Iterator[Finding]:
    """Karmada: a binding whose object is not applied, or is unhealthy, in two or more members for the same reason."""
    for binding in topology.of_kind("ResourceBinding", "ClusterResourceBinding"):
        if not group_of(binding).endswith("karmada.io"):
            continue
        alike: dict[str, list[str]] = {}
        for member in items(binding, "status", "aggregatedStatus"):
            if member.get("applied") is False:
                said = _common(text(member, "appliedMessage")) or "it is not applied"
            elif text(member, "health") == "Unhealthy":
                said = "it is unhealthy"
            else:
                continue
            alike.setdefault(said, []).append(text(member, "clusterName"))
        resource = mapping(binding, "spec", "resource")
        what = f"{text(resource, 'kind')} {text(resource, 'namespace')}/{text(resource, 'name')}".replace(" /", " ")
        yield from _first_alike(ref_of(binding), what, alike)


def _first_alike(ref: Ref, what: str, alike: dict[str, list[str]]) -> Iterator[Finding]:
    """One finding at most, for the words that most clusters share."""
    said, clusters = max(sorted(alike.items()), key=lambda one: len(set(one[1])), default=("", []))
    names = sorted(set(clusters))
    if len(names) >= 2:
        quotes = [quote_field(ref, "status", f"{', '.join(names)}: {what}: {said}")]
        yield _alike(ref, [], names, what, said, None, quotes)


# What is one object for each cluster: kind, API group, the field that names the cluster ("" : its namespace is the cluster), and
# what all objects of one source have in common.
_EACH = (
    ("ManifestWork", "open-cluster-management.io", (), ()),
    ("BundleDeployment", "fleet.cattle.io", (), ()),
    ("Kustomization", "toolkit.fluxcd.io", ("spec", "kubeConfig", "secretRef", "name"), ("spec", "path")),
    ("HelmRelease", "toolkit.fluxcd.io", ("spec", "kubeConfig", "secretRef", "name"), ("spec", "chart", "spec", "chart")),
)


@check("same-failure-in-many-clusters", weight=0.98)
def of_one_for_each(topology: Topology) -> Iterator[Finding]:
    """What is delivered by one object for each cluster, and fails in the same words in two or more: works of Open Cluster
    Management, bundles of Rancher's Fleet, Flux objects that reach other clusters by a kubeconfig."""
    for kind, group, cluster_at, common in _EACH:
        failing: dict[tuple[str, str], list[tuple[Manifest, str, datetime | None]]] = {}
        for one in topology.of_kind(kind):
            found = _untrue(one) if group_of(one).endswith(group) and not held(one) else None
            cluster = text(one, *cluster_at) if cluster_at else ref_of(one).namespace
            if found is None or not cluster:
                continue
            said, since = found
            source = f"{text(one, 'spec', 'sourceRef', 'name')} {text(one, *common)}".strip() if common else ref_of(one).name
            failing.setdefault((source, said), []).append((one, cluster, since))
        for (source, said), ones in sorted(failing.items()):
            clusters = sorted({cluster for _, cluster, _ in ones})
            times = [when for _, _, when in ones if when is not None]
            if len(clusters) < 2 or not source or (times and max(times) - min(times) > TOGETHER):
                continue
            refs = sorted(ref_of(one) for one, _, _ in ones)
            quotes = [quote_field(ref, "status.conditions", said) for ref in refs[:3]]
            yield _alike(refs[0], refs[1:], clusters, f"{kind} {source}", said, earliest(*times), quotes)


def _untrue(one: Manifest) -> tuple[str, datetime | None] | None:
    """(what its first condition that is False says, without what is of one cluster only; since when)."""
    for said in items(one, "status", "conditions"):
        if text(said, "status") == "False" and text(said, "type") in ("Applied", "Available", "Ready", "Installed", "Deployed"):
            words = _common(f"{text(said, 'reason')}: {text(said, 'message')}".strip(": "))
            return f"{text(said, 'type')}=False {words}".strip(), time_at(said, "lastTransitionTime")
    return None


def _alike(
    subject: Ref, about: list[Ref], clusters: list[str], what: str, said: str, since: datetime | None, quotes: list[Quote]
) -> Finding:
    return Finding(
        cause="same-failure-in-many-clusters",
        subject=subject,
        affects=tuple(one for one in about if one != subject),
        since=since,
        params={"clusters": [*clusters], "count": len(clusters), "what": what},
        quotes=tuple(quotes),
        statement=f"{what} fails alike in {len(clusters)} clusters ({', '.join(clusters[:5])}): {said.rstrip('. ')}. What was"
        " changed for all of them is the cause: stop it there first, before one cluster after the other is looked at.",
    )
