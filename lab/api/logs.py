"""pods/log: which container, how much of what it said, and following it. What was said comes from the LogSource."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from lab.api.cluster import Cluster, LogLine, LogQuery
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.status import Cause, bad_request, invalid, invalid_value, not_allowed, not_found
from lab.store import Object

_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
    "ErrImageNeverPull": "image can't be pulled",
    "InvalidImageName": "image can't be pulled",
}


def read(cluster: Cluster, call: Call, resource: Resource) -> Answer:
    """text/plain whatever was accepted; 204 for a pod without a node. ApiError 400, 404, 422."""
    pod = cluster.find(resource, call.target.namespace, call.target.name)
    if pod is None:
        raise not_found("pods", "", call.target.name)
    if causes := _faults(call):
        raise invalid("PodLogOptions", "", call.target.name, causes)
    container = container_of(pod, call.param("container"))
    if not (pod.get("spec") or {}).get("nodeName"):
        return Answer(status=204)
    previous = call.flag("previous")
    _refuse_unstarted(pod, container, previous)
    query = LogQuery(namespace=call.target.namespace, pod=call.target.name, container=container, previous=previous)
    lines = cluster.logs.lines(query)
    if lines is None:
        if previous:
            raise bad_request(f'previous terminated container "{container}" in pod "{call.target.name}" not found')
        lines = []
    text = _cut(cluster, call, lines)
    if call.flag("follow") and not previous:
        return Answer(stream=_follow(cluster, call, query, text, lines), media="text/plain")
    return Answer(body=text.encode(), media="text/plain")


def _faults(call: Call) -> list[Cause]:
    out: list[Cause] = []
    tail = call.param("tailLines")
    if tail and (not tail.lstrip("-").isdigit() or int(tail) < 0):
        out.append(invalid_value("tailLines", tail, "must be greater than or equal to 0"))
    limit = call.param("limitBytes")
    if limit and int(limit) < 1:
        out.append(invalid_value("limitBytes", limit, "must be greater than 0"))
    if call.param("sinceSeconds") and call.param("sinceTime"):
        out.append(not_allowed("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif call.param("sinceSeconds") and int(call.param("sinceSeconds")) < 1:
        out.append(invalid_value("sinceSeconds", call.param("sinceSeconds"), "must be greater than 0"))
    if call.param("stream") not in ("", "All"):
        out.append(not_allowed("stream", "may not be specified"))
    return out


def container_of(pod: Mapping[str, Any], wanted: str) -> str:
    """The container that is meant. ApiError 400 when that is not clear."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    kinds = [[c["name"] for c in spec.get(k) or []] for k in ("initContainers", "containers", "ephemeralContainers")]
    everything = [n for k in kinds for n in k]
    if wanted:
        if wanted not in everything:
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if default in everything:
        return str(default)
    if len(kinds[1]) == 1:
        return str(kinds[1][0])
    raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(everything)}]")


def _refuse_unstarted(pod: Object, container: str, previous: bool) -> None:
    status = pod.get("status") or {}
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    state = next((s for s in states if s.get("name") == container), None)
    waiting = ((state or {}).get("state") or {}).get("waiting")
    terminated = ((state or {}).get("lastState") or {}).get("terminated")
    if previous:
        if state is not None and not terminated:
            raise bad_request(f'previous terminated container "{container}" in pod "{pod["metadata"]["name"]}" not found')
        return
    if waiting and not terminated:
        reason = str(waiting.get("reason") or "ContainerCreating")
        why = _WAITING.get(reason, reason)
        raise bad_request(f'container "{container}" in pod "{pod["metadata"]["name"]}" is waiting to start: {why}')


def _cut(cluster: Cluster, call: Call, lines: list[LogLine]) -> str:
    since = _since(cluster, call)
    kept = [line for line in lines if since is None or line.at >= since]
    tail = call.param("tailLines")
    if tail:
        kept = kept[len(kept) - int(tail) :] if int(tail) < len(kept) else kept
        kept = kept if int(tail) else []
    text = "".join(_shown(line, call) for line in kept)
    limit = call.param("limitBytes")
    return text.encode()[: int(limit)].decode(errors="ignore") if limit else text


def _since(cluster: Cluster, call: Call) -> float | None:
    if seconds := call.param("sinceSeconds"):
        return cluster.clock.now().timestamp() - float(seconds)
    if text := call.param("sinceTime"):
        try:
            return datetime.fromisoformat(re.sub(r"Z$", "+00:00", text)).timestamp()
        except ValueError as exc:
            raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse') from exc
    return None


def _shown(line: LogLine, call: Call) -> str:
    text = line.text.rstrip("\n")
    if call.flag("timestamps"):
        moment = datetime.fromtimestamp(line.at, UTC)
        text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z {text}"
    return text + "\n"


async def _follow(cluster: Cluster, call: Call, query: LogQuery, text: str, lines: list[LogLine]) -> AsyncIterator[bytes]:
    """What is there, then what comes, until the container is gone or the client leaves."""
    if text:
        yield text.encode()
    seen = len(lines)
    while True:
        await asyncio.sleep(0.05)
        if call.cancelled():
            return
        found = cluster.logs.lines(query)
        if found is None or len(found) < seen:
            return
        for line in found[seen:]:
            yield _shown(line, call).encode()
        seen = len(found)
        if _ended(cluster, query):
            return


def _ended(cluster: Cluster, query: LogQuery) -> bool:
    resource = cluster.resources.find("", "v1", "pods")
    pod = cluster.find(resource, query.namespace, query.pod) if resource is not None else None
    if pod is None:
        return True
    status = pod.get("status") or {}
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    state = next((s.get("state") or {} for s in states if s.get("name") == query.container), {})
    return "terminated" in state
