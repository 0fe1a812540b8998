"""A cluster reader that asks Loki for the logs that the cluster no longer gives. Everything else is the reader's own."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from agent.domain.incident import Window
from agent.domain.objects import ContainerLog, Manifest, Ref
from agent.errors import ReadRefused
from agent.ports import ClusterReader, Gap, Observed
from agent.toolsets.loki import LokiLogs

BACK = timedelta(hours=1)


class ReaderWithKeptLogs:
    """ClusterReader. A log that only Loki has is no gap; where Loki does not answer, that is one more."""

    def __init__(self, reader: ClusterReader, loki: LokiLogs) -> None:
        self._reader = reader
        self._loki = loki

    @property
    def name(self) -> str:
        return self._reader.name

    async def namespaces(self) -> Observed:
        return await self._reader.namespaces()

    async def overview(self, namespaces: Sequence[str]) -> Observed:
        return await self._reader.overview(namespaces)

    async def usage(self, namespaces: Sequence[str]) -> Observed:
        return await self._reader.usage(namespaces)

    async def get(self, api_version: str, ref: Ref) -> Manifest | None:
        return await self._reader.get(api_version, ref)

    async def now(self) -> datetime:
        return await self._reader.now()

    async def logs(self, pods: Sequence[tuple[Ref, str, bool]], *, tail: int) -> Observed:
        seen = await self._reader.logs(pods, tail=tail)
        here = {(log.namespace, log.pod, log.container, log.previous): log for log in seen.logs}
        missing = [one for one in pods if (one[0].namespace, one[0].name, one[1], one[2]) not in here]
        if not missing:
            return seen
        asked = sorted({pod for pod, _, _ in missing})
        try:
            kept = await self._loki.of_pods(asked, Window(start=seen.now - BACK, end=seen.now))
        except ReadRefused as exc:
            return replace(seen, gaps=(*seen.gaps, Gap(what="logs in Loki", why=str(exc))))
        texts = {(log.namespace, log.pod, log.container): log.text for log in kept}
        found: list[ContainerLog] = []
        gaps = list(seen.gaps)
        for pod, container, previous in missing:
            now = here.get((pod.namespace, pod.name, container, False))
            text = _cut(texts.get((pod.namespace, pod.name, container), ""), now, tail)
            if text:
                found.append(
                    ContainerLog(
                        namespace=pod.namespace, pod=pod.name, container=container, previous=previous, text=text, keeper="Loki"
                    )
                )
                gaps = [gap for gap in gaps if not _is_of(gap, pod, container, previous)]
        return replace(seen, logs=(*seen.logs, *found), gaps=tuple(gaps))


def _cut(text: str, now: ContainerLog | None, tail: int) -> str:
    """The last lines; Loki does not tell runs apart, so what the present run's log has is left out of the one before."""
    present = set(now.text.splitlines()) if now else set()
    return "\n".join([line for line in text.splitlines() if line not in present][-tail:])


def _is_of(gap: Gap, pod: Ref, container: str, previous: bool) -> bool:
    """As readers name the gap of one log: "logs of Pod a/b container c", with "(previous run)" behind it."""
    told = re.fullmatch(rf"logs of {re.escape(str(pod))} container {re.escape(container)}( \(previous( run)?\))?", gap.what)
    return told is not None and bool(told[1]) == previous
