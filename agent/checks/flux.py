"""Flux: sources that cannot be fetched, Kustomizations and HelmReleases that fail, and releases that Helm left half done.

A suspended object is left alone on purpose and no fault; a dependency that is not ready is a symptom of that dependency.
"""

from collections.abc import Iterator
from datetime import timedelta

from agent.checks.custom import Complaint, complaint
from agent.checks.registry import check, quote_condition, quote_field
from agent.domain.finding import Finding
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of, source_of
from agent.topology.fields import created_at, items, labels_of, name_of, ref_of, text

_SOURCES = ("GitRepository", "OCIRepository", "HelmRepository", "Bucket", "HelmChart")
_KINDS = ("Kustomization", "HelmRelease")
_HEALTH = ("HealthCheckFailed",)
_DEPENDS = ("DependencyNotReady",)
_ARTIFACT = ("ArtifactFailed", "SourceNotReady")
_BUILD = ("BuildFailed",)
PENDING = timedelta(minutes=10)


def _flux(topology: Topology, *kinds: str) -> Iterator[tuple[Manifest, Complaint]]:
    for manifest in topology.of_kind(*kinds):
        if group_of(manifest).endswith("toolkit.fluxcd.io"):
            # Stalled and FetchFailed name the failure; Ready repeats it
            said = complaint(manifest, topology.now, ("Ready", "Stalled"))
            if said is not None:
                yield manifest, said


def _made(topology: Topology, ref: Ref) -> tuple[Ref, ...]:
    """What a Kustomization or HelmRelease has made, as far as it is in view."""
    return tuple(
        sorted(
            {edge.target for edge in topology.edges.get(ref, ()) if edge.relation == "owns" and edge.target in topology.objects}
        )
    )


@check("flux-source-failed", weight=0.95)
def cannot_fetch(topology: Topology) -> Iterator[Finding]:
    """Ready=False of a GitRepository, OCIRepository, HelmRepository, Bucket or HelmChart: nothing new arrives."""
    for manifest, said in _flux(topology, *_SOURCES):
        ref = ref_of(manifest)
        where = text(manifest, "spec", "url") or text(manifest, "spec", "endpoint") or text(manifest, "spec", "chart")
        users = tuple(sorted(ref_of(one) for one in topology.of_kind(*_KINDS, "HelmChart") if source_of(one) == ref))
        yield Finding(
            cause="flux-source-failed",
            subject=ref,
            since=said.since,
            affects=tuple(dict.fromkeys((*users, *(made for user in users for made in _made(topology, user))))),
            params={"reason": said.reason, "url": where},
            quotes=tuple(quote_condition(manifest, said.type)),
            statement=f"{ref} cannot fetch {where or 'its source'}, so no new revision arrives"
            f"{f' at {chr(44).join(map(str, users))}' if users else ''}: {said.words}.",
        )


@check("flux-source-missing", weight=0.96)
def no_such_source(topology: Topology) -> Iterator[Finding]:
    """A Kustomization or HelmRelease names a source, or one that it depends on, that does not exist."""
    for manifest in topology.of_kind(*_KINDS):
        source, ref = source_of(manifest), ref_of(manifest)
        if (
            not group_of(manifest).endswith("toolkit.fluxcd.io")
            or complaint(manifest, topology.now, ("Ready", "Stalled")) is None
        ):
            continue
        needs = [
            Ref(ref.kind, text(one, "namespace") or ref.namespace, text(one, "name"))
            for one in items(manifest, "spec", "dependsOn")
        ]
        for named in [*([source] if source is not None else []), *needs]:
            seen = topology.saw(named.kind) and (topology.of_kind(named.kind) or topology.knows_namespace(named.namespace))
            if named in topology.objects or not named.name or not seen:
                continue
            there = sorted(name_of(one) for one in topology.in_namespace(named.kind, named.namespace))
            yield Finding(
                cause="flux-source-missing",
                subject=ref,
                since=created_at(manifest),
                affects=_made(topology, ref),
                params={"missing": str(named)},
                quotes=(quote_field(ref, "spec", f"names {named}"), *quote_condition(manifest, "Ready")),
                statement=f"{ref} names {named}, which does not exist"
                f" (there {'is' if len(there) == 1 else 'are'} {', '.join(there) or 'none'} in that namespace), so it is"
                f" never applied.",
            )
            break


@check("flux-build-failed", weight=0.93)
def cannot_build(topology: Topology) -> Iterator[Finding]:
    """BuildFailed: the manifests of the revision cannot be rendered (path, kustomization.yaml, substitution, decryption)."""
    for manifest, said in _flux(topology, "Kustomization"):
        if said.reason in _BUILD:
            yield _failed("flux-build-failed", topology, manifest, said, "cannot render its manifests, so nothing is applied")


@check("flux-apply-failed", weight=0.9)
def cannot_apply(topology: Topology) -> Iterator[Finding]:
    """ReconciliationFailed, PruneFailed and the like: the API server refused what was rendered."""
    for manifest, said in _flux(topology, "Kustomization"):
        if said.reason not in (*_BUILD, *_HEALTH, *_DEPENDS, *_ARTIFACT):
            yield _failed("flux-apply-failed", topology, manifest, said, "could not be applied")


@check("helm-release-failed", weight=0.88)
def release_failed(topology: Topology) -> Iterator[Finding]:
    """InstallFailed, UpgradeFailed, RollbackFailed, TestFailed ... of a HelmRelease."""
    for manifest, said in _flux(topology, "HelmRelease"):
        waited = "timed out waiting" in said.message or "context deadline exceeded" in said.message
        if said.reason not in (*_DEPENDS, *_ARTIFACT) and not waited:
            yield _failed("helm-release-failed", topology, manifest, said, "could not be released")


@check("flux-health-check-failed", weight=0.35, symptom=True)
def not_healthy(topology: Topology) -> Iterator[Finding]:
    """Applied, but what was applied does not become healthy in time: a symptom of that object."""
    for manifest, said in _flux(topology, *_KINDS):
        waited = "timed out waiting" in said.message or "context deadline exceeded" in said.message
        if said.reason in _HEALTH or (waited and text(manifest, "kind") == "HelmRelease"):
            yield _failed(
                "flux-health-check-failed", topology, manifest, said, "was applied and does not become healthy", symptom=True
            )


@check("flux-dependency-not-ready", weight=0.3, symptom=True)
def waits_for_another(topology: Topology) -> Iterator[Finding]:
    """DependencyNotReady, or an artifact that its source has not made: a symptom of the other object."""
    for manifest, said in _flux(topology, *_KINDS):
        if said.reason in (*_DEPENDS, *_ARTIFACT):
            yield _failed("flux-dependency-not-ready", topology, manifest, said, "waits for what it depends on", symptom=True)


def _failed(cause: str, topology: Topology, manifest: Manifest, said: Complaint, what: str, *, symptom: bool = False) -> Finding:
    ref = ref_of(manifest)
    revision = text(manifest, "status", "lastAttemptedRevision")
    return Finding(
        cause=cause,
        subject=ref,
        since=said.since,
        symptom_only=symptom,
        affects=() if symptom else _made(topology, ref),
        params={
            "reason": said.reason,
            "revision": revision[:80],
            "applied": text(manifest, "status", "lastAppliedRevision")[:80],
        },
        quotes=tuple(quote_condition(manifest, said.type)),
        statement=f"{ref} {what}{f' (revision {revision[:60]})' if revision else ''}: {said.words}.",
    )


@check("helm-release-pending", weight=0.92)
def left_half_done(topology: Topology) -> Iterator[Finding]:
    """A Helm release Secret whose newest revision is pending-install, -upgrade or -rollback: the client was interrupted,
    and every later upgrade is refused ("another operation is in progress")."""
    newest: dict[tuple[str, str], Manifest] = {}
    for secret in topology.of_kind("Secret"):
        if text(secret, "type") == "helm.sh/release.v1":
            key = (ref_of(secret).namespace, labels_of(secret).get("name", ""))
            if key not in newest or _version(secret) > _version(newest[key]):
                newest[key] = secret
    for (namespace, release), secret in sorted(newest.items()):
        status, made = labels_of(secret).get("status", ""), created_at(secret)
        if not status.startswith("pending-") or made is None or topology.now - made < PENDING:
            continue
        owner = Ref("HelmRelease", namespace, release)
        units = tuple(
            sorted(
                ref_of(one)
                for kind in ("Deployment", "StatefulSet", "DaemonSet")
                for one in topology.in_namespace(kind, namespace)
                if labels_of(one).get("app.kubernetes.io/instance") == release
            )
        )
        yield Finding(
            cause="helm-release-pending",
            subject=ref_of(secret),
            since=made,
            affects=(*((owner,) if owner in topology.objects else ()), *units),
            params={"release": release, "status": status, "revision": _version(secret)},
            quotes=(
                quote_field(
                    ref_of(secret), "metadata.labels", f"name={release}, status={status}, version={_version(secret)}", made
                ),
            ),
            statement=f"Helm release {release} in namespace {namespace} stands at {status} (revision {_version(secret)}) since"
            f" {made:%Y-%m-%d %H:%M:%SZ}: its client was interrupted, and every later upgrade is refused.",
        )


def _version(secret: Manifest) -> int:
    value = str(labels_of(secret).get("version", ""))
    return int(value) if value.isdigit() else 0
