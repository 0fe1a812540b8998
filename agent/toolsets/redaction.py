"""Secret values go at the edge where objects come in, whatever they come from; keys stay, because checks ask for them."""

from typing import Any

from agent.domain.objects import Manifest
from agent.topology.fields import at


def without_secrets(one: dict[str, Any]) -> Manifest:
    """The object, changed in place. The last-applied annotation may hold the values too."""
    annotations = at(one, "metadata", "annotations")
    if isinstance(annotations, dict):
        annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if one.get("kind") == "Secret":
        for field in ("data", "stringData"):
            if isinstance(one.get(field), dict):
                one[field] = dict.fromkeys(one[field], "REDACTED")
    return one
