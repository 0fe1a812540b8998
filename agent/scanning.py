"""A look over namespaces or a whole cluster, prepared in one place for the terminal, the page and programs: which namespaces
there are, who looks, and how much is read. Knows neither of them, no store and no graph.
"""

import asyncio

from agent.domain.scan import Scan
from agent.errors import ClusterUnreachable, InputError, NotThere
from agent.ports import ClusterReader, Metrics
from agent.reasoning.names import nearest
from agent.reasoning.offline import OfflineReasoner
from agent.runbooks import load_own_causes, own_causes
from agent.settings import Settings
from agent.stages.gather import Limits
from agent.stages.survey import survey
from agent.topology.fields import name_of


class Scanner:
    """One a process: the conditions of the pages are compiled by the first scan."""

    def __init__(self, settings: Settings, *, reader: ClusterReader, metrics: Metrics | None) -> None:
        self._settings, self._reader, self._metrics = settings, reader, metrics
        self._looker: OfflineReasoner | None = None

    async def scan(self, namespaces: tuple[str, ...] = ()) -> Scan:
        """() looks over the whole cluster. Raises InputError, NotThere, ClusterUnreachable."""
        spaces = await chosen(self._reader, namespaces)
        if self._looker is None:
            self._looker = await asyncio.to_thread(lambda: OfflineReasoner(own_causes(load_own_causes(self._settings.runbooks))))
        return await survey(
            spaces,
            reader=self._reader,
            metrics=self._metrics,
            looker=self._looker,
            limits=Limits(log_tail=self._settings.log_tail, metrics_minutes=self._settings.metrics_window_minutes),
            everywhere=not namespaces,
        )


async def chosen(reader: ClusterReader, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The namespaces asked for, or all. Raises NotThere for one that is not there, where that can be known."""
    seen = await reader.namespaces()
    known = [name_of(one) for one in seen.objects]
    if seen.gaps:
        if asked:
            return asked
        why = seen.gaps[0].why
        raise InputError(f"the namespaces of cluster {reader.name} may not be listed ({why}); name yours with -n")
    for name in asked:
        if name not in known:
            near = [found for found, _ in nearest(name, known, least=0.6, most=3)]
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has: {', '.join(known[:10])}"
            raise NotThere(f"there is no namespace {name[:80]} in cluster {reader.name}; {hint}")
    if not asked and not known:
        raise ClusterUnreachable(f"no namespace of cluster {reader.name} can be seen")
    return asked or tuple(known)
