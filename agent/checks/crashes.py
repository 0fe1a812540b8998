"""Containers that end and do not say why in words that any other check knows: a crash loop, and the release that brought it."""

from collections.abc import Iterator

from agent.checks.containers import end_quote, ended_containers, rollback_params, since_of, state_of, words_of
from agent.checks.registry import check, earliest, quote_log
from agent.domain.finding import Finding
from agent.signals.logs import last_words
from agent.topology import Topology
from agent.topology.fields import ref_of
from agent.topology.pods import is_ready
from agent.topology.workloads import current_pods, rollback, still_serving, tag


@check("crash-loop", weight=0.3, symptom=True)
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
