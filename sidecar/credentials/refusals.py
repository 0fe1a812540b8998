"""The API server's no as a value, and its own words in one line."""

from dataclasses import dataclass

from sidecar.errors import ClusterUnavailable
from sidecar.ports import ApiAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The API server did not grant it: 403 means that it is beyond the sidecar's own rights. `code`: beyond-ceiling;
    foreign-object, where something under a lease's name is not as the sidecar makes it; or where leases are held to plans by
    admission admission-not-in-place, not-enforced, too-large-to-publish, target-changed."""

    status: int
    detail: str
    code: str = "beyond-ceiling"


def decided(answer: ApiAnswer) -> ApiAnswer:
    """The answer, where it is one: an API server that is busy, broken, sends one elsewhere or does not take the sidecar's own
    token has refused nobody anything. Raises ClusterUnavailable: ask again."""
    if answer.status in (401, 408, 429) or answer.status >= 500 or 300 <= answer.status < 400:
        raise ClusterUnavailable(f"the API server says {answer.status}: {message_of(answer)}")
    return answer


def message_of(answer: ApiAnswer, most: int = 300) -> str:
    """The API server's own words, one line."""
    message = answer.body.get("message") if isinstance(answer.body, dict) else answer.body
    return " ".join(str(message or "no message").split())[:most]
