"""What a client accepts and how an answer is written: JSON, YAML, Table, PartialObjectMetadata. Knows no storage."""

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson
import yaml

from lab.api.status import ApiError, not_acceptable

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
OFFERED = (JSON, YAML, PROTOBUF)
STREAMS = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
DISCOVERY = "APIGroupDiscoveryList"
SHAPES = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


@dataclass(frozen=True, slots=True)
class Accepted:
    """`shape` is Table, PartialObjectMetadata(List), APIGroupDiscoveryList, or ""; `version` the one asked for of it."""

    media: str = JSON
    shape: str = ""
    version: str = ""


def negotiate(accept: str, *, stream: bool = False, shapes: tuple[str, ...] = SHAPES) -> Accepted:
    """The first thing accepted that can be served. ApiError 406."""
    clauses = [c.strip() for c in accept.split(",") if c.strip()] or [JSON]
    for clause in clauses:
        media, *rest = [p.strip() for p in clause.split(";")]
        params = dict(p.split("=", 1) for p in rest if "=" in p)
        if media in ("*/*", "application/*"):
            media = JSON
        if media not in (JSON, YAML) or (stream and media == YAML):
            continue
        shape = params.get("as", "")
        if shape and shape not in shapes:
            continue
        if shape in SHAPES and params.get("v") not in ("v1", None):
            continue
        return Accepted(media, shape, params.get("v", ""))
    raise not_acceptable((*OFFERED, *STREAMS) if stream else OFFERED)


_DOUBTFUL = re.compile(r"^[-+.0-9~=<]|^(true|false|null|yes|no|on|off)$|^\s*$", re.IGNORECASE)


class _Dumper(yaml.SafeDumper):
    """Quotes as sigs.k8s.io/yaml does: double, and only where a string would be read as something else."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = isinstance(yaml.safe_load(value) if value.strip() else None, str) if _DOUBTFUL.match(value) else True
    ambiguous = value.lower() in ("y", "n", "yes", "no", "on", "off", "")
    style = "|" if "\n" in value else '"' if not plain or ambiguous else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(body: Any, media: str, *, pretty: bool = False) -> bytes:
    if media == YAML:
        return yaml.dump(body, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=10**6).encode()
    if pretty:
        return json.dumps(body, indent=2, ensure_ascii=False).encode()
    return orjson.dumps(body) + b"\n"


def error_media(accept: str) -> str:
    try:
        return negotiate(accept).media
    except ApiError:
        return JSON
