"""The API server's no as a value, and its own words in one line."""

from dataclasses import dataclass

from sidecar.ports import ApiAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The API server did not grant it: 403 means that it is beyond the sidecar's own rights. `code`: beyond-ceiling, or where
    leases are held to plans by admission admission-not-in-place, not-enforced, too-large-to-publish, target-changed."""

    status: int
    detail: str
    code: str = "beyond-ceiling"


def message_of(answer: ApiAnswer, most: int = 300) -> str:
    """The API server's own words, one line."""
    message = answer.body.get("message") if isinstance(answer.body, dict) else answer.body
    return " ".join(str(message or "no message").split())[:most]
