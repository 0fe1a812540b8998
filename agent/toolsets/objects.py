"""Eyes on the cluster's objects, events and logs, by question: what was read already first, a further read where it was not."""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import yaml

from agent.domain.objects import ContainerLog, Manifest, Ref
from agent.errors import ToolRefused
from agent.ports import ClusterReader
from agent.ports.toolset import Sighting, Tool, View, tool
from agent.signals.changes import changes
from agent.toolsets.keeping import scrubbed
from agent.toolsets.kinds import resource_of
from agent.toolsets.object_questions import Diff, Events, Listing, Logs, Recent, Right, Which
from agent.toolsets.usage import Top, sighting
from agent.topology import Topology, build
from agent.topology.events import Happening
from agent.topology.fields import at, items, kind_of, labels_of, mapping, name_of, namespace_of, number, ref_of, text
from agent.topology.naming import names_in
from agent.topology.rights import unseen, who_can
from agent.topology.roles import Request
from agent.topology.workloads import revisions

MOST_ROWS = 300


class ObjectEyes:
    """The Toolset over a ClusterReader."""

    name = "kubernetes"
    why_off = ""

    def __init__(self, reader: ClusterReader) -> None:
        self._reader = reader

    def tools(self, view: View) -> Sequence[Tool]:
        known = view.derived.get("objects")
        look = known if isinstance(known, _Look) else _Look(self._reader, view)
        view.derived["objects"] = look
        told = (
            tool("list_objects", "Objects of one kind, one line each.", Listing, look.listed),
            tool("get_object", "One object as YAML; values of secrets are taken out.", Which, look.got),
            tool("describe", "State, events, pods, and what it depends on or is needed by.", Which, look.described),
            tool("events", "Events, warnings first.", Events, look.happenings),
            tool("logs", "Log of a pod's containers.", Logs, look.logs),
            tool("top", "What containers or nodes use just now, beside their limits; the most memory first.", Top, look.top),
            tool("rollout_history", "Revisions of a workload.", Which, look.history),
            tool("revision_diff", "What differs between the pod templates of two revisions of a Deployment.", Diff, look.diff),
            tool("changes", "What people and tools changed, newest first.", Recent, look.changed),
            tool("who_can", "Who may do what, by RBAC.", Right, look.who_can),
        )
        return tuple(replace(one, run=look.naming(one.run)) for one in told)


class _Look:
    """The tools of one view. Another namespace that is asked for is read once."""

    def __init__(self, reader: ClusterReader, view: View) -> None:
        self._reader = reader
        self._view = view
        self._topologies: dict[str, Topology] = {}
        self._names: set[str] = set()  # in what was read beyond the view
        self._turn = asyncio.Lock()  # questions come several at once, and a topology is built once

    def naming(self, run: Callable[[str], Awaitable[Sighting]]) -> Callable[[str], Awaitable[Sighting]]:
        """The tool, with the names of what was read for it, which nobody has learned yet."""

        async def named(text: str) -> Sighting:
            sighting = await run(text)
            return replace(sighting, names=tuple(sorted(self._names)))

        return named

    async def _seen(self, namespace: str) -> Topology:
        """What was read, or, of a namespace outside of it, what is read now."""
        key = namespace if namespace and namespace not in self._view.namespaces else ""
        async with self._turn:
            if key not in self._topologies:
                seen = self._view.observed if not key else await self._reader.overview([key])
                self._names.update(names_in(seen.objects) if key else ())
                gaps = {gap.what.split()[0]: gap.why for gap in seen.gaps}
                series = () if key else self._view.series
                self._topologies[key] = await asyncio.to_thread(build, seen.now, seen.objects, seen.logs, series, gaps)
        return self._topologies[key]

    async def listed(self, asked: Listing) -> Sighting:
        topology = await self._seen(asked.namespace)
        source = f"kubernetes: list of {asked.kind}{f' in {asked.namespace}' if asked.namespace else ''}"
        wanted = dict(part.partition("=")[::2] for part in asked.labels.split(",") if part)
        found = [
            one
            for one in topology.of_kind(asked.kind)
            if (not asked.namespace or namespace_of(one) in ("", asked.namespace))
            and all(labels_of(one).get(key.strip()) == value.strip() for key, value in wanted.items())
        ]
        if not found:
            why = topology.unseen.get(asked.kind, "there are none, or the kind is not one that is read")
            return Sighting(source=source, missing=why)
        rows = [_row(one) for one in sorted(found, key=lambda one: (namespace_of(one), name_of(one)))]
        more = [f"... and {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else []
        return Sighting(source=source, text="\n".join([*rows[:MOST_ROWS], *more]))

    async def got(self, asked: Which) -> Sighting:
        ref, source = _ref(asked), f"kubernetes: {_ref(asked)}"
        found = await self._object(ref)
        if found is None:
            return Sighting(source=source, about=ref, missing="it is not there")
        plain: dict[str, Any] = {**scrubbed(found)}
        plain["metadata"] = {key: value for key, value in plain["metadata"].items() if key != "managedFields"}
        return Sighting(source=source, about=ref, text=yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=200))

    async def _object(self, ref: Ref) -> Manifest | None:
        topology = await self._seen(ref.namespace)
        found = topology.objects.get(ref)
        if found is not None:
            return found
        resource = resource_of("", ref.kind)
        if resource is None:
            raise ToolRefused(f"{ref.kind} is no kind that can be read one by one; try list_objects")
        read = await self._reader.get(resource.api_version, ref)
        self._names.update(names_in([read]) if read is not None else ())
        return read

    async def described(self, asked: Which) -> Sighting:
        ref, source = _ref(asked), f"kubernetes: {_ref(asked)} described"
        topology = await self._seen(asked.namespace)
        found = topology.objects.get(ref)
        needs, users = topology.depends_on(ref), topology.dependents_of(ref)
        if found is None and not users and not topology.events_about(ref):
            return Sighting(source=source, about=ref, missing="it is not there, and nothing names it")
        lines = list(_state(found)) if found is not None else [f"{ref} is not there"]
        lines += [f"pod: {_row(pod)}" for pod in topology.pods_of(topology.unit(ref))[:30]]
        lines += [f"depends on: {one}{'' if one in topology.objects else ' (was not seen)'}" for one in sorted(needs)[:40]]
        lines += [f"needed by: {one}" for one in sorted(users)[:40]]
        happened = [*topology.events_of_unit(topology.unit(ref)), *topology.events_about(ref)]
        lines += [f"event: {line}" for line in dict.fromkeys(_told(one) for one in _ordered(happened))][:25]
        return Sighting(source=source, about=ref, text="\n".join(lines))

    async def happenings(self, asked: Events) -> Sighting:
        topology = await self._seen(asked.namespace)
        source = f"kubernetes: events{f' in {asked.namespace}' if asked.namespace else ''} {asked.kind} {asked.name}".rstrip()
        found = [
            one
            for about, ones in topology.events.items()
            if (not asked.namespace or about.namespace == asked.namespace)
            and (not asked.kind or about.kind == asked.kind)
            and about.name.startswith(asked.name)
            for one in ones
        ]
        if not found:
            return Sighting(
                source=source, missing=topology.unseen.get("Event", "there are none (they are kept for an hour or so)")
            )
        return Sighting(source=source, text="\n".join(dict.fromkeys(_told(one) for one in _ordered(found)[:MOST_ROWS])))

    async def logs(self, asked: Logs) -> Sighting:
        ref = Ref("Pod", asked.namespace, asked.pod)
        source = f"kubernetes: logs of {ref} {asked.container}{' (previous run)' if asked.previous else ''}".rstrip()
        pod = await self._object(ref)
        boxes = [text(one, "name") for part in ("initContainers", "containers") for one in items(pod, "spec", part)]
        streams = [(ref, box, asked.previous) for box in boxes if asked.container in ("", box)]
        if not streams:
            return Sighting(source=source, about=ref, missing=f"no such container; there are: {', '.join(boxes) or 'none'}")
        seen = await self._reader.logs(streams, tail=asked.tail)
        if not any(log.text.strip() for log in seen.logs):
            why = "; ".join(gap.why for gap in seen.gaps) or "they are empty"
            return Sighting(source=source, about=ref, missing=why)
        several = len(seen.logs) > 1
        return Sighting(source=source, about=ref, text="\n".join(line for log in seen.logs for line in _lines(log, several)))

    async def top(self, asked: Top) -> Sighting:
        topology = await self._seen(asked.namespace)
        seen = await self._reader.usage([asked.namespace] if asked.namespace else self._view.namespaces)
        self._names.update(names_in(seen.objects))
        return sighting(asked, seen, topology)

    async def history(self, asked: Which) -> Sighting:
        topology = await self._seen(asked.namespace)
        ref = topology.unit(_ref(asked))
        lines = [
            f"revision {one.number} of {one.created:%Y-%m-%dT%H:%M:%SZ}: {', '.join(one.images)}; {one.ready} ready"
            if one.created is not None
            else f"revision {one.number}: {', '.join(one.images)}; {one.ready} ready"
            for one in revisions(topology, ref)
        ]
        kept = topology.in_namespace("ControllerRevision", ref.namespace)
        lines += [
            f"revision {number(one, 'revision')} of {text(one, 'metadata', 'creationTimestamp')}"
            for one in kept
            if any(text(owner, "name") == ref.name for owner in items(one, "metadata", "ownerReferences"))
        ]
        missing = "" if lines else "no revisions were seen"
        return Sighting(source=f"kubernetes: rollout history of {ref}", about=ref, text="\n".join(lines), missing=missing)

    async def diff(self, asked: Diff) -> Sighting:
        topology = await self._seen(asked.namespace)
        ref = Ref("Deployment", asked.namespace, asked.name)
        by_number = {one.number: one.replica_set for one in revisions(topology, ref)}
        if missing := [one for one in (asked.older, asked.newer) if one not in by_number]:
            raise ToolRefused(
                f"{ref} has no revision {missing[0]}; there are: {', '.join(map(str, sorted(by_number))) or 'none'}"
            )
        older, newer = (_template(by_number[one]) for one in (asked.older, asked.newer))
        names = f"revision {asked.older}", f"revision {asked.newer}"
        lines = list(difflib.unified_diff(older.splitlines(), newer.splitlines(), *names, lineterm=""))
        source = f"kubernetes: {ref}, revision {asked.older} against {asked.newer}"
        return Sighting(source=source, about=ref, text="\n".join(lines) or "the templates are the same")

    async def changed(self, asked: Recent) -> Sighting:
        topology = await self._seen(asked.namespace)
        lines = [
            f"{one.at:%Y-%m-%dT%H:%M:%SZ} {one.about}: {one.what}, by {one.who}"
            for one in changes(topology, within=timedelta(hours=asked.hours))
            if not asked.namespace or one.about.namespace in ("", asked.namespace)
        ]
        source = f"kubernetes: changes within {asked.hours:g} h"
        return Sighting(source=source, text="\n".join(lines[:MOST_ROWS]), missing="" if lines else "none were seen")

    async def who_can(self, asked: Right) -> Sighting:
        topology = await self._seen(asked.namespace)
        request = Request(verb=asked.verb, resource=asked.resource, group=asked.group, namespace=asked.namespace, name=asked.name)
        blind = unseen(topology)
        lines = [f"{one.subject}: by {one.binding} and {one.role}: {one.rule}" for one in who_can(topology, request)]
        lines += [f"not everything was seen: {', '.join(blind)}"] if blind else []
        return Sighting(source=f"kubernetes: who can {request}", text="\n".join(lines[:MOST_ROWS]) or "nobody, by RBAC")


def _ref(asked: Which) -> Ref:
    return Ref(asked.kind, asked.namespace, asked.name)


def _row(one: Manifest) -> str:
    spec, status = mapping(one, "spec"), mapping(one, "status")
    told = [f"{key} {status[key]}" for key in ("phase", "replicas", "readyReplicas", "availableReplicas") if key in status]
    told += [f"wants {spec['replicas']}"] if "replicas" in spec else []
    told += [f"on {spec['nodeName']}"] if spec.get("nodeName") else []
    boxes = items(status, "containerStatuses")
    if boxes:
        ready, restarts = sum(at(box, "ready") is True for box in boxes), sum(number(box, "restartCount") for box in boxes)
        told.append(f"{ready} of {len(boxes)} ready, {restarts} restarts")
    told += [f"keys {', '.join(sorted(mapping(one, 'data')))}"] if kind_of(one) in ("ConfigMap", "Secret") else []
    made = text(one, "metadata", "creationTimestamp")
    return f"{ref_of(one)}: {'; '.join([*told, f'made {made}' if made else '']).strip('; ')}"


def _state(one: Manifest) -> Iterator[str]:
    yield _row(one)
    for entry in items(one, "status", "conditions"):
        said = f"{text(entry, 'reason')} {text(entry, 'message')}".strip()
        since = text(entry, "lastTransitionTime")
        yield f"condition: {text(entry, 'type')}={text(entry, 'status')} since {since} {said}".rstrip()
    for part in ("initContainerStatuses", "containerStatuses"):
        for box in items(one, "status", part):
            for which in ("state", "lastState"):
                for name, told in mapping(box, which).items():
                    words = " ".join(f"{key}={value}" for key, value in mapping({"": told}, "").items() if key != "containerID")
                    yield f"container {text(box, 'name')} {which}: {name} {words}".rstrip()


def _ordered(found: Sequence[Happening]) -> list[Happening]:
    return sorted(found, key=lambda one: (one.kind != "Warning", -(one.last.timestamp() if one.last else 0), one.reason))


def _told(one: Happening) -> str:
    when = f"{one.last:%Y-%m-%dT%H:%M:%SZ}" if one.last else "?"
    return f"{when} {one.kind} {one.reason} {one.about}: {one.message}{f' (x{one.count})' if one.count > 1 else ''}"


def _lines(log: ContainerLog, several: bool) -> Iterator[str]:
    name: Callable[[str], str] = (lambda line: f"{log.container}: {line}") if several else (lambda line: line)
    yield from map(name, log.text.splitlines())


def _template(replica_set: Manifest) -> str:
    template = mapping(scrubbed(replica_set), "spec", "template")
    return yaml.safe_dump(dict(template), sort_keys=True, allow_unicode=True, width=200)
