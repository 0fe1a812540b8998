"""JSON Pointer (RFC 6901) on plain JSON: read, write, compare. What is not there reads as None: Kubernetes keeps no nulls."""

import hashlib
import json

from sidecar.contract import Json, MalformedMessage, canonical


def is_index(segment: str) -> bool:
    """RFC 6901 section 4: ASCII digits, no leading zero; at most nine of them."""
    return segment.isdecimal() and segment.isascii() and len(segment) <= 9 and (segment[0] != "0" or segment == "0")


def parts(pointer: str) -> tuple[str, ...]:
    """Segments, unescaped; "" is the whole document."""
    found = pointer.split("/")[1:]
    return tuple([part.replace("~1", "/").replace("~0", "~") for part in found] if "~" in pointer else found)


def joined(segments: tuple[str, ...]) -> str:
    return "".join(["/" + segment.replace("~", "~0").replace("/", "~1") for segment in segments])


def value_at(document: Json, segments: tuple[str, ...]) -> Json:
    """None where there is nothing, or no way to it."""
    current = document
    for segment in segments:
        if isinstance(current, dict):
            current = current.get(segment)
        elif isinstance(current, list) and is_index(segment) and int(segment) < len(current):
            current = current[int(segment)]
        else:
            return None
    return current


def passed_by(document: Json, segments: tuple[str, ...]) -> list[Json]:
    """What each of the segments leads to, one after the other; None from where there is nothing on."""
    found: list[Json] = []
    for segment in segments:
        if isinstance(document, dict):
            document = document.get(segment)
        elif isinstance(document, list) and is_index(segment) and int(segment) < len(document):
            document = document[int(segment)]
        else:
            document = None
        found.append(document)
    return found


def written(document: Json, segments: tuple[str, ...], value: Json) -> Json:
    """A document in which `segments` holds `value`; None takes it away; missing objects on the way are made. What is not on
    the way is shared with `document`: neither is ever changed.

    In a list, an index equal to its length appends, and None takes the element out. Raises KeyError where a value on
    the way is neither an object nor a list that reaches so far.
    """
    if not segments:
        return value
    *way, last = segments
    passed: list[tuple[Json, str]] = []
    for segment in way:
        passed.append((document, segment))
        if isinstance(document, dict):
            held = document.get(segment)
            document = {} if held is None else held
        elif isinstance(document, list) and is_index(segment) and int(segment) < len(document):
            document = document[int(segment)]
        else:
            raise KeyError(segment)
    changed = _with(document, last, value)
    for node, segment in reversed(passed):
        changed = _with(node, segment, changed)
    return changed


def _with(node: Json, segment: str, value: Json) -> Json:
    if isinstance(node, dict):
        if value is not None:
            return {**node, segment: value}
        return {name: kept for name, kept in node.items() if name != segment}
    if isinstance(node, list) and is_index(segment) and int(segment) <= len(node):
        index = int(segment)
        return [*node[:index], *([] if value is None else [value]), *node[index + 1 :]]
    raise KeyError(segment)


def same(one: Json, other: Json) -> bool:
    """Equal as JSON: 6 is 6.0, but true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def fingerprint(value: Json) -> str:
    """SHA-256 of the canonical form: for comparing without keeping. What has none, such as the 2^63-1 seconds that a pod may
    take to end, has a fingerprint all the same: it never leaves the sidecar to be reckoned elsewhere."""
    try:
        form = canonical(value)
    except MalformedMessage:
        form = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(form).hexdigest()


def differences(one: Json, other: Json, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The smallest places in which two documents differ; lists of different length differ as a whole."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = dict.fromkeys((*one, *other))
        return [place for name in names for place in differences(one.get(name), other.get(name), (*at, name))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [place for index, (left, right) in pairs for place in differences(left, right, (*at, str(index)))]
    return [] if same(one, other) else [at]
