"""What revisions of a workload have in common: comparing pod templates. Pure."""

import json

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
