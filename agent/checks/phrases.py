"""The words in which programs speak of trouble that has a name of its own: limits, locks, ports, peers. Data only."""

import re
from dataclasses import dataclass


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


SAYINGS = (
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
            r"|bind(?:\(\))?[^\n]{0,60}(?:permission denied|EACCES)|listen[^\n]{0,60}EACCES"
            r"|(?:socket|bind|listen)[^\n]{0,60}(?:address family not supported|EAFNOSUPPORT)",
            re.I,
        ),
        needles=("already", "eaddrinuse", "bind", "eacces", "only one usage", "address family", "eafnosupport"),
        what="cannot listen on its port, which is taken within the pod, needs a right that it has not, or an address family"
        " (IPv6) that its node does not have",
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
