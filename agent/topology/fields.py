"""Reading raw manifests: paths, identity, labels, conditions, owners, times. Total: a missing or odd field reads as empty."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from agent.domain.objects import Manifest, Ref
from agent.topology.kinds import kind_in

_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")


def at(value: Any, *path: str | int) -> Any:
    """The value under a path of keys and indexes, or None when anything on the way is missing or of another shape."""
    for part in path:
        if type(value) is dict:  # by far the most: an isinstance of an abstract class costs ten times as much
            value = value.get(part)
        elif isinstance(part, int):
            if not isinstance(value, list) or not -len(value) <= part < len(value):
                return None
            value = value[part]
        elif isinstance(value, Mapping):
            value = value.get(part)
        else:
            return None
    return value


def text(value: Any, *path: str | int) -> str:
    found = value
    for part in path:  # `at` once more: by far the most calls are this one
        if type(found) is not dict:
            found = at(value, *path)
            break
        found = found.get(part)
    return found if isinstance(found, str) else ""


def number(value: Any, *path: str | int, default: int = 0) -> int:
    found = at(value, *path)
    return int(found) if isinstance(found, int | float) and not isinstance(found, bool) else default


def counted(raw: str) -> int | None:
    """What a text in digits counts, None for another: Python takes more for digits than it makes numbers of ("²"), and of
    thousands of them none, and anybody may write an annotation, an event or a tag of a trace."""
    return int(raw) if len(raw) <= 25 and raw.isascii() and raw.isdigit() else None


def items(value: Any, *path: str | int) -> list[Any]:
    found = at(value, *path)
    return found if isinstance(found, list) else []


def mapping(value: Any, *path: str | int) -> Mapping[str, Any]:
    found = at(value, *path)
    return found if type(found) is dict or isinstance(found, Mapping) else {}


def kind_of(manifest: Manifest) -> str:
    return text(manifest, "kind")


def name_of(manifest: Manifest) -> str:
    return text(manifest, "metadata", "name")


def namespace_of(manifest: Manifest) -> str:
    return text(manifest, "metadata", "namespace")


def ref_of(manifest: Manifest) -> Ref:
    """A kind that checks know of one API group and that another group has as well (Knative's Service, Istio's Gateway) is called
    by its group too, as kubectl does: it is another thing, often of the same name."""
    metadata, kind, version = manifest.get("metadata"), manifest.get("kind"), manifest.get("apiVersion")
    if type(metadata) is dict and type(kind) is str and type(version) is str:  # nearly always, and asked a hundred thousand times
        namespace, name = metadata.get("namespace"), metadata.get("name")
        if type(name) is str and (namespace is None or type(namespace) is str):
            return Ref(kind_in(kind, version), namespace or "", name)
    return Ref(kind_in(text(manifest, "kind"), text(manifest, "apiVersion")), text(metadata, "namespace"), text(metadata, "name"))


def labels_of(manifest: Manifest) -> Mapping[str, str]:
    return mapping(manifest, "metadata", "labels")


def annotations_of(manifest: Manifest) -> Mapping[str, str]:
    return mapping(manifest, "metadata", "annotations")


def condition(manifest: Manifest, kind: str) -> Mapping[str, Any]:
    """The status condition of that type, or an empty mapping."""
    for one in items(manifest, "status", "conditions"):
        if (one.get("type") if type(one) is dict else text(one, "type")) == kind:
            return mapping(one)
    return {}


def controller_of(manifest: Manifest) -> Ref | None:
    """The owner that controls the object (metadata.ownerReferences with controller: true), in the same namespace."""
    for owner in items(manifest, "metadata", "ownerReferences"):
        if (owner.get("controller") if type(owner) is dict else at(owner, "controller")) is True:
            return Ref(kind_in(text(owner, "kind"), text(owner, "apiVersion")), namespace_of(manifest), text(owner, "name"))
    return None


def moment(value: Any) -> datetime | None:
    """RFC 3339 as Kubernetes writes it (seconds, micro- or nanoseconds), as aware UTC; None for anything else."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return _parsed(value) if isinstance(value, str) and 19 <= len(value) <= 64 else None


@lru_cache(maxsize=8192)  # objects of one rollout bear the same times
def _parsed(value: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", value).replace("Z", "+00:00"))
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def time_at(value: Any, *path: str | int) -> datetime | None:
    return moment(at(value, *path))


def created_at(manifest: Manifest) -> datetime | None:
    return time_at(manifest, "metadata", "creationTimestamp")


def field_writes(manifest: Manifest) -> Iterator[tuple[str, datetime, Mapping[str, Any]]]:
    """(manager, when, fields) of metadata.managedFields, status writes left out."""
    for entry in items(manifest, "metadata", "managedFields"):
        when = time_at(entry, "time")
        if when is not None and not text(entry, "subresource").startswith("status"):
            yield text(entry, "manager"), when, mapping(entry, "fieldsV1")
