"""Argo CD: what an Application says of its comparison, its last sync and its health, held against its AppProject."""

import re
from collections.abc import Iterator
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Topology
from agent.topology.extensions import group_of
from agent.topology.fields import at, created_at, items, mapping, ref_of, text, time_at

_DENIED = re.compile(r"not permitted in project|not allowed in project|do(?:es)? not match any of the allowed", re.I)
_NO_PROJECT = re.compile(r"project [`'\"]?[\w.-]+[`'\"]? which does not exist|appproject.*not found", re.I)
_ERRORS = ("ComparisonError", "InvalidSpecError", "UnknownError")
HANGS = timedelta(minutes=15)


def applications(topology: Topology) -> list[Manifest]:
    return [one for one in topology.of_kind("Application") if group_of(one) == "argoproj.io"]


def _conditions(application: Manifest, *types: str) -> list[Any]:
    return [one for one in items(application, "status", "conditions") if text(one, "type") in types]


def _quote(application: Manifest, said: Any) -> Quote:
    words = f"{text(said, 'type')}: {text(said, 'message')}"
    return quote_field(ref_of(application), "status.conditions", words, time_at(said, "lastTransitionTime"))


def _managed(topology: Topology, application: Manifest, *states: str) -> tuple[Ref, ...]:
    """Resources of the Application that exist here, with these sync or health states (all without any)."""
    found = []
    for one in items(application, "status", "resources"):
        ref = Ref(text(one, "kind"), text(one, "namespace"), text(one, "name"))
        if ref in topology.objects and (not states or text(one, "status") in states or text(one, "health", "status") in states):
            found.append(ref)
    return tuple(found)


@check("argo-project-denied", weight=0.96)
def project_says_no(topology: Topology) -> Iterator[Finding]:
    """The AppProject does not let the Application use this repository, destination or kind (or there is no such project)."""
    for application in applications(topology):
        ref, project = ref_of(application), text(application, "spec", "project") or "default"
        told = [one for one in _conditions(application, "InvalidSpecError", "ComparisonError", "SyncError")
                if _DENIED.search(text(one, "message")) or _NO_PROJECT.search(text(one, "message"))]  # fmt: skip
        refused = [one for one in items(application, "status", "operationState", "syncResult", "resources")
                   if _DENIED.search(text(one, "message"))]  # fmt: skip
        found = topology.get("AppProject", ref.namespace, project)
        works = text(application, "status", "sync", "status") == "Synced" and not told
        why = _refusal(application, found) if found is not None and not works else ""
        if not told and not refused and not why:
            continue
        said = text(told[0], "message") if told else text(refused[0], "message") if refused else why
        quotes = [_quote(application, one) for one in told[:1]]
        quotes += [quote_field(ref, "status.operationState", text(one, "message")) for one in refused[:1]]
        if found is not None and why:
            quotes.append(quote_field(ref_of(found), "spec", why))
        yield Finding(
            cause="argo-project-denied",
            subject=ref,
            since=time_at(told[0], "lastTransitionTime") if told else created_at(application),
            affects=_managed(topology, application),
            quotes=tuple(quotes),
            params={
                "project": project,
                "repo": _repo(application),
                "destination": text(application, "spec", "destination", "namespace"),
            },
            statement=f"{ref} is not let by its AppProject {project}: {said.strip().rstrip('.')[:300]}"
            f"{f' ({why})' if why and why not in said else ''}.",
        )


def _repo(application: Manifest) -> str:
    return next((text(one, "repoURL") for one in _sources(application)), "")


def _sources(application: Manifest) -> list[Any]:
    return [one for one in [mapping(application, "spec", "source"), *items(application, "spec", "sources")] if one]


def _refusal(application: Manifest, project: Manifest) -> str:
    """What the project's lists do not hold; "" when they let everything through. Patterns are globs, `!` denies."""
    repos = [str(one) for one in items(project, "spec", "sourceRepos")]
    for source in _sources(application):
        url = text(source, "repoURL")
        if url and not _among(url.removesuffix(".git"), [one.removesuffix(".git") for one in repos]):
            return f"sourceRepos of the project do not hold {url}"
    target = mapping(application, "spec", "destination")
    for one in items(project, "spec", "destinations"):
        same_server = (not text(one, "server") and not text(one, "name")) or any(
            text(target, field) and fnmatchcase(text(target, field), text(one, field))
            for field in ("server", "name")
            if text(one, field)
        )
        if same_server and fnmatchcase(text(target, "namespace"), text(one, "namespace") or "*"):
            return ""
    # a destination by name may stand for the server that the project lists: only a like with like is a refusal
    kinds = {
        field
        for one in items(project, "spec", "destinations")
        for field in ("server", "name")
        if text(one, field) not in ("", "*")
    }
    spoken = {field for field in ("server", "name") if text(target, field)}
    if kinds and not kinds & spoken:
        return ""
    return (
        f"destinations of the project do not hold namespace {text(target, 'namespace')} of"
        f" {text(target, 'server') or text(target, 'name')}"
    )


def _among(value: str, patterns: list[str]) -> bool:
    denied = any(fnmatchcase(value, one[1:]) for one in patterns if one.startswith("!"))
    return not denied and any(one == "*" or fnmatchcase(value, one) for one in patterns if not one.startswith("!"))


@check("argo-comparison-error", weight=0.93)
def cannot_compare(topology: Topology) -> Iterator[Finding]:
    """ComparisonError, InvalidSpecError: the wanted state could not be made (repository, revision, path, rendering)."""
    for application in applications(topology):
        told = [one for one in _conditions(application, *_ERRORS) if not _DENIED.search(text(one, "message"))
                and not _NO_PROJECT.search(text(one, "message"))]  # fmt: skip
        if not told:
            continue
        ref, said = ref_of(application), told[0]
        yield Finding(
            cause="argo-comparison-error",
            subject=ref,
            since=time_at(said, "lastTransitionTime"),
            affects=_managed(topology, application),
            quotes=tuple(_quote(application, one) for one in told[:2]),
            params={"condition": text(said, "type"), "repo": _repo(application)},
            statement=f"Argo CD cannot work out what {ref} wants ({text(said, 'type')}):"
            f" {text(said, 'message').strip().rstrip('.')[:400]}.",
        )


@check("argo-sync-failed", weight=0.88)
def sync_failed(topology: Topology) -> Iterator[Finding]:
    """The last operation ended Failed or Error, or SyncError stands: what was wanted was not applied."""
    for application in applications(topology):
        operation, ref = mapping(application, "status", "operationState"), ref_of(application)
        told = _conditions(application, "SyncError")
        if _conditions(application, *_ERRORS):
            continue  # a sync that could not begin
        if text(operation, "phase") not in ("Failed", "Error") and not told:
            continue
        bad = [one for one in items(operation, "syncResult", "resources")
               if text(one, "status") in ("SyncFailed",) or text(one, "hookPhase") in ("Failed", "Error")]  # fmt: skip
        if any(_DENIED.search(text(one, "message")) for one in bad):
            continue
        first = bad[0] if bad else {}
        which = f"{text(first, 'kind')} {text(first, 'name')}: {text(first, 'message')}" if bad else ""
        said = which or text(operation, "message") or (text(told[0], "message") if told else "")
        since = time_at(operation, "finishedAt") or time_at(operation, "startedAt")
        yield Finding(
            cause="argo-sync-failed",
            subject=ref,
            since=since,
            affects=_managed(topology, application, "OutOfSync"),
            quotes=(
                quote_field(ref, "status.operationState", f"phase {text(operation, 'phase')}:"
                    f" {text(operation, 'message')}", since),
                *(quote_field(ref, "status.operationState.syncResult", f"{text(one, 'kind')}/{text(one, 'name')}:"
                    f" {text(one, 'message')}", since)
                  for one in bad[:2]),
            ),
            params={"phase": text(operation, "phase"), "revision": text(operation, "syncResult", "revision")[:40]},
            statement=f"The last sync of {ref} failed, so what is in Git is not what runs: {said.strip().rstrip('.')[:400]}.",
        )  # fmt: skip


@check("argo-sync-hangs", weight=0.7)
def sync_hangs(topology: Topology) -> Iterator[Finding]:
    """An operation Running for a quarter of an hour: it waits for a hook, a wave, or a resource that does not become healthy."""
    for application in applications(topology):
        operation, ref = mapping(application, "status", "operationState"), ref_of(application)
        began = time_at(operation, "startedAt")
        if text(operation, "phase") != "Running" or began is None or topology.now - began < HANGS:
            continue
        yield Finding(
            cause="argo-sync-hangs",
            subject=ref,
            since=began,
            quotes=(
                quote_field(
                    ref, "status.operationState", f"phase Running since {began:%H:%M:%SZ}: {text(operation, 'message')}", began
                ),
            ),
            params={"message": text(operation, "message")[:300]},
            statement=f"A sync of {ref} runs since {began:%Y-%m-%d %H:%M:%SZ} and does not end:"
            f" {text(operation, 'message').strip().rstrip('.')[:300] or 'it says nothing of what it waits for'}.",
        )


@check("argo-degraded", weight=0.35, symptom=True)
def degraded(topology: Topology) -> Iterator[Finding]:
    """health Degraded or Missing: one of its resources is broken or gone. Progressing and Suspended are no faults."""
    for application in applications(topology):
        health, ref = text(application, "status", "health", "status"), ref_of(application)
        if health not in ("Degraded", "Missing"):
            continue
        bad = [
            one for one in items(application, "status", "resources") if text(one, "health", "status") in ("Degraded", "Missing")
        ]
        which = ", ".join(f"{text(one, 'kind')} {text(one, 'name')} ({text(one, 'health', 'status')})" for one in bad[:4])
        said = text(application, "status", "health", "message") or (text(bad[0], "health", "message") if bad else "")
        yield Finding(
            cause="argo-degraded",
            subject=ref,
            symptom_only=True,
            since=time_at(application, "status", "health", "lastTransitionTime"),
            quotes=(quote_field(ref, "status.health", f"{health}: {said or which}"),),
            statement=f"{ref} is {health}{f': {which}' if which else ''}{f' ({said[:200]})' if said else ''}.",
        )


@check("argo-out-of-sync", weight=0.5)
def drifted(topology: Topology) -> Iterator[Finding]:
    """OutOfSync although it is to sync by itself, and no failed or running operation says why. Without automated sync,
    OutOfSync waits for a person and is no fault."""
    for application in applications(topology):
        ref, automated = ref_of(application), at(application, "spec", "syncPolicy", "automated")
        operation = mapping(application, "status", "operationState")
        since = time_at(operation, "finishedAt") or time_at(application, "status", "reconciledAt")
        if (
            text(application, "status", "sync", "status") != "OutOfSync"
            or not isinstance(automated, dict)
            or automated.get("enabled") is False
            or _conditions(application, *_ERRORS, "SyncError")
            or text(operation, "phase") not in ("Succeeded", "")
            or since is None
            or topology.now - since < HANGS
        ):
            continue
        drift = [one for one in items(application, "status", "resources") if text(one, "status") == "OutOfSync"
                 and (automated.get("prune") is True or at(one, "requiresPruning") is not True)]  # fmt: skip
        if not drift and items(application, "status", "resources"):
            continue  # what is left is what nobody lets it delete
        which = ", ".join(f"{text(one, 'kind')} {text(one, 'name')}" for one in drift[:4])
        why = (
            "selfHeal is off, so a change made by hand stays"
            if automated.get("selfHeal") is not True
            else "somebody else writes the same fields"
        )
        yield Finding(
            cause="argo-out-of-sync",
            subject=ref,
            since=since,
            affects=_managed(topology, application, "OutOfSync"),
            quotes=(quote_field(ref, "status.sync", f"OutOfSync; resources: {which or 'not listed'}", since),),
            params={"self_heal": automated.get("selfHeal") is True},
            statement=f"{ref} is OutOfSync although it is to sync by itself and its last sync succeeded:"
            f" {which or 'its resources'} differ"
            f" from Git ({why}).",
        )
