"""Containers that end: out of memory, wrong command, no right to execute, a crash nobody explains. Reads states and logs."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.registry import check, quote_event, quote_field, quote_log
from agent.domain.finding import Finding, FindingState, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.logs import last_dated, last_words
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import at, text, time_at
from agent.topology.pods import ContainerState, begun_at, container_named, container_path
from agent.topology.quantities import quantity, spoken
from agent.topology.workloads import Rollback, current_pods, is_serving, rollback, tag, troubled_containers
from sidecar.contract import Json

RECENT = timedelta(minutes=30)
LONGEST_WAIT = timedelta(minutes=10)  # between two runs: twice the back-off, as runs may be longer than the last
NOT_STARTED = ("CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun")
_PROGRAM = (
    re.compile(r'exec: \\?"([^"\\]+)\\?": (?:executable file not found|(?:stat|lstat) [^:]+: no such file|no such file)'),
    re.compile(r"exec ([\w./-]+): no such file or directory"),  # the file is there, what its first line names is not
    re.compile(r"(?:^|[\s:])([\w./-]+): (?:command )?not found\s*$", re.M),
    re.compile(r"([\w./-]+): No such file or directory\s*$", re.M),
)
_DENIED = re.compile(r'exec:? \\?"?([^":\\]+)\\?"?: permission denied')


def ended_containers(topology: Topology) -> list[tuple[Manifest, Ref, ContainerState]]:
    """(pod, workload, container) of every container that has ended at least once; worked out once a topology."""
    known: list[tuple[Manifest, Ref, ContainerState]] | None = topology.derived.get("ended-containers")
    if known is None:
        known = [one for one in troubled_containers(topology) if one[2].ended]
        topology.derived["ended-containers"] = known
    return known


def fallen_containers(topology: Topology) -> list[tuple[Manifest, Ref, ContainerState]]:
    """Containers that have ended, and those that the runtime could not even start."""
    known: list[tuple[Manifest, Ref, ContainerState]] | None = topology.derived.get("fallen-containers")
    if known is None:
        never = [one for one in troubled_containers(topology) if not one[2].ended and one[2].waiting in NOT_STARTED]
        known = topology.derived["fallen-containers"] = [*ended_containers(topology), *never]
    return known


def state_of(topology: Topology, unit: Ref, pod: Manifest, one: ContainerState) -> FindingState:
    """active: the container is not up now, or fell lately and may again. past: it fell once, long ago."""
    replaced = pod not in current_pods(topology, unit) and is_serving(topology, unit)
    if replaced:
        return "recovered"
    lately = one.ended_at is not None and topology.now - one.ended_at <= RECENT
    if one.ended_at is not None and not lately and not one.has_ended_for_good:
        return "past"  # a back-off lasts minutes: what keeps it down now is something else
    if not one.running or not (one.ready or one.init):
        return "active"
    return "active" if lately and one.restarts >= 2 else "recovered" if lately else "past"


def since_of(topology: Topology, pod: Manifest, one: ContainerState) -> datetime | None:
    """When the first fall was: with several restarts the pod fell soon after its start, unless so many runs as short as the last
    one, and the waits between them, are over too soon for that."""
    if one.restarts <= 1:
        return one.ended_at
    begun, last = begun_at(pod), time_at(one.ended, "startedAt")
    if begun is None or last is None or one.ended_at is None:
        return begun
    return max(begun, one.ended_at - one.restarts * (2 * (one.ended_at - last) + LONGEST_WAIT))


def end_quote(one: ContainerState) -> Quote:
    message = f" message: {one.end_message}" if one.end_message else ""
    if not one.ended:
        return quote_field(one.pod, f"status of container {one.name}", f"waiting {one.waiting}: {one.waiting_message}")
    words = f"lastState.terminated: reason {one.end_reason}, exit code {one.exit_code}, restartCount {one.restarts}{message}"
    return quote_field(one.pod, f"status of container {one.name}", words, one.ended_at)


def words_of(topology: Topology, one: ContainerState) -> str:
    """The container's last log lines, of both runs."""
    return "\n".join(
        "\n".join(log.text.splitlines()[-40:])
        for log in topology.logs.get(one.pod, ())
        if log.container == one.name and not log.text.startswith("unable to retrieve container logs")
    )


def rollback_params(back: Rollback | None) -> dict[str, Json]:
    if back is None:
        return {}
    return {
        "rollback_to": back.to,
        "revision": back.newest,
        "new_revision": True,
        "image": back.image_after,
        "previous_image": back.image_before,
    }


def began_words(back: Rollback | None) -> str:
    if back is None:
        return ""
    if back.image_before != back.image_after:
        return f"; it began with the change from {tag(back.image_before)} to {tag(back.image_after)} (revision {back.newest})"
    return f"; it began with revision {back.newest}"


@check("oom-killed", weight=0.95)
def out_of_memory(topology: Topology) -> Iterator[Finding]:
    """lastState.terminated.reason OOMKilled (exit 137): the kernel ended the container at its memory limit."""
    for pod, unit, one in ended_containers(topology):
        if one.end_reason != "OOMKilled":
            continue
        workload = topology.objects.get(unit, pod)
        spec = pod_spec_of(workload) or pod_spec_of(pod)
        limit = at(container_named(spec, one.name), "resources", "limits", "memory")
        amount, since = quantity(limit), since_of(topology, pod, one)
        back = rollback(topology, unit, since)
        quotes = [end_quote(one)]
        quotes += [quote_event(event) for event in topology.events_about(one.pod) if event.reason == "BackOff"][-1:]
        params: dict[str, Json] = {"container": one.name, **rollback_params(back)}
        pointer = container_path(spec, one.name)
        if amount and pointer:
            prefix = "/spec/template/spec" if unit.kind != "Pod" else "/spec"
            params |= {
                "limit": str(limit),
                "suggested_limit": spoken(amount * 2, limit),
                "limit_path": f"{prefix}{pointer}/resources/limits/memory",
            }
            quotes.append(quote_field(unit, "spec", f"container {one.name}: resources.limits.memory {limit}"))
        at_limit = f"its memory limit of {limit}" if amount else "the memory of its node (it has no limit)"
        again = ", again after every restart" if one.restarts > 1 else ""
        yield Finding(
            cause="oom-killed",
            subject=unit,
            state=state_of(topology, unit, pod, one),
            since=since,
            affects=(one.pod,),
            statement=f"Container {one.name} of {unit} reaches {at_limit} and is OOMKilled (exit 137){again}{began_words(back)}.",
            quotes=tuple(quotes),
            params=params,
        )


@check("command-not-found", weight=0.95)
def no_such_program(topology: Topology) -> Iterator[Finding]:
    """Exit 127, or the runtime's "executable file not found": the command is not in the image."""
    for pod, unit, one in fallen_containers(topology):
        said = "\n".join((one.end_message, one.waiting_message, words_of(topology, one)))
        named = next((match[1] for pattern in _PROGRAM for match in [pattern.search(said)] if match), "")
        by_runtime = one.exit_code in (128, None) or "exec " in said
        if one.exit_code != 127 and not (by_runtime and "permission denied" not in said and named):
            continue
        back = rollback(topology, unit, since_of(topology, pod, one))
        line = next((text for text in said.splitlines() if named and named in text and "not found" in text.lower()), "")
        quotes = (end_quote(one), *((quote_log(one.pod, one.name, line),) if line and line in words_of(topology, one) else ()))
        code = "" if one.exit_code is None else f" with exit code {one.exit_code}"
        program = (
            f"{named}, a program that does not exist in the image" if named else "a program that does not exist in the image"
        )
        yield Finding(
            cause="command-not-found",
            subject=unit,
            state=state_of(topology, unit, pod, one),
            since=since_of(topology, pod, one),
            affects=(one.pod,),
            quotes=quotes,
            params={"container": one.name, "program": named, **rollback_params(back)},
            statement=f"The command of container {one.name} in {unit} calls {program}, so it ends{code}"
            f" at each start (not found){began_words(back)}.",
        )


@check("entrypoint-not-executable", weight=0.95)
def not_executable(topology: Topology) -> Iterator[Finding]:
    """Exit 126, or the runtime's exec "permission denied": the file is there, the x bit is not."""
    for pod, unit, one in fallen_containers(topology):
        said = "\n".join((one.end_message, one.waiting_message, *(event.message for event in topology.events_about(one.pod))))
        match = _DENIED.search(said)
        if match is None and one.exit_code != 126:
            continue
        back = rollback(topology, unit, since_of(topology, pod, one))
        entry = match[1] if match else "of the container"
        image = text(container_named(pod_spec_of(pod), one.name), "image")
        yield Finding(
            cause="entrypoint-not-executable",
            subject=unit,
            state=state_of(topology, unit, pod, one),
            since=since_of(topology, pod, one),
            affects=(one.pod,),
            quotes=(end_quote(one),),
            params={"container": one.name, "entrypoint": entry, **rollback_params(back)},
            statement=f"The entrypoint {entry} of image {image} ({unit}) is not executable (permission denied), so the container"
            f" never starts and has no logs{began_words(back)}.",
        )


@check("clean-exit-loop", weight=0.8)
def ends_well_again_and_again(topology: Topology) -> Iterator[Finding]:
    """Exit 0 again and again under restartPolicy Always: a program that finishes is run as a service."""
    for pod, unit, one in ended_containers(topology):
        killed = any(event.reason == "Killing" for event in topology.events_about(one.pod))
        if one.init or one.exit_code != 0 or one.restarts < 2 or killed or text(pod, "spec", "restartPolicy") != "Always":
            continue
        yield Finding(
            cause="clean-exit-loop",
            subject=unit,
            state=state_of(topology, unit, pod, one),
            since=begun_at(pod),
            affects=(one.pod,),
            quotes=(end_quote(one),),
            params={"container": one.name},
            statement=f"Container {one.name} of {unit} finishes with exit code 0 and is started again each time"
            " (restartPolicy Always): its command ends instead of serving.",
        )


@check("native-crash", weight=0.85)
def aborted(topology: Topology) -> Iterator[Finding]:
    """Exit 139 (SIGSEGV) or 134 (SIGABRT)."""
    for pod, unit, one in ended_containers(topology):
        if one.exit_code not in (139, 134):
            continue
        signal = "SIGSEGV" if one.exit_code == 139 else "SIGABRT"
        back = rollback(topology, unit, since_of(topology, pod, one))
        yield Finding(
            cause="native-crash",
            subject=unit,
            state=state_of(topology, unit, pod, one),
            since=since_of(topology, pod, one),
            affects=(one.pod,),
            quotes=(end_quote(one),),
            params={"container": one.name, **rollback_params(back)},
            statement=f"Container {one.name} of {unit} dies by {signal} (exit {one.exit_code}){began_words(back)}.",
        )


@check("init-container-failing", weight=0.75)
def init_fails(topology: Topology) -> Iterator[Finding]:
    """An init container that ends with an error keeps the main containers from starting."""
    for pod, unit, one in ended_containers(topology):
        if not one.init or one.exit_code in (0, None) or one.ready:
            continue
        words = words_of(topology, one)
        told = list(dict.fromkeys(line for line in (last_words(words), last_dated(words)) if line is not None))
        says = f" ({'; before that '.join(line.text.strip()[:300] for line in told)})" if told else ""
        quotes = (end_quote(one), *(quote_log(one.pod, one.name, line.text, line.at) for line in told))
        back = rollback(topology, unit, since_of(topology, pod, one))
        yield Finding(
            cause="init-container-failing",
            subject=unit,
            state=state_of(topology, unit, pod, one),
            since=since_of(topology, pod, one),
            affects=(one.pod,),
            quotes=quotes,
            params={"container": one.name, **rollback_params(back)},
            statement=f'The init container "{one.name}" of {unit} exits {one.exit_code}{says},'
            f" so the main containers never start{began_words(back)}.",
        )
