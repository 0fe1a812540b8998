"""Nouns to plain JSON and back, for the store, the graph's state and reports. The dataclasses themselves know nothing of it."""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

import orjson
from pydantic import TypeAdapter

from sidecar.contract import Json

Noun = TypeVar("Noun")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(type[Any], kind))


def acquaint(*kinds: type[object]) -> None:
    """Take the tenths of a second that the first document of a kind costs now, and not in the middle of something."""
    for kind in kinds:
        _adapter(cast(Hashable, kind))


def to_document(value: object) -> Json:
    """Plain JSON types: datetimes as RFC 3339, tuples as lists, messages of the contract by their wire names."""
    return cast(Json, _adapter(cast(Hashable, type(value))).dump_python(value, mode="json", by_alias=True))


def from_document(kind: type[Noun], document: Json) -> Noun:
    """The noun again, validated; raises ValueError (pydantic's) when the document is not one."""
    return cast(Noun, _adapter(cast(Hashable, kind)).validate_json(orjson.dumps(document)))
