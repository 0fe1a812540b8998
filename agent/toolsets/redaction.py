"""Secret values go at the edge where objects come in, whatever they come from; keys stay, because checks ask for them, and of a
certificate what everybody is shown who connects: until when it holds, and for which hosts."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from agent.domain.objects import Manifest
from agent.topology.certificates import read_bundle
from agent.topology.fields import at

REDACTED = "REDACTED"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
SHORTEST = 4  # characters: a shorter value is found everywhere by chance
LONGEST_CHAIN = 40_000  # characters of base64
LONGEST_NOTE = 512  # characters of an annotation of a Secret; a longer one may be a packed copy


def without_secrets(one: dict[str, Any]) -> Manifest:
    """The object, changed in place. The last-applied annotation may hold the values too, and so may any other of a Secret."""
    annotations = at(one, "metadata", "annotations")
    if isinstance(annotations, dict):
        annotations.pop(APPLIED, None)
    if one.get("kind") == "Secret":
        values = list(_values(one))
        _keep_public(one)
        for field in ("data", "stringData"):
            if isinstance(one.get(field), dict):
                one[field] = dict.fromkeys(one[field], REDACTED)
        for name, told in annotations.items() if isinstance(annotations, dict) else ():
            if not isinstance(told, str) or len(told) > LONGEST_NOTE or any(value in told for value in values):
                annotations[name] = REDACTED
    return one


def _keep_public(secret: dict[str, Any]) -> None:
    """`certificate`: {notAfter, names} of tls.crt, the first of its chain. Who made the object may not have written it there."""
    packed = at(secret, "data", "tls.crt")
    if secret.get("type") != "kubernetes.io/tls" or not isinstance(packed, str) or packed == REDACTED:
        return
    secret.pop("certificate", None)
    chain = read_bundle(packed[:LONGEST_CHAIN])
    if chain:
        secret["certificate"] = {"notAfter": chain[0].not_after.strftime("%Y-%m-%dT%H:%M:%SZ"), "names": list(chain[0].names)}


def secretless(one: Manifest) -> Manifest:
    """A copy where something has to go, else the same object: there may be tens of thousands."""
    if one.get("kind") != "Secret" and not at(one, "metadata", "annotations"):
        return one
    copy: dict[str, Any] = {**one, "metadata": dict(one.get("metadata") or {})}
    if isinstance(copy["metadata"].get("annotations"), Mapping):
        copy["metadata"]["annotations"] = dict(copy["metadata"]["annotations"])
    return without_secrets(copy)


def _values(secret: dict[str, Any]) -> Iterator[str]:
    """Every value as it stands and as it reads when unpacked."""
    for field in ("data", "stringData"):
        for value in at(secret, field).values() if isinstance(at(secret, field), dict) else ():
            if isinstance(value, str) and len(value) >= SHORTEST and value != REDACTED:
                yield value
                try:
                    plain = base64.b64decode(value, validate=True).decode()
                except (binascii.Error, UnicodeDecodeError):
                    continue
                if len(plain) >= SHORTEST:
                    yield plain
