"""What tools that bring things into a cluster tell of their own doings: Helm's releases (labels of their Secrets, never the
content), syncs of Argo CD, reconciliations of Flux; and the marks that people leave on a time line. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from agent.domain.objects import Manifest, Ref
from agent.domain.testimony import Mark
from agent.topology import Topology
from agent.topology.extensions import group_of
from agent.topology.fields import (
    annotations_of,
    condition,
    counted,
    created_at,
    items,
    labels_of,
    name_of,
    namespace_of,
    ref_of,
    text,
    time_at,
)

Told = tuple[datetime, Ref, str, str, str]  # when, about what, what, who, and where it stands
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job")
_KEPT = 3  # entries of a history
_WORD = re.compile(r"[a-z0-9][a-z0-9.-]{1,250}[a-z0-9]")


def told(topology: Topology) -> list[Told]:
    """About each workload that it brought, or, where none of those is in view, about the tool's own object; worked out once a
    topology."""
    known: list[Told] | None = topology.derived.get("releases-told")
    if known is None:
        known = [*_helm(topology), *_argo(topology), *_flux(topology), *_marks(topology)]
        topology.derived["releases-told"] = known
    return known


def helm_revision(secret: Manifest) -> int:
    return counted(str(labels_of(secret).get("version", ""))) or 0


def releases(topology: Topology) -> dict[tuple[str, str], list[Manifest]]:
    """(namespace, release) -> Helm's Secrets or ConfigMaps of it, newest first."""
    found: dict[tuple[str, str], list[Manifest]] = {}
    for one in topology.of_kind("Secret", "ConfigMap"):
        if labels_of(one).get("owner") == "helm" and labels_of(one).get("name"):
            found.setdefault((namespace_of(one), labels_of(one)["name"]), []).append(one)
    for ones in found.values():
        ones.sort(key=helm_revision, reverse=True)
    return found


def released(topology: Topology, namespace: str, release: str) -> tuple[Ref, ...]:
    """Workloads that bear the release's name, as Helm and most charts note it."""
    return tuple(
        sorted(
            ref_of(one)
            for one in topology.of_kind(*_WORKLOADS)
            if (
                annotations_of(one).get("meta.helm.sh/release-name") == release
                and annotations_of(one).get("meta.helm.sh/release-namespace", namespace) == namespace
            )
            or (namespace_of(one) == namespace and labels_of(one).get("app.kubernetes.io/instance") == release)
        )
    )


def _helm(topology: Topology) -> Iterator[Told]:
    for (namespace, release), ones in releases(topology).items():
        for one in ones[:_KEPT]:
            when = _stamp(labels_of(one).get("modifiedAt", "")) or created_at(one)
            if when is not None:
                status = labels_of(one).get("status", "")
                what = f"Helm release {release}, revision {helm_revision(one)}{f': {status}' if status else ''}"
                yield from _each(released(topology, namespace, release), ref_of(one), when, what, "helm", f"helm: {ref_of(one)}")


def _stamp(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() and len(seconds) <= 11 else None


def _argo(topology: Topology) -> Iterator[Told]:
    for one in topology.of_kind("Application"):
        if group_of(one) != "argoproj.io":
            continue
        ref, entries = ref_of(one), items(one, "status", "history")
        for entry in entries[-_KEPT:]:
            when = time_at(entry, "deployedAt")
            if when is not None:
                what = f"Argo CD synced revision {_short(text(entry, 'revision'))} of {ref}"
                yield from _each(_brought(topology, ref), ref, when, what, _who(entry, "argocd"), f"argocd: {ref} status.history")
        last = ("status", "operationState")
        when, phase = time_at(one, *last, "finishedAt"), text(one, *last, "phase")
        if when is not None and phase in ("Failed", "Error"):
            revision = _short(text(one, *last, "syncResult", "revision"))
            what = f"Argo CD failed to sync revision {revision} of {ref}"
            yield from _each(_brought(topology, ref), ref, when, what, "argocd", f"argocd: {ref} status.operationState")


def _who(entry: Any, otherwise: str) -> str:
    return text(entry, "initiatedBy", "username") or otherwise


def _flux(topology: Topology) -> Iterator[Told]:
    for one in topology.of_kind("Kustomization", "HelmRelease"):
        if not group_of(one).endswith("toolkit.fluxcd.io"):
            continue
        ref = ref_of(one)
        told = [pair for entry in items(one, "status", "history")[:_KEPT] if (pair := _reconciled(entry)) is not None]
        ready, applied = condition(one, "Ready"), text(one, "status", "lastAppliedRevision")
        when = time_at(ready, "lastTransitionTime")
        if not told and when is not None and applied and text(ready, "status") == "True":
            told.append((when, f"applied revision {_short(applied)}"))
        for at, what in told:
            yield from _each(_brought(topology, ref), ref, at, f"Flux {what} of {ref}", "flux", f"flux: {ref} status")


def _reconciled(entry: Mapping[str, Any]) -> tuple[datetime, str] | None:
    """A release of a HelmRelease, or a state of a Kustomization; both keep a history of their own."""
    when = time_at(entry, "lastDeployed")
    if when is not None:
        chart = f"{text(entry, 'chartName')} {text(entry, 'chartVersion')}".strip()
        return when, f"released {chart or 'a chart'} ({text(entry, 'status') or 'state not told'})"
    when = time_at(entry, "firstReconciled")
    if when is None:
        return None
    revision = _short(text(entry, "metadata", "revision"))
    return when, f"applied {f'revision {revision}' if revision else 'a revision'} ({text(entry, 'lastReconciledStatus')})"


def _short(revision: str) -> str:
    """A commit by its first letters; main@sha1:0123456789abcdef keeps its branch."""
    return re.sub(r"([0-9a-f]{10})[0-9a-f]{10,}", r"\1", revision)[:80]


def _brought(topology: Topology, by: Ref) -> tuple[Ref, ...]:
    found = {edge.target for edge in topology.edges.get(by, ()) if edge.relation == "owns"}
    return tuple(sorted(one for one in found if one in topology.objects and one.kind in _WORKLOADS))


def _each(about: tuple[Ref, ...], otherwise: Ref, when: datetime, what: str, who: str, source: str) -> Iterator[Told]:
    yield from ((when, one, what, who, source) for one in (about or (otherwise,)))


def _marks(topology: Topology) -> Iterator[Told]:
    """About the workloads that they name, in their text or tags."""
    if not topology.testimony.marks:
        return
    named: dict[str, list[Ref]] = {}
    for one in topology.of_kind(*_WORKLOADS):
        named.setdefault(name_of(one).lower(), []).append(ref_of(one))
    for mark in topology.testimony.marks:
        words = dict.fromkeys(_WORD.findall(" ".join((*mark.tags, mark.text)).lower()[:2000]))
        about = tuple(ref for word in words for ref in named.get(word, ()))
        number = mark.source.rpartition(" ")[2] or "?"
        yield from _each(about, Ref("Annotation", "", number), mark.at, f"marked: {_said(mark)}", "annotation", mark.source)


def _said(mark: Mark) -> str:
    tags = f"[{', '.join(mark.tags)}] " if mark.tags else ""
    return f"{tags}{' '.join(mark.text.split())}"[:160]
