"""Configuration: what is named and not there. Secrets by key only, never by value."""

import difflib
import re
from collections.abc import Iterator
from datetime import datetime

from agent.checks.containers import began_words, end_quote, ended_containers, rollback_params, since_of, state_of, words_of
from agent.checks.registry import check, quote_event, quote_field, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.logs import time_of
from agent.topology import Named, Topology, pod_spec_of
from agent.topology.fields import created_at, field_writes, items, mapping, ref_of, text
from agent.topology.pods import container_states
from agent.topology.workloads import Rollback, live_pods, rollback, troubled_containers
from sidecar.contract import Json

_VARIABLE = r"\$?\{?\\?[\"'`]?([A-Z][A-Z0-9_]{2,63})\\?[\"'`]?\}?"
_UNSET = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?i:(?:required |missing |mandatory |undefined |unset )*(?:environment variable|env(?:ironment)? var(?:iable)?|env))"
        rf"\s*:?\s*{_VARIABLE}\s*(?i:is |was |must be |has )?(?i:not |un|missing|required|empty|set)",
        rf"(?i:missing|required|undefined|unset|no)\s+(?i:required )?(?i:environment variables?|env(?: vars?|"
        rf" variables?)?)\s*:?\s*"
        rf"(?:\(s\)\s*)?:?\s*{_VARIABLE}",
        rf"{_VARIABLE}\s+(?i:environment variable )?(?i:is not set|not set|must be set|is required|is missing|is unset|is"
        rf" undefined)",
        r"KeyError: '([A-Z][A-Z0-9_]{2,63})'",
        r"(?i:could not resolve placeholder) ['\"]([\w.-]{2,63})['\"]",  # Spring
        r"(?i:invalid|missing|bad) (?i:environment) (?i:variables?):? *[{\[(]? *[\"']?([A-Z][A-Z0-9_]{2,63})\b",  # zod, envalid
        r"(?i:section|key|setting) '([\w:.-]{2,80})' (?i:not found in|is missing from) (?i:the )?(?i:config|setting)",  # .NET
        r"(?:^|\s)([A-Za-z]\w{2,63})\n\S*\s+Field required \[type=missing",  # pydantic: the name stands in the line above
        rf"(?i:config(?:uration)?|settings?)[^\n]{{0,40}}{_VARIABLE}[^\n]{{0,20}}(?i:required|missing|not set)",
    )
)


def keys_of(manifest: Manifest) -> set[str]:
    """Keys of a ConfigMap or Secret; values are not looked at."""
    return {*mapping(manifest, "data"), *mapping(manifest, "binaryData"), *mapping(manifest, "stringData")}


def near(name: str, others: list[str]) -> str:
    """The most similar of the names, or "" when none is similar."""
    lowered = {other.lower(): other for other in sorted(others)}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.55)
    if close:
        return lowered[close[0]]
    inside = [other for other in sorted(others) if name.lower() in other.lower() or other.lower() in name.lower()]
    return inside[0] if inside else ""


def sufferers(topology: Topology, kind: str) -> Iterator[tuple[Ref, Named]]:
    """(workload, what it names) for every ConfigMap or Secret that a workload's pods need."""
    for ref in topology.names:
        if ref.kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"):
            for named in topology.names[ref]:
                if named.to.kind == kind and not named.optional:
                    yield ref, named


def complaints(topology: Topology, unit: Ref, *words: str) -> list[Quote]:
    """What waiting containers and events of a unit's live pods say that holds all the words."""
    quotes = []
    for pod in live_pods(topology, unit) or topology.pods_of(unit):
        for one in container_states(pod):
            if one.waiting_message and all(word in one.waiting_message for word in words):
                where = f"status of container {one.name}"
                quotes.append(quote_field(one.pod, where, f"waiting {one.waiting}: {one.waiting_message}"))
        events = topology.events_about(ref_of(pod))
        quotes += [quote_event(event) for event in events if all(word in event.message for word in words)]
    return quotes[:2]


@check("missing-env-var", weight=0.97)
def variable_not_set(topology: Topology) -> Iterator[Finding]:
    """A container that ends, and says that an environment variable is not set, which its spec does not set either."""
    for pod, unit, one in ended_containers(topology):
        said = words_of(topology, one).splitlines()
        for number in range(len(said) - 1, -1, -1):
            line, above = said[number], "\n".join(said[max(number - 1, 0) : number + 1])
            match = next(
                (match for pattern in _UNSET for match in [pattern.search(line) or pattern.search(above)] if match), None
            )
            if match is None:
                continue
            since = since_of(topology, pod, one)
            back = rollback(topology, unit, since)
            params: dict[str, Json] = {"container": one.name, "variable": match[1], **rollback_params(back)}
            yield Finding(
                cause="missing-env-var",
                subject=unit,
                state=state_of(topology, unit, pod, one),
                since=since,
                affects=(one.pod,),
                quotes=(quote_log(one.pod, one.name, line, time_of(line)), end_quote(one)),
                params=params,
                statement=f"Container {one.name} of {unit} exits at start because the required"
                f" {'environment variable' if match[1].isupper() else 'setting'} {match[1]}"
                f" is not set{began_words(back)}.",
            )
            break


@check("configmap-missing", weight=0.95)
def no_config_map(topology: Topology) -> Iterator[Finding]:
    yield from _absent(topology, "ConfigMap", "configmap-missing")


@check("secret-missing", weight=0.95)
def no_secret(topology: Topology) -> Iterator[Finding]:
    yield from _absent(topology, "Secret", "secret-missing")


def _absent(topology: Topology, kind: str, cause: str) -> Iterator[Finding]:
    found: dict[Ref, list[Ref]] = {}
    for unit, named in sufferers(topology, kind):
        if named.to not in topology.objects and named.to.name:
            found.setdefault(named.to, []).append(unit)
    for absent, units in sorted(found.items()):
        quotes = [quote for unit in units for quote in complaints(topology, unit, absent.name)]
        if not quotes and not (topology.saw(kind) and _waits(topology, units)):
            continue
        others = [text(one, "metadata", "name") for one in topology.in_namespace(kind, absent.namespace)]
        like = near(absent.name, others)
        hint = f" ({like} does exist)" if like else ""
        yield Finding(
            cause=cause,
            subject=absent,
            affects=tuple(units),
            quotes=tuple(quotes[:3]),
            params={"near": like},
            since=min((time for unit in units for time in [created_at(topology.objects[unit])] if time), default=None),
            statement=f"{kind} {absent.name}, which {', '.join(map(str, units))} needs, does not exist in namespace"
            f" {absent.namespace}{hint} (not found).",
        )


def _waits(topology: Topology, units: list[Ref]) -> bool:
    return any(
        one.waiting in ("CreateContainerConfigError", "ContainerCreating", "PodInitializing")
        for unit in units
        for pod in live_pods(topology, unit)
        for one in container_states(pod)
    )


@check("configmap-key-missing", weight=0.97)
def no_config_map_key(topology: Topology) -> Iterator[Finding]:
    yield from _absent_key(topology, "ConfigMap", "configmap-key-missing")


@check("secret-key-missing", weight=0.97)
def no_secret_key(topology: Topology) -> Iterator[Finding]:
    yield from _absent_key(topology, "Secret", "secret-key-missing")


def _absent_key(topology: Topology, kind: str, cause: str) -> Iterator[Finding]:
    for unit, named in sufferers(topology, kind):
        holder = topology.objects.get(named.to)
        if holder is None or not named.key or named.key in keys_of(holder):
            continue
        if not live_pods(topology, unit) or (
            not (quotes := complaints(topology, unit, named.key)) and not _waits(topology, [unit])
        ):
            continue
        keys = sorted(keys_of(holder))
        like, since = near(named.key, keys), _first_complaint(topology, unit)
        params: dict[str, Json] = {
            "key": named.key,
            "near": like,
            "keys": [*keys],
            "where": named.where,
            **rollback_params(_began_it(topology, unit, holder, since)),
        }
        pointer = _reference_path(topology, unit, named)
        if pointer:
            params["key_path"] = pointer
        yield Finding(
            cause=cause,
            subject=named.to,
            affects=(unit,),
            since=since,
            params=params,
            quotes=(*quotes, quote_field(named.to, "data", f"keys: {', '.join(keys) or 'none'}")),
            statement=f'{unit} refers to key "{named.key}" of {kind} {named.to.name} ({named.where}), but the {kind} only has the'
            f" keys {', '.join(keys) or '(none)'}, so the container cannot be created (CreateContainerConfigError).",
        )


def _began_it(topology: Topology, unit: Ref, holder: Manifest, since: datetime | None) -> Rollback | None:
    """The rollback, unless the keys were edited after the newest revision: then the edit began it, not the revision."""
    back = rollback(topology, unit, since)
    edited = max((when for _, when, fields in field_writes(holder) if "f:data" in fields), default=None)
    return None if back is None or (edited and back.began and edited > back.began) else back


def _reference_path(topology: Topology, unit: Ref, named: Named) -> str:
    """JSON Pointer of the reference's `key` in the workload, for references by environment variable."""
    field = "configMapKeyRef" if named.to.kind == "ConfigMap" else "secretKeyRef"
    spec = pod_spec_of(topology.objects[unit])
    prefix = "/spec" if unit.kind == "Pod" else "/spec/template/spec"
    for part in ("containers", "initContainers"):
        for number, container in enumerate(items(spec, part)):
            for index, variable in enumerate(items(container, "env")):
                source = mapping(variable, "valueFrom", field)
                if text(source, "name") == named.to.name and text(source, "key") == named.key:
                    return f"{prefix}/{part}/{number}/env/{index}/valueFrom/{field}/key"
    return ""


def _first_complaint(topology: Topology, unit: Ref) -> datetime | None:
    return min((time for pod in live_pods(topology, unit) for time in [created_at(pod)] if time), default=None)


@check("run-as-non-root", weight=0.97)
def refuses_root(topology: Topology) -> Iterator[Finding]:
    """CreateContainerConfigError "container has runAsNonRoot and image will run as root"."""
    for pod, unit, one in troubled_containers(topology):
        if one.waiting == "CreateContainerConfigError" and "runAsNonRoot" in one.waiting_message:
            back = rollback(topology, unit, created_at(pod))
            yield Finding(
                cause="run-as-non-root",
                subject=unit,
                since=created_at(pod),
                affects=(one.pod,),
                params={"container": one.name, **rollback_params(back)},
                quotes=(quote_field(one.pod, f"status of container {one.name}", f"{one.waiting}: {one.waiting_message}"),),
                statement=f"The pods of {unit} require runAsNonRoot, but the image of container {one.name} runs as"
                f" root and no"
                f" runAsUser is set, so the kubelet refuses to create the container{began_words(back)}.",
            )
