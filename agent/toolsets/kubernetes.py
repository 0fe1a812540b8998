"""Reading a live cluster with the official client: kubeconfig, in-cluster, or the sidecar's read gateway.

The only user of `kubernetes` in the agent, and it can only read: every request is a GET. Lists go by kind in pages of 500
(all namespaces at once when there are many), never one request an object. What is refused or absent becomes a Gap.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import urllib3

from agent.domain.objects import ContainerLog, Manifest, Ref
from agent.errors import ClusterUnreachable, InputError, ReadRefused
from agent.ports.cluster import READING_FOR, Gap, Observed
from agent.toolsets.answers import Answer, date_of, parsed, reason, unreachable
from agent.toolsets.custom import read_extensions
from agent.toolsets.discovery import AGGREGATED
from agent.toolsets.gateway import SocketPoolManager
from agent.toolsets.kinds import CLUSTER_KINDS, NAMESPACED_KINDS, Resource, path_of, resource_of
from agent.toolsets.projection import projected
from agent.toolsets.redaction import without_secrets
from agent.toolsets.usage import asked_for
from agent.topology.fields import mapping, text

PAGE = 500
THREADS = 8
TIMEOUT = (3.0, 30.0)  # seconds: connect, read
BRIEF = (2.0, 6.0)  # where nobody waits for longer: a thread cannot be called back, and there are few
MANY = 8  # from so many namespaces on, one list over all of them is cheaper
TRIES = 3
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")  # as the gateway takes it
PAUSE = 0.3  # seconds before the second, twice that before the third try
_T = TypeVar("_T")


class KubernetesCluster:
    """ClusterReader over one ApiClient. Closed with `close()`. `whole`: nothing but secrets is cut off the objects."""

    def __init__(self, api: Any, name: str, *, prefix: str = "", source: str = "", whole: bool = False) -> None:
        self._api, self._name, self._prefix, self._source, self._whole = api, name, prefix, source, whole
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="kubernetes")

    @property
    def name(self) -> str:
        return self._name

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def now(self) -> datetime:
        return (await self._run(lambda: self._get("/version"))).date or datetime.now(UTC)

    async def namespaces(self) -> Observed:
        resource = next(one for one in CLUSTER_KINDS if one.kind == "Namespace")
        seen, gap, now = await self._run(lambda: self._list(resource, ""))
        return Observed(now=now, objects=tuple(seen), gaps=(gap,) if gap else ())

    async def overview(self, namespaces: Sequence[str]) -> Observed:
        everywhere = len(namespaces) >= MANY or not namespaces
        wanted = set(namespaces)
        scopes = [""] if everywhere else sorted(wanted)
        asked = [(one, "") for one in CLUSTER_KINDS] + [(one, scope) for one in NAMESPACED_KINDS for scope in scopes]
        results = await asyncio.gather(*(self._run(partial(self._list, one, scope)) for one, scope in asked))
        if everywhere and namespaces:
            results, asked = await self._retry_refused(results, asked, sorted(wanted))
        objects: list[Manifest] = []
        for (resource, scope), (seen, _, _) in zip(asked, results, strict=True):
            objects += seen if not wanted or scope or not resource.namespaced else [one for one in seen if _in(one, wanted)]
        objects += await self._node_events(scopes, [one for one in objects if text(one, "kind") == "Node"])
        apis = await self._run(partial(self._get, "/apis", accept=AGGREGATED))
        found = await read_extensions(parsed(apis.body) if apis.status == 200 else {}, self._list, self._run, sorted(wanted))
        refused = [] if apis.status in (200, 404) else [Gap(what="custom resources", why=reason(apis))]
        gaps = dict.fromkeys([*(gap for _, gap, _ in results if gap is not None), *found[1], *refused])
        return Observed(now=max(now for _, _, now in results), objects=(*objects, *found[0]), gaps=tuple(gaps))

    async def _retry_refused(
        self, results: list[Any], asked: list[tuple[Resource, str]], namespaces: list[str]
    ) -> tuple[list[Any], list[tuple[Resource, str]]]:
        """A kind that may not be listed over all namespaces is listed in each that was asked for."""
        again = [one for (one, _), (_, gap, _) in zip(asked, results, strict=True) if gap is not None and one.namespaced]
        kept = [(pair, result) for pair, result in zip(asked, results, strict=True) if pair[0] not in again]
        more = [(one, scope) for one in again for scope in namespaces]
        found = await asyncio.gather(*(self._run(partial(self._list, one, scope)) for one, scope in more))
        return [result for _, result in kept] + list(found), [pair for pair, _ in kept] + more

    async def _node_events(self, scopes: list[str], nodes: list[Manifest]) -> list[Manifest]:
        """Events of nodes stand in the namespace default, which may not be among those asked for."""
        if scopes == [""] or "default" in scopes or not nodes:
            return []
        events = next(one for one in NAMESPACED_KINDS if one.kind == "Event")
        seen, _, _ = await self._run(lambda: self._list(events, "default", (("fieldSelector", "involvedObject.kind=Node"),)))
        return list(seen)

    async def logs(self, pods: Sequence[tuple[Ref, str, bool]], *, tail: int) -> Observed:
        results = await asyncio.gather(
            *(self._run(partial(self._log, pod, container, previous, tail)) for pod, container, previous in pods)
        )
        logs = tuple(one for one in results if isinstance(one, ContainerLog))
        gaps = tuple(one for one in results if isinstance(one, Gap))
        return Observed(now=await self.now(), logs=logs, gaps=gaps)

    async def usage(self, namespaces: Sequence[str]) -> Observed:
        results = await asyncio.gather(*(self._run(partial(self._list, *one, once=True)) for one in asked_for(namespaces)))
        objects = tuple(one for seen, _, _ in results for one in seen)
        return Observed(now=max(now for _, _, now in results), objects=objects, gaps=tuple(gap for _, gap, _ in results if gap))

    async def get(self, api_version: str, ref: Ref) -> Manifest | None:
        resource = resource_of(api_version, ref.kind)
        plural = resource.plural if resource is not None else f"{ref.kind.lower()}s"
        path = f"{path_of(api_version, plural, ref.namespace)}/{quote(ref.name, safe='')}"
        answer = await self._run(lambda: self._get(path))
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise ReadRefused(f"{ref} may not be read: {reason(answer)}")
        return without_secrets({**parsed(answer.body), "kind": ref.kind, "apiVersion": api_version})

    async def _run(self, work: Callable[[], _T]) -> _T:
        within = copy_context().run  # whose run it is goes along
        return await asyncio.get_running_loop().run_in_executor(self._threads, within, work)

    def _list(
        self, resource: Resource, namespace: str, query: tuple[tuple[str, str], ...] = (), *, once: bool = False
    ) -> tuple[list[Manifest], Gap | None, datetime]:
        """All objects of one kind, page by page; 410 Gone (the continue token is too old) starts the list anew."""
        path = path_of(resource.api_version, resource.plural, namespace)
        where = f"{resource.kind} objects{f' in {namespace}' if namespace else ''}"
        for _ in range(TRIES):
            found: list[Manifest] = []
            token, now = "", datetime.now(UTC)
            while True:
                paged = (*query, ("limit", str(PAGE)), *((("continue", token),) if token else ()))
                answer = self._get(path, paged, once=once)
                now = answer.date or now
                if answer.status == 410 and token:
                    break
                if answer.status == 404 and resource.optional:
                    return [], None, now
                if answer.status != 200:
                    return found, Gap(what=where, why=reason(answer)), now
                page = parsed(answer.body)
                named = {"kind": resource.kind, "apiVersion": resource.api_version}
                found += [self._kept({**named, **one}) for one in page.get("items") or () if isinstance(one, dict)]
                token = text(page, "metadata", "continue")
                if not token:
                    return found, None, now
        return found, Gap(what=where, why="the list changed faster than it could be read"), now

    def _kept(self, one: dict[str, Any]) -> Manifest:
        return without_secrets(one if self._whole else projected(one))

    def _log(self, pod: Ref, container: str, previous: bool, tail: int) -> ContainerLog | Gap:
        query = [("container", container), ("tailLines", str(tail)), *([("previous", "true")] if previous else [])]
        what = f"logs of {pod} container {container}{' (previous run)' if previous else ''}"
        answer = self._get(f"{path_of('v1', 'pods', pod.namespace)}/{quote(pod.name, safe='')}/log", query, accept="*/*")
        if answer.status == 400 and b"waiting to start" in answer.body:
            return ContainerLog(namespace=pod.namespace, pod=pod.name, container=container, previous=previous, text="")
        if answer.status != 200:
            return Gap(what=what, why=reason(answer))
        words = answer.body.decode("utf-8", errors="replace")
        if words.startswith("unable to retrieve container logs"):  # the kubelet says so with status 200
            return Gap(what=what, why="the container is gone and its log with it")
        return ContainerLog(namespace=pod.namespace, pod=pod.name, container=container, previous=previous, text=words)

    def _get(
        self, path: str, query: Iterable[tuple[str, str]] = (), *, accept: str = "application/json", once: bool = False
    ) -> Answer:
        """One GET with our own retry (the client's would also repeat what must not be): 429, 5xx and broken connections. `once`:
        without, and not for long."""
        last, tries = "", 1 if once else TRIES
        for attempt in range(tries):
            try:
                answer = self._send(path, list(query), accept, BRIEF if once else TIMEOUT)
            except urllib3.exceptions.HTTPError as exc:
                last = unreachable(exc)
            else:
                if answer.status not in (429, 502, 503, 504) or attempt + 1 == tries:
                    return answer
            time.sleep(PAUSE * (attempt + 1) if attempt + 1 < tries else 0)
        raise ClusterUnreachable(f"no answer from cluster {self._name}{f' ({self._source})' if self._source else ''}: {last}")

    def _send(self, path: str, query: list[tuple[str, str]], accept: str, timeout: tuple[float, float]) -> Answer:
        run = READING_FOR.get()
        headers = {"Accept": accept, **({"Lestrade-Run": run} if self._prefix and RUN_NAME.fullmatch(run) else {})}
        request = self._api.param_serialize(
            "GET", f"{self._prefix}{path}", query_params=query, header_params=headers, auth_settings=["BearerToken"]
        )
        response = self._api.call_api(*request, _request_timeout=timeout)
        raw = response.response
        body = raw.data if raw.data is not None else response.read()
        return Answer(response.status, body, date_of(raw.headers.get("Date")))


def _in(one: Manifest, wanted: set[str]) -> bool:
    if text(one, "kind") == "Event":
        about = mapping(one, "involvedObject")
        return not text(about, "namespace") or text(about, "namespace") in wanted
    return text(one, "metadata", "namespace") in wanted


def connect(*, kubeconfig: Path | None = None, context: str = "", name: str = "", whole: bool = False) -> KubernetesCluster:
    """Connect by kubeconfig (default: $KUBECONFIG, ~/.kube/config) or, inside a pod, by its service account.

    Raises InputError for a kubeconfig that cannot be used or a context that it does not have. Sends nothing yet.
    """
    from kubernetes import client  # noqa: PLC0415  half a second that only live reading needs
    from kubernetes import config as loading  # noqa: PLC0415

    config: Any = loading
    settings = client.Configuration()
    in_cluster = (
        kubeconfig is None and not context and "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG")
    )
    path = str(kubeconfig or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    try:
        if in_cluster:
            config.load_incluster_config(client_configuration=settings)
            found, source = name or "in-cluster", "service account of this pod"
        else:
            if not any(Path(part).is_file() for part in path.split(os.pathsep) if part):
                raise InputError(f"{path}: no such kubeconfig (name one with LESTRADE_KUBECONFIG or KUBECONFIG)")
            contexts, current = config.list_kube_config_contexts(config_file=path)
            chosen = context or (current or {}).get("name", "")
            if chosen not in [one["name"] for one in contexts]:
                raise InputError(f"{path}: no context {chosen!r} in it (it has: {', '.join(one['name'] for one in contexts)})")
            config.load_kube_config(config_file=path, context=chosen, client_configuration=settings)
            found, source = name or chosen, f"{path}, context {chosen}"
    except InputError:
        raise
    except Exception as exc:  # noqa: BLE001  the loader raises YAML, key, type and OS errors alike
        words = str(exc).splitlines()
        said = words[0] if words and not isinstance(exc, TypeError | AttributeError | KeyError) else "it is no kubeconfig"
        raise InputError(f"{path}: cannot be used as a kubeconfig: {said}") from None
    settings.retries = 0
    return KubernetesCluster(client.ApiClient(settings), found, source=source, whole=whole)


def connect_gateway(url: str, *, cluster: str, token_file: Path, whole: bool = False) -> KubernetesCluster:
    """Read through the sidecar: `url` is unix:///path/to.sock or http://host:port. Raises InputError for a bad URL or token
    file. The token is read once and never shown."""
    from kubernetes import client  # noqa: PLC0415

    try:
        token = token_file.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise InputError(f"{token_file}: the sidecar's token cannot be read: {exc.strerror}") from None
    settings = client.Configuration()
    settings.retries, settings.proxy = 0, None  # the gateway is on this machine
    settings.api_key = {"BearerToken": token}
    settings.api_key_prefix = {"BearerToken": "Bearer"}
    prefix = f"/v1/read/{quote(cluster, safe='')}"
    if url.startswith("unix://"):
        settings.host = "http://localhost"
        api = client.ApiClient(settings)
        api.rest_client.pool_manager = SocketPoolManager(url.removeprefix("unix://"), maxsize=THREADS)
    elif url.startswith(("http://", "https://")):
        settings.host = url.rstrip("/")
        api = client.ApiClient(settings)
    else:
        raise InputError(f"{url}: no sidecar URL (unix:///path or http://host:port expected)")
    return KubernetesCluster(api, cluster, prefix=prefix, source=f"through the sidecar at {url}", whole=whole)
