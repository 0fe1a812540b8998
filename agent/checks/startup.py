"""Containers that do not get as far as running: the runtime does not make them, a hook fails, an init container waits for what
does not come."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.containers import NOT_STARTED, began_words, rollback_params, words_of
from agent.checks.registry import check, earliest, quote_event, quote_field, quote_log
from agent.domain.finding import Finding
from agent.domain.objects import Ref
from agent.signals.connections import connection_troubles
from agent.signals.logs import last_words
from agent.topology import Topology
from agent.topology.fields import created_at, ref_of
from agent.topology.pods import container_states, is_ready
from agent.topology.workloads import rollback, troubled_containers

WAITS = timedelta(minutes=5)  # longer than what an init container usually waits for takes to start
LATELY = timedelta(minutes=15)
_WAITING_WORDS = re.compile(r"\b(?:wait(?:ing)?|not (?:yet )?(?:ready|up|available)|retry(?:ing)?|sleep(?:ing)?)\b", re.I)
_NOT_SAID = re.compile(r"^(?:context deadline exceeded)?$")


@check("container-create-failed", weight=0.7)
def cannot_be_made(topology: Topology) -> Iterator[Finding]:
    """CreateContainerError, RunContainerError: the runtime says what is in the way (a mount, a device, a profile, a name that is
    taken)."""
    seen: set[Ref] = set()
    for pod, unit, one in troubled_containers(topology):
        if one.waiting in NOT_STARTED and unit not in seen:
            seen.add(unit)
            events = [
                event for event in topology.events_about(one.pod) if event.reason == "Failed" and "image" not in event.message
            ]
            said = one.waiting_message
            if _NOT_SAID.match(said) and events:
                said = events[-1].message
            back = rollback(topology, unit, created_at(pod))
            where = f"status of container {one.name}"
            yield Finding(
                cause="container-create-failed",
                subject=unit,
                since=earliest(created_at(pod), *(event.first for event in events)),
                affects=(one.pod,),
                params={"container": one.name, "reason": one.waiting, **rollback_params(back)},
                quotes=(
                    quote_field(one.pod, where, f"waiting {one.waiting}: {said}"),
                    *(quote_event(event) for event in events[-1:]),
                ),
                statement=f"The runtime cannot make container {one.name} of {unit} ({one.waiting}):"
                f" {_core(said)}{began_words(back)}.",
            )


def _core(said: str) -> str:
    """The end of a chain of wrapped errors says what is wrong; its beginning only who passes it on."""
    words = " ".join(said.split()).rstrip(". ")
    return words if len(words) <= 260 else f"... {words[-250:]}"


@check("lifecycle-hook-failing", weight=0.82)
def hook_fails(topology: Topology) -> Iterator[Finding]:
    """FailedPostStartHook: the kubelet kills the container when the hook fails. (A failing preStop hook only hurries the end.)"""
    seen: set[Ref] = set()
    for pod, unit, _ in troubled_containers(topology):
        said = [one for one in topology.events_about(ref_of(pod)) if one.reason == "FailedPostStartHook"]
        if not said or is_ready(pod) or unit in seen:
            continue
        if said[-1].last is not None and topology.now - said[-1].last > LATELY:
            continue
        seen.add(unit)
        back = rollback(topology, unit, created_at(pod))
        box = said[-1].container
        yield Finding(
            cause="lifecycle-hook-failing",
            subject=unit,
            since=said[0].first,
            affects=(ref_of(pod),),
            params={"container": box, **rollback_params(back)},
            quotes=(quote_event(said[-1]),),
            statement=f"The postStart hook of {f'container {box} of ' if box else ''}{unit} fails, so the kubelet ends it each"
            f" time it starts: {said[-1].message[:220].rstrip('. ')}{began_words(back)}.",
        )


@check("init-container-waits", weight=0.45)
def waits_in_vain(topology: Topology) -> Iterator[Finding]:
    """An init container that has run for minutes and says that it waits: its pod starts when what it waits for is there."""
    seen: set[Ref] = set()
    waiting = {ref_of(pod): (pod, unit) for pod, unit, one in troubled_containers(topology) if one.waiting and not one.init}
    for pod, unit in waiting.values():
        for one in container_states(pod):
            if not one.init or not one.running or one.ready or unit in seen:
                continue
            if one.started_at is None or topology.now - one.started_at < WAITS:
                continue
            words = words_of(topology, one)
            lines = [line for line in words.splitlines() if line.strip()]
            last = last_words(words)
            troubles = connection_troubles(words)
            if not troubles and not any(_WAITING_WORDS.search(line) for line in lines[-20:]):
                continue
            seen.add(unit)
            yield _waits(
                topology,
                unit,
                one.pod,
                one.name,
                last.text if last is not None else lines[-1],
                troubles[0].host if troubles else "",
            )
            break


def _waits(topology: Topology, unit: Ref, pod: Ref, name: str, line: str, host: str) -> Finding:
    service = topology.host(host, unit.namespace) if host else None
    known = service is not None and service in topology.objects
    absent = f"; there is no {service}" if service is not None and not known and topology.saw("Service") else ""
    begun = created_at(topology.objects[pod]) if pod in topology.objects else None
    what = f"waits for {host}" if host else "waits"
    return Finding(
        cause="init-container-waits",
        subject=unit,
        since=begun,
        affects=(pod,),
        params={"container": name, "host": host, "service": str(service) if service is not None else "", "exists": known},
        quotes=(quote_log(pod, name, line),),
        statement=f'The init container "{name}" of {unit} {what} and does not end, so the pod does not start{absent}:'
        f" {line.strip()[:220]}.",
    )
