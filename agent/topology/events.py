"""Events of both API groups in one shape. Counts and last times go stale (spam filter); scheduler events have only eventTime."""

from dataclasses import dataclass
from datetime import datetime

from agent.domain.objects import Manifest, Ref
from agent.topology.fields import mapping, moment, number, text, time_at
from agent.topology.kinds import kind_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event. `first` and `last` are the earliest and latest time it names, None where it names none."""

    about: Ref
    kind: str  # Normal or Warning
    reason: str
    message: str
    count: int
    first: datetime | None
    last: datetime | None
    field_path: str = ""
    uid: str = ""

    @property
    def container(self) -> str:
        """The container that spec.containers{name} points at, or ""."""
        return self.field_path.partition("{")[2].rstrip("}")


def happening(event: Manifest) -> Happening:
    about = mapping(event, "involvedObject") or mapping(event, "regarding")
    times = [
        when
        for when in (
            time_at(event, "firstTimestamp") or time_at(event, "deprecatedFirstTimestamp"),
            time_at(event, "eventTime"),
            time_at(event, "lastTimestamp") or time_at(event, "deprecatedLastTimestamp"),
            time_at(event, "series", "lastObservedTime"),
        )
        if when is not None
    ] or [when for when in (moment(text(event, "metadata", "creationTimestamp")),) if when is not None]
    return Happening(
        about=Ref(kind_in(text(about, "kind"), text(about, "apiVersion")), text(about, "namespace"), text(about, "name")),
        kind=text(event, "type"),
        reason=text(event, "reason"),
        message=(text(event, "message") or text(event, "note")).strip(),
        count=number(event, "count") or number(event, "deprecatedCount") or number(event, "series", "count", default=1),
        first=min(times, default=None),
        last=max(times, default=None),
        field_path=text(about, "fieldPath"),
        uid=text(about, "uid"),
    )
