"""What programs say of themselves in words that the field shares: out of threads, heap, locks, a schema that does not fit, a
file that may not be written, a peer that limits the rate, a configuration that does not parse."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from agent.checks.applications import Told, told
from agent.checks.containers import began_words, ended_containers, rollback_params, state_of
from agent.checks.outside import is_server
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """`needles` are lower-case words, one of which every match holds; `by_release`: a release may have begun it."""

    cause: str
    pattern: re.Pattern[str]
    needles: tuple[str, ...]
    what: str
    at_least: int = 1
    by_release: bool = True
    ends: bool = False  # counts only of a program that ends over it: others say it of what they try, and go on


_SAYINGS = (
    Saying(
        cause="process-limit-reached",
        pattern=re.compile(
            r"fork\b[^\n]{0,40}resource temporarily unavailable|can(?:'t|not) (?:fork|start new thread)"
            r"|unable to create (?:new )?native thread|pthread_create(?: failed|[^\n]{0,30}resource temporarily)",
            re.I,
        ),
        needles=("fork", "start new thread", "native thread", "pthread_create"),
        what="cannot start another process or thread",
    ),
    Saying(
        cause="heap-exhausted",
        pattern=re.compile(
            r"OutOfMemoryError: (?:Java heap|GC overhead|Metaspace)[^\n]{0,40}|JavaScript heap out of memory|\bMemoryError\b"
            r"|runtime: out of memory|std::bad_alloc|GC overhead limit exceeded",
            re.I,
        ),
        needles=("outofmemoryerror", "heap out of memory", "memoryerror", "out of memory", "bad_alloc", "gc overhead"),
        what="has used up the memory that its own runtime allows it (its heap), below the container's limit",
    ),
    Saying(
        cause="too-many-open-files",
        pattern=re.compile(r"too many open files|\bEMFILE\b|\bENFILE\b", re.I),
        needles=("too many open files", "emfile", "enfile"),
        what="has as many files and sockets open as it may have",
    ),
    Saying(
        cause="database-schema-mismatch",
        pattern=re.compile(
            r"(?:relation|table|column|view) [\"'`]?[\w.]+[\"'`]? does not exist|no such (?:table|column)[: ]+\S+"
            r"|unknown column '[\w.]+'|table '[\w.]+' doesn't exist|invalid (?:object|column) name '?[\w.]+",
            re.I,
        ),
        needles=(
            "does not exist",
            "no such table",
            "no such column",
            "unknown column",
            "doesn't exist",
            "object name",
            "column name",
        ),
        what="and its database do not fit together: it asks for a table or column that is not there",
        at_least=2,
    ),
    Saying(
        cause="database-missing",
        pattern=re.compile(
            r"database [\"'`][\w.-]+[\"'`] does not exist|unknown database '[\w.-]+'|cannot open database \"[\w.-]+\""
            r"|ORA-12514|role \"[\w.-]+\" does not exist|listener does not currently know of service",
            re.I,
        ),
        needles=("does not exist", "unknown database", "cannot open database", "ora-12514", "currently know"),
        what="asks its database server for a database or role that is not there",
    ),
    Saying(
        cause="wrong-arguments",
        pattern=re.compile(
            r"flag provided but not defined: \S+|unknown (?:command[- ]line )?(?:flag|option|argument|shorthand flag)[^\n]{0,60}"
            r"|unrecognized (?:option|arguments?)[^\n]{0,60}|(?:invalid|illegal|bad) option[^\n]{0,40}"
            r"|error: the following arguments are required[^\n]{0,60}|No such option: \S+|Unrecognized VM option[^\n]{0,60}",
            re.I,
        ),
        needles=("flag", "option", "argument"),
        what="is started with arguments that it does not know",
        ends=True,
    ),
    Saying(
        cause="port-not-bindable",
        pattern=re.compile(
            r"address already in use|EADDRINUSE|port \d+ (?:is )?already (?:in use|used|allocated)"
            r"|only one usage of each socket address"
            r"|bind(?:\(\))?[^\n]{0,60}(?:permission denied|EACCES)|listen[^\n]{0,60}EACCES",
            re.I,
        ),
        needles=("already", "eaddrinuse", "bind", "eacces", "only one usage"),
        what="cannot listen on its port, which is taken within the pod or needs a right that it has not",
        ends=True,
    ),
    Saying(
        cause="leader-election-lost",
        pattern=re.compile(
            r"leader ?election lost|lost (?:leadership|leader lease|the lease)|failed to renew lease [^\n]{0,80}|stopped leading",
            re.I,
        ),
        needles=("leader", "lease", "leading"),
        what="loses its leadership, because it cannot renew its lease in time, and ends",
        by_release=False,
        ends=True,
    ),
    Saying(
        cause="database-locks",
        pattern=re.compile(
            r"deadlock (?:detected|found)|lock wait timeout exceeded|could not obtain lock|database is locked"
            r"|canceling statement due to lock timeout",
            re.I,
        ),
        needles=("deadlock", "lock wait", "obtain lock", "lock timeout", "database is locked"),
        what="waits in vain for locks of its database",
        at_least=3,
    ),
    Saying(
        cause="rate-limited-by-peer",
        pattern=re.compile(
            r"\b429\b[^\n]{0,40}too many requests|too many requests|rate ?limit(?:ed|s)?(?: is| was)? (?:exceeded|reached)"
            r"|ThrottlingException|RequestLimitExceeded|SlowDown: please reduce",
            re.I,
        ),
        needles=(
            "too many requests",
            "limit exceeded",
            "limit reached",
            "limited",
            "throttlingexception",
            "requestlimitexceeded",
            "slowdown",
        ),
        what="is told by a peer to send fewer requests",
        at_least=5,
        by_release=False,
    ),
)
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
@check("heap-exhausted", weight=0.85)
@check("too-many-open-files", weight=0.8)
@check("wrong-arguments", weight=0.83)
@check("port-not-bindable", weight=0.83)
@check("leader-election-lost", weight=0.5)
@check("database-schema-mismatch", weight=0.75)
@check("database-missing", weight=0.82)
@check("database-locks", weight=0.6)
@check("rate-limited-by-peer", weight=0.6)
def programs_say(topology: Topology) -> Iterator[Finding]:
    """A line of a quiet level says it in passing; and a database tells of what its clients ask in the clients' words."""
    ending = _ending(topology)
    for saying in _SAYINGS:
        for one in told(topology, saying.pattern, saying.needles, at_least=saying.at_least):
            if saying.ends and one.unit not in ending:
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
