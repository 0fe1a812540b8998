"""Which custom resources a cluster has and diagnosis should read, from the API server's own discovery document. Pure.

One request (aggregated discovery, Kubernetes 1.27 and later) instead of one for each API that may be there; older servers
name their groups only, and then the kinds that checks know are asked for.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from agent.toolsets.kinds import CLUSTER_KINDS, EXTENSION_KINDS, NAMESPACED_KINDS, Resource
from agent.topology.extensions import OWN_GROUPS
from agent.topology.fields import items, text

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
AT_MOST = 60  # kinds of operators that no check knows by name: each is one request
# Groups whose objects are countless, say nothing of health, or are measurements rather than objects.
_PASSED_OVER = frozenset({
    "metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io", "wgpolicyk8s.io", "reports.kyverno.io", "lestrade.dev",
    "openreports.io", "aquasecurity.github.io", "packages.operators.coreos.com", "spdx.softwarecomposition.kubescape.io",
    "subresources.kubevirt.io", "upload.cdi.kubevirt.io", "audit.k8s.io", "visibility.kueue.x-k8s.io",
})  # fmt: skip
_COUNTLESS = frozenset({"ciliumendpoints", "ciliumendpointslices", "ciliumidentities", "ciliumnodes", "ipamblocks", "ipamhandles",
                        "backuprepositories", "podvolumebackups", "deletebackuprequests"})  # fmt: skip


def extensions_in(document: Mapping[str, Any]) -> tuple[list[Resource], list[str]]:
    """(kinds to read, kinds that were left out because there are too many). Kinds that are read anyway are not among them."""
    if text(document, "kind") != "APIGroupDiscoveryList":
        return list(_by_group(document)), []
    read = {(_group(one), one.plural) for one in (*NAMESPACED_KINDS, *CLUSTER_KINDS)}
    known = {(_group(one), one.plural) for one in EXTENSION_KINDS}
    ours: list[Resource] = []
    others: list[Resource] = []
    for group in items(document, "items"):
        name = text(group, "metadata", "name")
        for version in items(group, "versions")[:1]:  # the first is the preferred one
            for row in items(version, "resources"):
                plural = text(row, "resource")
                if (name, plural) in read or "list" not in items(row, "verbs") or not text(row, "responseKind", "kind"):
                    continue
                found = Resource(
                    api_version=f"{name}/{text(version, 'version')}",
                    kind=text(row, "responseKind", "kind"),
                    plural=plural,
                    namespaced=text(row, "scope") == "Namespaced",
                    optional=True,
                )
                if (name, plural) in known:
                    ours.append(found)
                elif _tells_of_health(name, plural, row):
                    others.append(found)
    others.sort(key=lambda one: (one.api_version, one.plural))
    return ours + others[:AT_MOST], [one.kind for one in others[AT_MOST:]]


def _tells_of_health(group: str, plural: str, row: Mapping[str, Any]) -> bool:
    """A custom resource with a status: only there can a condition stand."""
    has_status = any(text(one, "subresource") == "status" for one in items(row, "subresources"))
    return has_status and group not in OWN_GROUPS and group not in _PASSED_OVER and plural not in _COUNTLESS


def _by_group(document: Mapping[str, Any]) -> Iterator[Resource]:
    """Kinds that checks know, in the groups and preferred versions that an APIGroupList names."""
    preferred = {text(group, "name"): text(group, "preferredVersion", "groupVersion") for group in items(document, "groups")}
    for one in EXTENSION_KINDS:
        version = preferred.get(_group(one))
        if version:
            yield Resource(version, one.kind, one.plural, namespaced=one.namespaced, optional=True)


def _group(one: Resource) -> str:
    group, slash, _ = one.api_version.partition("/")
    return group if slash else ""


def is_known(one: Resource) -> bool:
    """Whether a check knows the kind by name: only then a refusal is worth telling."""
    return any(known.kind == one.kind and _group(known) == _group(one) for known in EXTENSION_KINDS)


def kinds_left_out(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{len(names)} more kinds of custom resources ({shown}{' ...' if len(names) > 5 else ''})"
