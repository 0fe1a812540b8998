"""Workloads whose own log is in trouble now, or was until lately: what counts as trouble, and whose. Names no cause."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.checks.callers import log_troubles
from agent.domain.objects import ContainerLog, Ref
from agent.signals.account import Account, account_of
from agent.signals.searching import index_of
from agent.topology import Topology
from agent.topology.calls import service_of
from agent.topology.pods import is_finished
from agent.topology.workloads import is_serving

LATELY = timedelta(hours=1)
ENOUGH, SHARE = 5, 0.1  # failing lines, and their part of all lines meanwhile, from which a log is in trouble by itself
CHRONIC = 0.5  # without a quiet stretch before it, trouble has to be the better part of the log


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A workload whose log is in trouble now."""

    unit: Ref
    pod: Ref
    log: ContainerLog
    account: Account
    pods: tuple[Ref, ...]  # those of its pods that complain

    @property
    def since(self) -> datetime | None:
        return self.account.origin.at or self.account.since


def complaints(topology: Topology) -> dict[Ref, Complaint]:
    """The loudest complaint of each workload, worked out once a topology. Of workloads that others suffer from, or that do
    not serve, one line is enough."""
    known: dict[Ref, Complaint] | None = topology.derived.get("complaints")
    if known is None:
        known = {}
        suspects = suspected(topology)
        for pod, logs in sorted(topology.logs.items()):
            unit, manifest = topology.unit_of_name(pod), topology.objects.get(pod)
            if unit not in topology.objects or manifest is None or is_finished(manifest):
                continue  # what a finished run said is judged with the run
            for log in logs:
                account = _account(topology, log)
                if account is None or not _lasts(account, topology.now) or not _is_trouble(account, unit in suspects):
                    continue
                before = known.get(unit)
                pods = tuple(dict.fromkeys((*(before.pods if before else ()), pod)))
                one = Complaint(unit=unit, pod=pod, log=log, account=account, pods=pods)
                keep = before is None or _loudness(account) > _loudness(before.account)
                known[unit] = one if keep or before is None else replace(before, pods=pods)
        topology.derived["complaints"] = known
    return known


def _account(topology: Topology, log: ContainerLog) -> Account | None:
    """Of a running container's log; worked out once a topology."""
    known: dict[tuple[str, str, str], Account | None] = topology.derived.setdefault("accounts", {})
    key = (log.namespace, log.pod, log.container)
    if log.previous or not log.text:
        return None
    if key not in known:
        known[key] = account_of(index_of(topology, log))
    return known[key]


def suspected(topology: Topology) -> set[Ref]:
    """Workloads that do not serve as they should, or that others cannot reach."""
    found = {unit for unit in topology.pods_by_owner if unit in topology.objects and not is_serving(topology, unit)}
    for caller, trouble, _ in log_troubles(topology):
        service = service_of(trouble.host, caller.namespace)
        if service is not None and service in topology.objects:
            found |= {topology.unit(edge.target) for edge in topology.edges.get(service, ()) if edge.relation == "selects"}
    return found


def _is_trouble(account: Account, suspect: bool) -> bool:
    if suspect:
        return True
    return account.count >= ENOUGH and account.share >= (CHRONIC if account.from_the_start else SHARE)


def _lasts(account: Account, now: datetime) -> bool:
    """It goes on, or comes back at even distances and is due again."""
    due = account.every is not None and account.last.at is not None and now - account.last.at <= 1.2 * account.every
    return account.goes_on(now) or due


def past_complaints(topology: Topology) -> Iterator[Complaint]:
    """Workloads that serve now and whose log tells of a stretch of trouble that ended within the hour."""
    active = complaints(topology)
    for pod, logs in sorted(topology.logs.items()):
        unit, manifest = topology.unit_of_name(pod), topology.objects.get(pod)
        if unit in active or unit not in topology.objects or manifest is None or is_finished(manifest):
            continue
        for log in logs:
            account = _account(topology, log)
            ended = account.last.at if account is not None else None
            if account is None or ended is None or account.goes_on(topology.now) or topology.now - ended > LATELY:
                continue
            if account.count >= 2 * ENOUGH and account.share >= 3 * SHARE and not account.from_the_start:
                yield Complaint(unit=unit, pod=pod, log=log, account=account, pods=(pod,))
                active = {**active, unit: Complaint(unit=unit, pod=pod, log=log, account=account, pods=(pod,))}
                break


def _loudness(account: Account) -> tuple[int, int]:
    return (account.count, account.failing)
