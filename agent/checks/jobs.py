"""Jobs that failed and why. Finished runs are healthy by design, and so is a suspended job that a person suspended."""

import re
from collections.abc import Iterator
from datetime import timedelta

from agent.checks.registry import check, quote_condition, quote_event, quote_field, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.logs import Line, error_lines, time_of
from agent.topology import Topology
from agent.topology.fields import at, condition, controller_of, created_at, items, number, ref_of, text, time_at
from agent.topology.pods import container_states

_DENIED = re.compile(
    r"access ?denied|\b403\b|forbidden|unauthorized|not authorized|permission denied for|insufficient permissions", re.I
)
LATELY = timedelta(hours=1)


def failed_jobs(topology: Topology) -> Iterator[tuple[Manifest, str]]:
    """(job, reason of its Failed condition), those left out whose CronJob has succeeded since."""
    for job in topology.of_kind("Job"):
        said = condition(job, "Failed")
        if text(said, "status") == "True" and not _succeeded_since(topology, job):
            yield job, text(said, "reason")


def _succeeded_since(topology: Topology, job: Manifest) -> bool:
    owner, ended = controller_of(job), time_at(condition(job, "Failed"), "lastTransitionTime")
    later = [
        time_at(one, "status", "completionTime")
        for one in topology.in_namespace("Job", text(job, "metadata", "namespace"))
        if owner is not None and controller_of(one) == owner and text(condition(one, "Complete"), "status") == "True"
    ]
    return any(done is not None and ended is not None and done > ended for done in later)


def _last_words(topology: Topology, job: Ref) -> tuple[Ref, str, Line] | None:
    """The last error line of the job's newest log."""
    return next(_error_lines(topology, job), None)


def _error_lines(topology: Topology, job: Ref) -> Iterator[tuple[Ref, str, Line]]:
    """Error lines of the job's logs, the last one first."""
    for log in reversed(topology.logs_of(job)):
        for line in reversed(error_lines(log.text, limit=60)):
            yield Ref("Pod", log.namespace, log.pod), log.container, Line(line, time_of(line))


def _limit(job: Manifest) -> str:
    return f"reached its backoff limit of {number(job, 'spec', 'backoffLimit', default=6)} (BackoffLimitExceeded)"


@check("job-access-denied", weight=0.92)
def denied(topology: Topology) -> Iterator[Finding]:
    """Every attempt ends with the same refusal of access: running it again fails again."""
    for job, reason in failed_jobs(topology):
        ref = ref_of(job)
        told = next((one for one in _error_lines(topology, ref) if _DENIED.search(one[2].text)), None)
        if told is None or reason not in ("BackoffLimitExceeded", ""):
            continue
        pod, container, line = told
        yield Finding(
            cause="job-access-denied",
            subject=ref,
            since=time_at(condition(job, "Failed"), "lastTransitionTime"),
            quotes=(*quote_condition(job, "Failed"), quote_log(pod, container, line.text, line.at)),
            statement=f"{ref} {_limit(job)} because each attempt is refused access: {line.text.strip()[:400]}; running it"
            f" again without"
            " the right permission fails again.",
        )


@check("job-deadline-exceeded", weight=0.95)
def out_of_time(topology: Topology) -> Iterator[Finding]:
    for job, reason in failed_jobs(topology):
        if reason != "DeadlineExceeded":
            continue
        ref, seconds = ref_of(job), at(job, "spec", "activeDeadlineSeconds")
        ran = _ran_seconds(job)
        yield Finding(
            cause="job-deadline-exceeded",
            subject=ref,
            since=time_at(condition(job, "Failed"), "lastTransitionTime"),
            quotes=(*quote_condition(job, "Failed"), quote_field(ref, "spec", f"activeDeadlineSeconds: {seconds}")),
            params={"deadline": seconds, "ran_seconds": ran},
            statement=f"{ref} was stopped after activeDeadlineSeconds={seconds} (DeadlineExceeded) while its work was still"
            f" running; it"
            " did not fail by itself.",
        )


def _ran_seconds(job: Manifest) -> int | None:
    start, end = time_at(job, "status", "startTime"), time_at(condition(job, "Failed"), "lastTransitionTime")
    return int((end - start).total_seconds()) if start is not None and end is not None else None


@check("job-failed", weight=0.6)
def failed(topology: Topology) -> Iterator[Finding]:
    """Failed for a reason that its own last words may tell."""
    for job, reason in failed_jobs(topology):
        ref = ref_of(job)
        told = _last_words(topology, ref)
        says = f"; its last words: {told[2].text.strip()[:300]}" if told else ""
        ends = [one for pod in topology.pods_of(ref) for one in container_states(pod) if one.exit_code]
        code = f" with exit code {ends[-1].exit_code} ({ends[-1].end_reason})" if ends else ""
        quotes: list[Quote] = [*quote_condition(job, "Failed")]
        if told:
            quotes.append(quote_log(told[0], told[1], told[2].text, time_of(told[2].text)))
        how = _limit(job) if reason == "BackoffLimitExceeded" else f"failed ({reason})"
        yield Finding(
            cause="job-failed",
            subject=ref,
            since=time_at(condition(job, "Failed"), "lastTransitionTime"),
            quotes=tuple(quotes),
            statement=f"{ref} {how}: its attempts end{code}{says}.",
        )


@check("cronjob-invalid-schedule", weight=0.95)
def cannot_be_scheduled(topology: Topology) -> Iterator[Finding]:
    """UnparseableSchedule, InvalidSchedule, UnknownTimeZone events of a CronJob."""
    for cron in topology.of_kind("CronJob"):
        ref = ref_of(cron)
        events = [
            one
            for one in topology.events_about(ref)
            if one.reason in ("UnparseableSchedule", "InvalidSchedule", "UnknownTimeZone")
        ]
        if events:
            yield Finding(
                cause="cronjob-invalid-schedule",
                subject=ref,
                since=events[0].first,
                quotes=(quote_event(events[-1]),),
                statement=f"{ref} never runs: {events[-1].message[:250]}.",
            )


@check("cronjob-blocked", weight=0.85)
def blocked(topology: Topology) -> Iterator[Finding]:
    """concurrencyPolicy Forbid and an old run that does not end (JobAlreadyActive)."""
    for cron in topology.of_kind("CronJob"):
        ref = ref_of(cron)
        events = [one for one in topology.events_about(ref) if one.reason == "JobAlreadyActive"]
        active = [text(one, "name") for one in items(cron, "status", "active")]
        job = topology.get("Job", ref.namespace, active[0]) if active else None
        begun = created_at(job) if job is not None else None
        # an event that is older than the run was about the run before
        told = [one for one in events if begun is None or one.last is None or one.last > begun]
        if told and active and text(cron, "spec", "concurrencyPolicy") == "Forbid":
            yield Finding(
                cause="cronjob-blocked",
                subject=Ref("Job", ref.namespace, active[0]),
                affects=(ref,),
                since=begun or told[0].first,
                quotes=(quote_event(told[-1]),),
                statement=f"{ref} starts no new run because Job {active[0]} is still active (concurrencyPolicy Forbid).",
            )


@check("cronjob-missed", weight=0.85)
def missed_its_time(topology: Topology) -> Iterator[Finding]:
    """TooManyMissedTimes or MissSchedule of the last hour, and no run since."""
    for cron in topology.of_kind("CronJob"):
        ref, ran = ref_of(cron), time_at(cron, "status", "lastScheduleTime")
        events = [
            one
            for one in topology.events_about(ref)
            if one.reason in ("TooManyMissedTimes", "MissSchedule")
            and one.last is not None
            and topology.now - one.last < LATELY
            and (ran is None or ran < one.last)
        ]
        if not events or at(cron, "spec", "suspend") is True:
            continue
        deadline = at(cron, "spec", "startingDeadlineSeconds")
        short = isinstance(deadline, int) and deadline < 10  # the controller looks every ten seconds
        why = f"; its startingDeadlineSeconds of {deadline} is shorter than the controller's own round" if short else ""
        yield Finding(
            cause="cronjob-missed",
            subject=ref,
            since=ran or events[0].first,
            quotes=(
                quote_event(events[-1]),
                quote_field(ref, "status", f"lastScheduleTime: {ran:%F %T}Z" if ran else "never ran"),
            ),
            params={"deadline": deadline if isinstance(deadline, int) else None, "too_short": short},
            statement=f"{ref} does not run as it should: {events[-1].message[:220].rstrip('. ')}{why}.",
        )
