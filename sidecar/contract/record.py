"""One entry of the audit journal: append-only, chained, every field covered by the hash."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from sidecar.contract.wire import Json, Message


class Record(Message):
    """`mac` is the keyed hash over all other fields, `previous` the mac of the entry before ("" for the first)."""

    seq: Annotated[int, Field(ge=1)]
    at: AwareDatetime
    kind: str
    actor: str
    plan: str = ""
    lease: str = ""
    body: dict[str, Json]
    previous: str
    mac: str
