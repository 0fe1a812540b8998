"""RFC 9457: every refusal over HTTP is application/problem+json."""

from typing import Annotated

from pydantic import Field

from sidecar.contract.wire import Message

MEDIA_TYPE = "application/problem+json"


class Problem(Message):
    """`code` is the stable, typed reason; `fix` says what to do about it."""

    type: str = "about:blank"
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str = ""
    code: str
    fix: str = ""
