"""Kinds and versions that are asked for and not served: removed by an upgrade, never installed, or about to be removed. Told by
logs, by events, by the status of what applies manifests (Argo CD, Flux, Helm and whatever else has conditions), and by the API
server's count of who still asks for what the next release leaves out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from agent.checks.policies import API_SERVER
from agent.checks.registry import check, quote_field
from agent.checks.told import sayings
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.logs import is_quiet
from agent.signals.readings import last, named
from agent.topology import Topology
from agent.topology.extensions import is_custom
from agent.topology.fields import at, items, mapping, ref_of, text, time_at

_NO_KIND = re.compile(r'no matches for kind \\?"(?P<kind>[A-Za-z]\w+)\\?" in (?:version|group) \\?"(?P<version>[\w./-]+)\\?"')
_SERVED = re.compile(
    r"the server could not find the requested resource \((?:get|post|put|patch|delete) (?P<plural>[a-z]+)\.(?P<group>[\w.-]+)\)"
)
# Argo CD, of what it is to apply (gitops-engine).
_OF_ARGO = re.compile(r"could not find (?P<version>[\w.-]*)/(?P<kind>[A-Z]\w+) for requested resource")
_MINOR = re.compile(r"^v?1\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Want:
    """Somebody asks for a kind in a group or version."""

    unit: Ref
    what: str
    asked: str
    since: datetime | None
    quote: Quote


@check("api-version-removed", weight=0.97)
def no_such_api(topology: Topology) -> Iterator[Finding]:
    """A workload, or what applies manifests, asks for a kind or version that the API server does not serve (any more, or yet)."""
    for want in (*_told(topology), *_of_status(topology)):
        crd = _definition(topology, want.what, want.asked)
        if want.unit not in topology.objects:
            continue
        if crd is not None:
            served = ", ".join(
                text(version, "name") for version in items(crd, "spec", "versions") if at(version, "served") is True
            )
            if "/" in want.asked and want.asked.rpartition("/")[2] in served.split(", "):
                continue  # it is served by now
            why = f"{ref_of(crd)} serves {served or 'no version'}"
        else:
            why = (
                "no CustomResourceDefinition or API of the cluster offers it"
                if topology.of_kind("CustomResourceDefinition")
                else ""
            )
        yield Finding(
            cause="api-version-removed",
            subject=want.unit,
            since=want.since,
            quotes=(want.quote,),
            params={"kind": want.what, "version": want.asked},
            statement=f"{want.unit} asks for {want.what} in {want.asked or 'the core group'}, which the API server does not serve"
            f"{f': {why}' if why else ''}.",
        )


def _told(topology: Topology) -> Iterator[_Want]:
    found = [
        *sayings(topology, _NO_KIND, ("no matches for kind",)),
        *sayings(topology, _SERVED, ("could not find the requested resource",)),
    ]
    for one in found:
        if is_quiet(one.words):
            continue  # an operator says at its start which optional kinds it does without
        groups = one.match.groupdict()
        what, asked = groups.get("kind") or groups.get("plural") or "", groups.get("version") or groups.get("group") or ""
        yield _Want(unit=one.unit, what=what, asked=asked, since=one.first, quote=one.quote)


def _of_status(topology: Topology) -> Iterator[_Want]:
    """The first want of each custom resource whose status speaks of one now."""
    for manifests in list(topology.kinds.values()):
        for manifest in manifests if is_custom(manifests[0]) else ():
            for where, words, since in _complaints(manifest):
                match = _NO_KIND.search(words) or _OF_ARGO.search(words)
                if match is not None:
                    ref = ref_of(manifest)
                    quote = quote_field(ref, where, " ".join(words.split())[:400], since)
                    yield _Want(unit=ref, what=match["kind"], asked=match["version"], since=since, quote=quote)
                    break


def _complaints(manifest: Manifest) -> Iterator[tuple[str, str, datetime | None]]:
    """(where it stands, words, since) of what is not well: conditions that are False or have no status (Argo CD's), and an
    operation that failed."""
    for one in items(manifest, "status", "conditions"):
        if text(one, "status") in ("False", ""):
            yield "status.conditions", text(one, "message"), time_at(one, "lastTransitionTime")
    operation = mapping(manifest, "status", "operationState")
    if text(operation, "phase") in ("Failed", "Error"):
        since = time_at(operation, "finishedAt") or time_at(operation, "startedAt")
        for one in (operation, *items(operation, "syncResult", "resources")):
            yield "status.operationState", text(one, "message"), since


def _definition(topology: Topology, kind: str, version: str) -> Manifest | None:
    group = version.rpartition("/")[0] or version
    for crd in topology.of_kind("CustomResourceDefinition"):
        names = mapping(crd, "spec", "names")
        if kind in (text(names, "kind"), text(names, "plural")) and text(crd, "spec", "group") == group:
            return crd
    return None


@check("api-version-going-away", weight=0.3)
def next_release_leaves_it_out(topology: Topology) -> Iterator[Finding]:
    """apiserver_requested_deprecated_apis of a release that is the next one, or here already: who asks fails after the upgrade.
    What goes away later is no matter of today."""
    minors = [int(match[1]) for one in topology.of_kind("Node")
              for match in [_MINOR.match(text(one, "status", "nodeInfo", "kubeletVersion"))] if match is not None]  # fmt: skip
    asked = []
    for one in named(topology.series, "apiserver_requested_deprecated_apis"):
        gone = _MINOR.match(one.labels.get("removed_release", ""))
        if minors and gone is not None and int(gone[1]) <= max(minors) + 1 and last(one):
            version = f"{one.labels.get('group', '')}/{one.labels.get('version', '')}".strip("/")
            asked.append((f"{one.labels.get('resource', '')} in {version}", one.labels["removed_release"]))
    if asked:
        names = ", ".join(dict.fromkeys(what for what, _ in asked))
        words = f"apiserver_requested_deprecated_apis: {names}, removed in {asked[0][1]}"
        yield Finding(
            cause="api-version-going-away",
            subject=API_SERVER,
            params={"versions": names[:1000], "release": asked[0][1]},
            quotes=(quote_field(API_SERVER, "metrics", words),),
            statement=f"Somebody still asks the API server for {names}, which release {asked[0][1]} does not serve any more: it"
            " fails after the next upgrade.",
        )
