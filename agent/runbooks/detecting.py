"""Causes that pages find by themselves: CEL over one object, its namespace, pods, events and logs. Pure.

A condition that cannot be worked out for an object (a field that is not there) is no finding.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.domain.runbook import Detection, Page
from agent.runbooks.conditions import compile_condition, compile_expression
from agent.runbooks.pages import Library
from agent.runbooks.reading import LOOKED_AT
from agent.topology import Topology
from agent.topology.fields import moment, ref_of
from sidecar.contract import Json

LOG_LINES = 200  # of each container's log, the last ones
_PLACE = re.compile(r"\{(subject|name|namespace|params\.\w+)\}")


def own_causes(library: Library) -> Callable[[Topology], Iterator[Finding]]:
    """What the pages of this library look for, as one function of a topology."""
    pages = [page for _, page in sorted(library.pages.items()) if page.detection is not None]

    def look(topology: Topology) -> Iterator[Finding]:
        for page in pages:
            if page.detection is not None:
                yield from _found(page, page.detection, topology)

    return look


def _found(page: Page, detection: Detection, topology: Topology) -> Iterator[Finding]:
    condition = compile_condition(detection.when, LOOKED_AT)
    told = _used(detection)
    for manifest in topology.of_kind(*detection.kinds):
        data = _data(manifest, told, topology)
        if condition.holds(data):
            yield _finding(page, detection, ref_of(manifest), data, topology)


def _finding(page: Page, detection: Detection, ref: Ref, data: Mapping[str, Any], topology: Topology) -> Finding:
    params = {name: compile_expression(source, LOOKED_AT).value(data) for name, source in detection.params.items()}
    known: dict[str, Json] = {name: value for name, value in params.items() if value is not None}
    shows = detection.shows or (detection.when,)
    quotes = [
        Quote(
            source=f"kubernetes: {ref}", about=ref, text=f"{source} is {_said(compile_expression(source, LOOKED_AT).value(data))}"
        )
        for source in shows
    ]
    since = compile_expression(detection.since, LOOKED_AT).value(data) if detection.since else None
    return Finding(
        cause=page.cause,
        subject=ref,
        statement=_statement(detection.says, ref, known),
        since=_time(since, topology.now),
        quotes=tuple(quotes),
        params=known,
        weight=detection.weight,
    )


def _statement(template: str, ref: Ref, params: Mapping[str, Json]) -> str:
    """One sentence; a param that is not known is said to be so."""

    def fill(match: re.Match[str]) -> str:
        head, _, rest = match[1].partition(".")
        plain = {"subject": str(ref), "name": ref.name, "namespace": ref.namespace}
        return plain[head] if not rest else _said(params.get(rest))

    words = _PLACE.sub(fill, template).strip()
    return words if words.endswith(".") else f"{words}."


def _said(value: Json) -> str:
    if value is None:
        return "not known"
    return (
        ", ".join(map(str, value)) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _time(value: Json, now: datetime) -> datetime | None:
    found = moment(value)
    return found if found is not None and found <= now else None


def _stamp(at: datetime | None) -> str:
    """As Kubernetes writes times, so that `timestamp(...)` reads it; "" for none."""
    return at.isoformat().replace("+00:00", "Z") if at is not None else ""


def _used(detection: Detection) -> frozenset[str]:
    """The variables that the page speaks of: the others are not worked out."""
    sources = " ".join((detection.when, detection.since, *detection.params.values(), *detection.shows))
    return frozenset(name for name in LOOKED_AT if re.search(rf"\b{name}\b", sources))


def _data(manifest: Manifest, told: frozenset[str], topology: Topology) -> dict[str, Any]:
    ref = ref_of(manifest)
    unit = topology.unit(ref)
    makers: Mapping[str, Callable[[], Any]] = {
        "object": lambda: _plain(manifest),
        "namespaceObject": lambda: _plain(topology.get("Namespace", "", ref.namespace) or {}),
        "pods": lambda: [_plain(pod) for pod in topology.pods_of(unit)],
        "events": lambda: [
            {"type": one.kind, "reason": one.reason, "message": one.message, "count": one.count, "last": _stamp(one.last)}
            for one in (topology.events_of_unit(ref) if unit == ref else topology.events_about(ref))
        ],
        "logs": lambda: [line for log in topology.logs_of(unit) for line in log.text.splitlines()[-LOG_LINES:]],
        "others": lambda: _others(ref, topology),
        "now": lambda: _stamp(topology.now),
    }
    return {name: makers[name]() if name in told else None for name in LOOKED_AT}


def _others(ref: Ref, topology: Topology) -> dict[str, list[Manifest]]:
    """Objects of the same namespace by kind (those without one for a cluster-scoped object)."""
    found: dict[str, list[Manifest]] = {}
    for (kind, namespace), manifests in topology.local.items():
        if namespace == ref.namespace:
            found[kind] = [_plain(one) for one in manifests if ref_of(one) != ref]
    return found


def _plain(manifest: Manifest) -> Manifest:
    """Without managedFields: large, and no condition is about them."""
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping) or "managedFields" not in metadata:
        return manifest
    return {**manifest, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
