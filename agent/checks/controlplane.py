"""The control plane where it can be seen: leases of scheduler and controllers, logs and events that quote it, its metrics."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from agent.checks.callers import log_troubles
from agent.checks.policies import API_SERVER
from agent.checks.registry import check, earliest, quote_field
from agent.checks.scheduling import Unplaced, unplaced
from agent.checks.told import Saying, credible, sayings
from agent.domain.finding import Finding, Quote
from agent.domain.objects import Manifest, Ref
from agent.signals.readings import growth, last, named
from agent.topology import Topology
from agent.topology.fields import at, condition, created_at, field_writes, number, ref_of, text, time_at
from agent.topology.workloads import CONTROLLED, wanted
from sidecar.contract import Json

SYSTEM = "kube-system"
STALE = timedelta(seconds=60)  # leases are renewed every few seconds and run out after 15
BEHIND = timedelta(minutes=3)


def stale_lease(topology: Topology, name: str) -> tuple[Ref, datetime] | None:
    """The control plane's lease of that name, when nobody has renewed it for long, and the time that it was renewed last."""
    lease = topology.get("Lease", SYSTEM, name)
    renewed = time_at(lease, "spec", "renewTime") if lease is not None else None
    patience = max(STALE, 4 * timedelta(seconds=number(lease, "spec", "leaseDurationSeconds", default=15)))
    if lease is None or renewed is None or topology.now - renewed <= patience:
        return None
    return ref_of(lease), renewed


def component(topology: Topology, name: str) -> Ref:
    """The program's pod where the cluster runs it as one (static pods carry the node's name), else its lease."""
    pods = [ref_of(pod) for pod in topology.pods_in.get(SYSTEM, ()) if text(pod, "metadata", "name").startswith(f"{name}-")]
    return min(pods) if len(pods) == 1 else Ref("Lease", SYSTEM, name)


@check("scheduler-down", weight=0.94, wide=True)
def nobody_places(topology: Topology) -> Iterator[Finding]:
    """The scheduler's lease is not renewed; or pods wait under the default scheduler and it has not said a word about them."""
    stale = stale_lease(topology, "kube-scheduler")
    silent = [one for one in unplaced(topology) if _is_unheard(topology, one)]
    fresh = topology.get("Lease", SYSTEM, "kube-scheduler") is not None and stale is None
    if stale is None and (fresh or not silent or not topology.saw("Event")):
        return
    subject = component(topology, "kube-scheduler")
    units = tuple(one.unit for one in silent)
    quotes: list[Quote] = []
    if stale is not None:
        quotes.append(quote_field(stale[0], "spec.renewTime", f"{stale[1]:%F %T}Z", stale[1]))
    quotes += [quote_field(ref_of(one.pods[0]), "status", "Pending, no PodScheduled condition, no event") for one in silent[:2]]
    since = f"its lease was renewed last at {stale[1]:%F %T}Z" if stale is not None else "it has not said a word about them"
    who = f"{', '.join(map(str, units[:3]))} wait{'s' if len(units) == 1 else ''} to be placed" if units else "no pod is placed"
    yield Finding(
        cause="scheduler-down",
        subject=subject,
        affects=units,
        since=stale[1] if stale is not None else earliest(*(one.since for one in silent)),
        quotes=tuple(quotes),
        statement=f"The scheduler (kube-scheduler) does not work: {since}, and {who}.",
    )


def _is_unheard(topology: Topology, one: Unplaced) -> bool:
    name = text(one.spec, "schedulerName") or "default-scheduler"
    made = max((time for pod in one.pods for time in [created_at(pod)] if time is not None), default=None)
    told = any(condition(pod, "PodScheduled") for pod in one.pods)
    return one.said is None and not told and name == "default-scheduler" and made is not None and topology.now - made > BEHIND


@check("controller-manager-down", weight=0.94, wide=True)
def nobody_reconciles(topology: Topology) -> Iterator[Finding]:
    """The controller manager's lease is not renewed: no ReplicaSet, pod, endpoint or Job is made any more."""
    stale = stale_lease(topology, "kube-controller-manager")
    if stale is None:
        return
    lease, renewed = stale
    units = tuple(ref_of(one) for one in _behind(topology))
    who = f"; {', '.join(map(str, units[:3]))} {'is' if len(units) == 1 else 'are'} not acted upon" if units else ""
    yield Finding(
        cause="controller-manager-down",
        subject=component(topology, "kube-controller-manager"),
        affects=units,
        since=renewed,
        quotes=(quote_field(lease, "spec.renewTime", f"{renewed:%F %T}Z", renewed),),
        statement=f"The controller manager (kube-controller-manager) does not work: its lease was renewed last at"
        f" {renewed:%F %T}Z, so nothing that was asked for is made{who}.",
    )


@check("controller-behind", weight=0.6)
def not_acted_upon(topology: Topology) -> Iterator[Finding]:
    """A workload whose newest spec no controller has looked at for minutes (status.observedGeneration behind)."""
    for workload in _behind(topology):
        ref, asked = ref_of(workload), number(workload, "metadata", "generation")
        seen = number(workload, "status", "observedGeneration")
        yield Finding(
            cause="controller-behind",
            subject=ref,
            since=_written(workload),
            quotes=(quote_field(ref, "status", f"generation {asked}, observedGeneration {seen}"),),
            params={"generation": asked, "observed": seen},
            statement=f"No controller has acted on the newest spec of {ref} (generation {asked}, observed {seen}): the controller"
            " manager is down, late, or keeps failing on it.",
        )


def _behind(topology: Topology) -> list[Manifest]:
    return [
        one
        for one in topology.of_kind(*CONTROLLED)
        if number(one, "status", "observedGeneration") < number(one, "metadata", "generation")
        and (when := _written(one)) is not None
        and topology.now - when > BEHIND
        and (wanted(one) > 0 or at(one, "status", "observedGeneration") is not None)
    ]


def _written(workload: Manifest) -> datetime | None:
    return max((when for _, when, fields in field_writes(workload) if "f:spec" in fields), default=None) or created_at(workload)


@check("apiserver-unreachable", weight=0.9, wide=True)
def no_api_server(topology: Topology) -> Iterator[Finding]:
    """Several workloads cannot reach the API server, or Prometheus cannot."""
    told = [
        (unit, trouble, quote)
        for unit, trouble, quote in log_troubles(topology)
        if topology.host(trouble.host, unit.namespace) == API_SERVER and trouble.kind in ("refused", "timeout", "reset", "tls")
    ]
    units = tuple(dict.fromkeys(unit for unit, _, _ in told))
    down = [
        one
        for job in ("apiserver", "kube-apiserver", "kubernetes-apiservers")
        for one in named(topology.series, "up", {"job": job})
    ]
    gone = [one for one in down if last(one) == 0]
    if len(units) < 2 and not (gone and len(gone) == len(down)):
        return
    kinds = ", ".join(sorted({trouble.kind for _, trouble, _ in told})) or "its metrics cannot be read either"
    who = f"{', '.join(map(str, units[:4]))} cannot reach it ({kinds})" if units else "Prometheus cannot reach it (up is 0)"
    yield Finding(
        cause="apiserver-unreachable",
        subject=API_SERVER,
        affects=units,
        since=earliest(*(trouble.first.at for _, trouble, _ in told)),
        quotes=tuple(quote for _, _, quote in told[:3]) or (quote_field(API_SERVER, "metrics", 'up{job="apiserver"} is 0'),),
        statement=f"The API server does not answer inside the cluster: {who}.",
    )


_THROTTLED = re.compile(r"server has received too many requests and has asked us to try again later|TooManyRequests\b", re.I)


@check("api-throttled", weight=0.7)
def api_busy(topology: Topology) -> Iterator[Finding]:
    """The API server turns requests away (429, API priority and fairness)."""
    rejected = [
        (growth(one), one.labels.get("priority_level", ""), one.labels.get("flow_schema", ""))
        for one in named(topology.series, "apiserver_flowcontrol_rejected_requests_total")
    ]
    worst = max(rejected, default=(0.0, "", ""))
    told = sayings(topology, _THROTTLED, ("too many requests", "toomanyrequests"), at_least=2)
    told = credible([one for one in told if "apiserver" in one.words.lower() or "server has received" in one.words.lower()])
    if worst[0] < 10 and not told:
        return
    level = f", priority level {worst[1]}, flow schema {worst[2]}" if worst[0] >= 10 else ""
    counted = f"{worst[0]:.0f} requests in ten minutes{level}" if worst[0] >= 10 else f"{sum(one.count for one in told)} times"
    params: dict[str, Json] = {"priority_level": worst[1], "flow_schema": worst[2]} if worst[0] >= 10 else {}
    yield _about_cluster(
        "api-throttled", told, f"The API server turns requests away because it is asked too much ({counted})", params
    )


def _about_cluster(
    cause: str, told: list[Saying], words: str, params: dict[str, Json] | None = None, at_: Ref = API_SERVER
) -> Finding:
    units = tuple(dict.fromkeys(one.unit for one in told))
    who = f"; {', '.join(map(str, units[:4]))} {'says' if len(units) == 1 else 'say'} so" if units else ""
    return Finding(
        cause=cause,
        subject=at_,
        affects=tuple(one for one in units if one != at_),
        since=earliest(*(one.first for one in told)),
        quotes=tuple(one.quote for one in told[:3]) or (quote_field(at_, "metrics", words),),
        params=params or {},
        statement=f"{words}{who}.",
    )
