"""A cluster at a moment, from a file: snapshot JSON or YAML (.gz too), or a `kubectl cluster-info dump` folder.

Implements ClusterReader and Metrics. A file that cannot be used is an InputError of one line.
"""

import asyncio
import gzip
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from agent.domain.incident import Alert, Window
from agent.domain.objects import ContainerLog, Manifest, Ref, Series
from agent.errors import InputError, MetricsUnavailable
from agent.ports.cluster import Gap, Observed
from agent.toolsets.projection import projected
from agent.toolsets.redaction import secretless
from agent.toolsets.streaming import Members, NotJson, TooLarge
from agent.toolsets.wellformed import fault_of
from agent.topology.extensions import touches
from agent.topology.fields import at, items, kind_of, mapping, moment, name_of, namespace_of, ref_of, text

VERSION = 1
MAX_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a file holds. `series` are matrix entries of a range query, `gaps` what could not be read when it was made."""

    name: str
    now: datetime
    objects: tuple[Manifest, ...]
    logs: tuple[ContainerLog, ...] = ()
    series: tuple[Series, ...] = ()
    alerts: tuple[Alert, ...] = ()
    gaps: tuple[Gap, ...] = ()


class SnapshotCluster:
    """ClusterReader and Metrics over one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = replace(snapshot, objects=tuple(secretless(one) for one in snapshot.objects))
        self._logs = {(log.namespace, log.pod, log.container, log.previous): log for log in snapshot.logs}
        self._objects: dict[Ref, Manifest] = {}  # by identity, when somebody asks for one

    @classmethod
    def open(cls, path: Path) -> "SnapshotCluster":
        return cls(load(path))

    @property
    def name(self) -> str:
        return self._snapshot.name

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return self._snapshot.alerts

    @property
    def series(self) -> tuple[Series, ...]:
        return self._snapshot.series

    async def now(self) -> datetime:
        return self._snapshot.now

    async def namespaces(self) -> Observed:
        present = {name_of(one): one for one in self._snapshot.objects if one["kind"] == "Namespace"}
        named = {namespace_of(one) for one in self._snapshot.objects} | present.keys()
        found = [
            present.get(name) or {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            for name in sorted(named)
            if name
        ]
        return Observed(now=self._snapshot.now, objects=tuple(found))

    async def overview(self, namespaces: Sequence[str]) -> Observed:
        wanted = set(namespaces)
        objects = tuple(one for one in self._snapshot.objects if not wanted or _is_wanted(one, wanted))
        return Observed(now=self._snapshot.now, objects=objects, gaps=self._snapshot.gaps)

    async def logs(self, pods: Sequence[tuple[Ref, str, bool]], *, tail: int) -> Observed:
        found, gaps = [], []
        for pod, container, previous in pods:
            log = self._logs.get((pod.namespace, pod.name, container, previous))
            if log is None:
                gaps.append(
                    Gap(what=f"logs of {pod} container {container}{' (previous)' if previous else ''}", why="not in the snapshot")
                )
            else:
                lines = log.text.splitlines(keepends=True)[-tail:]
                found.append(
                    ContainerLog(
                        namespace=log.namespace, pod=log.pod, container=log.container, previous=previous, text="".join(lines)
                    )
                )
        return Observed(now=self._snapshot.now, logs=tuple(found), gaps=tuple(gaps))

    async def usage(self, namespaces: Sequence[str]) -> Observed:
        gaps = tuple(Gap(what=kind, why="not in the snapshot") for kind in ("PodMetrics", "NodeMetrics"))
        return Observed(now=self._snapshot.now, gaps=gaps)

    async def get(self, api_version: str, ref: Ref) -> Manifest | None:
        if not self._objects:
            self._objects = {ref_of(one): one for one in self._snapshot.objects if kind_of(one) != "Event"}
        return self._objects.get(ref)

    async def range(self, promql: str, window: Window, step_seconds: int) -> tuple[Series, ...]:
        """Series whose metric name (with optional {label="value", ...}, or {__name__=~"names", ...}) is `promql`, cut to the
        window."""
        from_, to = window.start.timestamp(), window.end.timestamp()
        name, wanted = _plain_selector(promql)
        return tuple(
            Series(labels=one.labels, samples=tuple(pair for pair in one.samples if from_ <= pair[0] <= to))
            for one in self._snapshot.series
            if (name is None or name.fullmatch(one.name)) and all(one.labels.get(key) == value for key, value in wanted.items())
        )

    async def instant(self, promql: str, at: datetime | None = None) -> tuple[Series, ...]:
        raise MetricsUnavailable("a snapshot answers no PromQL")


def _is_wanted(one: Manifest, wanted: set[str]) -> bool:
    namespace = namespace_of(one)
    if kind_of(one) == "Event":
        about = mapping(one, "involvedObject") or mapping(one, "regarding")
        return not text(about, "namespace") or text(about, "namespace") in wanted
    return not namespace or namespace in wanted or touches(one, wanted)


_SELECTOR = re.compile(r'([a-zA-Z_:][\w:]*)?(?:\{(?:__name__=~"([^"]*)"(?:,|(?=\})))?([^{}]*)\})?')
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)="([^"]*)"\s*')


def _plain_selector(promql: str) -> tuple[re.Pattern[str] | None, dict[str, str]]:
    """(the names that are meant, None for all; labels)."""
    refusal = f'a snapshot answers no PromQL beyond name{{label="value"}}: {promql[:80]}'
    match = _SELECTOR.fullmatch(promql.strip())
    if match is None or (match[1] and match[2]):
        raise MetricsUnavailable(refusal)
    labels = [_LABEL.fullmatch(part) for part in (match[3] or "").split(",") if part.strip()]
    if not all(labels):
        raise MetricsUnavailable(refusal)
    try:
        names = re.compile(match[2] if match[2] else re.escape(match[1])) if match[1] or match[2] else None
    except re.error as exc:
        raise MetricsUnavailable(f"{refusal} ({exc})") from exc
    return names, {label[1]: label[2] for label in labels if label is not None}


def load(path: Path) -> Snapshot:
    """Read a snapshot file or a dump folder. Raises InputError, one line, naming the file."""
    if path.is_dir():
        from agent.toolsets.dump import read_dump  # noqa: PLC0415

        return read_dump(path)
    document = _document(path)
    if "snapshot" not in document:
        raise InputError(f"{path}: not a snapshot: the field `snapshot: {VERSION}` is missing (`lestrade snapshot` makes one)")
    if document["snapshot"] != VERSION:
        raise InputError(f"{path}: snapshot version {document['snapshot']!r} is not known, this Lestrade reads version {VERSION}")
    now = moment(document.get("now"))
    if now is None:
        raise InputError(f"{path}: the field `now` is no time (RFC 3339 expected)")
    objects = document.get("objects")
    if not isinstance(objects, list):
        raise InputError(f"{path}: the field `objects` is no list of Kubernetes objects")
    for number, one in enumerate(objects):
        if fault := fault_of(one):
            raise InputError(f"{path}: objects[{number}] is no Kubernetes object: {fault}")
    return Snapshot(
        name=text(document, "cluster", "name") or path.name.partition(".")[0],
        now=now,
        objects=tuple(objects),
        logs=tuple(_logs(document)),
        series=tuple(_series(document, path)),
        alerts=tuple(_alerts(document)),
        gaps=tuple(Gap(what=text(one, "what"), why=text(one, "why")) for one in items(document, "gaps") if text(one, "what")),
    )


def _document(path: Path) -> Mapping[str, Any]:
    """The mapping at the top. JSON comes object by object, each cut down to what is used as it comes."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.peek(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            if start == b"{":
                return _streamed(Members(file, at_most=MAX_BYTES))
            raw = b"" if start == b"[" else file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise TooLarge(f"larger than {MAX_BYTES // 1_000_000} MB")
        document = yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  the safe one, in C
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except TooLarge as exc:
        raise InputError(f"{path}: {exc}") from None
    except (OSError, EOFError, zlib.error) as exc:
        raise InputError(f"{path}: cannot be read: {exc}") from exc
    except (NotJson, ValueError, yaml.YAMLError, RecursionError) as exc:
        raise InputError(f"{path}: neither JSON nor YAML: {(str(exc) or 'nested too deeply').splitlines()[0]}") from None
    if not isinstance(document, Mapping):
        raise InputError(f"{path}: not a snapshot: a mapping is expected at the top")
    return document


def _streamed(members: Members) -> Mapping[str, Any]:
    document: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {}
    for key, value in members:
        if key in members.lists:
            lists.setdefault(key, []).append(projected(value) if key == "objects" and isinstance(value, dict) else value)
        else:
            document[key] = value
    return {**document, **{key: lists.get(key, []) for key in members.lists}}


def _logs(document: Mapping[str, Any]) -> list[ContainerLog]:
    return [
        ContainerLog(
            namespace=text(one, "namespace"), pod=text(one, "pod"), container=text(one, "container"),
            previous=at(one, "previous") is True, text=text(one, "text"),
        )
        for one in items(document, "logs")
    ]  # fmt: skip


def _series(document: Mapping[str, Any], path: Path) -> list[Series]:
    try:
        return [
            Series(
                labels={str(key): str(value) for key, value in mapping(one, "metric").items()},
                samples=tuple((float(pair[0]), float(pair[1])) for pair in items(one, "values")),
            )
            for one in items(document, "metrics")
        ]
    except (ValueError, TypeError, IndexError, KeyError):
        raise InputError(f"{path}: the field `metrics` is no Prometheus matrix: values are pairs of [seconds, number]") from None


def _alerts(document: Mapping[str, Any]) -> list[Alert]:
    return [
        Alert(
            name=text(one, "labels", "alertname"),
            labels=dict(mapping(one, "labels")),
            annotations=dict(mapping(one, "annotations")),
            fingerprint=text(one, "fingerprint"), starts_at=moment(text(one, "startsAt")),
        )
        for one in items(document, "alerts")
    ]  # fmt: skip


async def open_snapshot(path: Path) -> SnapshotCluster:
    """Load in a thread: a large file takes a moment."""
    return await asyncio.to_thread(SnapshotCluster.open, path)
