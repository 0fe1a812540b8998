"""Probes: one that asks the wrong port or path, one that fails, one that kills."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from agent.checks.containers import began_words, rollback_params
from agent.checks.registry import check, earliest, quote_event, quote_field, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.topology import Happening, Topology, pod_spec_of
from agent.topology.fields import at, items, mapping, number, ref_of, text
from agent.topology.pods import container_named, container_path, container_ports, container_states, is_ready, unready_since
from agent.topology.workloads import current_pods, rollback, workloads
from sidecar.contract import Json

_LISTENS = re.compile(
    r"(?:listen(?:ing)?|started|serving|bound|running|server|port)\b[^\n]{0,60}?(?:0\.0\.0\.0|\[::\]|::|localhost|127\.0\.0\.1|\*)?:(\d{2,5})\b"
    r"|(?:listen(?:ing)?|started|serving)[^\n]{0,60}?\bport[ =:\"]+(\d{2,5})\b",
    re.I,
)
_ANSWERED = re.compile(r"statuscode: (401|403|404|405)\b")


def listening_ports(topology: Topology, pod: Manifest, container: str) -> list[tuple[int, str]]:
    """(port, log line) of every port that the container's own log says it listens on."""
    found: dict[int, str] = {}
    for log in topology.logs.get(ref_of(pod), ()):
        if log.container == container:
            for line in log.text[:20_000].splitlines():
                match = _LISTENS.search(line)
                if match:
                    found.setdefault(int(match[1] or match[2]), line)
    return sorted(found.items())


def _probe_port(probe: Mapping[str, Any], spec: Mapping[str, Any]) -> int:
    """The number of the port that the probe asks; a name is looked up among the container's ports. 0: none."""
    for field in ("httpGet", "tcpSocket", "grpc"):
        port = at(probe, field, "port")
        if isinstance(port, int):
            return port
        if isinstance(port, str):
            return int(port) if port.isdigit() else next((value for name, value, _ in container_ports(spec) if name == port), 0)
    return 0


def complained_of(topology: Topology) -> list[Ref]:
    """Workloads of whose pods a kubelet says that a probe fails, worked out once a topology."""
    known: list[Ref] | None = topology.derived.get("probes-fail")
    if known is None:
        told = {topology.unit(about) for about, _ in topology.told("Unhealthy") if about.kind == "Pod"}
        known = topology.derived["probes-fail"] = [unit for unit in map(ref_of, workloads(topology)) if unit in told]
    return known


def failures_of(topology: Topology, pod: Manifest, kind: str) -> list[Happening]:
    return [one for one in topology.events_about(ref_of(pod)) if one.reason == "Unhealthy" and one.message.startswith(kind)]


@check("readiness-probe-wrong-port", weight=0.95)
def asks_the_wrong_port(topology: Topology) -> Iterator[Finding]:
    """Running, not ready; the probe's port refuses, and the application (its log, or its declared ports) is on another."""
    for unit in complained_of(topology):
        for pod in current_pods(topology, unit):
            if is_ready(pod) or text(pod, "status", "phase") != "Running":
                continue
            found = next(_wrong_port(topology, unit, pod), None)
            if found is not None:
                yield found
                break


def _wrong_port(topology: Topology, unit: Ref, pod: Manifest) -> Iterator[Finding]:
    spec = pod_spec_of(pod)
    running = {one.name for one in container_states(pod) if one.running and not one.ready}
    for container in items(spec, "containers"):
        name, probe = text(container, "name"), mapping(container, "readinessProbe")
        asked = _probe_port(probe, {"containers": [container]})
        events = [
            one for one in failures_of(topology, pod, "Readiness") if f":{asked}" in one.message or "refused" in one.message
        ]
        if name not in running or not asked or not any("refused" in one.message or "timeout" in one.message for one in events):
            continue
        told = listening_ports(topology, pod, name)
        declared = [port for _, port, owner in container_ports(spec) if owner == name]
        ports = [port for port, _ in told] or declared
        if not ports or asked in ports:
            continue
        field = next(field for field in ("httpGet", "tcpSocket", "grpc") if at(probe, field) is not None)
        back = rollback(topology, unit, unready_since(pod))
        params: dict[str, Json] = {
            "container": name,
            "port": asked,
            "listening": list(ports),
            "suggested_port": ports[0],
            "port_path": f"/spec/template/spec{container_path(spec, name)}/readinessProbe/{field}/port",
            **rollback_params(back),
        }
        quotes: list[Quote] = [quote_event(events[-1])]
        quotes += [quote_log(ref_of(pod), name, line) for _, line in told[:1]]
        quotes.append(quote_field(unit, "pod template", f"readinessProbe of {name}: port {asked}; containerPorts {declared}"))
        yield Finding(
            cause="readiness-probe-wrong-port",
            subject=unit,
            since=unready_since(pod),
            affects=(ref_of(pod),),
            params=params,
            quotes=tuple(quotes),
            statement=f"The readiness probe of {unit} asks port {asked}, while the application listens on"
            f" {', '.join(map(str, ports))},"
            f" so its pods are never ready and get no traffic{began_words(back)}.",
        )


@check("readiness-probe-failing", weight=0.35, symptom=True)
def not_ready(topology: Topology) -> Iterator[Finding]:
    """Running and not ready for over a minute; failures from start-up of ready pods are normal."""
    for unit in complained_of(topology):
        for pod in current_pods(topology, unit):
            since = unready_since(pod)
            if (
                is_ready(pod)
                or text(pod, "status", "phase") != "Running"
                or since is None
                or topology.now - since < timedelta(minutes=1)
            ):
                continue
            # what was said long before it lost its readiness was about something else
            failures = [
                one
                for one in failures_of(topology, pod, "Readiness")
                if one.last is None or one.last >= since - timedelta(minutes=5)
            ]
            if not failures:
                continue
            yield Finding(
                cause="readiness-probe-failing",
                subject=unit,
                since=since,
                affects=(ref_of(pod),),
                symptom_only=True,
                quotes=(quote_event(failures[-1]),),
                statement=f"Pods of {unit} run and are not ready: {failures[-1].message[:250]}.",
            )
            break


@check("readiness-probe-wrong-path", weight=0.7)
def asks_a_path_that_is_not_there(topology: Topology) -> Iterator[Finding]:
    """Running, not ready for minutes, and the program answers the probe with 404, 405 or a demand for credentials: it serves, and
    not there. (503 is a program that says itself that it is not ready.)"""
    for unit in complained_of(topology):
        for pod in current_pods(topology, unit):
            since = unready_since(pod)
            if is_ready(pod) or since is None or topology.now - since < timedelta(minutes=2):
                continue
            told = [(one, match) for one in failures_of(topology, pod, "Readiness") if (match := _ANSWERED.search(one.message))]
            if not told:
                continue
            event, match = told[-1]
            boxes = items(pod_spec_of(pod), "containers")
            probed: Mapping[str, Any] = next((box for box in boxes if mapping(box, "readinessProbe", "httpGet")), {})
            path = text(probed, "readinessProbe", "httpGet", "path") or "/"
            back = rollback(topology, unit, since)
            yield Finding(
                cause="readiness-probe-wrong-path",
                subject=unit,
                since=since,
                affects=(ref_of(pod),),
                params={"path": path, "status": match[1], "container": text(probed, "name"), **rollback_params(back)},
                quotes=(quote_event(event), quote_field(unit, "pod template", f"readinessProbe: httpGet {path}")),
                statement=f"The readiness probe of {unit} asks for {path}, and the program answers {match[1]}: it runs,"
                f" and serves something else, so its pods are never ready and get no traffic{began_words(back)}.",
            )
            break


@check("liveness-probe-kills", weight=0.8)
def killed_by_probe(topology: Topology) -> Iterator[Finding]:
    yield from _kills(topology, "Liveness", "livenessProbe", "liveness-probe-kills")


@check("startup-probe-too-short", weight=0.85)
def killed_while_starting(topology: Topology) -> Iterator[Finding]:
    yield from _kills(topology, "Startup", "startupProbe", "startup-probe-too-short")


def _kills(topology: Topology, kind: str, field: str, cause: str) -> Iterator[Finding]:
    """The kubelet restarts a container (exit 137 or 143, not OOM) because a probe failed."""
    for unit in complained_of(topology):
        for pod in current_pods(topology, unit):
            failures = failures_of(topology, pod, kind)
            if not failures:
                continue
            killings = [one for one in topology.events_about(ref_of(pod)) if one.reason == "Killing" and "probe" in one.message]
            fallen = [one for one in container_states(pod) if one.restarts and one.end_reason != "OOMKilled"]
            if not killings or not fallen:
                continue
            one, last = fallen[0], killings[-1].last
            if last is not None and one.ended_at is not None and last < one.ended_at - timedelta(hours=1):
                continue  # it was killed once, and has ended by itself since
            spec = pod_spec_of(pod)
            probe = mapping(container_named(spec, one.name), field)
            threshold, period = number(probe, "failureThreshold", default=3), number(probe, "periodSeconds", default=10)
            lately = one.ended_at is not None and topology.now - one.ended_at < timedelta(minutes=30)
            back = rollback(topology, unit, failures[0].first)
            yield Finding(
                cause=cause,
                subject=unit,
                state="active" if lately else "past",
                since=earliest(*(event.first for event in failures)),
                affects=(ref_of(pod),),
                quotes=(quote_event(failures[-1]), quote_event(killings[-1])),
                params={
                    "container": one.name,
                    "failure_threshold": threshold,
                    "suggested_threshold": threshold * 3,
                    "threshold_path": f"/spec/template/spec{container_path(spec, one.name)}/{field}/failureThreshold",
                    **rollback_params(back),
                },
                statement=f"The kubelet kills container {one.name} of {unit} because its {kind.lower()} probe fails"
                f" ({threshold} tries, {period} s apart): {failures[-1].message[:200]}{began_words(back)}.",
            )
            break
