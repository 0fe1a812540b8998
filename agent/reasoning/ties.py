"""What connects the objects that a diagnosis names: the edges among them, and those of the shortest way from each victim to a
cause. Pure; decides nothing."""

from collections import deque
from collections.abc import Iterator

from agent.domain.finding import Diagnosis
from agent.domain.objects import Ref
from agent.domain.tie import Tie
from agent.topology import Topology

MOST_OF_A_KIND = 6  # victims, and suspects: a picture of more says less
MOST_TIES = 40
LONGEST_WAY = 6


def ties(diagnosis: Diagnosis, topology: Topology) -> tuple[Tie, ...]:
    """In a fixed order; empty where no cause was named."""
    causes = [cause.finding.subject for cause in diagnosis.causes]
    if not causes:
        return ()
    suffering = dict.fromkeys((*diagnosis.victims, *(ref for cause in diagnosis.causes for ref in cause.finding.affects)))
    suspects = dict.fromkeys(out.finding.subject for out in diagnosis.ruled_out)
    named = dict.fromkeys((*causes, *list(suffering)[:MOST_OF_A_KIND], *list(suspects)[:MOST_OF_A_KIND]))
    shown = dict(named)
    for ref in named:
        for cause in causes:
            shown |= dict.fromkeys(_way(ref, cause, topology))
    own = [Tie(source=ref, target=topology.unit(ref), relation="belongs to") for ref in named if topology.unit(ref) in causes]
    return tuple(dict.fromkeys((*(tie for tie in own if tie.source != tie.target), *_among(shown, topology))))[:MOST_TIES]


def _way(start: Ref, goal: Ref, topology: Topology) -> tuple[Ref, ...]:
    """From what depends to what it depends on, the fewest steps; empty where there is no way, or a long one."""
    came: dict[Ref, Ref | None] = {start: None}
    todo = deque([(start, 0)])
    while todo:
        here, steps = todo.popleft()
        if here == goal:
            found: list[Ref] = []
            back: Ref | None = here
            while back is not None:
                found.append(back)
                back = came[back]
            return tuple(found)
        for edge in topology.edges.get(here, ()) if steps < LONGEST_WAY else ():
            if edge.target not in came:
                came[edge.target] = here
                todo.append((edge.target, steps + 1))
    return ()


def _among(shown: dict[Ref, None], topology: Topology) -> Iterator[Tie]:
    for source in shown:
        for edge in topology.edges.get(source, ()):
            if edge.target in shown and edge.target != source:
                yield Tie(source=source, target=edge.target, relation=edge.relation)
