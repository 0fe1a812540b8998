"""Whether what stands in a file is a Kubernetes object, as far as everything else relies on it. Pure."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from agent.topology.fields import mapping, name_of, text


def fault_of(one: object) -> str:
    """What keeps it from being one, or "". Only what everything else here relies on."""
    if not isinstance(one, Mapping) or not text(one, "kind"):
        return "a mapping with a kind is expected"
    metadata = one.get("metadata")
    if not _is_mapping(metadata) or not text(metadata, "name"):
        return f"{text(one, 'kind')[:60]} without metadata.name"
    for part in ("labels", "annotations"):
        if not _are_texts(metadata.get(part) or {}):
            return f"metadata.{part} of {text(one, 'kind')[:60]} {name_of(one)[:80]} is no map of texts"
    for part in ("spec", "status"):
        if not _is_mapping(one.get(part) or {}):
            return f"{part} of {text(one, 'kind')[:60]} {name_of(one)[:80]} is no mapping"
    for part, lists in _LISTS if one.get("kind") == "Pod" else ():
        held = mapping(one, part)
        for name in lists:
            if not _are_containers(held.get(name) or []):
                return f"{part}.{name} of Pod {name_of(one)[:80]} is no list of containers"
    return ""


_LISTS = (("spec", ("containers", "initContainers")), ("status", ("containerStatuses", "initContainerStatuses")))


def _is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    return type(value) is dict or isinstance(value, Mapping)  # the first is ten times as fast


def _are_texts(words: object) -> bool:
    if not _is_mapping(words):
        return False
    for value in words.values():  # noqa: SIM110  there are hundreds of thousands
        if not isinstance(value, str):
            return False
    return True


def _are_containers(found: object) -> bool:
    if not isinstance(found, list):
        return False
    for entry in found:  # noqa: SIM110
        if not _is_mapping(entry) or not text(entry, "name"):
            return False
    return True
