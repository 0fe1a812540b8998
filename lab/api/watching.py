"""WATCH: changes of the store as a stream of lines. Owns no thread: the store wakes it through the event loop."""

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson

from lab.api.cluster import Cluster
from lab.api.convert import outward
from lab.api.reading import check_list_options, matcher, objects
from lab.api.request import Answer, Call
from lab.api.resources import Resource
from lab.api.status import internal
from lab.store import Change, Object

BOOKMARK_SECONDS = 60.0
DEFAULT_SECONDS = 1800.0
Shape = Callable[[Object], Object]


class Feed:
    """Tells waiting watches, on the event loop, that the store moved."""

    def __init__(self, cluster: Cluster) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._events: set[asyncio.Event] = set()
        self.closing = False
        cluster.store.subscribe(self._changed)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def _changed(self, _: Change) -> None:
        if self._loop is not None and self._events and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for event in self._events:
            event.set()

    def close(self) -> None:
        self.closing = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        try:
            await asyncio.wait_for(event.wait(), max(seconds, 0.001))
        except TimeoutError:
            return
        finally:
            event.clear()

    def join(self) -> asyncio.Event:
        event = asyncio.Event()
        self._events.add(event)
        return event

    def leave(self, event: asyncio.Event) -> None:
        self._events.discard(event)


def watch(cluster: Cluster, feed: Feed, call: Call, resource: Resource, shape: Shape) -> Answer:
    """ApiError before the stream begins; what goes wrong later is an ERROR line. Call with the lock held."""
    check_list_options(call)
    text = call.param("resourceVersion")
    if text and not text.isdigit():
        raise internal(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    watcher = _Watcher(cluster, call, resource, shape)
    return Answer(stream=watcher.lines(feed), media="application/json")


class _Watcher:
    def __init__(self, cluster: Cluster, call: Call, resource: Resource, shape: Shape) -> None:
        self._cluster, self._call, self._resource, self._shape = cluster, call, resource, shape
        self._matches = matcher(call, resource)
        self._bookmarks = call.param("allowWatchBookmarks").lower() in ("true", "1")
        self._seconds = float(call.param("timeoutSeconds") or DEFAULT_SECONDS)
        text = call.param("resourceVersion")
        initial = call.param("sendInitialEvents").lower()
        self._initial = not text or text == "0" if initial == "" else initial == "true"
        self._begin = int(text or 0)
        self._at = cluster.store.revision if self._initial else self._begin
        self._cursor = self._position(self._at)
        self._first = self._existing() if self._initial else []
        self._end_mark = self._bookmarks and (initial == "true" or not text)

    def _position(self, revision: int) -> int:
        """Index into the store's changes of the first one after `revision`."""
        changes = self._cluster.store.changes
        low, high = 0, len(changes)
        while low < high:
            middle = (low + high) // 2
            if changes[middle].revision <= revision:
                low = middle + 1
            else:
                high = middle
        return low

    def _existing(self) -> list[Object]:
        found = objects(self._cluster, self._resource, self._call.target.namespace, None)
        return [o for o in found if self._matches(o) and self._named(o)]

    def _named(self, obj: Object) -> bool:
        name = self._call.target.name
        return not name or "fieldSelector" in dict(self._call.query) or bool(obj["metadata"]["name"] == name)

    async def lines(self, feed: Feed) -> AsyncIterator[bytes]:
        if not self._initial and self._begin <= self._cluster.compacted:
            message = f"too old resource version: {self._begin} ({self._cluster.compacted + 1})"
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": message,
                "reason": "Expired",
                "code": 410,
            }
            yield _line("ERROR", status)
            return
        event = feed.join()
        started = marked = time.monotonic()
        last_mark = False
        try:
            for obj in self._first:
                yield _line("ADDED", self._shape(outward(self._resource, obj)))
            if self._end_mark:
                yield self._bookmark(end=True)
            while not feed.closing:
                for line in self._news():
                    yield line
                left = self._seconds - (time.monotonic() - started)
                if left <= 0:
                    return
                if self._bookmarks and (
                    time.monotonic() - marked >= BOOKMARK_SECONDS or (left <= 2 and not last_mark and self._seconds > 4)
                ):
                    marked, last_mark = time.monotonic(), left <= 2
                    yield self._bookmark()
                pause = min(left, BOOKMARK_SECONDS, left - 2 if left > 2 and self._bookmarks else left)
                await feed.wait(event, pause)
        finally:
            feed.leave(event)

    def _bookmark(self, *, end: bool = False) -> bytes:
        meta: dict[str, Any] = {"resourceVersion": str(max(self._cluster.store.revision, self._at))}
        if end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        return _line("BOOKMARK", {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": meta})

    def _news(self) -> list[bytes]:
        changes = self._cluster.store.changes
        out: list[bytes] = []
        while self._cursor < len(changes):
            change = changes[self._cursor]
            self._cursor += 1
            if change.revision > self._begin and (line := self._event(change)) is not None:
                out.append(line)
        return out

    def _event(self, change: Change) -> bytes | None:
        """What the change is to someone who sees only what the selectors match."""
        resource, namespace = self._resource, self._call.target.namespace
        if (change.key.group, change.key.resource) != (resource.store_group, resource.plural):
            return None
        if (resource.namespaced and namespace and change.key.namespace != namespace) or not self._named(change.object):
            return None
        now = change.type != "DELETED" and self._matches(change.object)
        before = change.type != "ADDED" and change.previous is not None and self._matches(change.previous)
        if now:
            return self._shown("MODIFIED" if before else "ADDED", change.object)
        if not before:
            return None
        gone = change.object
        if change.type == "MODIFIED" and change.previous is not None:  # no longer selected: the old labels, the new revision
            gone = copy.deepcopy(change.previous)
            gone["metadata"]["resourceVersion"] = change.object["metadata"]["resourceVersion"]
        return self._shown("DELETED", gone)

    def _shown(self, kind: str, obj: Object) -> bytes:
        return _line(kind, self._shape(outward(self._resource, obj)))


def _line(kind: str, obj: Object) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"
