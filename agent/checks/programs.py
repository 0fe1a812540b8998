"""What programs say of themselves in words that the field shares: out of threads, heap, locks, a schema that does not fit, a
file that may not be written, a peer that limits the rate, a configuration that does not parse."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.applications import Told, told
from agent.checks.containers import began_words, ended_containers, rollback_params, state_of
from agent.checks.outside import is_server
from agent.checks.phrases import SAYINGS, Saying
from agent.checks.preconditions import PRECONDITIONS
from agent.checks.registry import check, quote_field
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.configuration import config_edits
from agent.signals.connections import target_of
from agent.signals.logs import is_quiet
from agent.signals.masking import safe
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import items, text
from agent.topology.pods import containers
from agent.topology.workloads import rollback

LATELY = timedelta(hours=1)  # an edit so long before is named beside a configuration that does not parse


_OF_CLIENTS = ("database-schema-mismatch", "database-missing")  # a server says it of its clients
_DENIED = re.compile(r"permission denied|\bEACCES\b", re.I)
_DOES = re.compile(r"\b(?:open|write|writing|mkdir|create|creating|touch|chown|rename|unlink|access|EACCES)\b", re.I)
_PATH = re.compile(r"[\s'\"`:=](/[\w./-]{1,200})")
_UNPARSED = re.compile(
    r"(?:failed|unable|cannot|could not|error) (?:to )?(?:pars(?:e|ing)|load(?:ing)?|read(?:ing)?|decod(?:e|ing)"
    r"|unmarshal(?:ling)?) (?:the )?(?:config(?:uration)?|settings|properties)\b"
    r"|invalid config(?:uration)?\b|config(?:uration)? (?:is invalid|error)\b"
    r"|\[emerg\](?![^\n]{0,300}(?:host not found|bind\(\)|open\(\)|cannot load certificate))[^\n]{0,240} in /[^\s:]{1,200}:\d+"
    r"|\[alert\][^\n]{0,40}parsing \[/[^\]\n]{1,200}\]|(?:syntax|parse|parsing) error[^\n]{0,80} (?:in|at|near|of) /etc/\S+"
    r"|invalid character '.{1,6}' (?:looking for|after)|JSONDecodeError|yaml\.(?:scanner|parser)\.\w+Error"
    r"|yaml: line \d+|unknown (?:configuration )?(?:field|key|option|directive|property) [\"'`]?[\w.-]+",
    re.I,
)
_OF_ITS_OWN = re.compile(r"config|settings|properties|yaml:|directive|emerg|alert|/etc/", re.I)
_UNPARSED_NEEDLES = (
    "config",
    "settings",
    "properties",
    "yaml: line",
    "unknown field",
    "unknown key",
    "unknown option",
    "directive",
    "[emerg]",
    "[alert]",
    "error",
    "invalid character",
)


@check("process-limit-reached", weight=0.85)
@check("heap-exhausted", weight=0.87)
@check("too-many-open-files", weight=0.8)
@check("wrong-arguments", weight=0.83)
@check("port-not-bindable", weight=0.83)
@check("leader-election-lost", weight=0.5)
@check("database-schema-mismatch", weight=0.75)
@check("database-missing", weight=0.82)
@check("database-locks", weight=0.6)
@check("rate-limited-by-peer", weight=0.6)
@check("data-version-mismatch", weight=0.93)
@check("migration-failed", weight=0.74)
@check("migration-lock-held", weight=0.88)
@check("data-locked", weight=0.86)
@check("library-missing", weight=0.96)
@check("cloud-credentials-missing", weight=0.84)
@check("node-setting-too-low", weight=0.92)
@check("server-refuses-writes", weight=0.78)
@check("server-limit-reached", weight=0.78)
@check("queries-too-slow", weight=0.5)
@check("queue-or-bucket-missing", weight=0.8)
@check("model-not-served", weight=0.8)
def programs_say(topology: Topology) -> Iterator[Finding]:
    """A line of a quiet level says it in passing; and a database tells of what its clients ask in the clients' words."""
    ending = _ending(topology)
    for saying in (*SAYINGS, *PRECONDITIONS):
        for one in told(topology, saying.pattern, saying.needles, at_least=saying.at_least):
            once = saying in PRECONDITIONS and one.count < 2  # what is said once, and goes on, is said in passing
            if (saying.ends or once) and one.unit not in ending:
                continue
            if not is_quiet(one.last.text) and not (saying.cause in _OF_CLIENTS and is_server(topology, one.unit)):
                yield _of(topology, saying, one)


def _ending(topology: Topology) -> set[Ref]:
    """Workloads whose containers end now."""
    return {unit for pod, unit, box in ended_containers(topology) if state_of(topology, unit, pod, box) == "active"}


def _of(topology: Topology, saying: Saying, one: Told) -> Finding:
    back = rollback(topology, one.unit, one.first.at) if saying.by_release else None
    target = target_of(one.last.text[:1000]) if saying.cause == "rate-limited-by-peer" else None
    peer = f" ({target[0]})" if target else ""
    since = f" since {one.first.at:%H:%M:%SZ}" if one.first.at else ""
    return Finding(
        cause=saying.cause,
        subject=one.unit,
        since=one.first.at,
        quotes=one.quotes,
        params={"count": one.count, "said": one.match[0], "peer": target[0] if target else "", **rollback_params(back)},
        statement=f"{one.unit} {saying.what}{peer}: {safe(one.last.text, limit=260).rstrip('.')} ({one.count} times{since})"
        f"{began_words(back)}.",
    )


@check("file-permission-denied", weight=0.8)
def may_not_write(topology: Topology) -> Iterator[Finding]:
    """A path that the program's user may not use; on a volume fsGroup decides, in the image its owner."""
    for one in told(topology, _DENIED, ("permission denied", "eacces")):
        line = one.last.text[:2000]
        named = _PATH.search(line)
        if named is None or _DOES.search(line) is None or is_quiet(line):
            continue
        path = named[1]
        mount, user = _mount(topology, one.unit, path)
        where = f", which is on volume {mount}" if mount else ""
        yield Finding(
            cause="file-permission-denied",
            subject=one.unit,
            since=one.first.at,
            quotes=(*one.quotes[-1:], *user),
            params={"path": path, "volume": mount, "count": one.count},
            statement=f"{one.unit} may not use {path}{where} (permission denied): {safe(one.last.text, limit=220).rstrip('.')}.",
        )


def _mount(topology: Topology, unit: Ref, path: str) -> tuple[str, tuple[Quote, ...]]:
    """The volume that the path lies on ("" for the image's own files), and whom the pod runs as."""
    spec = pod_spec_of(topology.objects.get(unit, {}))
    mounts = [(text(one, "mountPath"), text(one, "name")) for box in containers(spec) for one in items(box, "volumeMounts")]
    over = [pair for pair in mounts if pair[0] and (path == pair[0] or path.startswith(pair[0].rstrip("/") + "/"))]
    context = spec.get("securityContext") or {}
    words = ", ".join(f"{key}: {context[key]}" for key in ("runAsUser", "runAsGroup", "fsGroup") if key in context)
    return max(over, default=("", ""))[1], (quote_field(unit, "pod securityContext", words or "no runAsUser, no fsGroup"),)


@check("configuration-invalid", weight=0.78)
def does_not_parse(topology: Topology) -> Iterator[Finding]:
    """A program that does not understand its configuration. If it was edited lately, the edited object is to blame."""
    for one in told(topology, _UNPARSED, _UNPARSED_NEEDLES):
        if is_quiet(one.last.text):
            continue
        edits = [
            edit
            for edit in config_edits(topology, one.unit)
            if edit.holder.kind == "ConfigMap" and topology.now - edit.at <= LATELY
        ]
        edit = edits[0] if edits and (one.last.at is None or edits[0].at <= one.last.at) else None
        if edit is None and _OF_ITS_OWN.search(one.match[0]) is None and one.unit not in _ending(topology):
            continue  # an unknown option may be one that somebody sent it
        back = rollback(topology, one.unit, one.first.at) if edit is None else None
        by = f"; {edit.holder} was edited by {edit.who} at {edit.at:%H:%M:%SZ}" if edit is not None else ""
        yield Finding(
            cause="configuration-invalid",
            subject=edit.holder if edit is not None else one.unit,
            since=edit.at if edit is not None else one.first.at,
            affects=(one.unit,) if edit is not None else (),
            quotes=one.quotes,
            params={"said": one.match[0], "reader": str(one.unit), **rollback_params(back)},
            statement=f"{one.unit} does not understand its configuration: {safe(one.last.text, limit=260).rstrip('.')}{by}"
            f"{began_words(back)}.",
        )
