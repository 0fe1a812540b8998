"""Where traced requests fail or take their time: the workload at the far end of them, which may be quite another than the one
that everybody complains about. Metrics that show the same say more, and then this check is silent."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.checks.degradation import degraded
from agent.checks.outside import is_outside
from agent.checks.registry import check
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.connections import failure_kind
from agent.signals.journeys import Turn, spoken, turn_of
from agent.topology import Topology
from agent.topology.traced import callee, unit_of_span

LATELY = timedelta(minutes=30)  # a trace that is older says nothing of now
ENOUGH, MOST_OF = 2, 0.5  # requests that end at one place, and their part of all that went wrong through one entrance
CLEAR = 0.1  # of a request's time: who needed less of it did not make it slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Requests that went wrong at one place. `unit` is None where it is `host`, outside of the cluster, called by `caller`."""

    unit: Ref | None
    caller: Ref
    entrances: tuple[Ref, ...]
    turns: tuple[Turn, ...]
    of: int  # requests that went wrong through these entrances
    host: str = ""
    port: int = 0

    @property
    def since(self) -> datetime:
        return min(turn.first.begin for turn in self.turns)


def ended(topology: Topology) -> list[Ended]:
    """By place, those with the most requests first; worked out once a topology."""
    known: list[Ended] | None = topology.derived.get("traced-ends")
    if known is None:
        known = topology.derived["traced-ends"] = sorted(
            _ended(topology), key=lambda one: (-len(one.turns), one.caller, one.host)
        )
    return known


def turns(topology: Topology) -> list[Turn]:
    """Requests of lately that went wrong, by time."""
    found: list[Turn] | None = topology.derived.get("traced-turns")
    if found is None:
        seen = {one.id: one for one in topology.testimony.journeys}
        able = [turn for one in seen.values() if (turn := turn_of(one)) is not None]
        found = sorted(
            (turn for turn in able if abs(topology.now - turn.first.begin) <= LATELY),
            key=lambda turn: (turn.first.begin, turn.journey.id),
        )
        topology.derived["traced-turns"] = found
    return found


def _ended(topology: Topology) -> Iterator[Ended]:
    places: dict[tuple[Ref | None, str, int], list[tuple[Turn, Ref, Ref]]] = {}
    through: dict[Ref, int] = {}
    for turn in turns(topology):
        entrance, last = unit_of_span(topology, turn.first), unit_of_span(topology, turn.last)
        if last is None:
            continue
        entrance = entrance or last
        through[entrance] = through.get(entrance, 0) + 1
        place: tuple[Ref | None, str, int] = (last, "", 0)
        if turn.last.is_call and turn.last.peer:  # nobody at the other side made a span of it
            other = callee(topology, turn.last, last)
            if other is not None:
                place = (other, "", 0)
            elif is_outside(topology, turn.last.peer, last):
                place = (None, turn.last.peer, turn.last.port)
        places.setdefault(place, []).append((turn, entrance, last))
    for (unit, host, port), ones in places.items():
        entrances = tuple(sorted({entrance for _, entrance, _ in ones}))
        all_of = sum(through[one] for one in entrances)
        if len(ones) >= ENOUGH and len(ones) >= MOST_OF * all_of:
            yield Ended(
                unit=unit, host=host, port=port, caller=ones[0][2], entrances=entrances, of=all_of,
                turns=tuple(turn for turn, _, _ in ones),
            )  # fmt: skip


@check("service-degraded", weight=0.38)
def requests_end_there(topology: Topology) -> Iterator[Finding]:
    """Most traced requests that failed or took long did so at one workload of this cluster."""
    for one in ended(topology):
        if one.unit is None or one.unit in degraded(topology):
            continue
        others = tuple(entrance for entrance in one.entrances if entrance != one.unit)
        through = f" through {', '.join(map(str, others[:3]))}" if others else ""
        failing = any(turn.failed for turn in one.turns)
        yield Finding(
            cause="service-degraded",
            subject=one.unit,
            since=one.since,
            affects=others,
            quotes=quotes(one),
            params={"onset": one.since.isoformat(), "slower": not failing, "failing": failing, "traced": len(one.turns)},
            statement=f"{len(one.turns)} of {one.of} traced requests{through} that went wrong end at {one.unit}: {_words(one)},"
            f" seen since {one.since:%H:%M:%SZ}.",
        )


@check("external-dependency-failing", weight=0.5)
def requests_end_outside(topology: Topology) -> Iterator[Finding]:
    """Most of them did so at a host that is not of this cluster."""
    for one in ended(topology):
        if one.unit is not None:
            continue
        last = one.turns[-1].last
        kind = failure_kind(last.said) or ("timeout" if not last.failed else "failing")
        named = f"{one.host}:{one.port}" if one.port else one.host
        yield Finding(
            cause="external-dependency-failing",
            subject=one.caller,
            since=one.since,
            affects=tuple(entrance for entrance in one.entrances if entrance != one.caller),
            quotes=quotes(one),
            params={
                "host": one.host, "port": one.port, "kind": kind, "callers": [str(one.caller)], "count": len(one.turns),
            },
            statement=f"{len(one.turns)} of {one.of} traced requests that went wrong end at {named}, which is outside this"
            f" cluster and is called by {one.caller}: {_words(one)}, seen since {one.since:%H:%M:%SZ}.",
        )  # fmt: skip


def _words(one: Ended) -> str:
    failed = [turn for turn in one.turns if turn.failed]
    longest = max(turn.own for turn in one.turns)
    said = next((turn.last.said for turn in reversed(failed) if turn.last.said), "")
    if failed:
        return f"{len(failed)} failed there" + (f" ({said[:200]})" if said else "")
    return f"{spoken(longest)} of the longest were spent there"


def quotes(one: Ended) -> tuple[Quote, ...]:
    """The last three of them."""
    return tuple(
        Quote(source=turn.journey.source, about=one.unit or one.caller, text=turn.words, at=turn.first.begin)
        for turn in one.turns[-3:]
    )


def cleared(topology: Topology) -> dict[Ref, str]:
    """Workloads that requests which went wrong passed through and that answered them well and soon, and in which words."""
    known: dict[Ref, str] | None = topology.derived.get("traced-cleared")
    if known is None:
        known = topology.derived["traced-cleared"] = _cleared(topology)
    return known


def _cleared(topology: Topology) -> dict[Ref, str]:
    guilty: set[Ref] = {one.unit for one in ended(topology) if one.unit is not None}
    took: dict[Ref, list[timedelta]] = {}
    for turn in turns(topology):
        for span in turn.journey.spans:
            unit = unit_of_span(topology, span)
            if unit is None or span.is_call or span in turn.path:
                continue
            if span.failed or span.took > CLEAR * turn.first.took:
                guilty.add(unit)
            took.setdefault(unit, []).append(span.took)
        guilty |= {unit for span in turn.path if (unit := unit_of_span(topology, span)) is not None}
    return {
        unit: f"traces show that it answers: {len(all_)} spans, none failed, the longest {spoken(max(all_))}"
        for unit, all_ in sorted(took.items())
        if unit not in guilty and len(all_) >= ENOUGH
    }
