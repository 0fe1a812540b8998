"""The recorded exchanges, and the objects a real server must have held when each of them was answered."""

import copy
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from lab.api.resources import Resource, Resources

Exchange = dict[str, Any]
REPOSITORY = Path(__file__).resolve().parents[3]


def shared() -> Path | None:
    """The folder of shared recordings; None where it is absent."""
    for place in (os.environ.get("LESTRADE_SHARED"), REPOSITORY.parent / "shared"):
        if place and (found := Path(place) / "apiserver" / "exchanges.jsonl").is_file():
            return found
    return None


@cache
def exchanges() -> tuple[Exchange, ...]:
    path = shared()
    return () if path is None else tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def groups() -> list[str]:
    return list(dict.fromkeys(e["group"] for e in exchanges()))


_TABLE = Resources()
_EVENTS = {"regarding": "involvedObject", "note": "message"}


def resource_of(api_version: str, kind: str) -> Resource | None:
    return _TABLE.by_kind(api_version, kind)


def objects_in(exchange: Exchange, *, dry_runs: bool = False) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """Every whole object that an answer holds, of built-in kinds, in stored form; made-up things (reviews, dry runs) left out."""
    dry = "dryRun" in exchange["request"]["path"] and not (dry_runs and exchange["request"]["method"] in ("PATCH", "DELETE"))
    if dry or exchange["response"]["status"] not in (200, 201):
        return
    bodies = [exchange["response"].get("body")]
    bodies += [
        line["line"]["object"]
        for line in exchange.get("watch", [])
        if isinstance(line["line"], dict) and line["line"]["type"] != "BOOKMARK"
    ]
    for body in bodies:
        if not isinstance(body, dict):
            continue
        if "items" in body and str(body.get("kind", "")).endswith("List") and body["kind"] != "PartialObjectMetadataList":
            kind = body["kind"].removesuffix("List")
            for item in body["items"]:
                yield from _whole({"kind": kind, "apiVersion": body["apiVersion"], **item})
        else:
            yield from _whole(body)


def _whole(body: dict[str, Any]) -> Iterator[tuple[Resource, dict[str, Any]]]:
    resource = resource_of(str(body.get("apiVersion")), str(body.get("kind")))
    meta = body.get("metadata") or {}
    if resource is None or "list" not in resource.verbs or not meta.get("name"):
        return
    if resource.group == "events.k8s.io":
        return
    if "resourceVersion" not in meta and resource.group != "metrics.k8s.io":
        return
    yield resource, copy.deepcopy(body)
