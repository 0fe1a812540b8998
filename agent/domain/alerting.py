"""Alerts as they come in, again and again: what is known of one, which open run could take it, and what is done with it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agent.domain.incident import Alert

# In place of a run's id: a run that this notification opens, and the one run (by its group key) that takes what is too much.
NEW, OVERFLOW = "new", "lestrade/overflow"

AlertState = Literal["firing", "resolved"]
Done = Literal[
    "opened",  # a run was opened for it
    "joined",  # it went to a run that was open already
    "overflow",  # more runs waited than may wait: it went to the one run that is kept for that
    "settled",  # its run has ended lately, or that of the same alert of another pod: not looked into again so soon
    "ignored",  # not a fault, or of a severity that nobody is called for
    "silenced",  # by people, in Alertmanager
    "unopened",  # resolved before anything was done
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """What an alert is about (`own`) and what that lies in (`near`), as words such as "workload shop/checkout"."""

    own: frozenset[str] = frozenset()
    near: frozenset[str] = frozenset()

    def __or__(self, other: "Neighbourhood") -> "Neighbourhood":
        return Neighbourhood(own=self.own | other.own, near=self.near | other.near)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAlert:
    """One row of the book of alerts: one fingerprint in one cluster. `run` is the latest one it went to, "" for none;
    `run_state` and what follows are that run's."""

    fingerprint: str
    name: str
    severity: str
    group_key: str
    state: AlertState
    starts_at: datetime | None
    first_seen: datetime
    last_seen: datetime
    times: int
    done: Done
    why: str
    run: str
    run_state: str = ""
    run_outcome: str = ""
    run_updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReach:
    """What one change of the cluster explains, as a run has found it: `what` in words, `at` when it was made, `about` the objects
    that it explains trouble of, in the words of a Neighbourhood."""

    what: str
    at: datetime
    about: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run that is not finished, or has ended lately (then `outcome` says how), as far as intake has to know it. `priority` 0
    goes first; `names` are those of its alerts."""

    id: str
    is_running: bool
    priority: int
    group_key: str
    place: Neighbourhood
    last_alert_at: datetime | None
    names: frozenset[str] = frozenset()
    outcome: str = ""
    change: ChangeReach | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What is done with one alert. `run`: a run's id, NEW, OVERFLOW, or "" for none. `repeats`: nothing about it is new."""

    alert: Alert
    done: Done
    run: str
    why: str
    severity: str
    priority: int
    place: Neighbourhood
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of one notification. `run`: where most of it went; `counts`: alerts by what was done with them."""

    run: str
    is_new: bool
    counts: dict[str, int]
    why: tuple[str, ...]
    opened: tuple[str, ...] = ()
