"""Eyes on how things came into the cluster: Helm releases, Argo CD and Flux. From objects that were read.

Of a release's Secret only labels and times are used, never its content.
"""

from collections.abc import Iterator, Sequence

from pydantic import Field

from agent.domain.objects import Manifest
from agent.ports.toolset import Arguments, Sighting, Tool, View, tool
from agent.topology.fields import items, kind_of, labels_of, name_of, namespace_of, text

FLUX = ("Kustomization", "HelmRelease", "GitRepository", "OCIRepository", "HelmRepository", "HelmChart", "Bucket")


class Where(Arguments):
    namespace: str = Field("", max_length=63, description="empty: all that were read")


class DeliveredEyes:
    name = "delivered"
    why_off = ""

    def tools(self, view: View) -> Sequence[Tool]:
        def within(asked: Where) -> list[Manifest]:
            return [one for one in view.observed.objects if asked.namespace in ("", namespace_of(one))]

        async def helm(asked: Where) -> Sighting:
            rows = sorted(row for one in within(asked) for row in _release(one))
            return _sighting("helm: releases", rows, "no releases were seen (their Secrets may not be readable)")

        async def gitops(asked: Where) -> Sighting:
            rows = sorted(row for one in within(asked) for row in (*_argo(one), *_flux(one)))
            return _sighting("gitops: Argo CD and Flux", rows, "neither Argo CD nor Flux objects were seen")

        return (
            tool("helm_releases", "Helm releases: revision, status, when. No values.", Where, helm),
            tool("gitops_state", "Argo CD Applications and Flux objects: sync, health, revision, messages.", Where, gitops),
        )


def _release(one: Manifest) -> Iterator[str]:
    labels = labels_of(one)
    if kind_of(one) in ("Secret", "ConfigMap") and labels.get("owner") in ("helm", "TILLER"):
        stamp = labels.get("modifiedAt") or text(one, "metadata", "creationTimestamp")
        name, version, status = labels.get("name", ""), labels.get("version", "?"), labels.get("status", "?")
        yield f"{namespace_of(one)}/{name} revision {version}: {status}, {stamp}"


def _argo(one: Manifest) -> Iterator[str]:
    if kind_of(one) != "Application" or not text(one, "apiVersion").startswith("argoproj.io"):
        return
    status = "status"
    said = "; ".join(text(entry, "message") for entry in items(one, status, "conditions"))
    last = text(one, status, "operationState", "message")
    yield (
        f"Application {namespace_of(one)}/{name_of(one)}: sync {text(one, status, 'sync', 'status')}, health "
        f"{text(one, status, 'health', 'status')}, revision {text(one, status, 'sync', 'revision')[:40]}, last operation "
        f"{text(one, status, 'operationState', 'phase')} {last}; {said}".rstrip("; ")
    )


def _flux(one: Manifest) -> Iterator[str]:
    if kind_of(one) not in FLUX or "toolkit.fluxcd.io" not in text(one, "apiVersion"):
        return
    ready = next((entry for entry in items(one, "status", "conditions") if text(entry, "type") == "Ready"), None)
    revision = text(one, "status", "lastAppliedRevision") or text(one, "status", "artifact", "revision")
    yield (
        f"{kind_of(one)} {namespace_of(one)}/{name_of(one)}: ready {text(ready, 'status') or '?'}, revision {revision}, "
        f"{text(ready, 'reason')} {text(ready, 'message')}".rstrip()
    )


def _sighting(source: str, rows: Sequence[str], missing: str) -> Sighting:
    return Sighting(source=source, text="\n".join(rows[:300]), missing="" if rows else missing)
