"""What the events of a run say of alerts that come and go, and which of them it carries itself. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from agent.domain.alerting import Placement
from agent.domain.incident import Alert

HELD = 200  # alerts that an incident itself carries; the book has them all
NAMES = 8  # of alerts, in one event


def lines_of(
    firing: Sequence[Placement], resolved: Sequence[Placement], *, has_ended: bool, is_new: bool
) -> Iterable[tuple[str, dict[str, Any]]]:
    if is_new:
        count = f"{len(firing)} alerts" if len(firing) > 1 else "alert"
        yield f"taken in: {count} {names_of(firing)}", {"alerts": [one.alert.fingerprint for one in firing][:HELD]}
    elif firing:
        for why in dict.fromkeys(one.why for one in firing):
            of_why = [one for one in firing if one.why == why]
            said = "fires" if of_why[0].done == "settled" else "joins"
            yield f"{names_of(of_why)} {said}: {why}", {"alerts": [one.alert.fingerprint for one in of_why][:HELD]}
    if resolved:
        when = " after the run had ended" if has_ended else ""
        yield f"resolved{when}: {names_of(resolved)}", {"alerts": [one.alert.fingerprint for one in resolved][:HELD]}


def held_by(before: Sequence[Alert], fresh: Sequence[Placement]) -> tuple[Alert, ...]:
    """Each alert as it was seen last; of too many those that fire go first."""
    latest = {alert.fingerprint or str(number): alert for number, alert in enumerate(before)}
    for one in fresh:
        if one.alert.fingerprint in latest or not one.alert.resolved:
            latest[one.alert.fingerprint] = one.alert
    return tuple(sorted(latest.values(), key=lambda alert: alert.resolved)[:HELD])


def names_of(placed: Sequence[Placement]) -> str:
    names = Counter(one.alert.name for one in placed)
    shown = [f"{name} ({count})" if count > 1 else name for name, count in list(names.items())[:NAMES]]
    return ", ".join(shown) + (f" and {len(names) - NAMES} more kinds" if len(names) > NAMES else "")
