"""What an API server answered to one GET, and what is wrong with it, in one line. Knows no client."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from agent.errors import ClusterUnreachable
from agent.topology.fields import text

# As urllib3 says of its own errors: where, then why.
_CONNECTION = re.compile(
    r"HTTPS?Connection\(host='(?P<host>[^']+)', port=(?P<port>\d+)\): (?:Failed to establish a new connection: )?"
    r"(?:\[Errno -?\d+\] )?(?P<why>.+)"
)


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
    """Where and why, without the library's names for that."""
    cause = getattr(exc, "reason", None) or exc
    words = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    if "object at 0x" in words:
        words = words.rpartition(": ")[2]
    elif found := _CONNECTION.match(words):
        words = f"{found['host']}:{found['port']}: {found['why']}"
    return words[:160]


def date_of(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header).astimezone(UTC) if header else None
    except (ValueError, OverflowError):
        return None
