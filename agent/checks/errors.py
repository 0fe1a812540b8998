"""What a workload's own log tells of trouble when no other check knows a name for it: where it began, whom it hits, and
which change came right before. Logs are words of the workload itself, so everything that objects prove outranks them."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.callers import log_troubles
from agent.checks.complaints import Complaint, complaints, past_complaints
from agent.checks.containers import began_words, ended_containers, rollback_params
from agent.checks.registry import check, earliest, quote_field, quote_log
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Ref
from agent.signals.account import Account
from agent.signals.changes import changes
from agent.signals.configuration import ConfigEdit, config_edits, started
from agent.signals.connections import failure_kind, target_of
from agent.signals.masking import safe
from agent.topology import Topology
from agent.topology.fields import created_at, ref_of, text
from agent.topology.pods import unready_since
from agent.topology.workloads import live_pods, rollback
from sidecar.contract import Json

SOON = timedelta(minutes=10)  # what began so long after a change may have come of it


@check("application-error", weight=0.36)
def logs_errors(topology: Topology) -> Iterator[Finding]:
    """A log in trouble whose first line is not about a connection (for that there are other checks)."""
    for unit, one in sorted(complaints(topology).items()):
        if _is_about_a_connection(one) or _crashes(topology, unit):
            continue
        back = rollback(topology, unit, one.since)
        if back is not None and back.began is not None and one.since is not None and one.since - back.began <= SOON:
            continue  # the release is to blame, see below
        yield _finding(topology, "application-error", one, _change_words(topology, unit, one.since))
    for one in past_complaints(topology):
        last = one.account.last.at
        when = f"from {one.account.since:%H:%M:%SZ} to {last:%H:%M:%SZ}" if one.account.since and last else "earlier"
        yield Finding(
            cause="application-error",
            subject=one.unit,
            state="recovered",
            since=one.since,
            quotes=_quotes(one),
            params={"count": one.account.count},
            statement=f"{one.unit} logged errors {when} ({one.account.count} lines), and none since:"
            f" {safe(one.account.origin.text, limit=250).rstrip('.')}.",
        )


@check("bad-release", weight=0.4)
def new_revision_logs_errors(topology: Topology) -> Iterator[Finding]:
    """Errors that began with the newest revision, while its pods run."""
    for unit, one in sorted(complaints(topology).items()):
        back = rollback(topology, unit, one.since)
        if back is None or back.began is None or one.since is None or _is_about_a_connection(one) or _crashes(topology, unit):
            continue
        if one.since - back.began <= SOON:
            yield _finding(topology, "bad-release", one, began_words(back), **rollback_params(back))


@check("errors-after-config-change", weight=0.47)
def broken_by_an_edit(topology: Topology) -> Iterator[Finding]:
    """A ConfigMap or Secret was edited, its readers took the new values, and their trouble began right then."""
    for unit, since, quotes, words in _troubled(topology):
        edit = next((edit for edit in config_edits(topology, unit) if _came_of(topology, unit, edit, since)), None)
        if edit is None:
            continue
        what = f" ({', '.join(edit.keys[:4])})" if edit.keys else ""
        how = ", and its pods have been started since" if edit.once else ""
        yield Finding(
            cause="errors-after-config-change",
            subject=edit.holder,
            since=edit.at,
            affects=(unit,),
            params={"edited_by": edit.who, "keys": list(edit.keys), "reader": str(unit), "once": edit.once},
            quotes=(
                quote_field(edit.holder, "metadata.managedFields", f"{edit.who} wrote{what or ' the data'}", edit.at),
                *quotes,
            ),
            statement=f"{edit.holder}{what} was edited by {edit.who} at {edit.at:%H:%M:%SZ}{how}, and the trouble of {unit}"
            f" began {_later(since, edit.at)} after: {words}.",
        )


@check("config-stale", weight=0.6)
def runs_with_old_configuration(topology: Topology) -> Iterator[Finding]:
    """In trouble since before its configuration was mended: the environment is read once, and no container began since."""
    for unit, since, quotes, words in _troubled(topology):
        begun = started(topology, unit)
        for edit in config_edits(topology, unit):
            if begun is None or not edit.once or not begun < edit.at or since >= edit.at:
                continue
            yield Finding(
                cause="config-stale",
                subject=unit,
                since=since,
                affects=(edit.holder,),
                params={"holder": str(edit.holder), "edited_by": edit.who, "keys": list(edit.keys)},
                quotes=(
                    quote_field(edit.holder, "metadata.managedFields", f"written by {edit.who}", edit.at),
                    quote_field(unit, "containers", f"the oldest has run since {begun:%Y-%m-%d %H:%M:%SZ}", begun),
                    *quotes,
                ),
                statement=f"{unit} runs with old configuration: {edit.holder} was edited by {edit.who} at {edit.at:%H:%M:%SZ},"
                f" its containers have run since {begun:%H:%M:%SZ} and read it only when they start. Its trouble goes on:"
                f" {words}.",
            )
            break


def _troubled(topology: Topology) -> Iterator[tuple[Ref, datetime, tuple[Quote, ...], str]]:
    """(workload, since when, quotes, what it says) of every workload in trouble whose beginning is known."""
    told: dict[Ref, tuple[datetime, tuple[Quote, ...], str]] = {}
    for pod, unit, one in ended_containers(topology):
        if one.exit_code not in (0, None) and not one.ready and one.restarts:
            since = earliest(created_at(pod), one.ended_at)
            if since is not None:
                told[unit] = (since, (), f"its container {one.name} ends with exit code {one.exit_code}")
    for unit, trouble, quote in log_troubles(topology):
        if trouble.count >= 3 and trouble.first.at is not None and unit not in told:
            told[unit] = (trouble.first.at, (quote,), f"it cannot reach {trouble.host} ({trouble.kind})")
    for unit, complaint in complaints(topology).items():
        if complaint.since is not None:
            told[unit] = (complaint.since, _quotes(complaint), safe(complaint.account.origin.text, limit=300).rstrip("."))
    for unit, pods in topology.pods_by_owner.items():
        times = [since for pod in live_pods(topology, unit) if (since := unready_since(pod)) is not None]
        if pods and times and unit not in told and unit in topology.objects:
            told[unit] = (min(times), (), "its pods are not ready")
    for unit in sorted(told):
        yield unit, *told[unit]


def _came_of(topology: Topology, unit: Ref, edit: ConfigEdit, since: datetime) -> bool:
    """Whether the trouble can have come of the edit: right after it, or after the first start that read it."""
    slack = timedelta(seconds=30)
    if not edit.once:
        return edit.at - slack <= since <= edit.at + SOON
    times = [when for pod in live_pods(topology, unit) if (when := created_at(pod)) is not None]
    made = min(times, default=None)
    if made is not None and made < edit.at:  # a container that is started anew in the same pod reads its environment anew
        made = started(topology, unit)
    if made is None or made < edit.at or _is_new_revision(topology, unit, edit.at):
        return False
    return made - slack <= since <= made + SOON


def _is_new_revision(topology: Topology, unit: Ref, since: datetime) -> bool:
    """Whether the workload's template changed as well: then the edit is not all that changed."""
    sets = topology.replica_sets(unit)
    made = created_at(sets[0]) if sets else None
    back = rollback(topology, unit, None)
    changed = back is not None and back.image_before != back.image_after
    return changed and made is not None and made >= since


def _crashes(topology: Topology, unit: Ref) -> bool:
    """Containers that end have checks of their own."""
    return any(
        owner == unit and one.exit_code not in (0, None) and not one.running for _, owner, one in ended_containers(topology)
    )


def _is_about_a_connection(one: Complaint) -> bool:
    line = one.account.origin.text[:1000]
    return failure_kind(line) is not None and target_of(line) is not None


def _finding(topology: Topology, cause: str, one: Complaint, change: str, **more: Json) -> Finding:
    account, unit = one.account, one.unit
    params: dict[str, Json] = {"count": account.count, "only": [f"{only.name}={only.value}" for only in account.only], **more}
    return Finding(
        cause=cause,
        subject=unit,
        since=one.since,
        quotes=_quotes(one),
        params=params,
        statement=f"{unit} logs errors{_when(account)}{_where(topology, one)}: {safe(account.origin.text, limit=300).rstrip('.')}"
        f"{_needle_words(account)}{_flood_words(account)}{_only_words(account)}{change}.",
    )


def _quotes(one: Complaint) -> tuple[Quote, ...]:
    account = one.account
    shown = [account.origin, *account.needles[:2], *([account.before] if account.before else []), account.last]
    texts = {line.text: line for line in shown}
    return tuple(quote_log(one.pod, one.log.container, line.text, line.at) for line in texts.values())


def _when(account: Account) -> str:
    if account.every is not None:
        return f" every {account.every.total_seconds() / 60:.0f} min"
    return f" since {account.since:%H:%M:%SZ}" if account.since else ""


def _where(topology: Topology, one: Complaint) -> str:
    """Which of its pods, where some of them are well; and their node, where it is one and the others run elsewhere."""
    pods = live_pods(topology, one.unit)
    if len(pods) < 2 or len(one.pods) >= len(pods):
        return f" on all {len(pods)} pods" if len(pods) > 1 else ""
    hit = {text(pod, "spec", "nodeName") for pod in pods if ref_of(pod) in one.pods}
    others = {text(pod, "spec", "nodeName") for pod in pods if ref_of(pod) not in one.pods}
    node = f", all on Node {next(iter(hit))}" if len(hit) == 1 and not hit & others and "" not in hit else ""
    return f" on {len(one.pods)} of {len(pods)} pods ({', '.join(ref.name for ref in one.pods[:3])}{node})"


def _needle_words(account: Account) -> str:
    return f"; and once: {safe(account.needles[0].text, limit=200).rstrip('.')}" if account.needles else ""


def _flood_words(account: Account) -> str:
    flood = account.flood
    return f"; {flood.count} lines like: {safe(flood.text, limit=160).rstrip('.')}" if flood is not None else ""


def _only_words(account: Account) -> str:
    told = [f"{one.name} {one.value}" for one in account.only]
    return f"; only for {' and '.join(told)}" if told else ""


def _later(since: datetime, change: datetime) -> str:
    seconds = max(0, int((since - change).total_seconds()))
    return f"{seconds} s" if seconds < 180 else f"{seconds // 60} min"


def _change_words(topology: Topology, unit: Ref, since: datetime | None) -> str:
    """The last change to the workload, or to what it depends on, shortly before."""
    if since is None:
        return ""
    units = {unit, *topology.depends_on(unit)}
    for change in changes(topology, before=since + timedelta(seconds=30), within=SOON):
        if topology.unit(change.about) in units:
            return f"; {_later(since, change.at)} before, {change.about} was changed ({change.what}, {change.who})"
    return ""
