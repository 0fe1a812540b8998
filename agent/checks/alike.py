"""The same failure in several clusters at once, seen from where all of them are managed: what was changed for all of them is the
cause, and one incident is enough."""

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


@check("same-failure-in-many-clusters", weight=0.9)
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


@check("same-failure-in-many-clusters", weight=0.9)
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
