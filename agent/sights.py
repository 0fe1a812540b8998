"""What runs have seen of the cluster, kept while they are worked on, and looked at anew where it is of yesterday.

Knows the stages that look, and not where a run goes next.
"""

from collections.abc import Sequence
from datetime import datetime

from agent.domain.evidence import Evidence
from agent.domain.finding import Diagnosis
from agent.ports import RunRow
from agent.stages.consult import consult
from agent.stages.diagnose import diagnose
from agent.stages.gather import Sight, gather
from agent.stages.returning import is_back, pauses
from agent.stages.telling import Tell
from agent.state import Bounds, Means, State, rounds_in


class Sights:
    """By run; each is dropped when the cluster was changed, and when the run is over."""

    def __init__(self, means: Means, bounds: Bounds) -> None:
        self._means = means
        self._bounds = bounds
        self._sights: dict[str, Sight] = {}

    def drop(self, run: str) -> None:
        self._sights.pop(run, None)

    async def of(self, state: State) -> Sight:
        """What was read last; read again where it was dropped, after a restart or because the cluster was changed."""
        found = self._sights.get(state["run"])
        if found is None:
            means = self._means
            found = await gather(state["namespaces"], reader=means.reader, metrics=means.metrics, limits=self._bounds.limits)
            self._sights[state["run"]] = found
        return found

    async def diagnosed(
        self, state: State, row: RunRow, known: Sequence[Evidence], tell: Tell
    ) -> tuple[Diagnosis, tuple[Evidence, ...]]:
        """What is wrong now; where a remedy has just been undone, once the fault is there again or its time is over."""
        reasoner, clock = self._means.reasoner, self._means.clock
        sight = await self.of(state)
        found, fresh = await diagnose(row.incident, sight, known, reasoner=reasoner)
        if not state.get("back_by"):
            return found, fresh
        undone, last = rounds_in(state)[-1], datetime.fromisoformat(state["back_by"])
        for number, pause in enumerate(pauses(self._bounds.poll_seconds)):
            if is_back(found, undone) or sight.observed.now >= last:
                break
            if number == 0:
                await tell("what was undone does not show its fault yet: looking again")
            await clock.sleep(pause)
            self.drop(row.id)
            sight = await self.of(state)
            found, fresh = await diagnose(row.incident, sight, known, reasoner=reasoner)
        return found, fresh

    async def consulted(self, state: State, row: RunRow, found: Diagnosis, tell: Tell) -> bool:
        """Whether other sources told anything, gaps included. Not after a repair: what they say is of the time before it."""
        if any(entry["lease"] for entry in state["rounds"]):
            return False
        sight = await self.of(state)
        wider, whom = await consult(row.incident, found, sight, witnesses=self._means.witnesses)
        self._sights[row.id] = wider
        if whom:
            await tell(f"asked beside the cluster: {whom}")
        return wider.observed is not sight.observed
