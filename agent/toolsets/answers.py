"""What an API server answered to one GET, and what is wrong with it, in one line. Knows no client."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from agent.errors import ClusterUnreachable
from agent.topology.fields import text


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    date: datetime | None


def parsed(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ClusterUnreachable("what answers is no Kubernetes API (no JSON)") from None
    return document if isinstance(document, dict) else {}


def reason(answer: Answer) -> str:
    try:
        message = text(orjson.loads(answer.body), "message") or text(orjson.loads(answer.body), "detail")
    except orjson.JSONDecodeError:
        message = ""
    word = {401: "not logged in", 403: "no rights", 404: "not found"}.get(answer.status, f"HTTP {answer.status}")
    return f"{word}{f': {message[:200]}' if message else ''}"


def unreachable(exc: Exception) -> str:
    cause = getattr(exc, "reason", None) or exc
    words = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    return words.rpartition(": ")[2][:160] if "object at 0x" in words else words[:160]


def date_of(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header).astimezone(UTC) if header else None
    except (ValueError, OverflowError):
        return None
