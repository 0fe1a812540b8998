"""What an object must look like to be stored, kind by kind; each fault a Cause in the words of a real server."""

from typing import Any

from lab.api.cluster import Cluster
from lab.api.resources import Resource
from lab.api.status import Cause
from lab.api.validation import custom, metadata, workloads
from lab.api.validation.changes import changes
from lab.store import Object

__all__ = ["validate", "validate_update"]


def validate(cluster: Cluster, resource: Resource, obj: Object) -> list[Cause]:
    causes = metadata.faults(resource, obj)
    if resource.custom is not None:
        return causes + custom.faults(resource, obj)
    return causes + workloads.faults(cluster, resource, obj)


def validate_update(
    cluster: Cluster, resource: Resource, live: Object, new: Object, asked: dict[str, Any], subresource: str
) -> list[Cause]:
    """`asked` is the metadata as the client sent it."""
    causes = [] if subresource else metadata.immutable(live, asked)
    return causes + changes(resource, live, new, subresource)
