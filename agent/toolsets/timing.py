"""Times as other systems count them, as aware UTC; None for what is none."""

from datetime import UTC, datetime


def of_milliseconds(count: float) -> datetime | None:
    """Since 1970; 0 is what a missing field reads as."""
    try:
        return datetime.fromtimestamp(count / 1000, UTC) if count > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
