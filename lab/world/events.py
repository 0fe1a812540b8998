"""Events as controllers record them: the same event again counts up, many similar ones are combined, and a source that
repeats itself about one object is slowed, as client-go's EventCorrelator does."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lab.world.cluster import Cluster
from lab.world.kinds import Object, key_of
from lab.world.reading import micro_stamp, stamp

SIMILAR = 10  # different messages of one reason before they are combined (client-go: defaultAggregateMaxEvents)
BURST = 25  # events a source may record about one object at once (client-go: defaultSpamBurst)
REFILL_SECONDS = 300.0
LONGEST = 1024  # characters of a message (validation of events in the API server)


@dataclass
class _Bucket:
    tokens: float
    at: datetime


@dataclass
class Recorder:
    """`asides`: what whoever can make a controller repeat their words has put behind its messages; one stands behind each."""

    cluster: Cluster
    asides: Sequence[str] = ()
    _names: dict[tuple[str, ...], str] = field(default_factory=dict)
    _messages: dict[tuple[str, ...], set[str]] = field(default_factory=dict)
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def record(
        self,
        about: Object,
        kind: Literal["Normal", "Warning"],
        reason: str,
        message: str,
        *,
        by: str,
        container: str = "",
        host: str = "",
        init: bool = False,
    ) -> None:
        """`by` is the component, e.g. "kubelet"; `container` sets involvedObject.fieldPath."""
        uid = about["metadata"]["uid"]
        if not self._spend(by, uid):
            return
        similar = (uid, by, reason, container)
        messages = self._messages.setdefault(similar, set())
        messages.add(message)
        combined = len(messages) > SIMILAR
        key = (*similar, "" if combined else message)
        if combined:
            message = f"(combined from similar events): {message}"
        if not self._again(about, key, message):
            self._first(about, key, kind, reason, message, by, ("init" if init else "", container), host)

    def series(
        self, about: Object, kind: Literal["Normal", "Warning"], reason: str, message: str, *, by: str, action: str
    ) -> None:
        """The events.k8s.io way, which the scheduler uses: eventTime, and a series when it repeats."""
        key = (about["metadata"]["uid"], by, reason, message)
        now = micro_stamp(self.cluster.now)
        name = self._names.get(key)
        namespace = about["metadata"].get("namespace", "default")

        def more(event: Object) -> None:
            count = event.get("series", {}).get("count", 1) + 1
            event["series"] = {"count": count, "lastObservedTime": now}

        if name and self.cluster.edit("Event", namespace, name, more):
            return
        event = self._body(about, kind, reason, message, "")
        event |= {
            "action": action,
            "eventTime": now,
            "firstTimestamp": None,
            "lastTimestamp": None,
            "reportingComponent": by,
            "reportingInstance": f"{by}-control-plane",
            "source": {},
        }
        self._put(key, event)

    def _spend(self, by: str, uid: str) -> bool:
        now = self.cluster.now
        bucket = self._buckets.setdefault((by, uid), _Bucket(BURST, now))
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.at).total_seconds() / REFILL_SECONDS)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _again(self, about: Object, key: tuple[str, ...], message: str) -> bool:
        name = self._names.get(key)
        if name is None:
            return False

        def more(event: Object) -> None:
            event["count"] = event.get("count", 1) + 1
            event["lastTimestamp"] = stamp(self.cluster.now)
            event["message"] = self._told(message)

        return self.cluster.edit("Event", about["metadata"].get("namespace") or "default", name, more) is not None

    def _first(
        self,
        about: Object,
        key: tuple[str, ...],
        kind: str,
        reason: str,
        message: str,
        by: str,
        place: tuple[str, str],
        host: str,
    ) -> None:
        init, container = place
        path = f"spec.{'initContainers' if init else 'containers'}{{{container}}}" if container else ""
        event = self._body(about, kind, reason, message, path)
        now = stamp(self.cluster.now)
        event |= {
            "count": 1,
            "eventTime": None,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "reportingComponent": by,
            "reportingInstance": host,
            "source": {"component": by} | ({"host": host} if host else {}),
        }
        self._put(key, event)

    def _body(self, about: Object, kind: str, reason: str, message: str, path: str) -> Object:
        metadata = about["metadata"]
        involved = {"apiVersion": about["apiVersion"], "kind": about["kind"], "name": metadata["name"], "uid": metadata["uid"]}
        if metadata.get("namespace"):
            involved["namespace"] = metadata["namespace"]
        if "resourceVersion" in metadata:
            involved["resourceVersion"] = metadata["resourceVersion"]
        if path:
            involved["fieldPath"] = path
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": metadata.get("namespace") or "default", "creationTimestamp": stamp(self.cluster.now)},
            "involvedObject": involved,
            "reason": reason,
            "message": self._told(message),
            "type": kind,
        }

    def _told(self, message: str) -> str:
        if not self.asides:
            return message[:LONGEST]
        aside = self.asides[zlib.crc32(message.encode()) % len(self.asides)]
        return f"{message[: LONGEST - len(aside) - 1]} {aside}"

    def _put(self, key: tuple[str, ...], event: Object) -> None:
        store = self.cluster.store
        nanos = int(self.cluster.now.timestamp() * 1e9)
        with store.lock:
            namespace = event["metadata"]["namespace"]
            name = f"{event['involvedObject']['name']}.{nanos:x}"
            while store.get(key_of("Event", namespace, name)) is not None:
                nanos += 1
                name = f"{event['involvedObject']['name']}.{nanos:x}"
            event["metadata"]["name"] = name
            store.create(key_of("Event", namespace, name), event)
        self._names[key] = name
