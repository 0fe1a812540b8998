"""Time words of a question: since 10 minutes, an hour ago, yesterday, at 14:05, after the deploy. Pure; UTC, because the
cluster's clock is; a time of day that is still to come was yesterday's.
"""

import re
from datetime import datetime, time, timedelta

from agent.domain.question import Period

DAY = timedelta(days=1)
AROUND = timedelta(minutes=30)  # "at 14:05" is a quarter to half an hour to either side
BACK = timedelta(days=7)  # how far back the change is looked for that "after the deploy" means
_UNITS = {
    "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600, "d": 86400,
    "day": 86400, "w": 604800, "week": 604800,
}  # fmt: skip
_COUNTS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10, "fifteen": 15, "twenty": 20,
    "thirty": 30, "a couple of": 2, "a few": 5, "few": 5, "several": 5, "some": 5, "half an": 0.5, "half a": 0.5, "the": 1, "": 1,
}  # fmt: skip
_AMOUNT = (
    r"(\d+(?:\.\d+)?|half an?|a couple of|a few|an?|one|two|three|four|five|six|ten|fifteen|twenty|thirty|few|several|some)"
    r"[ -]?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)\b"
)
_AGO = re.compile(rf"\b{_AMOUNT}\s+ago\b")
_FOR = re.compile(
    rf"\b(?:since|for|during|over|within|in)\s+(?:about\s+|around\s+|at least\s+)?(?:the\s+)?(?:last\s+|past\s+)?{_AMOUNT}"
)
_LAST = re.compile(r"\b(?:in|over|within|during|since)?\s*(?:the\s+)?(?:last|past)\s+(hour|day|week|minute)\b")
_CLOCK = r"(?<![\d.:])(\d{1,2}:\d{2}(?::\d{2})?(?!\d)\s*(?:[ap]\.?m\b)?|\d{1,2}\s*[ap]\.?m\b)"
_BETWEEN = re.compile(rf"\b(?:between|from)\s+{_CLOCK}\s*(?:and|to|until|till|-)\s*{_CLOCK}")
_SINCE_CLOCK = re.compile(rf"\b(?:since|after|from)\s+(?:about\s+|around\s+)?{_CLOCK}")
_AT_CLOCK = re.compile(rf"(?:\b(?:at|around|about|near|by|before)\s+|\b){_CLOCK}")
_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY = re.compile(rf"\b({'|'.join(_DAYS)})\b")
_CHANGE = re.compile(
    r"\b(?:after|since|following)\s+(?:the|our|this|that|last|latest|today's|yesterday's)?\s*(?:the\s+)?(?:last|latest|new|recent)?\s*"
    r"(?:[\w.-]+\s+)?(?:deploy(?:ment)?|release|rollout|roll-out|update|upgrade|change|migration|push|patch)(?:e?s)?\b"
)
_PARTS = {  # of a day, as hours from its midnight
    "this morning": (4, 12), "this afternoon": (12, 18), "this evening": (17, 24), "tonight": (18, 30), "at noon": (11, 13),
}  # fmt: skip


def period_of(text: str, now: datetime) -> Period | None:
    """The time that a question is about; None when it names none. Never begins after it ends, never ends after `now`."""
    words = text.lower()
    found = _relative(words, now) or _by_clock(words, now) or _by_day(words, now)
    if found is None and (match := _CHANGE.search(words)):
        return Period(start=now - BACK, end=now, said=match[0].strip(), anchor="change")
    if found is None:
        return None
    start, end, said = found
    end = min(end, now)
    return Period(start=min(start, end), end=end, said=said.strip(), begun=_begun(words, start, end, said, now))


def _begun(words: str, start: datetime, end: datetime, said: str, now: datetime) -> datetime | None:
    """Only "since", "for" and "ago" say when something began, and people round generously."""
    if said.startswith(("since", "for ")) or said.endswith("ago") or f"since {said}" in words:
        whole_day = start.time() == time() and end - start >= DAY
        return min(start + DAY, now) if whole_day else min(start + (now - start) * 0.6, start + DAY)
    return None


_Span = tuple[datetime, datetime, str]


def _relative(words: str, now: datetime) -> _Span | None:
    if match := _AGO.search(words):
        length = _length(match[1], match[2])
        # people round: what was "10 minutes ago" may be 15
        return now - length * 1.5 - timedelta(minutes=2), now, match[0]
    if match := _FOR.search(words):
        return now - _length(match[1], match[2]) * 1.1, now, match[0]
    if match := _LAST.search(words):
        return now - _length("1", match[1]), now, match[0]
    return None


def _length(count: str, unit: str) -> timedelta:
    number = _COUNTS[count] if count in _COUNTS else float(count)
    name = unit if unit in _UNITS else unit.rstrip("s")
    return timedelta(seconds=min(number * _UNITS[name], 86400 * 3650))


def _by_clock(words: str, now: datetime) -> _Span | None:
    if match := _BETWEEN.search(words):
        start, end = _moment(match[1], words, now), _moment(match[2], words, now)
        if start is not None and end is not None:
            return (start, end, match[0]) if start <= end else (start - DAY if end <= now else start, end, match[0])
    if match := _SINCE_CLOCK.search(words):
        start = _moment(match[1], words, now)
        return (start, now, match[0]) if start is not None else None
    if match := _AT_CLOCK.search(words):
        at = _moment(match[1], words, now)
        return (at - AROUND, at + AROUND, match[0]) if at is not None else None
    return None


def _moment(clock: str, words: str, now: datetime) -> datetime | None:
    """A time of day on the day that the words name, else its last occurrence."""
    digits = re.findall(r"\d+", clock)
    hour, minute, second = (int(one) for one in (*digits, "0", "0")[:3])
    if "p" in clock and hour < 12:
        hour += 12
    elif "a" in clock and hour == 12:
        hour = 0
    if hour > 23 or minute > 59 or second > 59:
        return None
    day = _day_named(words, now)
    at = (day or now).replace(hour=hour, minute=minute, second=second, microsecond=0)
    return at - DAY if day is None and at > now + timedelta(minutes=5) else at


def _day_named(words: str, now: datetime) -> datetime | None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if match := _DATE.search(words):
        try:
            return midnight.replace(year=int(match[1]), month=int(match[2]), day=int(match[3]))
        except ValueError:
            return None
    if "yesterday" in words:
        return midnight - DAY
    if match := _WEEKDAY.search(words):
        back = (midnight.weekday() - _DAYS.index(match[1])) % 7
        return midnight - DAY * (back or 7)
    return midnight if re.search(r"\btoday\b", words) else None


def _by_day(words: str, now: datetime) -> _Span | None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if "last night" in words or "over night" in words or "overnight" in words:
        return midnight - timedelta(hours=6), midnight + timedelta(hours=8), "last night"
    day = _day_named(words, now)
    for said, (first, last) in _PARTS.items():
        if said in words:
            return (day or midnight) + timedelta(hours=first), (day or midnight) + timedelta(hours=last), said
    if "this week" in words or "last week" in words:
        monday = midnight - DAY * midnight.weekday()
        return (monday, now, "this week") if "this week" in words else (monday - DAY * 7, monday, "last week")
    if day is None:
        return None
    since = re.search(r"\b(?:since|from)\s+(?:yesterday|today|\w+day|\d{4}-)", words) is not None
    said = next(iter(re.findall(r"yesterday|today|\w+day|\d{4}-\d{2}-\d{2}", words)), "that day")
    return day, now if since else day + DAY, f"since {said}" if since else said
