"""JSON as an API server writes it itself. Knows no request.

The `test` operations of a JSON Patch are what keeps us from writing over somebody's change, and an API server compares a string
in them by its bytes, not by what it means: with what its own encoder makes of the live object, which is Go's. That one escapes
&, <, > and the two line separators of Unicode, and nothing else that need not be. "a && b" sent as it stands is refused (422) as
if the object had changed; so is an é sent as \\u00e9.
"""

import orjson

from sidecar.contract import Json

_ESCAPED = (
    (b"&", rb"\u0026"),
    (b"<", rb"\u003c"),
    (b">", rb"\u003e"),
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
)


def written(body: Json) -> bytes:
    """These characters stand nowhere in JSON but within strings."""
    text = orjson.dumps(body)
    for character, escape in _ESCAPED:
        text = text.replace(character, escape)
    return text
