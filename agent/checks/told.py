"""What logs and events of the cluster say in the same words: a pattern, who says it, how often, since when."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.checks.registry import quote_event, quote_log
from agent.domain.finding import Quote
from agent.domain.objects import Ref
from agent.signals.logs import time_of
from agent.signals.searching import index_of
from agent.topology import Topology

LATELY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """`words` is the newest line or message that matches; `unit` the workload (or object of the event) that says it."""

    unit: Ref
    count: int
    first: datetime | None
    match: re.Match[str]
    words: str
    quote: Quote


def sayings(
    topology: Topology, pattern: re.Pattern[str], needles: tuple[str, ...], *, at_least: int = 1, lately: timedelta = LATELY
) -> list[Saying]:
    """Who says it lately, in logs and warning events, by workload. `needles`: lower-case words, one of which every match
    holds."""
    found: dict[Ref, list[tuple[datetime | None, datetime | None, int, re.Match[str], str, Quote]]] = {}
    for pod, logs in topology.logs.items():
        for log in logs:
            told = [
                (line, match)
                for line in index_of(topology, log).lines_with(needles)
                if (match := pattern.search(line)) is not None
            ]
            if told:
                line, match = told[-1]
                first, newest = time_of(told[0][0]), time_of(line)
                quote = quote_log(pod, log.container, line, newest, previous=log.previous)
                found.setdefault(topology.unit_of_name(pod), []).append((first, newest, len(told), match, line, quote))
    for about, event in topology.warnings():
        hit = pattern.search(event.message)
        if hit is not None:
            entry = (event.first, event.last, max(event.count, 1), hit, event.message, quote_event(event))
            found.setdefault(topology.unit_of_name(about), []).append(entry)
    result = []
    for unit, ones in sorted(found.items()):
        ones.sort(key=lambda one: (one[1] or topology.now, one[4]))
        first, newest, _, match, words, quote = ones[-1]
        count = sum(one[2] for one in ones)
        if count >= at_least and (newest is None or topology.now - newest <= lately):
            begun = min((one[0] for one in ones if one[0] is not None), default=None)
            result.append(Saying(unit=unit, count=count, first=begun or first, match=match, words=words, quote=quote))
    return result


def credible(told: list[Saying], *, system: tuple[str, ...] = ("kube-system",)) -> list[Saying]:
    """What is said about the cluster itself, if more than one ordinary workload says it, or one of the cluster's own: a single
    application may write anything into its log."""
    own = any(one.unit.namespace in system or not one.unit.namespace for one in told)
    return told if own or len({one.unit for one in told}) > 1 else []
