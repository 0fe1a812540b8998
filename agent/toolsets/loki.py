"""Logs from Loki, where the kubelet has none any more: pods that are gone, runs before the last one."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter

import httpx
import orjson

from agent.domain.incident import Window
from agent.domain.objects import ContainerLog, Ref
from agent.errors import ReadRefused
from agent.signals.masking import mask
from agent.toolsets.http_reading import any_of
from agent.topology.fields import counted, items, mapping, text

TIMEOUT = 15.0  # seconds
LIMIT = 5000  # lines of one answer
# How shippers call namespace, pod and container: Promtail and Alloy; OpenTelemetry; Fluent Bit and Fluentd; Vector.
_DIALECTS = (
    ("namespace", "pod", "container"),
    ("k8s_namespace_name", "k8s_pod_name", "k8s_container_name"),
    ("kubernetes_namespace_name", "kubernetes_pod_name", "kubernetes_container_name"),
    ("kubernetes_pod_namespace", "kubernetes_pod_name", "kubernetes_container_name"),
    ("namespace_name", "pod_name", "container_name"),
)
MOST_BYTES = 32_000_000  # of one answer: a line may be as long as whoever wrote it liked


class LokiLogs:
    """Reads by LogQL. Raises ReadRefused, one line, when there is no answer that can be used."""

    def __init__(self, url: str, *, client: httpx.AsyncClient | None = None) -> None:
        self._url = url.rstrip("/")
        self._http = client or httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)
        self._dialect = _DIALECTS[0]  # the one that was answered last

    async def of_pods(self, pods: Sequence[Ref], window: Window) -> tuple[ContainerLog, ...]:
        """The last that the containers of these pods wrote in the window, oldest line first, one entry a container. Under which
        labels is tried in turn, until one of them is answered with lines."""
        spaces, names = (any_of(sorted(set(ones))) for ones in ([one.namespace for one in pods], [one.name for one in pods]))
        wanted = set(pods)
        for dialect in dict.fromkeys((self._dialect, *_DIALECTS)):
            space, pod, _ = dialect
            # a pod's name is a label, or, since Loki 3, metadata beside the line, which only a filter reaches
            picked = f'{{{space}=~"{spaces}",{pod}=~"{names}"}}' if dialect == _DIALECTS[0] else (
                f'{{{space}=~"{spaces}"}} | {pod}=~"{names}"')  # fmt: skip
            try:
                told = await self.query(picked, window, last=True)
            except ReadRefused:
                if dialect == self._dialect:
                    raise
                return ()  # it answers, and not to every way of asking
            found = tuple(log for log in told if Ref("Pod", log.namespace, log.pod) in wanted)
            if found:
                self._dialect = dialect
                return found
        return ()

    async def query(self, logql: str, window: Window, *, last: bool = False) -> tuple[ContainerLog, ...]:
        """`last`: of too many lines the newest, else the oldest."""
        params = {
            "query": logql, "start": _nanoseconds(window.start), "end": _nanoseconds(window.end), "limit": str(LIMIT),
            "direction": "backward" if last else "forward",
        }  # fmt: skip
        try:
            document = orjson.loads(await self._body(params))
        except httpx.HTTPStatusError as exc:
            raise ReadRefused(f"Loki at {mask(self._url)} answers HTTP {exc.response.status_code}") from exc
        except (httpx.HTTPError, ValueError) as exc:
            raise ReadRefused(f"Loki at {mask(self._url)} does not answer: {type(exc).__name__}") from exc
        found: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
        for stream in items(document, "data", "result"):
            labels = mapping(stream, "stream")
            spoken = next((one for one in _DIALECTS if text(labels, one[1])), _DIALECTS[0])
            key = (text(labels, spoken[0]) or text(labels, "namespace"), text(labels, spoken[1]), text(labels, spoken[2]))
            found.setdefault(key, []).extend(
                (when, text(pair, 1)) for pair in items(stream, "values") if (when := counted(text(pair, 0))) is not None
            )
        return tuple(
            ContainerLog(
                namespace=namespace, pod=pod, container=container, previous=False, keeper="Loki",
                text="\n".join(line for _, line in sorted(lines, key=itemgetter(0))),
            )
            for (namespace, pod, container), lines in sorted(found.items())
        )  # fmt: skip

    async def _body(self, params: dict[str, str]) -> bytes:
        body = bytearray()
        async with self._http.stream("GET", f"{self._url}/loki/api/v1/query_range", params=params) as answer:
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise ReadRefused(f"Loki at {mask(self._url)} answers with more than {MOST_BYTES} bytes")
        return bytes(body)

    async def close(self) -> None:
        await self._http.aclose()


def _nanoseconds(when: datetime) -> str:
    return str(int(when.timestamp() * 1_000_000_000))
