"""What applications say of themselves while Kubernetes sees them healthy: exhausted pools, full disks, refused rights, TLS."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.checks.containers import rollback_params
from agent.checks.registry import check, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.logs import Line, started_lately, time_of
from agent.signals.searching import index_of
from agent.topology import Topology
from agent.topology.pods import container_states
from agent.topology.workloads import rollback

_POOL = re.compile(
    r"(?:connection )?pool[^\n]{0,60}(?:exhausted|timed? ?out|is full|limit reached|no (?:free|available) connection)"
    r"|connection is not available"
    r"[^\n]{0,40}timed out|too many (?:clients|connections)|remaining connection slots|QueuePool limit|could not (?:get"
    r"|obtain) (?:a )?connection from"
    r" (?:the )?pool|timeout waiting for (?:a )?(?:idle |free )?connection",
    re.I,
)
_POOL_NAME = re.compile(r"\b([\w-]*[Pp]ool[\w-]*)\b")
_LEAK = re.compile(r"(?:connection )?leak(?:ed| detection)?\b", re.I)
_FRAME = re.compile(r"\bat (?:[\w$]+\.)*([A-Z][\w$]*\.[\w$<>]+)\(")
_DISK = re.compile(  # of shared memory and watched files the kernel says the same
    r"^(?![^\n]{0,400}(?:shared memory|inotify|file watchers|/dev/shm))[^\n]{0,1600}?"
    r"(?:no space left on device|disk (?:is )?full|ENOSPC)",
    re.I,
)
_READ_ONLY = re.compile(r"read-only file ?system|EROFS", re.I)
_CERTIFICATE = re.compile(
    r"certificate has expired|certificate is not yet valid|x509: certificate|certificate verify failed", re.I
)
_CUDA = re.compile(r"CUDA out of memory|torch\.(?:cuda\.)?OutOfMemoryError|No available memory for the cache blocks", re.I)


SILENT_SECONDS = 900  # a back-off of five minutes, and a start that takes its time


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The lines of one workload's logs that say a thing: how often (of a flood the first and the last count), the first and
    the last."""

    unit: Ref
    count: int
    first: Line
    last: Line
    quotes: tuple[Quote, ...]
    match: re.Match[str]


def told(topology: Topology, pattern: re.Pattern[str], needles: tuple[str, ...], *, at_least: int = 1) -> Iterator[Told]:
    """Workloads whose logs say it, lately. `needles` are lower-case words, one of which every match holds: a cheap first look."""
    found: dict[Ref, list[tuple[Line, re.Match[str], Quote]]] = {}
    for pod, logs in topology.logs.items():
        for log in logs:
            for line in index_of(topology, log).lines_with(needles):
                match = pattern.search(line[:2000])
                if match is not None:
                    quote = quote_log(pod, log.container, line, time_of(line), previous=log.previous)
                    found.setdefault(topology.unit_of_name(pod), []).append((Line(line, time_of(line)), match, quote))
    for unit, ones in sorted(found.items()):
        ones.sort(key=lambda one: (one[0].at or topology.now, one[0].text))
        lately = started_lately(ones[-1][0], topology.now) or (
            started_lately(ones[-1][0], topology.now, seconds=SILENT_SECONDS) and _is_down(topology, unit)
        )
        if len(ones) >= at_least and unit in topology.objects and lately:
            yield Told(
                unit=unit,
                count=len(ones),
                first=ones[0][0],
                last=ones[-1][0],
                quotes=(ones[0][2], ones[-1][2]),
                match=ones[-1][1],
            )


def _is_down(topology: Topology, unit: Ref) -> bool:
    """Whether a container of the workload is not running now: then its last words are those of before the back-off."""
    return any(one.restarts and not one.running for pod in topology.pods_of(unit) for one in container_states(pod))


@check("connection-pool-exhausted", weight=0.8)
def pool_is_empty(topology: Topology) -> Iterator[Finding]:
    """Requests wait in vain for a pooled connection. A leak report names who keeps them."""
    leaks = {one.unit: one for one in told(topology, _LEAK, ("leak",))}
    for one in told(topology, _POOL, ("pool", "connection", "slots", "too many"), at_least=3):
        name = _POOL_NAME.search(one.last.text)
        leak = leaks.get(one.unit)
        frame = _FRAME.search(leak.last.text) if leak is not None else None
        who = f"; the leak detection points to {frame[1]}" if frame else "; connections are leaked" if leak else ""
        said = one.match[0].strip()
        back = rollback(topology, one.unit, one.first.at)
        yield Finding(
            cause="connection-pool-exhausted",
            subject=one.unit,
            since=one.first.at,
            quotes=(*one.quotes, *(leak.quotes[-1:] if leak else ())),
            params={"count": one.count, "leak": frame[1] if frame else "", **rollback_params(back)},
            statement=f"The connection pool{f' {name[1]}' if name else ''} of {one.unit} is exhausted: {said} ({one.count}"
            f" times since"
            f" {one.first.at:%H:%M:%SZ}){who}."
            if one.first.at
            else f"The connection pool of {one.unit} is exhausted: {said}{who}.",
        )


@check("disk-full", weight=0.85)
def no_space(topology: Topology) -> Iterator[Finding]:
    yield from _plain(topology, "disk-full", _DISK, ("no space left", "disk", "enospc"), "has no space left to write to")


@check("read-only-filesystem", weight=0.85)
def cannot_write(topology: Topology) -> Iterator[Finding]:
    yield from _plain(
        topology, "read-only-filesystem", _READ_ONLY, ("read-only file", "erofs"), "writes to a read-only file system"
    )


@check("certificate-invalid", weight=0.85)
def bad_certificate(topology: Topology) -> Iterator[Finding]:
    yield from _plain(topology, "certificate-invalid", _CERTIFICATE, ("certificate",), "does not accept a certificate")


@check("gpu-out-of-memory", weight=0.9)
def gpu_memory(topology: Topology) -> Iterator[Finding]:
    yield from _plain(
        topology, "gpu-out-of-memory", _CUDA, ("out of memory", "outofmemory", "cache blocks"), "runs out of GPU memory"
    )


def _plain(topology: Topology, cause: str, pattern: re.Pattern[str], needles: tuple[str, ...], what: str) -> Iterator[Finding]:
    for one in told(topology, pattern, needles):
        yield Finding(
            cause=cause,
            subject=one.unit,
            since=one.first.at,
            quotes=one.quotes[-1:],
            params={"count": one.count},
            statement=f"{one.unit} {what}: {one.last.text.strip()[:300]}.",
        )
