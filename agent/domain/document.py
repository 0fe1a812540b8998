"""Nouns to plain JSON and back, for the store, the graph's state and reports. The dataclasses themselves know nothing of it."""

from functools import cache
from typing import TypeVar, cast

import orjson
from pydantic import TypeAdapter

from sidecar.contract import Json

Noun = TypeVar("Noun")


@cache
def _adapter(kind: type[Noun]) -> TypeAdapter[Noun]:
    return TypeAdapter(kind)


def to_document(value: object) -> Json:
    """Plain JSON types: datetimes as RFC 3339, tuples as lists, messages of the contract by their wire names."""
    return cast(Json, _adapter(type(value)).dump_python(value, mode="json", by_alias=True))


def from_document(kind: type[Noun], document: Json) -> Noun:
    """The noun again, validated; raises ValueError (pydantic's) when the document is not one."""
    return _adapter(kind).validate_json(orjson.dumps(document))
