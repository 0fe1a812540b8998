"""Containers that end: over a file that is not there, or without saying why in words that any other check knows."""

import re
from collections.abc import Iterator

from agent.checks.containers import began_words, end_quote, ended_containers, rollback_params, since_of, state_of, words_of
from agent.checks.registry import check, earliest, quote_log
from agent.domain.finding import Finding
from agent.signals.connections import failure_kind
from agent.signals.logs import is_quiet, last_words
from agent.topology import Topology, pod_spec_of
from agent.topology.fields import items, ref_of, text
from agent.topology.pods import containers, is_ready
from agent.topology.workloads import current_pods, rollback, still_serving, tag


@check("crash-loop", weight=0.31, symptom=True)
def crash_loops(topology: Topology) -> Iterator[Finding]:
    """Ends and is started again. CrashLoopBackOff can come minutes late, so restarts and end states count too."""
    for pod, unit, one in ended_containers(topology):
        if one.init or (one.restarts == 0 and one.running) or (one.exit_code == 0 and one.running):
            continue
        state = state_of(topology, unit, pod, one)
        last = last_words(words_of(topology, one))
        says = f"; its last words: {last.text.strip()[:300]}" if last else ""
        quotes = (end_quote(one), *((quote_log(one.pod, one.name, last.text, last.at),) if last else ()))
        back = rollback(topology, unit, since_of(topology, pod, one))
        yield Finding(
            cause="crash-loop",
            subject=unit,
            state=state,
            since=since_of(topology, pod, one),
            affects=(one.pod,),
            symptom_only=True,
            quotes=quotes,
            params={"container": one.name, **rollback_params(back)},
            statement=f"Container {one.name} of {unit} ends with exit code {one.exit_code} and is restarted"
            f" ({one.restarts} times){says}.",
        )


@check("bad-release", weight=0.4)
def new_revision_crashes(topology: Topology) -> Iterator[Finding]:
    """The newest revision's pods crash, the one before did not: the release is to blame, whatever exactly is in it."""
    for pod, unit, one in ended_containers(topology):
        since = since_of(topology, pod, one)
        back = rollback(topology, unit, since)
        if back is None or one.exit_code in (0, None) or is_ready(pod) or pod not in current_pods(topology, unit):
            continue
        if state_of(topology, unit, pod, one) != "active":
            continue
        last = last_words(words_of(topology, one))
        quotes = (end_quote(one), *((quote_log(one.pod, one.name, last.text, last.at),) if last else ()))
        serving = still_serving(topology, unit)
        says = f": {last.text.strip()[:300]}" if last else ""
        yield Finding(
            cause="bad-release",
            subject=unit,
            since=earliest(since, back.began),
            affects=(ref_of(pod),),
            quotes=quotes,
            params={"container": one.name, **rollback_params(back)},
            statement=f"The pods of revision {back.newest} of {unit} ({tag(back.image_after)}) exit with code"
            f" {one.exit_code}{says};"
            f" revision {back.to} ({tag(back.image_before)}) did not{'; ' + serving if serving else ''}.",
        )


@check("application-error", weight=0.36)
def ends_over_an_error_of_its_own(topology: Topology) -> Iterator[Finding]:
    """A program that ends again and again, and says itself over what. Of a connection that failed others tell more; what only
    repeats that it ends says nothing."""
    for pod, unit, one in ended_containers(topology):
        if one.init or one.exit_code in (0, 137, 143, None) or not one.restarts or state_of(topology, unit, pod, one) != "active":
            continue
        last = last_words(words_of(topology, one))
        if last is None or is_quiet(last.text) or failure_kind(last.text[:1000]) or not _TELLS.search(last.text[:1000]):
            continue
        yield Finding(
            cause="application-error",
            subject=unit,
            since=since_of(topology, pod, one),
            affects=(one.pod,),
            quotes=(end_quote(one), quote_log(one.pod, one.name, last.text, last.at)),
            params={"container": one.name, "count": one.restarts, "only": []},
            statement=f"The program in container {one.name} of {unit} ends by itself with exit code {one.exit_code}, and says"
            f" over what: {last.text.strip()[:300].rstrip('. ')}.",
        )


_TELLS = (
    re.compile(  # more than "exited with an error": a kind of error, a level that nobody gives in passing, and words behind it
        r"(?:\b\w*[a-z](?:Error|Exception)\b|\b(?:panic|fatal|critical|error)\b)[\"\]]?[:, ]+\W{0,4}\w+[^\n]{12,}", re.I
    )
)
_NO_FILE = re.compile(
    r"(?:ENOENT[^\n]{0,60}|No such file or directory[^\n]{0,20}?|FileNotFound\w*[^\n]{0,40}?)[:,]?"
    r" (?:open )?[\"'(]?(/[\w./-]{2,200})"
    r"|[\"'\s(](/[\w./-]{2,200})[\"']?:[^\n]{0,80}?no such file or directory",
    re.I,
)


@check("file-missing", weight=0.74)
def no_such_file(topology: Topology) -> Iterator[Finding]:
    """A program that ends, and whose last words are about a file that is not there: not in the image, or not mounted."""
    for pod, unit, one in ended_containers(topology):
        if one.exit_code in (0, 126, 127, 128, None) or state_of(topology, unit, pod, one) != "active":
            continue
        lines = [line for line in words_of(topology, one).splitlines()[-25:] if line.strip()]
        told = [(line, match) for line in lines for match in [_NO_FILE.search(line[:1000])] if match is not None]
        if not told:
            continue
        line, match = told[-1]
        path = match[1] or match[2]
        back = rollback(topology, unit, since_of(topology, pod, one))
        spec = pod_spec_of(pod)
        mounts = [(text(one, "mountPath"), text(one, "name")) for box in containers(spec) for one in items(box, "volumeMounts")]
        volume = next(
            (name for where, name in sorted(mounts, reverse=True) if where and path.startswith(where.rstrip("/") + "/")), ""
        )
        place = f"volume {volume} is mounted there and does not hold it" if volume else "nothing is mounted there"
        yield Finding(
            cause="file-missing",
            subject=unit,
            since=since_of(topology, pod, one),
            affects=(ref_of(pod),),
            quotes=(quote_log(one.pod, one.name, line), end_quote(one)),
            params={"container": one.name, "path": path, "volume": volume, **rollback_params(back)},
            statement=f"Container {one.name} of {unit} ends because {path} does not exist ({place}):"
            f" {line.strip()[:240].rstrip('. ')}{began_words(back)}.",
        )
