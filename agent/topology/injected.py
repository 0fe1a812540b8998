"""Whom chaos experiments and meshes disturb on purpose. Pure."""

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import items, mapping, namespace_of, text
from agent.topology.kinds import group_in


def injected_into(manifest: Manifest) -> list[Ref]:
    """Pods into which a chaos experiment has put its fault; Services whose routes a mesh is told to disturb."""
    group, namespace = group_in(text(manifest, "apiVersion")), namespace_of(manifest)
    if group == "chaos-mesh.org":
        records = items(manifest, "status", "experiment", "containerRecords")
        ids = [text(one, "id").split("/") for one in records if text(one, "phase") == "Injected"]
        return [Ref("Pod", parts[0], parts[1]) for parts in ids if len(parts) > 1]
    if group == "networking.istio.io" and any(mapping(one, "fault") for one in items(manifest, "spec", "http")):
        hosts = [str(one).split(".") for one in items(manifest, "spec", "hosts")]
        return [Ref("Service", parts[1] if len(parts) > 1 else namespace, parts[0]) for parts in hosts]
    return []
