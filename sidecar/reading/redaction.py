"""Takes the values out of Secrets: pure. The keys stay, since whether a key is there is what a diagnosis asks."""

import json
from typing import Any

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def redacted(content: bytes) -> bytes | None:
    """JSON of a Secret, a list of them, a table, or a watch event, without values; None when it cannot be read."""
    try:
        document = json.loads(content)
    except ValueError:
        return None
    _clear(document)
    return json.dumps(document, separators=(",", ":")).encode()


def _clear(node: Any) -> None:
    """In whatever it is wrapped: every `data` and `stringData` map loses its values, every annotation that repeats the
    object goes."""
    if isinstance(node, list):
        for item in node:
            _clear(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in ("data", "stringData") and isinstance(value, dict):
                node[name] = dict.fromkeys(value, "")
            elif name == "annotations" and isinstance(value, dict):
                value.pop(_LAST_APPLIED, None)
            else:
                _clear(value)
