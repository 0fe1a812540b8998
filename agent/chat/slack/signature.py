"""Whether a request comes from Slack: HMAC over the raw bytes, in constant time, before anything is parsed. Pure.

https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import hashlib
import hmac

MOST_SKEW = 300  # seconds, either way


def objection(secret: str, *, timestamp: str | None, signature: str | None, body: bytes, now: float) -> str:
    """ "" for a genuine request, else why it is none: unsigned, undated, stale, forged."""
    if not timestamp or not signature:
        return "unsigned"
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return "undated"
    expected = "v0=" + hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    genuine = hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))
    if abs(now - int(timestamp)) > MOST_SKEW:
        return "stale"
    return "" if genuine else "forged"
