"""What revisions of a workload have in common: comparing pod templates, and how many pods may be more or fewer. Pure."""

import json
import math
from typing import Any

from lab.store import copied
from lab.world.kinds import Object

HASHES = ("pod-template-hash", "controller-revision-hash")


def canonical(template: Object) -> str:
    """A template as text, without what controllers add to it."""
    plain = copied(template)
    metadata = plain.setdefault("metadata", {})
    metadata.pop("creationTimestamp", None)
    labels = metadata.get("labels") or {}
    for name in HASHES:
        labels.pop(name, None)
    for empty in [k for k, v in metadata.items() if not v]:
        del metadata[empty]
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def bounds(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods; surge rounds up, unavailable down, and never both zero."""
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    replicas = deployment["spec"].get("replicas", 1)
    surge = share(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = share(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return surge, max(unavailable, 1) if surge == 0 else unavailable


def share(value: Any, total: int, *, up: bool) -> int:
    if isinstance(value, str) and value.endswith("%"):
        part = int(value[:-1]) * total / 100
        return math.ceil(part) if up else math.floor(part)
    return int(value)
