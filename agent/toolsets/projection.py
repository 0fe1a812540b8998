"""What of an object is kept in memory: everything that diagnosis reads, and not the bookkeeping that is half of its size.

Pure; objects are changed in place, where they come in. Who wrote what when (managedFields) is kept of everything that people
and tools write, and dropped where only the cluster's own controllers and kubelets write.
"""

from typing import Any

WRITTEN_BY_CONTROLLERS = frozenset({"Pod", "ReplicaSet", "Event", "EndpointSlice", "Endpoints", "ControllerRevision", "Lease"})
LONGEST_TEXT = 100_000  # characters of one value of a ConfigMap; more is no configuration that names a host
_UNUSED = ("selfLink", "generateName")


def projected(one: dict[str, Any]) -> dict[str, Any]:
    kind, metadata = one.get("kind"), one.get("metadata")
    if isinstance(metadata, dict):
        for name in _UNUSED:
            metadata.pop(name, None)
        if kind in WRITTEN_BY_CONTROLLERS:
            metadata.pop("managedFields", None)
        elif isinstance(metadata.get("managedFields"), list):
            metadata["managedFields"] = [entry for entry in metadata["managedFields"] if not _of_status(entry)]
    if kind == "Node" and isinstance(one.get("status"), dict):
        one["status"].pop("images", None)
    if kind == "ConfigMap":
        if isinstance(one.get("binaryData"), dict):
            one["binaryData"] = dict.fromkeys(one["binaryData"], "")
        data = one.get("data")
        if isinstance(data, dict):
            for key, value in data.items():
                if isinstance(value, str) and len(value) > LONGEST_TEXT:
                    data[key] = value[:LONGEST_TEXT]
    return one


def _of_status(entry: Any) -> bool:
    return isinstance(entry, dict) and str(entry.get("subresource") or "").startswith("status")
